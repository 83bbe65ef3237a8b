/** Standing approvals: finds those that apply to an action, and of these the ones that the action needs. */
import type { Facts, Requirement } from '../src/action/decision.js';
import { CountersignError } from '../src/action/errors.js';
import { digest } from '../src/action/json.js';
import type { HoldRequest, LimitFigure } from '../src/action/limits.js';
import type { ApprovalRecord, Shown } from '../src/action/outcome.js';
import { rootAgent } from '../src/action/own-agents.js';
import { progress } from '../src/action/quorum.js';
import type { NewAuthorization, SignedAuthorization } from '../src/action/person-authorization.js';
import type { StandingApproval } from '../src/action/standing-approval.js';
import { isUndoAgent } from '../src/action/compensation-ids.js';
import { figuresOf, standingLimits, type Measured, type ResolvedLimit } from '../src/policy/index.js';
import { matchesWildcard, assertMayDecide, type SignedCommand } from '../src/trust/index.js';
import type { Dependencies } from './deps.js';
import { verifyAsOfSigning } from './role-delegations.js';

/** A standing approval that counts as an approval of the action, as far as can be told before its budgets are held. */
export interface UsableApproval {
  readonly record: ApprovalRecord;
  /** The holds on its budgets. */
  readonly holds: readonly HoldRequest[];
  /** The state of its budgets before this action. */
  readonly figures: readonly LimitFigure[];
  /** Its own id and the credentials of its giver. Revoking one of them ends it. */
  readonly credentials: readonly string[];
}

type CreateStandingApproval = Extract<SignedCommand, { kind: 'create_standing_approval' }>;

/** The entry that the ledger keeps for a signed command. */
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
 * The standing approvals that apply to this action, are valid now, and have room for it in their budgets. Those that end soonest come first.
 * None counts where a limit requires the approval, because whoever approved in advance did not know that the limit would be reached.
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
    agents: agentIds(id),
    tool: tool.name,
    environment: tool.environment,
    rows: facts.preview.rows,
  });
  const matching = rows.filter((row) => matchesWildcard(row.operation ?? '*', operation));
  const found: {
    readonly row: StandingApproval;
    readonly record: ApprovalRecord;
    readonly limits: readonly ResolvedLimit[];
  }[] = [];
  for (const row of matching) {
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

/** The agent, and the first agent of its chain, on whose behalf it acts. A compensation does not act on an agent's behalf. */
function agentIds(id: string): readonly string[] {
  const root = rootAgent(id);
  return root === id || isUndoAgent(id) ? [id] : [id, root];
}

/** The approval that a row stands for. What counts is not the row but what its giver signed, and whether they may decide on this action. */
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
 * Selects no more standing approvals than are needed to satisfy the requirements together with the decisions of people, those without a
 * budget first. Undefined when even all of them are not enough.
 */
export function neededStandingApprovals(
  requirements: readonly Requirement[],
  decided: readonly ApprovalRecord[],
  usable: readonly UsableApproval[],
): readonly UsableApproval[] | undefined {
  const suffice = (selection: readonly UsableApproval[]): boolean =>
    progress(requirements, [...decided, ...selection.map(({ record }) => record)]).state === 'approved';
  if (!suffice(usable)) return undefined;
  const withoutBudget = usable.filter(({ holds }) => holds.length === 0);
  let kept = [...withoutBudget, ...usable.filter(({ holds }) => holds.length > 0)];
  for (const one of kept.toReversed()) {
    const others = kept.filter((other) => other !== one);
    if (suffice(others)) kept = others;
  }
  return kept;
}
