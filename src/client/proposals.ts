/** Several proposals that are handed in together: so many, under different ids, and no more than one message carries. */
import { CountersignError } from '../action/errors.js';
import { canonicalBytes, type Digest } from '../action/json.js';
import type { Proposal } from '../action/proposal.js';

/** Signs a digest in the agent's name. */
export type Signer = (digest: Digest) => Promise<string>;

export interface Bounds {
  /** Where they are, for errors: `saga.steps`. */
  readonly field: string;
  readonly most: number;
  readonly mostBytes: number;
}

/**
 * @param read makes a proposal of one of them
 * @throws CountersignError INVALID_PROPOSAL, INPUT_TOO_LARGE and what `read` throws
 */
export function proposalsOf<T>(
  given: readonly T[],
  { field, most, mostBytes }: Bounds,
  read: (one: T, index: number) => Proposal,
): readonly Proposal[] {
  if (!Array.isArray(given) || given.length < 1 || given.length > most) throw invalid(field, `1 to ${most} proposals`);
  const proposals = given.map(read);
  if (new Set(proposals.map(({ actionId }) => actionId)).size < proposals.length) {
    throw invalid(field, 'proposals with different actionIds');
  }
  const bytes = canonicalBytes(proposals);
  if (bytes <= mostBytes) return proposals;
  throw new CountersignError(
    'INPUT_TOO_LARGE',
    `Together the proposals are ${bytes} bytes; at most ${mostBytes} are carried.`,
    { field, expected: `at most ${mostBytes} bytes of canonical JSON` },
  );
}

export function invalid(field: string, expected: string): CountersignError {
  return new CountersignError('INVALID_PROPOSAL', `${field} must be ${expected}.`, {
    field,
    expected,
    fix: 'Correct it and propose it again.',
  });
}
