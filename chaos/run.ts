/** One run: a world, twenty agents, people, everything going wrong, and then the judge. It ends by itself and takes everything with it. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { Countersign } from '../src/client/countersign.js';
import type { ChainPosition } from '../src/trust/index.js';
import { Agents, NO_ANSWER } from './agents.js';
import { Chance } from './chance.js';
import { collect, misdeeds } from './collect.js';
import { Disturbances } from './disturbances.js';
import type { Evidence } from './evidence.js';
import { Forger } from './forger.js';
import { judge, type Verdict } from './judge.js';
import { LATEST_MS } from './payments/mischief.js';
import { Approvers } from './people/approvers.js';
import { Operator } from './people/operator.js';
import { makePlan } from './plan.js';
import { Servers, type TemporalKind } from './world/servers.js';
import { Workers } from './world/workers.js';
import { TENANT, World } from './world/world.js';

export interface RunOptions {
  readonly seed: string;
  /** How many actions the agents propose in all. */
  readonly actions: number;
  /** An empty folder for all data. Postgres's own user must be able to pass through it. */
  readonly folder: string;
  /** A folder for what was judged: evidence.json, and the histories of what was found fault with. */
  readonly evidence: string;
  /** Longest time for the actions, milliseconds. What has no outcome after that is lost. */
  readonly limitMs: number;
  /** Which Temporal server all of it runs on. Default `dev`. */
  readonly temporal?: TemporalKind;
  /** Progress, for people. */
  readonly say: (text: string) => void;
}

export interface RunResult {
  readonly verdict: Verdict;
  readonly disturbances: Readonly<Record<string, number>>;
  /** What agents met on the way, by code of the error. */
  readonly met: Readonly<Record<string, number>>;
  /** Questions of agents that nobody answered in time, whatever became of the action. */
  readonly unanswered: number;
  readonly seconds: number;
}

/** Shares of requests that the payment service and its network mistreat. */
const MISCHIEF = { orders: 0.3, reads: 0.08 };

const MAX_HISTORIES = 50;

/** How often it is told what agents wait for, milliseconds. */
const PROGRESS_MS = 10_000;

/** How long the parts get to come to rest, milliseconds. */
const REST_MS = 60_000;

/** @throws when the world cannot be set up or asked any more; whatever was started is ended then, too */
export async function run(options: RunOptions): Promise<RunResult> {
  const { seed, actions, folder, say } = options;
  const start = performance.now();
  const plan = makePlan(seed, actions);
  const closing: (() => Promise<unknown>)[] = [];
  const opened = <T>(thing: T, close: () => Promise<unknown>): T => {
    closing.unshift(close);
    return thing;
  };
  try {
    say('starting Temporal and Postgres, on disk');
    const servers = await Servers.start(folder, options.temporal ?? 'dev');
    closing.push(() => servers.stop());
    const temporal = { address: servers.temporalAddress, namespace: 'default', taskQueue: 'countersign' };
    const world = await World.open({ plan, folder, postgresUrl: servers.postgresUrl, temporal, mischief: MISCHIEF });
    opened(world, () => world.close());
    const workers = new Workers(world.places);
    opened(workers, () => workers.stop());
    say('starting two workers');
    await workers.start();

    const client = await Countersign.connect(temporal);
    opened(client, () => client.close());
    const [approvers, operator, forger] = [
      await Approvers.gather(world, seed),
      await Operator.hire(world),
      await Forger.arrive(world),
    ];
    opened(forger, () => forger.leave());
    opened(operator, () => operator.leave());
    const onPending = (actionId: string): void => approvers.attend(actionId);
    // Where the ledger says which policy is active, none is yet.
    await operator.restorePolicy();
    const agents = new Agents({ world, plan, onPending, deadline: Date.now() + options.limitMs });
    const disturbances = new Disturbances({
      seed,
      count: Math.max(8, Math.round(actions / 6)),
      actions,
      policies: plan.policies,
      world,
      servers,
      workers,
      agents,
      operator,
      forger,
      temporal: client.temporal,
      folder,
      say,
    });
    const witness = new Witness(world);

    say(`${actions} actions by ${plan.agents.length} agents, seed ${seed}, policies from the ${plan.policies}`);
    let working = true;
    const progress = setInterval(() => say(agents.progress()), PROGRESS_MS);
    const work = agents.work().finally(() => {
      working = false;
      clearInterval(progress);
    });
    await Promise.all([work, disturbances.run(() => !working)]);
    await approvers.leave();
    say('all agents are through; letting things come to rest');
    await comeToRest({ world, operator, temporal: client.temporal, seed });
    const seen = await witness.leave();

    say('collecting the evidence');
    const { proposed, told, met } = agents;
    const { terminated } = disturbances;
    const evidence = await collect(world, client.temporal, { proposed, told, terminated, seen });
    const verdict = judge(evidence);
    await keepForLooking(options.evidence, { evidence, verdict, suspects: agents.suspects }, client.temporal);
    return {
      verdict,
      disturbances: {
        ...Object.fromEntries(disturbances.counts),
        ...(await misdeeds(world)),
        ...Object.fromEntries([...approvers.reactions].map(([name, count]) => [`people:${name}`, count])),
        'worker-deaths': workers.deaths,
      },
      met: Object.fromEntries(met),
      unanswered: told.filter(({ answer }) => answer === NO_ANSWER).length,
      seconds: Math.round((performance.now() - start) / 100) / 10,
    };
  } finally {
    for (const close of closing) await close().catch((error: unknown) => say(`closing: ${String(error)}`));
  }
}

