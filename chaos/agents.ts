/** Twenty agents at once, each with its share of the plan; they keep asking until they know how it ended, as agents in service do. */
import { setTimeout as delay } from 'node:timers/promises';
import { asCountersignError, CountersignError } from '../src/action/errors.js';
import { proposalDigest } from '../src/action/proposal.js';
import { Countersign } from '../src/client/countersign.js';
import { Chance } from './chance.js';
import type { Proposed, Told } from './evidence.js';
import { groupBy } from './groups.js';
import type { Intent, Plan, PlannedAction, PlannedProposal } from './plan.js';
import { TENANT, type World } from './world/world.js';

export interface AgentsOptions {
  readonly world: World;
  readonly plan: Plan;
  /** Told of each action that waits for people, perhaps more than once. */
  readonly onPending: (actionId: string) => void;
  /** After it nobody is asked any more, milliseconds since the epoch. */
  readonly deadline: number;
}

/** How long one question waits for its answer, milliseconds. */
const PATIENCE_MS = 15_000;

/** What an agent is told when nobody answered by the deadline. */
export const NO_ANSWER = 'no answer';

export class Agents {
  readonly proposed: Proposed[] = [];
  readonly told: Told[] = [];
  /** Actions whose agents know how they ended. */
  readonly finished: string[] = [];
  /** Refusals and failures that agents met on the way, by code. */
  readonly met = new Map<string, number>();
  /** Actions of which somebody was told that Countersign itself is at fault. */
  readonly suspects = new Set<string>();
  readonly #options: AgentsOptions;
  /** What is asked now, and what is known of it. */
  readonly #asked = new Map<string, string>();

  constructor(options: AgentsOptions) {
    this.#options = options;
  }

  /** Returns when every agent is through with its share, or at the deadline. */
  async work(): Promise<void> {
    const { plan } = this.#options;
    const shares = groupBy(plan.actions, ({ agent }) => agent);
    await Promise.all([...shares].map(([agent, share]) => this.#workAs(agent, share)));
  }

  /** What is done and what agents wait for now. */
  progress(): string {
    const waiting = [...this.#asked].map(([actionId, where]) => `${actionId} (${where})`);
    const named =
      waiting.length === 0 ? '' : `; waiting for ${waiting.slice(0, 8).join(', ')}${waiting.length > 8 ? ' …' : ''}`;
    return `${this.finished.length}/${this.#options.plan.actions.length} done${named}`;
  }

  async #workAs(agent: string, share: readonly PlannedAction[]): Promise<void> {
    const client = await this.#connect(agent);
    if (client === undefined) return;
    const chance = new Chance(this.#options.plan.seed).of(`pace of ${agent}`);
    try {
      for (const action of share) {
        await delay(chance.int(0, 150));
        if (this.#over()) return;
        await this.#act(client, action);
        this.#asked.delete(action.actionId);
        this.finished.push(action.actionId);
      }
    } finally {
      await client.close();
    }
  }

  async #connect(agent: string): Promise<Countersign | undefined> {
    const { world } = this.#options;
    const credential = world.agents.get(agent);
    if (credential === undefined) throw new Error(`no credential for ${agent}`);
    while (!this.#over()) {
      try {
        return await Countersign.connect({ ...world.temporal, credential });
      } catch (error) {
        await this.#metWith(error);
      }
    }
    return undefined;
  }

  async #act(client: Countersign, action: PlannedAction): Promise<void> {
    const { manner, proposal, intent, rival, actionId, cancelAfterMs } = action;
    const own = (): Promise<void> => this.#propose(client, action.agent, proposal, intent);
    switch (manner) {
      case 'once':
        return own();
      case 'twice':
        await Promise.all([own(), own()]);
        return;
      case 'again':
        await own();
        return own();
      case 'conflict': {
        const other = rival && this.#propose(client, action.agent, rival.proposal, rival.intent);
        await Promise.all([own(), other]);
        return;
      }
      case 'cancel':
        await Promise.all([own(), this.#takeBack(client, actionId, cancelAfterMs)]);
        return;
    }
  }

  async #takeBack(client: Countersign, actionId: string, afterMs: number): Promise<void> {
    await delay(afterMs);
    try {
      await client.cancel(actionId, TENANT);
    } catch (error) {
      await this.#metWith(error);
    }
  }

  async #propose(client: Countersign, agent: string, proposal: PlannedProposal, intent?: Intent): Promise<void> {
    if (this.#over()) return;
    const { actionId } = proposal;
    const digest = proposalDigest(proposal);
    this.proposed.push({ actionId, digest, agent, ...(intent === undefined ? {} : { intent }) });
    this.told.push({ actionId, digest, answer: await this.#toItsEnd(client, proposal) });
  }

  async #toItsEnd(client: Countersign, proposal: PlannedProposal): Promise<string> {
    const note = (where: string): unknown => this.#asked.set(proposal.actionId, where);
    note('proposed');
    while (!this.#over()) {
      try {
        const answer = await within(2 * PATIENCE_MS, client.perform(proposal, { timeoutMs: PATIENCE_MS }));
        if (answer.status !== 'pending') return answer.status;
        this.#options.onPending(proposal.actionId);
        note('people');
        return (await within(2 * PATIENCE_MS, answer.outcome({ timeoutMs: PATIENCE_MS }))).status;
      } catch (error) {
        const { code, retryable } = await this.#metWith(error);
        note(code);
        if (code === 'INTERNAL') this.suspects.add(proposal.actionId);
        // Ended from outside: whoever asks again is told what is known by now, or has it taken up again.
        if (!retryable && code !== 'EFFECT_UNKNOWN' && code !== 'INTERNAL' && code !== 'NOT_FOUND') return code;
      }
    }
    return NO_ANSWER;
  }

  async #metWith(error: unknown): Promise<{ code: string; retryable: boolean }> {
    const { code, retryable } = asCountersignError(error);
    this.met.set(code, (this.met.get(code) ?? 0) + 1);
    if (process.env['CHAOS_LOG'] !== undefined && code === 'INTERNAL')
      process.stderr.write(`agent met: ${String(error)}\n`);
    await delay(250);
    return { code, retryable };
  }

  #over(): boolean {
    return Date.now() > this.#options.deadline;
  }
}

/** A call that outlives its own limit by so much is left alone: the agent asks again. */
async function within<T>(ms: number, call: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new CountersignError('TIMED_OUT', 'The call does not come back.', { retryable: true })),
      ms,
    );
  });
  return await Promise.race([call, late]).finally(() => clearTimeout(timer));
}
