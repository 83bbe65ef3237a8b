/** Time that is over: of people who were asked, and of grants that nobody used. */
import type { Payload } from '@temporalio/common';
import type { Outcome } from '../../action/outcome.js';
import type { Countersign } from '../../client/countersign.js';
import { actionHandle } from '../../client/action.js';
import { allowedCase, askingAction, codeOf, END_MS, endOf, nothingTried, said, type Asking } from '../attempts.js';
import type { Case, ToolCases } from '../cases.js';
import type { JudgeAtEnd, Timed } from '../guarantee.js';
import { APPROVAL_SECONDS, GRANT_SECONDS, withoutTime } from '../hurry.js';
import { broken, doesNotApply, holds, together, type GuaranteeVerdict } from '../verdict.js';
import type { World } from '../world.js';
import { handedToExecute, noEffect } from './grants.js';

const FIX = 'This is a fault of Countersign: report it, and freeze the tool until it is corrected.';

/** What an action that ended without an effect still holds of limits: nothing. */
async function heldBy(world: World, actionId: string): Promise<string | undefined> {
  const { ledger, tenant } = world.parts;
  const kept = (await ledger.limits.holds({ tenant, actionId })).find(({ status }) => status !== 'released');
  return kept === undefined ? undefined : `${kept.limit} (${kept.amount}, ${kept.status})`;
}

async function approvalsRunOut(world: World): Promise<JudgeAtEnd> {
  const client = await withoutTime(world);
  const asking = await askingAction(world, { client });
  if (typeof asking === 'string') return async () => doesNotApply(asking);
  const { action } = asking;
  // Signed in time, and handed in too late.
  const roles = action.pending.shown.requirements[0]?.roles ?? [];
  const late = await world.approval(action, await world.person('countersign-prove-late', roles));
  return () => judgeLate(world, asking, late);
}

async function judgeLate(world: World, { action, one, cases }: Asking, late: string): Promise<GuaranteeVerdict> {
  const client = await withoutTime(world);
  const { tenant } = world.parts;
  const { actionId } = action;
  const before = await cases.proven.effects();
  const outcome = await endOf(action);
  if (outcome?.status !== 'expired' || outcome.error?.code !== 'APPROVAL_EXPIRED')
    return broken(`What nobody decided in time came to ${said(outcome)}: ${one.what}.`, FIX);
  const code = await codeOf(() => client.decide(actionId, late, tenant));
  // Whoever has Temporal can try the same as a signal; it may be refused or lost, as the workflow has ended.
  await actionHandle(client.temporal, tenant, actionId)
    .signal('decide', late)
    .catch(() => {});
  const again = await client.outcome(actionId, { tenant, timeoutMs: END_MS });
  const effects = (await cases.proven.effects()) - before;
  const kept = await heldBy(world, actionId);
  if (code === undefined || again.status !== 'expired' || effects > 0) {
    return broken(
      `A yes that came too late was ${code === undefined ? 'taken' : `refused (${code})`}; the action is ${again.status}, with ${effects} effects.`,
      FIX,
    );
  }
  if (kept !== undefined) return broken(`An action that expired still holds ${kept} of a limit.`, FIX);
  return holds(
    `What nobody decided within ${timeOf(outcome)} was recorded as expired and holds nothing; a yes that came too late was refused (${code}).`,
  );
}

function timeOf({ decision }: Outcome): string {
  const seconds = Math.min(...(decision?.requirements ?? []).map(({ ttlSeconds }) => ttlSeconds));
  return `${seconds} s${seconds === APPROVAL_SECONDS ? ', to which the time of the policies was shortened,' : ''}`;
}

async function grantsRunOut(world: World): Promise<JudgeAtEnd> {
  const client = await withoutTime(world);
  const tried: (() => Promise<GuaranteeVerdict>)[] = [];
  for (const cases of world.parts.cases) {
    const one = await allowedCase(world, cases);
    if (typeof one === 'string') tried.push(async () => doesNotApply(one));
    else tried.push(await proposeHeld(world, client, one, cases));
  }
  if (tried.length === 0) return async () => doesNotApply(nothingTried(world));
  return async () => {
    const verdicts: GuaranteeVerdict[] = [];
    for (const judge of tried) verdicts.push(await judge());
    return together(verdicts);
  };
}

/** Its effect is held back until its grant has run out, each time that it gets one. */
async function proposeHeld(world: World, client: Countersign, one: Case, cases: ToolCases): Promise<JudgeAtEnd> {
  const credential = await world.agentCredential({ roles: [...one.roles] });
  const before = await cases.proven.effects();
  const proposing = world.proposeAs(credential, world.proposalOf(one), client);
  proposing.catch(() => {});
  return async () => {
    const { name } = cases.proven.tool;
    const { actionId, outcome, error } = await proposing;
    const effects = (await cases.proven.effects()) - before;
    const code = outcome?.error?.code ?? error?.code;
    if (effects > 0 || code !== 'GRANT_EXPIRED') {
      return broken(
        `A change under grants that had run out came to ${error?.message ?? said(outcome)}, with ${effects} effects on ${name}.`,
        FIX,
      );
    }
    const kept = await heldBy(world, actionId);
    if (kept !== undefined) return broken(`An action whose grants ran out still holds ${kept} of a limit.`, FIX);
    const verdict = await noEffect(world, cases, await leftOver(world, actionId));
    if (verdict.status !== 'holds') return verdict;
    return holds(
      `Grants that were good for ${GRANT_SECONDS} s and used after that changed nothing on ${name} (GRANT_EXPIRED), nor did one that was handed to a worker later.`,
    );
  };
}

async function leftOver(
  world: World,
  actionId: string,
): Promise<{ readonly what: string; readonly workflowId: string; readonly args: readonly Payload[] }> {
  const workflowId = `${world.parts.tenant}/${actionId}`;
  return { what: 'A grant that ran out', workflowId, args: await handedToExecute(world, workflowId) };
}

export const GRANTS_RUN_OUT: Timed = {
  id: 'grants-run-out',
  family: 'grants',
  promise: 'A grant whose time is over makes no effect, and what it held of limits is given back.',
  begin: grantsRunOut,
};

export const APPROVALS_RUN_OUT: Timed = {
  id: 'approvals-run-out',
  family: 'approvals',
  promise: 'What nobody decides in time expires, and a decision that comes too late changes nothing.',
  begin: approvalsRunOut,
};
