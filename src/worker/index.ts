/** `countersign/worker`: what the operator's side of a deployment imports. */
export { defineConfig, loadConfig, type CountersignConfig, type PoliciesConfig } from '../config/config.js';
export { startWorker, type RunningWorker, type WorkerOptions } from './worker.js';
export { createActivities, type Dependencies } from '../../activities/index.js';
export { postgres } from '../tools/index.js';
export {
  email,
  slack,
  webhook,
  type Channel,
  type EmailOptions,
  type NotificationsConfig,
  type Route,
  type SlackOptions,
  type WebhookOptions,
} from '../notify/index.js';
export type { InvariantOptions, SemanticOptions } from '../verify/index.js';
export { loadKeyring, readCredential, signedEvidence, type FoundEvidence } from '../trust/index.js';
export { Ledger } from '../ledger/index.js';
export {
  fileAnchor,
  gitAnchor,
  timestampAnchor,
  webhookAnchor,
  type Anchor,
  type FileAnchorOptions,
  type GitAnchorOptions,
  type TimestampAnchorOptions,
  type WebhookAnchorOptions,
} from '../trail/index.js';
