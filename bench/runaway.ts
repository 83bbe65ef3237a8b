/**
 * What a runaway agent costs the others. On the embedded servers with one worker: an agent proposes 2,000 actions in a loop, one after
 * another without a pause, of which the rate limit lets so many pass as there are tokens; another loops over actions that fail, until the
 * breaker opens. Agents in a process of their own go about their work at a steady pace, in turns with and without a runaway beside them.
 * For comparison, without a bound: a runaway that fires 40 at once.
 *
 * The times of the others count from when an action was due, not from when there was a chance to start it.
 *
 * Not measured: a runaway with many credentials (limit by tenant), a network between the parts, a production Temporal cluster. All of
 * it shares the machine's cores, the runaway's own process too, which in service has cores of its own.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DevServers } from '../src/dev/index.js';
import { encodeCredential } from '../src/trust/index.js';
import { agent, onStage, poolOf, say, startGuard } from './stage.js';
import { ROWS, type Counts, type Order, type Ran, type Table, type Worked } from './runaway-agents.js';
import { median, quantile, round } from './statistics.js';

const TURNS = 8;
/** Of each kind in each turn. */
const LOOP = 250;
const FAILING_LOOP = 20;
const BURST = 40;
const AT_ONCE = 40;
const QUIET_MS = 4_000;
const WARM_UP = 200;

/** The steady agents, each of which proposes as often as this. */
const AGENTS = 4;
const EVERY_MS = 1_000;

/** For the whole run. No token comes back meanwhile, and no breaker tries again. */
const TOKENS = 50;
const FAILURES = 10;
const LIMITS = `
limits:
  probation: { kind: rate, scope: agent, when: '"probation" in agent.roles', max: 1, per: 1d, burst: ${TOKENS} }
  everybody: { kind: rate, scope: agent, when: '!("probation" in agent.roles)', max: 6000, per: 1m }
  failing-target: { kind: breaker, scope: [tool, target], window: 1h, minimum: ${FAILURES}, ratio: 0.5, open: 1h }
`;

/** The runaways, by what they are given as agents of one process. */
const RUNAWAY = { warmUp: 0, succeeding: 1, failing: 2, bursting: 3 } as const;

/** A slow machine proposes fewer: everything has ended well before three minutes. */
const LONGEST_MS = 165_000;

const here = path.dirname(fileURLToPath(import.meta.url));

export async function runaway(args: readonly string[]): Promise<void> {
  const start = performance.now();
  const untilMs = Date.now() + LONGEST_MS;
  const json = args.includes('--json');
  await onStage({ durable: false }, async (servers, folder) => {
    const { others, runaways, target, stop } = await setUp(servers, folder);
    const run = (agent: keyof typeof RUNAWAY, table: Table, count: number, atOnce = 1): Promise<Ran> =>
      ask(runaways, { kind: 'run', agent: RUNAWAY[agent], table, count, atOnce, untilMs });
    const beside = async <T>(body: () => Promise<T>, times: number[]): Promise<T> => {
      await ask(others, { kind: 'work', everyMs: EVERY_MS });
      const done = await body();
      times.push(...(await ask<Worked>(others, { kind: 'stop' })));
      return done;
    };

    say(`warming up: ${WARM_UP} proposals`);
    await beside(() => run('warmUp', 'made', WARM_UP, 4), []);
    const before = await target();

    const times = { alone: [] as number[], loop: [] as number[], burst: [] as number[] };
    const ran = { succeeding: [] as Ran[], failing: [] as Ran[], bursting: [] as Ran[] };
    for (let turn = 1; turn <= TURNS && Date.now() < untilMs; turn++) {
      say(
        `turn ${turn} of ${TURNS}: ${QUIET_MS / 1000} s alone, loops of ${LOOP} and ${FAILING_LOOP}, ${BURST} at once`,
      );
      await beside(() => new Promise((resolve) => setTimeout(resolve, QUIET_MS)), times.alone);
      ran.succeeding.push(await beside(() => run('succeeding', 'made', LOOP), times.loop));
      ran.failing.push(await beside(() => run('failing', 'brittle', FAILING_LOOP), times.loop));
      ran.bursting.push(await beside(() => run('bursting', 'made', BURST, AT_ONCE), times.burst));
    }

    const after = await target();
    const succeeding = total(ran.succeeding);
    const failing = total(ran.failing);
    const bursting = total(ran.bursting);
    const ratio = (q: number, of: readonly number[]): number => round(quantile(of, q) / quantile(times.alone, q));
    const result = {
      proposals: succeeding.proposals,
      allowed: succeeding.of('success'),
      deniedByRate: succeeding.of('LIMIT_EXCEEDED'),
      deniedByBreaker: failing.of('BREAKER_OPEN'),
      effects: after.effects - before.effects - bursting.of('success'),
      tokens: TOKENS,
      withTimeToRetry: succeeding.timed,
      failingProposals: failing.proposals,
      failed: failing.of('failed'),
      statementsOnTarget: after.statements,
      p50Ratio: ratio(0.5, times.loop),
      p95Ratio: ratio(0.95, times.loop),
      burstP50Ratio: ratio(0.5, times.burst),
      burstP95Ratio: ratio(0.95, times.burst),
      p50Ms: {
        alone: round(median(times.alone), 1),
        loop: round(median(times.loop), 1),
        burst: round(median(times.burst), 1),
      },
      proposalsPerSecond: { loop: succeeding.perSecond, burst: bursting.perSecond },
      samples: { alone: times.alone.length, loop: times.loop.length, burst: times.burst.length },
      complete: succeeding.proposals === TURNS * LOOP && failing.proposals === TURNS * FAILING_LOOP,
      seconds: round((performance.now() - start) / 1000, 1),
    };
    if (!json) {
      say(
        `rate limit  ${result.proposals} proposals: ${result.allowed} allowed, ${result.deniedByRate} denied, ` +
          `${result.effects} effects for ${TOKENS} tokens`,
      );
      say(
        `breaker     ${result.failingProposals} proposals: ${result.failed} failed, ${result.deniedByBreaker} denied, ` +
          `${result.statementsOnTarget} statements reached the target`,
      );
      say(`the others  p50 ratio ${result.p50Ratio} (at most 1.5), p95 ratio ${result.p95Ratio}`);
      say(`${AT_ONCE} at once  p50 ratio ${result.burstP50Ratio}, p95 ratio ${result.burstP95Ratio} (no bound)`);
    }
    console.log(JSON.stringify(result));
    await stop();
  });
}

