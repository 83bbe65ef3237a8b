/**
 * What a reservation costs: an admission with one budget, exactly as the product makes it (action, grant and hold written, the budget
 * checked and counted, all or none, repeatable), against a bare `UPDATE` of one row. Real processes on one Postgres that commits to
 * its disk; the same number of connections; in turns of one second. And whether a decision takes longer the more actions are live.
 *
 * Not measured: a network between the worker and Postgres, several limits on one action, signatures (the place-and-settle cycle hashes
 * its receipts instead), tables that do not fit in memory. The bare update is no reservation: it can be neither repeated nor given
 * back, and writes one row where a reservation writes four; but reservations of one process that wait for the same budget share a commit. Live actions are put there by SQL, as the product would have left them.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { startPostgres } from '../src/dev/postgres.js';
import { Ledger } from '../src/ledger/index.js';
import { admission, budget, MANY, SCARCE, TENANT, type Done, type Order, type Work } from './ledger-client.js';
import { median, quantile, round } from './statistics.js';

/** For each process. */
const CONNECTIONS = 8;
const PROCESSES = [1, 4] as const;
/** Turns of everything; the first is to warm up. */
const TURNS = 7;
const TURN_MS = 900;
const LIVE = [0, 1_000, 100_000] as const;
const DECISIONS = 500;

const here = fileURLToPath(new URL('.', import.meta.url));

interface Rates {
  readonly hotPerSecond: number;
  readonly hotRatio: number;
  readonly manyPerSecond: number;
  readonly manyRatio: number;
  readonly placeAndSettlePerSecond: number;
  readonly bareHotPerSecond: number;
  readonly bareManyPerSecond: number;
}

export async function ledger(args: readonly string[]): Promise<void> {
  const json = args.includes('--json');
  const say = (text: string): void => void process.stderr.write(`${text}\n`);
  const server = await startPostgres({ durable: true, settings: { max_connections: '100' }, env: {} });
  const pool = new pg.Pool({ connectionString: server.url, max: 2 });
  try {
    const owner = await Ledger.connect({ url: server.url });
    await owner.migrate();
    await owner.close();
    await pool.query(`create table bare (id int primary key, n bigint not null default 0) with (fillfactor = 50);
      insert into bare (id) select generate_series(0, ${MANY - 1})`);

    const rates: Rates[] = [];
    let placed = { hot: 0, many: 0 };
    let overspend = 0;
    for (const processes of PROCESSES) {
      say(`${processes} process(es) of ${CONNECTIONS} connections, ${TURNS} turns`);
      const clients = await Promise.all(Array.from({ length: processes }, () => startClient(server.url)));
      const all = await takeTurns(clients);
      placed = { hot: placed.hot + all.placed.hot, many: placed.many + all.placed.many };
      rates.push(all.rates);
      if (processes > 1) overspend = await exhaust(clients, pool);
      await Promise.all(clients.map(stopClient));
    }
    const lost = await compare(pool, placed);

    say(`decisions with ${LIVE.join(', ')} live actions, ${DECISIONS} of each in turn`);
    const decisions = await decide(server.url, pool);
    const [none = Number.NaN, some = Number.NaN, most = Number.NaN] = decisions.map(median);
    const [one, four] = rates as [Rates, Rates];
    const result = {
      oneProcess: one,
      fourProcesses: four,
      hotRatio: Math.min(one.hotRatio, four.hotRatio),
      overspend,
      lost,
      decisionMs: round(none, 2),
      decisionMs1000: round(some, 2),
      decisionMs100000: round(most, 2),
      decisionP95Ms: decisions.map((times) => round(quantile(times, 0.95), 2)),
      decisionRatio1000: round(some / none),
      decisionRatio100000: round(most / none),
    };
    if (!json) {
      for (const [index, of] of rates.entries()) {
        say(
          `${PROCESSES[index]} process(es): hot budget ${of.hotPerSecond}/s (bare ${of.bareHotPerSecond}/s, ratio ${of.hotRatio}, goal 0.5)   ` +
            `${MANY} budgets ${of.manyPerSecond}/s (bare ${of.bareManyPerSecond}/s, ratio ${of.manyRatio})   place and settle ${of.placeAndSettlePerSecond}/s`,
        );
      }
      say(`overspend ${overspend}, lost ${lost} (both must be 0)`);
      say(
        `decision ${result.decisionMs} ms; with 1,000 live ${result.decisionRatio1000}, with 100,000 live ${result.decisionRatio100000} times (at most 1.2)`,
      );
    }
    console.log(JSON.stringify(result));
  } finally {
    await pool.end();
    await server.stop();
  }
}

async function startClient(url: string): Promise<ChildProcess> {
  const child = fork(`${here}ledger-client.ts`, [url, String(CONNECTIONS)]);
  await once(child, 'message');
  return child;
}

async function stopClient(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit');
  child.disconnect();
  await gone;
}

/** Everybody does the same thing at the same time. */
async function together(
  clients: readonly ChildProcess[],
  order: Order,
): Promise<Done & { readonly perSecond: number }> {
  const done = await Promise.all(
    clients.map(async (client) => {
      const answer = once(client, 'message') as Promise<[Done]>;
      client.send(order);
      return (await answer)[0];
    }),
  );
  const sum = (of: (one: Done) => number): number => done.reduce((total, one) => total + of(one), 0);
  const perSecond = sum(({ count, ms }) => (count * 1000) / ms);
  return { count: sum(({ count }) => count), limited: sum(({ limited }) => limited), ms: TURN_MS, perSecond };
}

