/** Digests of the records that steps sealed: what remains of them in the receipt when Temporal has forgotten the records. */
import type { Digest } from './json.js';

export interface StepDigest {
  /** The step that sealed the record. */
  readonly step: string;
  /** Of the record without its seal, as the seal is over it. Of `authorize`: of the grant that it signed. */
  readonly digest: Digest;
}

/** Each record once, in the order given. */
export function distinctRecords(records: readonly StepDigest[]): readonly StepDigest[] {
  const seen = new Set<string>();
  return records.filter(({ step, digest }) => {
    const name = `${step} ${digest}`;
    if (seen.has(name)) return false;
    seen.add(name);
    return true;
  });
}
