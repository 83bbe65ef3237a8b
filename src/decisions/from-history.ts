/**
 * The decision of one action from its history in Temporal. What was decided, on which facts, and whom people approved it by is taken from
 * records that workers sealed and from decisions that people signed; the rest is as whoever can write to Temporal left it.
 */
import type { ActionRequest, Approved, EffectReport, Enforced, PostState } from '../../activities/contract.js';
import { parseDecisionRecord, type DecisionRecord } from '../action/decision-record.js';
import type { Decision, Facts } from '../action/decision.js';
import { CountersignError } from '../action/errors.js';
import { planOf } from '../action/grant.js';
import { digest, digestText, type Json } from '../action/json.js';
import type { ApprovalRecord, Outcome } from '../action/outcome.js';
import { proposalDigest, signedProposalDigest } from '../action/proposal.js';
import { EMPTY_SNAPSHOT } from '../action/snapshot.js';
import type { Decode } from '../client/payloads.js';
import type { Policy } from '../policy/index.js';
import { spentUnder } from '../policy/backtest/index.js';
import type { RecordedHistory } from '../replay/history.js';
import { openSealed, SEAL_KEYS, verifyApproval, type Keyring, type SealedStep } from '../trust/index.js';
import { attemptedBy, holdsIn, type OpenedRecord } from './history-holds.js';
import { readSteps, type ActionHistory } from './history-steps.js';
import { recordOf } from './record-of.js';

export interface HistoryReader {
  readonly decode: Decode;
  /** Public keys suffice. */
  readonly keyring: Keyring;
  /** The policy of this digest, where it is known: what was really spent is computed by its limits. */
  readonly policyOf: (digest: Decision['policyDigest']) => Promise<Policy | undefined>;
}

/**
 * @throws CountersignError HISTORY_INVALID whose message goes on after "it could not be decided again, because": the history has no whole
 *   decision, or one that no worker sealed
 */
export async function decisionIn(recorded: RecordedHistory, reader: HistoryReader): Promise<DecisionRecord> {
  const history = await readSteps(recorded, reader.decode);
  const { request, outcome } = partsOf(history);
  const records = openedRecords(history, request, reader.keyring);
  assertSealed(outcome, records);
  const approvals = await approvalsOf(outcome, records, history, reader.keyring);
  const result = resultOf(records);
  const { result: _unsealed, ...rest } = outcome;
  const sealed: Outcome = { ...rest, approvals, ...(result === undefined ? {} : { result }) };
  const end = history.steps.findLast(({ step }) => step === 'verify' || step === 'settle') ?? history.steps.at(-1);
  const endedAt = new Date(end?.at ?? 0).toISOString();
  const action = {
    tenant: outcome.tenant,
    actionId: outcome.actionId,
    digest: request.digest,
    proposal: request.proposal,
    outcome: sealed,
    attempted: attemptedBy(reportsOf(history, records)),
    holds: holdsIn(records, { status: outcome.status, endedAt }),
    endedAt,
    receipt: outcome.receipt as NonNullable<Outcome['receipt']>,
  };
  const record = shaped(recordOf(action));
  const amounts = await amountsOf(record, sealed, reader);
  return amounts === undefined
    ? record
    : recordOf({ ...action, holds: holdsIn(records, { status: outcome.status, endedAt, amounts }) });
}

function partsOf({ workflowId, request, outcome, over }: ActionHistory): {
  readonly request: ActionRequest;
  readonly outcome: Outcome;
} {
  if (!over) throw undecidable('its action has not ended');
  if (outcome === undefined) throw undecidable('its workflow ended without an outcome');
  if (!isObject(request?.proposal) || !isObject(outcome) || !isListOfObjects(outcome.approvals)) {
    throw undecidable('its history holds no action');
  }
  if (`${outcome.tenant}/${outcome.actionId}` !== workflowId)
    throw undecidable('its outcome is that of another action');
  if (outcome.receipt === undefined || outcome.receipt.tenant !== outcome.tenant) {
    throw undecidable('no receipt of its tenant was written for it');
  }
  if (
    proposalOrNone(request as ActionRequest) !== outcome.proposalDigest ||
    outcome.error?.code === 'ACTION_CONFLICT'
  ) {
    throw undecidable('its outcome is that of another proposal');
  }
  return { request: request as ActionRequest, outcome: outcome as Outcome };
}

function proposalOrNone({ proposal, digest: expected }: ActionRequest): string | undefined {
  try {
    return proposalDigest(proposal) === expected ? expected : undefined;
  } catch {
    return undefined;
  }
}

