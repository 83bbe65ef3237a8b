/** Why a time stamp does not count. */
import { CountersignError } from '../../action/errors.js';

/** `why` goes on from "it does not verify:". */
export function timestampInvalid(why: string, cause?: unknown): CountersignError {
  return new CountersignError('TIMESTAMP_INVALID', `The time stamp does not verify: ${why}.`, {
    field: 'timestamp',
    expected: 'a token of RFC 3161 over this checkpoint, from an authority that is trusted',
    fix: 'Compare the authority, its certificates and the config. docs/trail.md says what is checked.',
    ...(cause === undefined ? {} : { cause }),
  });
}
