/** Authority that people and agents gave for a while: it counts as long, and not a moment longer. */
import { setTimeout as delay } from 'node:timers/promises';
import type { PendingAction } from '../../client/countersign.js';
import { delegate, type CommandOptions } from '../../trust/index.js';
import { askingAction, codeOf, onEachTool, refused, said, type Asking } from '../attempts.js';
import { OWNER, type Case, type ToolCases } from '../cases.js';
import type { Guarantee, JudgeAtEnd, Timed } from '../guarantee.js';
import { broken, doesNotApply, holds, type GuaranteeVerdict } from '../verdict.js';
import type { World } from '../world.js';

const FIX = 'This is a fault of Countersign: report it, and withdraw what people gave until it is corrected.';

/** For how long authority is given: as long as it takes to see that it counts, which takes longer where a machine is slow. Milliseconds. */
const LASTS_MS = [1_500, 6_000, 20_000] as const;

interface Given {
  readonly counts: boolean;
  readonly until: number;
  readonly what: string;
}

/** Gives it for longer and longer, until it was seen to count while it lasted. */
async function givenInTime(give: (until: number) => Promise<Omit<Given, 'until'>>): Promise<Given> {
  for (const ms of LASTS_MS) {
    const until = Date.now() + ms;
    const given = await give(until);
    if (given.counts || Date.now() < until) return { ...given, until };
  }
  throw new Error('This machine is too slow to see what counts for 20 seconds.');
}

/** A moment after it, by the database's clock too: that is of this machine or near it. */
async function past(until: number): Promise<void> {
  await delay(Math.max(0, until - Date.now()) + 100);
}

async function command(world: World, by: string, roles: readonly string[], said: Record<string, unknown>) {
  const { tenant } = world.parts;
  const about = { tenant, reason: 'prove', ...said } as CommandOptions;
  return world.command(await world.person(by, roles), about);
}

/** An agent of its own: what is approved in advance for it, no other attempt gets. */
const STANDING_AGENT = { id: 'countersign-prove-standing' };

const STANDING_WANTED = ({ decision: { requirements } }: Case): boolean =>
  requirements.length === 1 &&
  requirements.every(
    ({ quorum, self, passkey, policy }) =>
      quorum === 1 && self !== true && passkey !== true && !policy.startsWith('limit:'),
  );

async function standingApprovalsRunOut(world: World): Promise<JudgeAtEnd> {
  const asking = await askingAction(world, { wanted: STANDING_WANTED, agent: STANDING_AGENT });
  if (typeof asking === 'string')
    return async () => doesNotApply(`Nothing that one person decides could be approved in advance. ${asking}`);
  const { one, cases } = asking;
  await world.cancel({ actionId: asking.action.actionId, tool: one.tool });
  const roles = one.decision.requirements[0]?.roles ?? [];
  const given = await givenInTime(async (until) => {
    await command(world, 'countersign-prove-giver', roles, {
      kind: 'create_standing_approval',
      subject: STANDING_AGENT.id,
      tool: one.tool,
      until: new Date(until).toISOString(),
    });
    const { outcome, pending } = await world.propose(
      one,
      {},
      await world.agentCredential({ roles: [...one.roles], ...STANDING_AGENT }),
    );
    if (pending !== undefined) await world.cancel({ actionId: pending.actionId, tool: one.tool });
    const counts = outcome?.approvals.some(({ standingApproval }) => standingApproval !== undefined) === true;
    return { counts, what: pending === undefined ? said(outcome) : 'waiting for people' };
  });
  return () => judgeStanding(world, one, cases, given);
}

async function judgeStanding(world: World, one: Case, cases: ToolCases, given: Given): Promise<GuaranteeVerdict> {
  if (!given.counts) return doesNotApply(`A standing approval does not count for this: ${one.what} is ${given.what}.`);
  await past(given.until);
  const before = await cases.proven.effects();
  const credential = await world.agentCredential({ roles: [...one.roles], ...STANDING_AGENT });
  const { pending, outcome } = await world.propose(one, {}, credential);
  const effects = (await cases.proven.effects()) - before;
  if (pending !== undefined) await world.cancel({ actionId: pending.actionId, tool: one.tool });
  return pending !== undefined && effects === 0
    ? holds('A standing approval counted while it lasted; since it ended, people are asked again.')
    : broken(`A standing approval that had ended counted: ${one.what} came to ${said(outcome)}.`, FIX);
}

