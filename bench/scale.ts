/**
 * What a plan for more actions a second is reckoned from: actions a second with 1, 2 and 4 worker processes, in turns in one run; what
 * one action costs each part in CPU, commits and bytes; and what thousands of actions that wait for people cost the worker in memory, and
 * those beside them in time.
 *
 * `--waiting N` says how many wait (default 10,000: a quarter of an hour). Linux only: CPU and memory are read from /proc.
 *
 * Not measured: a network between the parts, a Temporal cluster, several machines. All processes share this machine's cores, so more
 * worker processes show what they cost each other, and not what they would add on machines of their own.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type pg from 'pg';
import { Countersign } from '../src/client/countersign.js';
import type { DevServers } from '../src/dev/index.js';
import type { TemporalSettings } from '../src/environment.js';
import { lanes, timed } from './lanes.js';
import { cpuSeconds, residentMB } from './processes.js';
import { SHIPMENTS_ASK } from './shipments.js';
import { agent, onStage, poolOf, say, startGuard } from './stage.js';
import { median, round } from './statistics.js';

const WORKERS = [1, 2, 4] as const;
const AT_ONCE = 40;
const TURNS = 3;
const PER_TURN = 160;
const WARM_UP = 80;
/** How many actions are timed before and beside those that wait, one at a time. */
const BESIDE = 60;

/** What a worker's process is told. */
export interface WorkerOrder {
  readonly temporal: TemporalSettings;
  readonly databaseUrl: string;
  readonly keys: string;
  readonly policies: string;
}

/** Worker processes on a task queue of their own, and an agent that proposes there. */
interface Team {
  readonly size: number;
  readonly processes: readonly ChildProcess[];
  readonly client: Countersign;
}

export async function scale(args: readonly string[]): Promise<void> {
  const json = args.includes('--json');
  const at = args.indexOf('--waiting');
  const waiting = at === -1 ? 10_000 : Number(args[at + 1]);
  if (!Number.isInteger(waiting) || waiting < 1_000) throw new Error('--waiting takes a whole number of at least 1000');
  await onStage({ durable: true }, async (servers, folder) => {
    const pool = poolOf(servers, 4);
    await pool.query(`CREATE TABLE customers (id int PRIMARY KEY, plan text NOT NULL);
      CREATE TABLE shipments (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, shipped int NOT NULL);
      INSERT INTO customers SELECT n, 'free' FROM generate_series(0, 1999) n`);
    const teams = await hire(servers, folder);
    try {
      const spent = new Spent(servers, pool, teams);
      const speed = await speeds(teams, spent);
      const held = await wait(teams[0], servers, waiting);
      const result = { cores: os.availableParallelism(), ...speed, ...held };
      if (!json) say(JSON.stringify(result, null, 2));
      console.log(JSON.stringify(result));
    } finally {
      await Promise.all(teams.map(dismiss));
      await pool.end();
    }
  });
}

/** One worker of this process sets the ledger up and stops. */
async function hire(servers: DevServers, folder: string): Promise<readonly [Team, ...Team[]]> {
  const { address, namespace } = servers.temporal;
  const at = (taskQueue: string): TemporalSettings => ({ address, namespace, taskQueue });
  const guard = await startGuard(servers, folder, { temporal: at('scale'), file: 'ask.cedar', text: SHIPMENTS_ASK });
  await guard.worker.stop();
  const team = async (size: number): Promise<Team> => {
    const temporal = at(`scale-${size}`);
    const order: WorkerOrder = {
      temporal,
      databaseUrl: servers.postgres.url,
      keys: guard.keys,
      policies: path.join(folder, 'policies'),
    };
    const processes = await Promise.all(Array.from({ length: size }, () => startProcess(order)));
    const credential = await agent(guard.keyring, `agent-${size}`);
    return { size, processes, client: await Countersign.connect({ ...temporal, credential }) };
  };
  const [first, ...others] = [await team(WORKERS[0]), await team(WORKERS[1]), await team(WORKERS[2])];
  return [first, ...others];
}

async function startProcess(order: WorkerOrder): Promise<ChildProcess> {
  const module = fileURLToPath(new URL('scale-worker.ts', import.meta.url));
  const child = fork(module, { execArgv: ['--import', import.meta.resolve('tsx')], stdio: ['ignore', 2, 2, 'ipc'] });
  child.send(order);
  await once(child, 'message');
  return child;
}

async function dismiss({ processes, client }: Team): Promise<void> {
  await client.close();
  const ended = processes.map((child) => once(child, 'exit'));
  for (const child of processes) child.disconnect();
  await Promise.all(ended);
}

let sequence = 0;

async function perform(team: Team, id: number): Promise<void> {
  const outcome = await team.client.perform({
    actionId: `row-${++sequence}`,
    tool: 'shop-db',
    input: { op: 'update', table: 'customers', set: { plan: `plan-${sequence}` }, where: { id } },
    reasoning: 'The customer changed the plan.',
  });
  if (outcome.status !== 'success') throw new Error(`${outcome.status}: ${outcome.reason}`);
}

interface Speeds {
  /** Actions a second, by the number of worker processes. */
  readonly perSecond: Readonly<Record<number, number>>;
  /** What 2 and 4 do, against what 1 does in the same turn. */
  readonly ratio: Readonly<Record<number, number>>;
  /** What one action costs, with one worker process. */
  readonly perAction: Cost;
}