interface Resting {
  readonly world: World;
  readonly operator: Operator;
  readonly temporal: Client;
  readonly seed: string;
}

/** Nothing goes wrong any more: what can still be found out is, and every second unknown outcome is settled by the operator. */
async function comeToRest({ world, operator, temporal, seed }: Resting): Promise<void> {
  const deadline = Date.now() + REST_MS;
  world.calm();
  await operator.restorePolicy();
  await operator.thawAll();
  for (let round = 1; Date.now() < deadline; round++) {
    const open = await world.ledger.actions.listOpen({ olderThanMs: 0 });
    if (open.length === 0) break;
    await temporal.workflow
      .execute('reconcile', {
        taskQueue: world.temporal.taskQueue,
        workflowId: `chaos-reconcile-${round}`,
        args: [{ olderThanMs: 0 }],
        workflowExecutionTimeout: '20s',
      })
      .catch(() => {});
    await delay(300);
  }
  // What the network held back has come in by now, so that the operator can know.
  await delay(LATEST_MS);
  await resolveSome(world, operator, temporal, seed);
}

async function resolveSome(world: World, operator: Operator, temporal: Client, seed: string): Promise<void> {
  const evidence = await collect(world, temporal, { proposed: [], told: [], terminated: [], seen: {} });
  for (const { actionId, status } of evidence.recorded) {
    if (status !== 'unknown' || !new Chance(seed).of(`resolve ${actionId}`).happens(0.5)) continue;
    await operator.resolve(
      actionId,
      evidence.effects.some((effect) => effect.actionId === actionId),
    );
  }
}

/** Remembers the last receipt it saw: whatever breaks, it must not be gone afterwards. */
class Witness {
  readonly #world: World;
  readonly #watching: Promise<void>;
  readonly #seen: Record<string, ChainPosition> = {};
  #left = false;

  constructor(world: World) {
    this.#world = world;
    this.#watching = this.#watch();
  }

  async leave(): Promise<Readonly<Record<string, ChainPosition>>> {
    this.#left = true;
    await this.#watching;
    return this.#seen;
  }

  async #watch(): Promise<void> {
    for (; !this.#left; await delay(500)) {
      const head = await this.#world.ledger.receipts.head(TENANT).catch(() => undefined);
      if (head !== undefined && head.hash !== null) this.#seen[TENANT] = { seq: head.seq, hash: head.hash };
    }
  }
}

interface Looked {
  readonly evidence: Evidence;
  readonly verdict: Verdict;
  readonly suspects: ReadonlySet<string>;
}

/** The evidence, and the histories of what was found fault with or puzzled somebody. */
async function keepForLooking(
  folder: string,
  { evidence, verdict, suspects }: Looked,
  temporal: Client,
): Promise<void> {
  await writeFile(path.join(folder, 'evidence.json'), JSON.stringify({ verdict, evidence }, null, 2));
  const ids = new Set([...verdict.findings.map(({ actionId }) => actionId), ...suspects]);
  const histories = path.join(folder, 'histories');
  await mkdir(histories, { recursive: true });
  for (const actionId of [...ids].slice(0, MAX_HISTORIES)) {
    if (actionId === '') continue;
    const history = await temporal.workflow
      .getHandle(`${TENANT}/${actionId}`)
      .fetchHistory()
      .catch(() => undefined);
    // In the form that `temporal workflow show` prints, and that can be replayed.
    if (history !== undefined) await writeFile(path.join(histories, `${actionId}.json`), historyToJSON(history));
  }
}
