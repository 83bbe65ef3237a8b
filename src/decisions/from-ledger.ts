/** Reads the decisions that a ledger keeps, each compared with the receipt that was signed for it. */
import { CountersignError } from '../action/errors.js';
import { inOrderOfDecision, type DecisionRecord } from '../action/decision-record.js';
import type { Facts } from '../action/decision.js';
import { digest, withoutUndefined, type Digest, type Json } from '../action/json.js';
import { proposalDigest, type Proposal } from '../action/proposal.js';
import type { DecidedAction, DecidedFilter, Ledger } from '../ledger/index.js';
import { hashReceipt, verifyReceipt, type Keyring } from '../trust/index.js';
import type { RecordedPolicy, Recording } from './file.js';
import { strikeRecord } from './strike.js';

export interface LedgerDecisions extends DecidedFilter {
  /** Leaves out what was decided at or after. */
  readonly until?: Date | undefined;
}

/**
 * The decisions in the order in which they were made, with the policies that they were made under. All of them are in memory at once.
 * What an operator declared secret, and what looks like a credential, is struck out.
 *
 * @throws CountersignError RECEIPTS_BROKEN when a recorded outcome is not the one that its receipt was signed for; LEDGER_UNAVAILABLE
 */
export async function decisionsOf(
  ledger: {
    readonly archive: Pick<Ledger['archive'], 'decided'>;
    readonly content: Pick<Ledger['content'], 'getPolicy'>;
  },
  keyring: Keyring,
  { until, ...filter }: LedgerDecisions = {},
): Promise<Recording> {
  const records: DecisionRecord[] = [];
  for await (const action of ledger.archive.decided(filter)) {
    await verify(action, keyring);
    const record = recordOf(action);
    const at = Date.parse(record.decidedAt);
    const within =
      (filter.since === undefined || at >= filter.since.getTime()) && (until === undefined || at < until.getTime());
    if (within) records.push(strikeRecord(record));
  }
  records.sort(inOrderOfDecision);
  return { records, policies: await policiesOf(records, ledger) };
}

/** Where the ledger does not keep a policy any more, decisions under it are compared without it. */
async function policiesOf(
  records: readonly DecisionRecord[],
  { content }: { readonly content: Pick<Ledger['content'], 'getPolicy'> },
): Promise<readonly RecordedPolicy[]> {
  const digests = new Set(records.flatMap(({ decision }) => (decision === undefined ? [] : [decision.policyDigest])));
  const found: RecordedPolicy[] = [];
  for (const one of [...digests].sort()) {
    const files = await content.getPolicy(one);
    if (files !== undefined) found.push({ digest: one, files });
  }
  return found;
}

async function verify({ tenant, actionId, outcome, receipt }: DecidedAction, keyring: Keyring): Promise<void> {
  const claims = await verifyReceipt(keyring, receipt.jws);
  const same =
    hashReceipt(receipt.jws) === receipt.hash &&
    claims.seq === receipt.seq &&
    claims.tenant === tenant &&
    claims.actionId === actionId &&
    claims.outcomeDigest === outcomeDigest(outcome);
  if (same) return;
  throw new CountersignError(
    'RECEIPTS_BROKEN',
    `The recorded outcome of ${tenant}/${actionId} is not the one that receipt ${receipt.seq} was signed for.`,
    {
      field: `receipts.${receipt.seq}`,
      expected: 'the outcome that was receipted',
      fix: 'Somebody changed the ledger outside Countersign: countersign receipts verify says what else differs.',
    },
  );
}

function outcomeDigest(outcome: unknown): Digest | undefined {
  try {
    return digest(outcome);
  } catch {
    return undefined;
  }
}

/** What can be decided again of an action, compared with nothing. */
export function recordOf(action: DecidedAction): DecisionRecord {
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

function proposalOf({ proposal, digest: expected }: DecidedAction): Proposal | undefined {
  if (typeof proposal !== 'object' || proposal === null) return undefined;
  try {
    return proposalDigest(proposal as Proposal) === expected ? (proposal as Proposal) : undefined;
  } catch {
    return undefined;
  }
}

/** No policy reads the rows of a preview, and they are what is personal in it. */
function withoutRows(facts: Facts): Facts {
  const { rehearsal: _rehearsal, ...preview } = facts.preview;
  return { ...facts, preview: { ...preview, sample: [] } };
}
