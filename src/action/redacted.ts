/** What stands for a value that was redacted, and the recorded proposal that is the redacted form of another. */
import { digest, type Digest } from './json.js';
import type { UnreceiptedOutcome } from './outcome.js';
import { proposalDigest, type Proposal } from './proposal.js';

export const REDACTED_PREFIX = 'redacted:';

const REDACTED = /^redacted:[\w-]{22}$/;

export function isRedacted(value: unknown): boolean {
  return typeof value === 'string' && REDACTED.test(value);
}

/**
 * Whether a proposal is the one that an action stands for: by its own digest or, where it was redacted, by the digest in the outcome, which
 * is receipted.
 */
export function isRecordedProposal(
  proposal: Proposal,
  {
    digest: expected,
    outcome,
  }: { readonly digest: Digest; readonly outcome?: Pick<UnreceiptedOutcome, 'redacted'> | null },
): boolean {
  try {
    const { redacted } = outcome ?? {};
    return redacted === undefined ? proposalDigest(proposal) === expected : digest(proposal) === redacted.proposal;
  } catch {
    return false;
  }
}
