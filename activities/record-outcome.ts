/** Records the outcome of an action and its receipt, in one transaction. */
import { asCountersignError, type CountersignError } from '../src/action/errors.js';
import type { GrantClaims, Plan } from '../src/action/grant.js';
import type { Cause } from '../src/action/decision.js';
import { digest } from '../src/action/json.js';
import { holdSettlementOf } from '../src/action/limits.js';
import type { ApprovalRecord, Check, Outcome, OutcomeStatus, StepTimings } from '../src/action/outcome.js';
import { UNAUTHENTICATED, type ReceiptClaims } from '../src/action/receipt.js';
import type { StepDigest } from '../src/action/step-digest.js';
import { NAME_PATTERN } from '../src/action/proposal.js';
import type { Delta, Snapshot } from '../src/action/snapshot.js';
import type { Json } from '../src/action/json.js';
import type { ChainLink } from '../src/ledger/index.js';
import { hashReceipt, signReceipt } from '../src/trust/index.js';
import type { ActionRequest } from './contract.js';
import type { Dependencies } from './deps.js';
import type { Author } from './author.js';
import { editOf } from './edits.js';
import { workflowIdentity } from './step.js';

const DIGEST = /^sha256:[0-9a-f]{64}$/;

export interface OutcomeSettlement {
  readonly author: Author;
  readonly status: OutcomeStatus;
  readonly steps: StepTimings;
  /** Present unless the status is `success`. */
  readonly error?: CountersignError;
  readonly reason?: string;
  /** The tool was never called, so a failure does not count against it. */
  readonly notAttempted?: boolean;
  /** The held amounts are spent, although it is not known how the action ended. */
  readonly spent?: boolean;
  /** The activities whose use of a grant is known to have had no effect, or all of them. */
  readonly ruledOut?: readonly string[] | 'all';
  /** What was really spent, by limit, where it can be determined. */
  readonly amounts?: Readonly<Record<string, number>>;
  readonly facts?: Plan['facts'];
  readonly decision?: Plan['decision'];
  readonly approvals?: readonly ApprovalRecord[];
  /** Id of the action that is done instead, where a person edited this one. */
  readonly revisedBy?: string;
  /** The same, as it is begun. */
  readonly edited?: ActionRequest;
  readonly grant?: GrantClaims;
  readonly pre?: Snapshot;
  readonly post?: Snapshot;
  readonly delta?: Delta;
  readonly checks?: readonly Check[];
  readonly result?: Json;
  /** The records that the steps sealed. */
  readonly records?: readonly StepDigest[];
}

export type RecordedOutcome =
  /** `recorded`: the action already had this outcome, and keeps it. */
  | { readonly kind: 'settled'; readonly outcome: Outcome; readonly recorded: boolean }
  /** Nothing is recorded: another use of a grant may have made the effect. */
  | { readonly kind: 'effect_possible' };

/**
 * Records how an action ended, with its receipt. The ledger does not record an end without an effect while a use of a grant that is not
 * ruled out may have made one.
 */
export async function recordOutcome(settlement: OutcomeSettlement, deps: Dependencies): Promise<RecordedOutcome> {
  const { author, error, facts, grant, records = [], ruledOut = [] } = settlement;
  const { tenant, actionId, proposalDigest, agent, cause } = author;
  const { outcome, proposal } = await kept(outcomeOf(settlement), author, deps);
  const statement = receiptStatementOf(
    outcome,
    {
      ...(agent === undefined ? {} : { agent }),
      ...(grant === undefined ? {} : { grant: grant.jti }),
      ...(cause === undefined ? {} : { cause }),
      records,
    },
    deps,
  );
  const action = { tenant, actionId };
  const signed = (link: ChainLink) => sign({ ...statement, ...link }, deps);
  // The refusal of a conflicting proposal gets a receipt, but the action keeps the outcome of the proposal that it belongs to.
  if (error?.code === 'ACTION_CONFLICT') {
    const receipt = await deps.ledger.receipts.append({ ...action, sign: signed });
    return { kind: 'settled', outcome: { ...outcome, receipt }, recorded: false };
  }
  try {
    return await deps.ledger.receipts.settle({
      ...action,
      proposalDigest,
      outcome,
      proposal,
      ...(settlement.edited === undefined ? {} : { edit: await editOf(tenant, settlement.edited, deps) }),
      sign: signed,
      ...(ruledOut === 'all' ? { effectRuledOut: true } : { withoutEffect: ruledOut }),
      // Without limits in the facts, this run held nothing. The ledger settles what an earlier grant still holds by the status.
      ...(facts?.limits === undefined && settlement.spent !== true ? {} : { holds: holdSettlementOf(settlement) }),
    });
  } catch (thrown) {
    const refused = asCountersignError(thrown);
    if (refused.code !== 'ACTION_CONFLICT') throw refused;
    return recordOutcome({ author, steps: settlement.steps, status: 'denied', error: refused }, deps);
  }
}