async function speeds(teams: readonly Team[], spent: Spent): Promise<Speeds> {
  say(`warming up: ${WARM_UP} actions for each worker process`);
  for (const team of teams) await lanes(WARM_UP * team.size, AT_ONCE, (id) => perform(team, id));
  const times = new Map<number, number[]>(WORKERS.map((size) => [size, []]));
  const costs: Cost[] = [];
  for (let turn = 1; turn <= TURNS; turn++) {
    for (const team of teams) {
      const before = await spent.now();
      const seconds = (await timed(() => lanes(PER_TURN, AT_ONCE, (id) => perform(team, id)))) / 1000;
      times.get(team.size)?.push(PER_TURN / seconds);
      if (team.size === 1) costs.push(spent.since(before, await spent.now(), PER_TURN));
      say(`turn ${turn}: ${team.size} worker process(es) ${round(PER_TURN / seconds, 1)} a second`);
    }
  }
  const of = (size: number): number[] => times.get(size) ?? [];
  const each = (value: (size: number) => number): Record<number, number> =>
    Object.fromEntries(WORKERS.map((size) => [size, value(size)]));
  return {
    perSecond: each((size) => round(median(of(size)), 1)),
    ratio: each((size) => round(median(of(size).map((rate, turn) => rate / (of(1)[turn] ?? Number.NaN))))),
    perAction: Object.fromEntries(
      COSTS.map((name) => [name, round(median(costs.map((cost) => cost[name])), 1)]),
    ) as unknown as Cost,
  };
}

interface Held {
  readonly waiting: number;
  /** Resident memory of the worker process, MB, after every thousandth action that waits. */
  readonly workerMB: readonly number[];
  /** The last against the first of these. */
  readonly memoryRatio: number;
  /** Of the Temporal server, in the end. */
  readonly temporalMB: number;
  /** p50 of an action that waits for nobody, with none waiting and with all, milliseconds. */
  readonly aloneP50Ms: number;
  readonly besideP50Ms: number;
  readonly besideRatio: number;
}

async function wait(team: Team, servers: DevServers, waiting: number): Promise<Held> {
  const [worker] = team.processes;
  if (worker?.pid === undefined) throw new Error('there is no worker');
  const pid = worker.pid;
  const alone = await p50(team);
  say(`${waiting} actions are to wait for people`);
  const workerMB: number[] = [];
  let asked = 0;
  await lanes(waiting, AT_ONCE, async (id) => {
    const answer = await team.client.perform({
      actionId: `ship-${id}`,
      tool: 'shop-db',
      input: { op: 'insert', table: 'shipments', rows: [{ shipped: id }] },
      reasoning: 'The order was paid.',
    });
    if (answer.status !== 'pending') throw new Error(`${answer.status}: ${answer.reason}`);
    if (++asked % 1_000 !== 0) return;
    workerMB.push(round(await residentMB(pid), 0));
    say(`  ${asked} wait; the worker has ${workerMB.at(-1)} MB`);
  });
  const beside = await p50(team);
  const [first = Number.NaN] = workerMB;
  return {
    waiting,
    workerMB,
    memoryRatio: round((workerMB.at(-1) ?? Number.NaN) / first),
    temporalMB: round(await residentMB(servers.temporal.pid ?? 0), 0),
    aloneP50Ms: round(alone, 1),
    besideP50Ms: round(beside, 1),
    besideRatio: round(beside / alone),
  };
}

async function p50(team: Team): Promise<number> {
  const times: number[] = [];
  for (let id = 0; id < BESIDE; id++) times.push(await timed(() => perform(team, id)));
  return median(times);
}

const COSTS = ['workerCpuMs', 'clientCpuMs', 'temporalCpuMs', 'postgresCpuMs', 'commits', 'walKB', 'ledgerKB'] as const;
/** What one action costs. `commits`, `walKB` and `ledgerKB` are those of the Postgres with the ledger and the target. */
type Cost = Readonly<Record<(typeof COSTS)[number], number>>;

/** What was used up so far. */
class Spent {
  readonly #servers: DevServers;
  readonly #pool: pg.Pool;
  readonly #teams: readonly Team[];

  constructor(servers: DevServers, pool: pg.Pool, teams: readonly Team[]) {
    this.#servers = servers;
    this.#pool = pool;
    this.#teams = teams;
  }

  async now(): Promise<Cost> {
    const { rows } = await this.#pool.query<{ commits: string; wal: string; size: string }>(
      `SELECT xact_commit AS commits, pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') AS wal, pg_database_size(current_database()) AS size
         FROM pg_stat_database WHERE datname = current_database()`,
    );
    const [row] = rows;
    const processes = this.#teams.filter(({ size }) => size === 1).flatMap(({ processes: of }) => of);
    const workers = await Promise.all(processes.map(({ pid }) => cpuSeconds(pid ?? 0)));
    const { user, system } = process.cpuUsage();
    return {
      workerCpuMs: workers.reduce((sum, seconds) => sum + seconds, 0) * 1000,
      clientCpuMs: (user + system) / 1000,
      temporalCpuMs: (await cpuSeconds(this.#servers.temporal.pid ?? 0)) * 1000,
      postgresCpuMs: (await cpuSeconds(this.#servers.postgres.pid ?? 0)) * 1000,
      commits: Number(row?.commits),
      walKB: Number(row?.wal) / 1024,
      ledgerKB: Number(row?.size) / 1024,
    };
  }

  since(before: Cost, after: Cost, actions: number): Cost {
    return Object.fromEntries(COSTS.map((name) => [name, (after[name] - before[name]) / actions])) as unknown as Cost;
  }
}
