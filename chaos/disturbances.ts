/** Everything that goes wrong: which, in which order and when is the seed's; how long it takes is the machine's. */
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { FaultPoint } from '../activities/deps.js';
import type { FreezeScope } from '../src/action/freeze.js';
import type { Agents } from './agents.js';
import { Chance } from './chance.js';
import type { Forger } from './forger.js';
import type { Operator } from './people/operator.js';
import { PolicyRollout } from './people/policies.js';
import { AGENTS } from './plan.js';
import { ALWAYS, schedule, type Disturbance, type ScheduleOptions } from './schedule.js';
import type { Servers } from './world/servers.js';
import { TENANT, type World } from './world/world.js';
import { WORKERS, type Workers } from './world/workers.js';
import type { Client } from '@temporalio/client';

const FAULT_POINTS: readonly FaultPoint[] = [
  'ledger.before-admit',
  'ledger.after-admit',
  'execute.before-effect',
  'execute.after-effect',
  'ledger.before-settle',
  'ledger.after-settle',
];
/** Where a promotion is half done. */
const POLICY_FAULT_POINT: FaultPoint = 'policy.after-change';

/** From a clock that is a little off to one that nobody should believe. Milliseconds. */
const SKEWS = [-600_000, -45_000, -8_000, -2_000, 2_000, 8_000, 45_000, 600_000] as const;

export interface DisturbancesOptions extends ScheduleOptions {
  readonly world: World;
  readonly servers: Servers;
  readonly workers: Workers;
  readonly agents: Agents;
  readonly operator: Operator;
  readonly forger: Forger;
  readonly temporal: Client;
  /** Where marker files go. */
  readonly folder: string;
  readonly say: (text: string) => void;
}

/** When nothing gets on, the next one comes after this. Milliseconds. */
const NEXT_AFTER_MS = 4_000;

/** How long an action is waited for whose grant was used, milliseconds. */
const USED_WITHIN_MS = 3_000;

export class Disturbances {
  readonly counts = new Map<string, number>();
  /** Actions whose workflow was terminated. */
  readonly terminated: string[] = [];
  readonly #options: DisturbancesOptions;
  readonly #chance: Chance;
  readonly #pending: Promise<void>[] = [];

  constructor(options: DisturbancesOptions) {
    this.#options = options;
    this.#chance = new Chance(options.seed).of('disturbances');
  }

