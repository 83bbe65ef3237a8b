/** The decision record of an action that has ended, from whatever keeps it: the ledger, or its history. */
import type { DecisionRecord } from '../action/decision-record.js';
import type { Facts } from '../action/decision.js';
import { withoutUndefined, type Digest, type Json } from '../action/json.js';
import type { Proposal } from '../action/proposal.js';
import { isRecordedProposal } from '../action/redacted.js';
import type { DecidedAction } from '../ledger/index.js';

/** An action with its outcome, and which receipt was signed for it. */
export type ReceiptedAction = Omit<DecidedAction, 'receipt'> & {
  readonly receipt: { readonly seq: number; readonly hash: Digest };
};

export function recordOf(action: ReceiptedAction): DecisionRecord {
  const { tenant, actionId, digest: proposed, outcome, attempted, holds, endedAt, receipt } = action;
  const { facts, decision, approvals, status, error, result } = outcome;
  const { seq, hash } = receipt;
  const settles = holds.some(({ kind }) => kind === 'budget') && result !== undefined;
  return withoutUndefined({
    v: 1 as const,
    tenant,
    actionId,
    proposalDigest: proposed,
    proposal: proposalOf(action),
    facts: facts && withoutRows(facts),
    decision,
    approvals,
    status,
    error: error && { code: error.code, message: error.message },
    result: settles ? (result satisfies Json) : undefined,
    attempted,
    holds,
    decidedAt: facts?.now ?? endedAt,
    endedAt,
    receipt: { seq, hash },
  }) as DecisionRecord;
}

function proposalOf({ proposal, digest, outcome }: ReceiptedAction): Proposal | undefined {
  if (typeof proposal !== 'object' || proposal === null) return undefined;
  return isRecordedProposal(proposal as Proposal, { digest, outcome }) ? (proposal as Proposal) : undefined;
}

/** No policy reads the rows of a preview, and they are what is personal in it. */
function withoutRows(facts: Facts): Facts {
  const { rehearsal: _rehearsal, ...preview } = facts.preview;
  return { ...facts, preview: { ...preview, sample: [] } };
}
