/** Where checkpoints are put besides the ledger: what cannot be rewritten together with it shows what it was. */
import { CountersignError } from '../../action/errors.js';

export interface AnchoredCheckpoint {
  readonly tenant: string;
  readonly size: number;
  readonly jws: string;
  /** A time-stamp token of RFC 3161 over the JWS: DER, in base64. */
  readonly timestamp?: string;
}

/** A place outside of the ledger where checkpoints of the audit trail are put. `fileAnchor()`, `gitAnchor()` and `webhookAnchor()` make one. */
export interface Anchor {
  /** Unique among the anchors. */
  readonly name: string;
  /**
   * Puts a checkpoint there. It may be put there again after a failure.
   *
   * @returns what the place said of it. @throws CountersignError ANCHOR_FAILED
   */
  put(checkpoint: AnchoredCheckpoint, signal: AbortSignal): Promise<string>;
}

/** What anchors keep, as JSON. */
export function anchorText({ tenant, size, jws, timestamp }: AnchoredCheckpoint): string {
  return JSON.stringify({ tenant, size, jws, timestamp });
}

export function anchorFailed(name: string, why: string, cause?: unknown): CountersignError {
  return new CountersignError('ANCHOR_FAILED', `The anchor ${name} did not take the checkpoint: ${why}`, {
    field: 'trail.anchors',
    fix: 'It is tried again with the next round. Correct the place, or the anchor in the config.',
    retryable: true,
    ...(cause === undefined ? {} : { cause }),
  });
}
