/** Standing approvals: which of what people approved in advance is about an action, and which of it the action needs. */
import type { Facts, Requirement } from '../src/action/decision.js';
import { CountersignError } from '../src/action/errors.js';
import { digest } from '../src/action/json.js';
import type { HoldRequest, LimitFigure } from '../src/action/limits.js';
import type { ApprovalRecord, Shown } from '../src/action/outcome.js';
import { progress } from '../src/action/quorum.js';
import type { NewAuthorization, SignedAuthorization } from '../src/action/person-authorization.js';
import type { StandingApproval } from '../src/action/standing-approval.js';
import { isUndoAgent } from '../src/action/compensation-ids.js';
import { figuresOf, standingLimits, type Measured, type ResolvedLimit } from '../src/policy/index.js';
import { matchesWildcard, assertMayDecide, type SignedCommand } from '../src/trust/index.js';
import type { Dependencies } from './deps.js';
import { verifyAsOfSigning } from './role-delegations.js';

/** A standing approval that counts as a yes to the action, as far as can be told before its budgets are held. */
export interface UsableApproval {
  readonly record: ApprovalRecord;
  /** Its budgets. */
  readonly holds: readonly HoldRequest[];
  /** Where they stand, before this action. */
  readonly figures: readonly LimitFigure[];
  /** What it rests on: its own id, and the credentials of whoever gave it. */
  readonly credentials: readonly string[];
}

type CreateStandingApproval = Extract<SignedCommand, { kind: 'create_standing_approval' }>;

/** What a signed command says, as the ledger keeps it. */
export function standingApprovalOf(command: CreateStandingApproval, token: string): NewAuthorization<StandingApproval> {
  const { tenant, subject, tool, operation, environment, maxRows, actions, amounts, roles, until } = command;
  const { jti, by, credentials, reason } = command;
  return {
    tenant,
    id: jti,
    agent: subject,
    tool,
    ...(operation === undefined ? {} : { operation }),
    ...(environment === undefined ? {} : { environment }),
    ...(maxRows === undefined ? {} : { maxRows }),
    ...(actions === undefined ? {} : { actions }),
    ...(amounts === undefined ? {} : { amounts }),
    roles,
    until: new Date(until).toISOString(),
    by,
    credentials,
    reason,
    digest: command.digest,
    statement: token,
  };
}

/**
 * The standing approvals that are about this action, hold now, and have room for it in their budgets; those that end soonest first.
 * None lifts a limit: who approved in advance did not know that it would be reached.
 *
 * @throws CountersignError LEDGER_UNAVAILABLE
 */
export async function usableApprovals(
  actionId: string,
  facts: Facts,
  shown: Pick<Shown, 'agent' | 'requirements'>,
  measured: readonly Measured[],
  deps: Dependencies,
): Promise<readonly UsableApproval[]> {
  const { requirements } = shown;
  if (requirements.some(({ policy }) => policy.startsWith('limit:'))) return [];
  const { agent, tool, operation } = facts;
  const { tenant, id } = agent;
  const rows = await deps.ledger.standingApprovals.for({
    tenant,
    agents: named(id),
    tool: tool.name,
    environment: tool.environment,
    rows: facts.preview.rows,
  });
  const about = rows.filter((row) => matchesWildcard(row.operation ?? '*', operation));
  const found: {
    readonly row: StandingApproval;
    readonly record: ApprovalRecord;
    readonly limits: readonly ResolvedLimit[];
  }[] = [];
  for (const row of about) {
    const limits = standingLimits(row, measured);
    const record = limits === undefined ? undefined : await recordOf(row, shown, deps);
    if (limits !== undefined && record !== undefined) found.push({ row, record, limits });
  }

  const demands = found.flatMap(({ limits }) => limits.map(({ demand }) => demand));
  const readings = await deps.ledger.limits.read(tenant, actionId, demands);
  let read = 0;
  return found.flatMap(({ row, record, limits }) => {
    const own = readings.slice(read, (read += limits.length));
    if (!own.every(({ fits }) => fits)) return [];
    const holds = limits.map(({ demand }) => demand);
    return [{ record, holds, figures: figuresOf(limits, own), credentials: [row.id, ...row.credentials] }];
  });
}

/** The agent, and the first of its chain, whose doing it is. To undo what an agent did is not its doing. */
function named(id: string): readonly string[] {
  const [root = id] = id.split('/');
  return root === id || isUndoAgent(id) ? [id] : [id, root];
}

/** The row is only where to look: what counts is what its giver signed, and whether they may decide this. */
async function recordOf(
  { at: _at, ended: _ended, ...row }: SignedAuthorization<StandingApproval>,
  { agent, requirements }: Pick<Shown, 'agent' | 'requirements'>,
  { keyring, settings }: Dependencies,
): Promise<ApprovalRecord | undefined> {
  try {
    const command = await verifyAsOfSigning(keyring, row.statement);
    if (
      command.kind !== 'create_standing_approval' ||
      digest(standingApprovalOf(command, row.statement)) !== digest(row)
    )
      return undefined;
    const { by: id, tenant, roles, reason } = command;
    assertMayDecide({ approver: { id, tenant, roles }, agent, requirements, selfApproval: settings.selfApproval });
    const auth = command.auth === undefined ? {} : { auth: command.auth };
    return {
      approver: id,
      roles,
      verdict: 'approve',
      reason,
      at: command.at,
      digest: command.digest,
      ...auth,
      standingApproval: row.id,
    };
  } catch (error) {
    if (error instanceof CountersignError && !error.retryable && error.code !== 'INTERNAL') return undefined;
    throw error;
  }
}

/**
 * As few of them as satisfy the requirements together with what people decided; those without a budget first. Undefined when all of them
 * do not.
 */
export function neededStandingApprovals(
  requirements: readonly Requirement[],
  decided: readonly ApprovalRecord[],
  given: readonly UsableApproval[],
): readonly UsableApproval[] | undefined {
  const suffice = (some: readonly UsableApproval[]): boolean =>
    progress(requirements, [...decided, ...some.map(({ record }) => record)]).state === 'approved';
  if (!suffice(given)) return undefined;
  const free = given.filter(({ holds }) => holds.length === 0);
  let kept = [...free, ...given.filter(({ holds }) => holds.length > 0)];
  for (const one of kept.toReversed()) {
    const others = kept.filter((other) => other !== one);
    if (suffice(others)) kept = others;
  }
  return kept;
}
