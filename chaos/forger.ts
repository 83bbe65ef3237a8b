/**
 * Somebody with full access to Temporal, and no key: makes workflows of its own whose only step is the activity `execute`, with grants that
 * are made up, used before, or of another action.
 */
import { openConnection, type OpenConnection } from '../src/client/connection.js';
import { randomUUID } from 'node:crypto';
import { Client, type Connection } from '@temporalio/client';
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import { digest } from '../src/action/json.js';
import { proposalDigest } from '../src/action/proposal.js';
import { forgeStep, plainPayload } from '../src/prove/forged-step.js';
import { generateKeyringFile, parseKeyring, signGrant } from '../src/trust/index.js';
import type { Chance } from './chance.js';
import type { PlannedProposal } from './plan.js';
import { TENANT, type World } from './world/world.js';

export type Forgery = 'made-up-grant' | 'used-grant' | 'grant-of-another';

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
      return { forgery, answer: await answer(`${TENANT}/${actionId}`, [plainPayload(proposal), stolen.args[1]]) };
    }
    const grant = await madeUpGrant(proposal);
    return { forgery, answer: await answer(`${TENANT}/${actionId}`, [plainPayload(proposal), plainPayload(grant)]) };
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

  async #run(workflowId: string, args: readonly Payload[]): Promise<string> {
    const answer = await forgeStep(this.#connection, this.#world.temporal, { workflowId, activity: 'execute', args });
    if (typeof answer === 'string') return answer;
    return JSON.stringify(defaultPayloadConverter.fromPayload(answer)).slice(0, 300);
  }
}

function payment(actionId: string, chance: Chance): PlannedProposal {
  const body = { account: 'account-forger', amount: chance.int(5, 50), reference: actionId };
  return { actionId, tool: 'payments', input: { op: 'pay', body }, reasoning: 'None of your business.' };
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