interface Total {
  readonly proposals: number;
  readonly timed: number;
  readonly perSecond: number;
  of(code: string): number;
}

function total(runs: readonly Ran[]): Total {
  const sum = (of: (one: Ran) => number): number => runs.reduce((all, one) => all + of(one), 0);
  const all = ({ counts }: { counts: Counts }): number => Object.values(counts).reduce((one, other) => one + other, 0);
  return {
    proposals: sum(all),
    timed: sum(({ timed }) => timed),
    perSecond: round((sum(all) * 1000) / sum(({ ms }) => ms), 1),
    of: (code) => sum(({ counts }) => counts[code] ?? 0),
  };
}

async function setUp(servers: DevServers, folder: string) {
  const { address, namespace } = servers.temporal;
  const temporal = { address, namespace, taskQueue: 'runaway' };
  const pool = poolOf(servers, 1);
  await pool.query(`CREATE TABLE customers (id int PRIMARY KEY, plan text NOT NULL);
    INSERT INTO customers SELECT n, 'free' FROM generate_series(0, ${ROWS - 1}) n;
    CREATE TABLE made (id int PRIMARY KEY);
    CREATE TABLE brittle (id int PRIMARY KEY, n int NOT NULL CHECK (n < 100));
    INSERT INTO brittle VALUES (1, 0);
    -- A sequence forgets nothing when a statement is rolled back.
    CREATE SEQUENCE statements START 1;
    CREATE FUNCTION counted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('statements'); RETURN NEW; END $$;
    CREATE TRIGGER counted BEFORE UPDATE ON brittle FOR EACH ROW EXECUTE FUNCTION counted()`);
  const { worker, keyring } = await startGuard(servers, folder, { temporal, file: 'limits.yaml', text: LIMITS });
  const issue = async (id: string, ...more: readonly string[]): Promise<string> =>
    encodeCredential(await agent(keyring, id, ...more));
  const [others, runaways] = await Promise.all([startAgents(), startAgents()]);
  const names = Object.keys(RUNAWAY);
  const steady = Array.from({ length: AGENTS }, (_, n) => issue(`steady-${n}`));
  const running = names.map((name) => issue(name, ...(name === 'failing' ? [] : ['probation'])));
  await ask(others, { kind: 'connect', temporal, credentials: await Promise.all(steady) });
  await ask(runaways, { kind: 'connect', temporal, credentials: await Promise.all(running) });

  return {
    others,
    runaways,
    /** What the database shows. */
    target: async (): Promise<{ effects: number; statements: number }> => {
      const { rows } = await pool.query<{ effects: number; statements: number }>(
        `SELECT (SELECT count(*)::int FROM made) effects,
          (SELECT CASE WHEN is_called THEN last_value ELSE 0 END::int FROM statements) statements`,
      );
      return rows[0] ?? { effects: Number.NaN, statements: Number.NaN };
    },
    stop: async (): Promise<void> => {
      await Promise.all([others, runaways].map(endAgents));
      await worker.stop();
      await pool.end();
    },
  };
}

async function startAgents(): Promise<ChildProcess> {
  const child = fork(path.join(here, 'runaway-agents.ts'));
  await once(child, 'message');
  return child;
}

async function endAgents(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit');
  child.disconnect();
  await gone;
}

async function ask<T>(child: ChildProcess, order: Order): Promise<T> {
  const listening = new AbortController();
  const { signal } = listening;
  try {
    const died = once(child, 'exit', { signal }).then(([code]) => {
      throw new Error(`A process of agents ended with ${String(code)}.`);
    });
    const answer = once(child, 'message', { signal }).then(([message]) => message as T);
    child.send(order);
    return await Promise.race([answer, died]);
  } finally {
    listening.abort();
  }
}