  /** Brings one after the other, until all have come. Returns when what they broke is up again. */
  async run(over: () => boolean): Promise<void> {
    const { agents, say } = this.#options;
    for (const [i, { kind, due }] of schedule(this.#options).entries()) {
      const latest = Date.now() + NEXT_AFTER_MS;
      while (agents.finished.length < due && Date.now() < latest && !over()) await delay(50);
      // What always comes comes also when the agents are through.
      if (over() && !ALWAYS.includes(kind)) continue;
      const detail = await this.#bring(kind, this.#chance.of(`${i} ${kind}`));
      if (detail !== undefined) this.#count(kind);
      say(
        `${agents.finished.length}/${this.#options.actions} done · ${kind}${detail === '' ? '' : `: ${detail ?? 'in vain'}`}`,
      );
    }
    await Promise.all(this.#pending);
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  /** What it did, in words; undefined when it came to nothing. */
  async #bring(kind: Disturbance, chance: Chance): Promise<string | undefined> {
    const { world, servers, workers, operator } = this.#options;
    const slot = chance.int(0, WORKERS - 1);
    switch (kind) {
      case 'kill-worker':
        await workers.kill(slot);
        return `worker ${slot}`;
      case 'kill-all-workers':
        await Promise.all(Array.from({ length: WORKERS }, (_, each) => workers.kill(each)));
        return '';
      case 'kill-at-fault-point': {
        const { policies } = this.#options;
        const point = chance.pick(policies === 'ledger' ? [...FAULT_POINTS, POLICY_FAULT_POINT] : FAULT_POINTS);
        const marker = path.join(this.#options.folder, `fault-${chance.int(0, 1e9)}`);
        await workers.kill(slot, { fault: `${point}:kill:${marker}` });
        return `worker ${slot}'s successor dies at ${point}`;
      }
      case 'skew-worker-clock': {
        const skewMs = chance.pick(SKEWS);
        await workers.kill(slot, { skewMs });
        return `worker ${slot}'s successor is ${skewMs} ms off`;
      }
      case 'restart-temporal':
        await servers.restartTemporal(chance.int(0, 1_500));
        return '';
      case 'restart-postgres-fast':
        await servers.restartPostgres('fast', chance.int(0, 1_000));
        return '';
      case 'restart-postgres-immediate':
        await servers.restartPostgres('immediate', chance.int(0, 1_000));
        return '';
      case 'cut-postgres-power':
        await servers.restartPostgres('power', chance.int(0, 1_000));
        return '';
      case 'kill-payments':
        await world.restartPayments();
        return '';
      case 'freeze': {
        const scope = scopeOf(chance);
        const { lifted } = await operator.freeze(scope, chance.int(500, 5_000));
        this.#pending.push(lifted);
        return `${scope.kind} ${scope.value ?? ''}`.trim();
      }
      case 'change-policy':
      case 'promote-policy':
        return operator.changePolicy(chance);
      case 'break-policy':
      case 'roll-back-policy':
      case 'shadow-policy':
        return this.#misusePolicy(kind, chance);
      case 'forge-grant':
        return this.#forge(chance);
      case 'terminate-workflow':
        return this.#terminate(chance);
      case 'terminate-after-effect':
        return this.#terminateAfterEffect(chance);
      case 'skew-second-attempt': {
        // Whoever admits an action next dies of it, and the action goes to a worker whose clock is far off.
        const marker = path.join(this.#options.folder, `fault-${chance.int(0, 1e9)}`);
        const point = chance.pick(['ledger.after-admit', 'authorize.end', 'execute.after-effect'] as const);
        await workers.kill(slot, { fault: `${point}:kill:${marker}` });
        const skewMs = chance.pick(SKEWS.filter((skew) => Math.abs(skew) >= 45_000));
        await workers.kill((slot + 1) % WORKERS, { skewMs });
        return `worker ${slot}'s successor dies at ${point}, the other's is ${skewMs} ms off`;
      }
    }
  }

  /**
   * Ends the workflow of an action whose grant was used and that has no outcome: its effect may be made. Then what would refuse the same
   * proposal comes: a freeze, another policy, or neither.
   */
  async #terminateAfterEffect(chance: Chance): Promise<string | undefined> {
    const { temporal, world, operator } = this.#options;
    const latest = Date.now() + USED_WITHIN_MS;
    while (Date.now() < latest) {
      const open = await world.ledger.actions.listOpen({ olderThanMs: 0 }).catch(() => []);
      const used = open.find(({ uses }) => uses > 0);
      if (used === undefined) {
        await delay(20);
        continue;
      }
      const { actionId, agent, tool } = used;
      this.terminated.push(actionId);
      try {
        await temporal.workflow.getHandle(`${TENANT}/${actionId}`).terminate('chaos, after the effect');
      } catch {
        return undefined;
      }
      const then = chance.weighted({ 'freeze agent': 3, 'freeze tool': 3, policy: 2, nothing: 1 });
      if (then === 'policy') await operator.changePolicy(chance);
      if (then === 'freeze agent' || then === 'freeze tool') {
        const scope: FreezeScope =
          then === 'freeze tool' ? { kind: 'tool', value: tool } : { kind: 'agent', value: agent ?? '' };
        const { lifted } = await operator.freeze(scope, chance.int(1_500, 6_000));
        this.#pending.push(lifted);
      }
      return `${actionId}, then ${then}`;
    }
    return undefined;
  }

  async #misusePolicy(
    kind: 'break-policy' | 'roll-back-policy' | 'shadow-policy',
    chance: Chance,
  ): Promise<string | undefined> {
    const { policy } = this.#options.operator;
    if (policy instanceof PolicyRollout) return kind === 'shadow-policy' ? policy.shadow(chance) : policy.rollBack();
    const { mended } = await policy.break(chance.int(500, 4_000));
    this.#pending.push(mended);
    return '';
  }

  async #forge(chance: Chance): Promise<string | undefined> {
    const { forger, agents } = this.#options;
    try {
      const { forgery, answer } = await forger.try(chance, agents.finished);
      this.#count(`forge-grant:${forgery}`);
      return `${forgery} → ${answer.slice(0, 120)}`;
    } catch {
      // Temporal is away for forgers, too.
      return undefined;
    }
  }

  async #terminate(chance: Chance): Promise<string | undefined> {
    const { temporal, agents } = this.#options;
    const finished = new Set(agents.finished);
    const running = [...new Set(agents.proposed.map(({ actionId }) => actionId))]
      .filter((id) => !finished.has(id))
      .sort();
    if (running.length === 0) return undefined;
    const actionId = chance.pick(running);
    // Noted first: when the answer is lost it may have been terminated all the same.
    this.terminated.push(actionId);
    try {
      await temporal.workflow.getHandle(`${TENANT}/${actionId}`).terminate('chaos');
      return actionId;
    } catch {
      return undefined;
    }
  }
}

function scopeOf(chance: Chance): FreezeScope {
  const kind = chance.weighted({ agent: 3, tool: 2, target: 2, tenant: 1, all: 1 });
  switch (kind) {
    case 'agent':
      return { kind, value: `agent-${chance.int(1, AGENTS)}` };
    case 'tool':
      return { kind, value: chance.pick(['payments', 'shop-db']) };
    case 'target':
      return { kind, value: chance.pick(['payments.payments', 'payments.refunds', 'orders', 'stock']) };
    case 'tenant':
      return { kind, value: TENANT };
    case 'all':
      return { kind };
  }
}