/** What the steps handed on, as far as it bears the seal of the step that it came from. */
function openedRecords(
  { workflowId, steps }: ActionHistory,
  { proposal }: ActionRequest,
  keyring: Keyring,
): readonly OpenedRecord[] {
  const signedDigest = signedProposalDigest(proposal);
  return steps.flatMap(({ step, result }): readonly OpenedRecord[] => {
    if (!Object.hasOwn(SEAL_KEYS, step) || !isObject(result)) return [];
    try {
      return [
        openSealed(keyring, { workflowId, signedDigest, step: step as SealedStep }, result as OpenedRecord).record,
      ];
    } catch {
      return [];
    }
  });
}

/** @throws CountersignError HISTORY_INVALID unless a sealed record has the facts and the decision that the outcome states */
function assertSealed({ facts, decision }: Outcome, records: readonly OpenedRecord[]): void {
  if (facts === undefined && decision === undefined) return;
  const stated = digest({ facts: facts ?? null, decision: decision ?? null });
  const approved = records.filter((one): one is Approved => one.kind === 'approved');
  const plans = records.flatMap((record) => {
    const { facts: found, decision: made } = record as Partial<Pick<Enforced, 'facts' | 'decision'>>;
    if (found === undefined) return [];
    const whole =
      made === undefined ? [] : approved.map((one) => planOf({ facts: found, decision: made }, EMPTY_SNAPSHOT, one));
    return [{ facts: found, decision: made }, ...whole];
  });
  const same = ({ facts: found, decision: made }: { readonly facts: Facts; readonly decision: Decision | undefined }) =>
    digest({ facts: found, decision: made ?? null }) === stated;
  if (!plans.some(same))
    throw undecidable('no worker whose keys are known sealed the decision that its outcome states');
}

/** Those that a worker counted and sealed; else those that people signed. */
async function approvalsOf(
  { tenant, actionId, approvals }: Outcome,
  records: readonly OpenedRecord[],
  { checks }: ActionHistory,
  keyring: Keyring,
): Promise<readonly ApprovalRecord[]> {
  const stated = digest(approvals);
  if (approvals.length === 0) return [];
  if (records.some((one) => one.kind === 'approved' && digest((one as Approved).approvals) === stated))
    return approvals;
  for (const { digest: of, at, approver, verdict } of approvals) {
    const check = (checks as readonly (Check | null)[]).find((one) => digestText(String(one?.token)) === of);
    const signed =
      check == null
        ? undefined
        : await verifyApproval(keyring, check.token, {
            tenant,
            actionId,
            shownDigest: check.shownDigest,
            now: new Date(at),
          }).catch(() => undefined);
    if (signed?.record.approver === approver && signed.record.verdict === verdict) continue;
    throw undecidable('its approvals are neither sealed by a worker nor signed by people whose keys are known');
  }
  return approvals;
}

type Check = { readonly token: string; readonly shownDigest: Outcome['proposalDigest'] };

/** What the tool returned. */
function resultOf(records: readonly OpenedRecord[]): Json | undefined {
  const done = records.findLast((one) => one.kind === 'done') as Extract<EffectReport, { kind: 'done' }> | undefined;
  if (done !== undefined) return done.execution.result;
  const post = records.findLast((one) => 'found' in one) as Extract<PostState, { kind: 'post_state' }> | undefined;
  return post?.found?.result;
}

function reportsOf({ steps }: ActionHistory, records: readonly OpenedRecord[]): readonly (EffectReport | undefined)[] {
  const sealed = new Map(records.map((record) => [(record as { at?: number }).at, record]));
  return steps.flatMap(({ step, result }) =>
    step === 'execute' ? [sealed.get((result as { at?: number } | undefined)?.at) as EffectReport | undefined] : [],
  );
}

/** Undefined where nothing was spent, or the policy is not known: then what was held counts as spent. */
async function amountsOf(
  record: DecisionRecord,
  { result }: Outcome,
  { policyOf }: HistoryReader,
): Promise<Readonly<Record<string, number>> | undefined> {
  const { status, decision, holds } = record;
  const spends = status === 'success' || status === 'mismatch';
  if (!spends || decision === undefined || result === undefined || !holds.some(({ kind }) => kind === 'budget')) return;
  const policy = await policyOf(decision.policyDigest);
  return policy && spentUnder(policy, record, result);
}

function shaped(record: DecisionRecord): DecisionRecord {
  try {
    return parseDecisionRecord(record, 'history');
  } catch {
    throw undecidable('its history holds no decision of the shape that decisions have');
  }
}

function isListOfObjects(value: unknown): boolean {
  return Array.isArray(value) && value.every(isObject);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function undecidable(why: string): CountersignError {
  return new CountersignError('HISTORY_INVALID', why, {
    field: 'history',
    expected: 'the whole history of an action that has ended',
    fix: 'Take the decision from the ledger.',
  });
}
