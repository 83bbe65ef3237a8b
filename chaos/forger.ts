/**
 * Somebody with full access to Temporal, and no key: makes workflows of its own whose only step is the activity `execute`, with grants that
 * are made up, used before, or of another action.
 */
import { openConnection, type OpenConnection } from '../src/client/connection.js';
import { randomUUID } from 'node:crypto';
import { Client, type Connection } from '@temporalio/client';
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import { msToTs } from '@temporalio/common/lib/time.js';
import type { Json } from '../src/action/json.js';
import { digest } from '../src/action/json.js';
import { proposalDigest } from '../src/action/proposal.js';
import { generateKeyringFile, parseKeyring, signGrant } from '../src/trust/index.js';
import type { Chance } from './chance.js';
import type { PlannedProposal } from './plan.js';
import { TENANT, type World } from './world/world.js';

export type Forgery = 'made-up-grant' | 'used-grant' | 'grant-of-another';

type Command = NonNullable<
  Parameters<Connection['workflowService']['respondWorkflowTaskCompleted']>[0]['commands']
>[number];

/** Of `temporal.api.enums.v1.CommandType`: the package that has the enum is not ours to import. */
// oxlint-disable-next-line typescript/no-unsafe-enum-assignment
const SCHEDULE_ACTIVITY_TASK = 1 as NonNullable<Command['commandType']>;

/** How long a forged step may take, milliseconds. */
const STEP_MS = 8_000;

export class Forger {
  readonly #world: World;
  readonly #connection: Connection;
  readonly #close: () => Promise<void>;
  readonly #client: Client;
  #count = 0;

  private constructor(world: World, { connection, close }: OpenConnection) {
    this.#world = world;
    this.#connection = connection;
    this.#close = close;
    this.#client = new Client({ connection, namespace: world.temporal.namespace });
  }

  static async arrive(world: World): Promise<Forger> {
    return new Forger(world, await openConnection(world.temporal.address));
  }

  /**
   * Tries one forgery and returns what became of the forged step, in words. `ended`: actions whose agents know how they ended.
   *
   * @throws when Temporal is away
   */
  async try(chance: Chance, ended: readonly string[]): Promise<{ forgery: Forgery; answer: string }> {
    const stolen = ended.length === 0 ? undefined : await this.#grantOf(chance.pick(ended));
    const forgery =
      stolen === undefined
        ? 'made-up-grant'
        : chance.pick<Forgery>(['made-up-grant', 'used-grant', 'grant-of-another']);
    const actionId = `forged-${++this.#count}`;
    const proposal = payment(actionId, chance);
    const answer = (workflowId: string, args: readonly Payload[]): Promise<string> => this.#run(workflowId, args);
    if (forgery === 'used-grant' && stolen !== undefined) {
      return { forgery, answer: await answer(stolen.workflowId, stolen.args) };
    }
    if (forgery === 'grant-of-another' && stolen?.args[1] !== undefined) {
      return { forgery, answer: await answer(`${TENANT}/${actionId}`, [payload(proposal), stolen.args[1]]) };
    }
    const grant = await madeUpGrant(proposal);
    return { forgery, answer: await answer(`${TENANT}/${actionId}`, [payload(proposal), payload(grant)]) };
  }

  async leave(): Promise<void> {
    await this.#close();
  }

  /** What the history of an action tells everybody who may read it: the grant that was used, with its proposal. */
  async #grantOf(actionId: string): Promise<{ workflowId: string; args: readonly Payload[] } | undefined> {
    const workflowId = `${TENANT}/${actionId}`;
    const { events } = await this.#client.workflow.getHandle(workflowId).fetchHistory();
    const scheduled = events?.find(
      ({ activityTaskScheduledEventAttributes: step }) => step?.activityType?.name === 'execute',
    )?.activityTaskScheduledEventAttributes;
    const args = scheduled?.input?.payloads;
    return args === undefined || args === null || args.length < 2 ? undefined : { workflowId, args };
  }

  #poll(taskQueue: { readonly name: string }) {
    const { namespace } = this.#world.temporal;
    // A poll without a deadline is refused.
    return this.#connection.withDeadline(Date.now() + 2 * STEP_MS, () =>
      this.#connection.workflowService.pollWorkflowTaskQueue({ namespace, taskQueue, identity: 'forger' }),
    );
  }

  /** A workflow whose worker is the forger: it schedules one activity on the real task queue. */
  async #run(workflowId: string, args: readonly Payload[]): Promise<string> {
    const { namespace, taskQueue } = this.#world.temporal;
    const service = this.#connection.workflowService;
    const queue = { name: `forger-${randomUUID()}` };
    await service.startWorkflowExecution({
      namespace,
      workflowId,
      workflowType: { name: 'forged' },
      taskQueue: queue,
      requestId: randomUUID(),
      workflowRunTimeout: msToTs(60_000),
    });
    try {
      const first = await this.#poll(queue);
      await service.respondWorkflowTaskCompleted({
        namespace,
        taskToken: first.taskToken,
        identity: 'forger',
        commands: [
          {
            commandType: SCHEDULE_ACTIVITY_TASK,
            scheduleActivityTaskCommandAttributes: {
              activityId: '1',
              activityType: { name: 'execute' },
              taskQueue: { name: taskQueue },
              input: { payloads: [...args] },
              scheduleToCloseTimeout: msToTs(STEP_MS),
              startToCloseTimeout: msToTs(STEP_MS),
              heartbeatTimeout: msToTs(STEP_MS),
              retryPolicy: { maximumAttempts: 1 },
            },
          },
        ],
      });
      const second = await this.#poll(queue);
      const last = second.history?.events?.findLast(
        (event) =>
          event.activityTaskCompletedEventAttributes ??
          event.activityTaskFailedEventAttributes ??
          event.activityTaskTimedOutEventAttributes,
      );
      const result = last?.activityTaskCompletedEventAttributes?.result?.payloads?.[0];
      if (result !== undefined) return JSON.stringify(defaultPayloadConverter.fromPayload(result)).slice(0, 300);
      return last?.activityTaskFailedEventAttributes?.failure?.message ?? 'no answer';
    } finally {
      await service
        .terminateWorkflowExecution({ namespace, workflowExecution: { workflowId }, reason: 'the forger has left' })
        .catch(() => {});
    }
  }
}

function payment(actionId: string, chance: Chance): PlannedProposal {
  const body = { account: 'account-forger', amount: chance.int(5, 50), reference: actionId };
  return { actionId, tool: 'payments', input: { op: 'pay', body }, reasoning: 'None of your business.' };
}

function payload(value: Json | PlannedProposal): Payload {
  return defaultPayloadConverter.toPayload(value);
}

/** Perfect but for its signature: the forger's keys are its own. */
async function madeUpGrant(proposal: PlannedProposal): Promise<string> {
  const keyring = await parseKeyring(JSON.stringify(await generateKeyringFile()), 'forger');
  const iat = Math.floor(Date.now() / 1000);
  const any = digest('anything');
  const claims = {
    jti: randomUUID(),
    tenant: TENANT,
    actionId: proposal.actionId,
    agent: 'agent-1',
    tool: proposal.tool,
    environment: 'production',
    actionType: 'CALL_API',
    proposalDigest: proposalDigest(proposal),
    policyDigest: any,
    preDigest: any,
    planDigest: any,
    approvals: [],
    constraints: [],
    targets: ['payments.payments'],
    rows: 1,
    iat,
    exp: iat + 60,
  } as const;
  return signGrant(keyring, claims);
}
