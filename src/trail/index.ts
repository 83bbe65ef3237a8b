/** The audit trail outside of the ledger: exports, checkpoints, anchors, proofs, verification. */
export { fileAnchor, type FileAnchorOptions } from './anchors/file.js';
export { gitAnchor, type GitAnchorOptions } from './anchors/git.js';
export { timestampAnchor, type TimestampAnchorOptions } from './anchors/timestamp.js';
export { webhookAnchor, type WebhookAnchorOptions } from './anchors/webhook.js';
export type { Anchor } from './anchors/anchor.js';