async function takeTurns(
  clients: readonly ChildProcess[],
): Promise<{ rates: Rates; placed: { hot: number; many: number } }> {
  const order: readonly Work[] = ['bareHot', 'placeHot', 'bareMany', 'placeMany', 'placeAndSettle'];
  const turns: Record<Work, number>[] = [];
  const placed = { hot: 0, many: 0 };
  for (let turn = 0; turn < TURNS; turn++) {
    const rates: Partial<Record<Work, number>> = {};
    for (const work of order) {
      const { perSecond, count } = await together(clients, { work, ms: TURN_MS });
      rates[work] = perSecond;
      if (work === 'placeHot') placed.hot += count;
      if (work === 'placeMany') placed.many += count;
    }
    if (turn > 0) turns.push(rates as Record<Work, number>);
  }
  const rate = (work: Work): number => round(median(turns.map((of) => of[work])), 0);
  return {
    placed,
    rates: {
      hotPerSecond: rate('placeHot'),
      hotRatio: round(median(turns.map((of) => of.placeHot / of.bareHot))),
      manyPerSecond: rate('placeMany'),
      manyRatio: round(median(turns.map((of) => of.placeMany / of.bareMany))),
      placeAndSettlePerSecond: rate('placeAndSettle'),
      bareHotPerSecond: rate('bareHot'),
      bareManyPerSecond: rate('bareMany'),
    },
  };
}

/** Everybody asks for a budget until it is used up and for a while longer. @returns by how much it was overspent */
async function exhaust(clients: readonly ChildProcess[], pool: pg.Pool): Promise<number> {
  for (let limited = 0; limited < 500;) limited += (await together(clients, { work: 'placeScarce', ms: 500 })).limited;
  const { held, holds } = await sums(pool, 'scarce');
  if (held !== holds) throw new Error(`the counter says ${held}, the holds ${holds}`);
  return Math.max(0, held - SCARCE);
}

/** How many of the reservations that clients were told of are missing in the counters or among the holds, or are there twice. */
async function compare(pool: pg.Pool, placed: { hot: number; many: number }): Promise<number> {
  let lost = 0;
  for (const limit of ['hot', 'many'] as const) {
    const { held, holds } = await sums(pool, limit);
    lost += Math.abs(held - placed[limit]) + Math.abs(holds - placed[limit]);
  }
  return lost;
}

async function sums(pool: pg.Pool, limit: string): Promise<{ held: number; holds: number }> {
  const { rows } = await pool.query<{ held: number; holds: number }>(
    `select (select sum(held)::int from countersign.limit_counters where "limit" = $1) as held,
       (select sum(amount)::int from countersign.holds where "limit" = $1 and status = 'held') as holds`,
    [limit],
  );
  return rows[0] ?? { held: 0, holds: 0 };
}

/** Milliseconds of each decision, by how many actions were live. Each in a ledger of its own, on one server, in turn. */
async function decide(url: string, pool: pg.Pool): Promise<readonly (readonly number[])[]> {
  const ledgers: Ledger[] = [];
  for (const live of LIVE) {
    const schema = `live_${live}`;
    const one = await Ledger.connect({ url, schema, poolSize: 1 });
    await one.migrate();
    await fill(pool, schema, live);
    ledgers.push(one);
  }
  const times = LIVE.map((): number[] => []);
  for (let turn = -50; turn < DECISIONS; turn++) {
    for (const [index, one] of ledgers.entries()) {
      const request = admission([budget('shared')]);
      const start = performance.now();
      await one.limits.read(TENANT, request.actionId, request.holds ?? []);
      const { kind } = await one.actions.admit(request);
      if (turn >= 0) times[index]?.push(performance.now() - start);
      if (kind !== 'admitted') throw new Error(kind);
    }
  }
  await Promise.all(ledgers.map((one) => one.close()));
  return times;
}

/** So many actions with a grant and a hold that is on the budget which is measured. */
async function fill(pool: pg.Pool, schema: string, live: number): Promise<void> {
  const from = `from generate_series(1, ${live}) n`;
  await pool.query(`set search_path = ${schema};
    insert into actions (tenant, action_id, digest, agent, tool)
      select '${TENANT}', 'live-' || n, 'sha256:' || repeat('0', 64), 'bench-agent', 'bench-tool' ${from};
    insert into grants (jti, tenant, action_id, agent, tool, expires_at)
      select 'live-' || n, '${TENANT}', 'live-' || n, 'bench-agent', 'bench-tool', now() + interval '1 day' ${from};
    insert into limit_counters (tenant, "limit", key, kind, held, width, slot)
      select '${TENANT}', 'shared', '', 'budget', ${live}, 86400000000, floor(extract(epoch from now()) / 86400);
    insert into holds (tenant, action_id, "limit", key, kind, amount, width, slot, status)
      select '${TENANT}', 'live-' || n, 'shared', '', 'budget', 1, 86400000000, floor(extract(epoch from now()) / 86400), 'held' ${from};
    reset search_path`);
}