/** What is recorded of an outcome, with what was proposed: redacted where the tool's rules say so. */
async function kept(
  outcome: Outcome,
  { tenant, proposal }: Author,
  { redaction }: Dependencies,
): Promise<{ readonly outcome: Outcome; readonly proposal: Author['proposal'] }> {
  const redactor = await redaction?.about(tenant, proposal);
  return redactor?.record(outcome, proposal) ?? { outcome, proposal };
}

function outcomeOf(settlement: OutcomeSettlement): Outcome {
  const { author, status, error, reason, facts, decision, approvals = [], pre, post, delta, checks = [] } = settlement;
  const { result, revisedBy, steps } = settlement;
  return {
    status,
    reason: reason ?? error?.message ?? status,
    ...(error === undefined ? {} : { error: error.toJSON() }),
    tenant: author.tenant,
    actionId: author.actionId,
    tool: author.tool,
    ...(facts === undefined && author.agent !== undefined ? { agent: author.agent } : {}),
    ...(decision === undefined ? {} : { decision }),
    approvals,
    ...(revisedBy === undefined ? {} : { revisedBy }),
    ...(pre === undefined ? {} : { pre }),
    ...(post === undefined ? {} : { post }),
    ...(delta === undefined ? {} : { delta }),
    checks,
    ...(result === undefined ? {} : { result }),
    ...(facts === undefined ? {} : { facts }),
    proposalDigest: author.proposalDigest,
    steps,
  };
}

/** Refuses a proposal whose author could not be verified. The receipt goes to a separate chain. */
export async function recordUnauthenticated(
  request: ActionRequest,
  error: CountersignError,
  deps: Dependencies,
): Promise<Outcome> {
  const claimed = workflowIdentity();
  const [tenant, actionId] = [storable(claimed.tenant), storable(claimed.actionId)];
  const outcome: Outcome = {
    status: 'denied',
    reason: error.message,
    error: error.toJSON(),
    tenant,
    actionId,
    proposalDigest: DIGEST.test(request.digest) ? request.digest : digest(request.digest.slice(0, 256).toWellFormed()),
    tool: nameOf(request.proposal.tool),
    approvals: [],
    checks: [],
    steps: {},
  };
  const statement = { ...receiptStatementOf(outcome, {}, deps), tenant: UNAUTHENTICATED };
  const receipt = await deps.ledger.receipts.append({
    tenant: UNAUTHENTICATED,
    actionId: `${tenant}/${actionId}`,
    sign: (link) => sign({ ...statement, ...link }, deps),
  });
  return { ...outcome, receipt };
}

/** A name that was not verified, reduced to what every store accepts. */
function storable(name: string): string {
  return name.slice(0, 64).toWellFormed().replaceAll('\u0000', '\ufffd');
}

function nameOf(tool: unknown): string {
  return typeof tool === 'string' && NAME_PATTERN.test(tool) ? tool : 'unnamed';
}

export type Statement = Omit<ReceiptClaims, 'seq' | 'prev'>;

/** What a receipt says that the outcome does not. */
interface Grounds {
  readonly agent?: string;
  readonly grant?: string;
  readonly cause?: Pick<Cause, 'actionId' | 'receipt'>;
  readonly records?: readonly StepDigest[];
}

export function receiptStatementOf(
  outcome: Outcome,
  { agent, grant, cause, records = [] }: Grounds,
  { ledger }: Pick<Dependencies, 'ledger'>,
): Statement {
  return {
    v: 1,
    tenant: outcome.tenant,
    actionId: outcome.actionId,
    proposalDigest: outcome.proposalDigest,
    status: outcome.status,
    reason: outcome.reason,
    code: outcome.error?.code,
    agent,
    tool: outcome.tool,
    environment: outcome.facts?.tool.environment,
    actionType: outcome.facts?.actionType,
    effect: outcome.decision?.effect,
    policyDigest: outcome.decision?.policyDigest,
    approvals: outcome.approvals.map((approval) => approval.digest),
    grant,
    ...(cause === undefined ? {} : { cause: { actionId: cause.actionId, receipt: cause.receipt } }),
    preDigest: outcome.pre?.digest,
    postDigest: outcome.post?.digest,
    ...(records.length === 0 ? {} : { records }),
    outcomeDigest: digest(outcome),
    iat: Math.floor(ledger.clock.now().getTime() / 1000),
  };
}

export async function sign(claims: ReceiptClaims, { keyring }: Dependencies) {
  const jws = await signReceipt(keyring, claims);
  return { jws, hash: hashReceipt(jws) };
}