async function roleDelegationsRunOut(world: World): Promise<JudgeAtEnd> {
  const asking = await askingAction(world, { wanted: ({ decision }) => decision.requirements.length === 1 });
  if (typeof asking === 'string') return async () => doesNotApply(asking);
  const role = asking.action.pending.shown.requirements[0]?.roles[0] ?? '';
  const given = await givenInTime(async (until) => {
    await command(world, 'countersign-prove-giver', [role], {
      kind: 'delegate_role',
      subject: 'countersign-prove-deputy',
      role,
      from: new Date(until - LASTS_MS[2]).toISOString(),
      until: new Date(until).toISOString(),
    });
    const code = await codeOf(async () => decided(world, asking.action, 'deny'));
    return { counts: code === undefined, what: code ?? 'done' };
  });
  const next = await askingAction(world, { wanted: (one) => one.what === asking.one.what });
  await world.cancel({ actionId: asking.action.actionId, tool: asking.one.tool });
  return async () => (typeof next === 'string' ? doesNotApply(next) : judgeDeputy(world, next, role, given));
}

/** A decision of somebody who has no role of their own that policy asks for. */
async function decided(world: World, action: PendingAction, verdict: 'approve' | 'deny'): Promise<void> {
  const deputy = await world.person('countersign-prove-deputy', ['countersign-prove-deputy']);
  const token = await world.approval(action, deputy, { verdict, reason: 'prove' });
  await world.client.decide(action.actionId, token, world.parts.tenant);
}

async function judgeDeputy(world: World, next: Asking, role: string, given: Given): Promise<GuaranteeVerdict> {
  const { action, cases, one } = next;
  try {
    if (!given.counts)
      return broken(`A person to whom the role ${role} was delegated could not decide (${given.what}).`, FIX);
    await past(given.until);
    const before = await cases.proven.effects();
    const code = await codeOf(() => decided(world, action, 'approve'));
    const { phase } = await world.client.view(action.actionId, world.parts.tenant);
    const effects = (await cases.proven.effects()) - before;
    return code === 'APPROVAL_FORBIDDEN' && phase === 'pending' && effects === 0
      ? holds(`A person to whom the role ${role} was delegated decided while that lasted, and not after it (${code}).`)
      : broken(
          `A yes under a delegation of the role ${role} that had ended came to ${code ?? 'a decision that counts'}; the action is ${phase}.`,
          FIX,
        );
  } finally {
    await world.cancel({ actionId: action.actionId, tool: one.tool });
  }
}

/** The credential above it is still good: the delegation alone is over. */
async function delegatedTooLongAgo(world: World, one: Case, cases: ToolCases): Promise<GuaranteeVerdict> {
  const day = 86_400_000;
  const yesterday = new Date(Date.now() - day);
  const above = await world.agentCredential(
    { roles: [...one.roles], owner: OWNER, ttlSeconds: 3 * (day / 1000) },
    yesterday,
  );
  const delegated = (ttlSeconds: number) =>
    delegate(above, { id: 'helper', roles: [...one.roles], scopes: ['*'], ttlSeconds }, yesterday);
  const { outcome, pending, error } = await world.propose(one, {}, await delegated(2 * (day / 1000)));
  if (pending !== undefined) await world.cancel({ actionId: pending.actionId, tool: one.tool });
  const code = outcome?.error?.code ?? error?.code;
  if (code === 'AGENT_UNVERIFIED')
    return broken('A delegation that has not ended was refused (AGENT_UNVERIFIED).', FIX);
  const over = { what: 'A proposal under a delegation that has ended', codes: ['AGENT_UNVERIFIED'], fix: FIX };
  return refused(cases, over, async () => world.propose(one, {}, await delegated(60)));
}

export const DELEGATIONS_RUN_OUT: Guarantee = {
  id: 'expired-delegations-are-refused',
  family: 'identity',
  promise: 'A delegation that has ended lets nobody propose, although the credential above it is good.',
  check: (world) => onEachTool(world, (one, cases) => delegatedTooLongAgo(world, one, cases)),
};

export const STANDING_APPROVALS_RUN_OUT: Timed = {
  id: 'standing-approvals-run-out',
  family: 'approvals',
  promise: 'What people approve in advance counts until it ends, and then they are asked again.',
  begin: standingApprovalsRunOut,
};

export const ROLE_DELEGATIONS_RUN_OUT: Timed = {
  id: 'role-delegations-run-out',
  family: 'approvals',
  promise: 'A role that was delegated for a while decides nothing after it.',
  begin: roleDelegationsRunOut,
};
