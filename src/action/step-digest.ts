/** Digests of the records that steps sealed: what remains of them in the receipt when Temporal has forgotten the records. */
import type { Digest } from './json.js';

export interface StepDigest {
  /** The step that sealed the record. */
  readonly step: string;
  /** Of the record without its seal, as the seal is over it. */
  readonly digest: Digest;
}
