/** No effect without a grant: somebody with all of Temporal, and no key, has workers execute what nobody granted. */
import { randomUUID } from 'node:crypto';
import type { Connection } from '@temporalio/client';
import type { Payload } from '@temporalio/common';
import { digest } from '../../action/json.js';
import { parseProposal, proposalDigest, type Proposal } from '../../action/proposal.js';
import { generateKeyringFile, parseKeyring, signGrant } from '../../trust/index.js';
import { onEachTool } from '../attempts.js';
import type { Case, ToolCases } from '../cases.js';
import { forgeStep, plainPayload } from '../forged-step.js';
import type { Guarantee } from '../guarantee.js';
import { broken, holds, type GuaranteeVerdict } from '../verdict.js';
import type { World } from '../world.js';

interface Forged {
  readonly what: string;
  readonly workflowId: string;
  readonly args: readonly Payload[];
}

export async function noEffect(
  world: World,
  cases: ToolCases,
  { what, workflowId, args }: Forged,
): Promise<GuaranteeVerdict> {
  const { temporal } = world.parts;
  const before = await cases.proven.effects();
  const answer = await forgeStep(world.client.temporal.connection as Connection, temporal, {
    workflowId,
    activity: 'execute',
    args,
  });
  const effects = (await cases.proven.effects()) - before;
  const { name } = cases.proven.tool;
  if (effects > 0) {
    return broken(
      `${what} had ${effects} effects on ${name}.`,
      'This is a fault of Countersign: report it, and let nobody near Temporal.',
    );
  }
  const told = typeof answer === 'string' ? answer : 'it was told so';
  return holds(`${what}, handed to a worker through Temporal, changed nothing on ${name} (${told.slice(0, 120)}).`);
}

/** As they stand in a history. */
async function encoded(world: World, values: readonly unknown[]): Promise<readonly Payload[]> {
  return world.parts.encryption.codec.encode(values.map(plainPayload));
}

/** Perfect but for its signature: the forger's keys are its own. */
async function madeUp(world: World, one: Case, proposal: Proposal, cases: ToolCases): Promise<string> {
  const keyring = await parseKeyring(JSON.stringify(await generateKeyringFile()), 'forger');
  const iat = Math.floor(Date.now() / 1000);
  const any = digest('anything');
  return signGrant(keyring, {
    jti: randomUUID(),
    tenant: world.parts.tenant,
    actionId: proposal.actionId,
    agent: 'countersign-prove-agent',
    tool: proposal.tool,
    environment: cases.proven.tool.environment,
    actionType: one.actionType,
    proposalDigest: proposalDigest(proposal),
    policyDigest: world.parts.policy.digest,
    preDigest: any,
    planDigest: any,
    approvals: [],
    constraints: [],
    targets: [...one.preview.targets],
    rows: one.preview.rows,
    iat,
    exp: iat + 60,
  });
}

/** What whoever may read a history learns of an action that was executed: the proposal and the grant. */
async function stolen(
  world: World,
  one: Case,
): Promise<{ readonly workflowId: string; readonly args: readonly Payload[] }> {
  const { actionId } = await world.propose(one);
  const workflowId = `${world.parts.tenant}/${actionId}`;
  return { workflowId, args: await handedToExecute(world, workflowId) };
}

/** The arguments of the step that makes the effect, as its history has them. */
export async function handedToExecute(world: World, workflowId: string): Promise<readonly Payload[]> {
  const { events } = await world.client.temporal.workflow.getHandle(workflowId).fetchHistory();
  const scheduled = events?.find(
    (event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'execute',
  );
  const args = scheduled?.activityTaskScheduledEventAttributes?.input?.payloads;
  if (args === undefined || args === null || args.length < 2)
    throw new Error('The history of an executed action has no grant.');
  return args;
}

export const GRANTS: readonly Guarantee[] = [
  {
    id: 'grants-cannot-be-made-up',
    family: 'grants',
    promise: 'A grant that no worker signed makes no effect.',
    check: (world) =>
      onEachTool(world, async (one, cases) => {
        const proposal = parseProposal(world.proposalOf(one));
        const args = await encoded(world, [proposal, await madeUp(world, one, proposal, cases)]);
        return noEffect(world, cases, {
          what: 'A grant that was made up',
          workflowId: `${world.parts.tenant}/${proposal.actionId}`,
          args,
        });
      }),
  },
  {
    id: 'grants-are-good-once',
    family: 'grants',
    promise: 'A grant that was used makes no second effect.',
    check: (world) =>
      onEachTool(world, async (one, cases) =>
        noEffect(world, cases, { what: 'A used grant', ...(await stolen(world, one)) }),
      ),
  },
  {
    id: 'grants-are-for-one-action',
    family: 'grants',
    promise: 'A grant makes no effect for another action than its own.',
    check: (world) =>
      onEachTool(world, async (one, cases) => {
        const { args } = await stolen(world, one);
        const proposal = parseProposal(world.proposalOf(one));
        const [own] = await encoded(world, [proposal]);
        const forged = [own as Payload, ...args.slice(1)];
        return noEffect(world, cases, {
          what: 'The grant of another action',
          workflowId: `${world.parts.tenant}/${proposal.actionId}`,
          args: forged,
        });
      }),
  },
];
