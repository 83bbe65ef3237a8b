/**
 * What the radar costs those who write: transactions a second on a server that is watched, against a server that is not, in turns. The log of the
 * watched one has `wal_level = logical`; each of its tables has the trigger that says who writes; a radar reads it once a second, and all that is
 * written is unexplained, which is the most that it can have to record. The radar and its ledger run beside the servers on the same machine.
 *
 * Not measured: a server whose log is full of other databases' changes, replicas, a network between radar and server.
 */
import os from 'node:os';
import path from 'node:path';
import { mkdtemp, rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import pino from 'pino';
import { startPostgres, type PostgresServer } from '../src/dev/postgres.js';
import { Ledger } from '../src/ledger/index.js';
import { Radar } from '../src/radar/radar.js';
import { postgres } from '../src/tools/index.js';
import { say } from './stage.js';
import { median, round } from './statistics.js';

const ROUNDS = 5;
const ROUND_MS = 3_000;
const CLIENTS = 4;

const WORKLOADS = {
  /** A transaction of one row. */
  single: 'UPDATE stock SET n = n + 1 WHERE id = $1',
  /** A statement of 500 rows. */
  bulk: 'UPDATE stock SET n = n + 1 WHERE id BETWEEN $1 * 500 AND $1 * 500 + 499',
} as const;
type Workload = keyof typeof WORKLOADS;

export async function radar(args: readonly string[]): Promise<void> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-radar-'));
  const start = (name: string, wal: string): Promise<PostgresServer> =>
    startPostgres({ env: {}, dataDir: path.join(folder, name), settings: { wal_level: wal } });
  const [plain, watched, books] = [
    await start('plain', 'replica'),
    await start('watched', 'logical'),
    await start('ledger', 'replica'),
  ];
  const ledger = await Ledger.connect({ url: books.url });
  const pools = { plain: poolFor(plain), watched: poolFor(watched) };
  const tool = postgres({ name: 'stock', environment: 'bench', url: watched.url, tables: ['stock'], radar: {} });
  try {
    await ledger.migrate();
    for (const pool of Object.values(pools)) {
      await pool.query(
        'CREATE TABLE stock (id int PRIMARY KEY, n int NOT NULL); INSERT INTO stock SELECT i, 0 FROM generate_series(0, 9999) i',
      );
    }
    if (tool.radar === undefined) throw new Error('the tool has no radar');
    let alerts = 0;
    const reading = new Radar({
      name: 'stock',
      source: tool.radar,
      tools: new Set(['stock']),
      ledger,
      logger: pino({ level: 'silent' }),
      found: (found) => (alerts += found.length),
      tell: () => {},
    });
    reading.start();
    while ((await ledger.radar.sources())[0]?.lagBytes === undefined)
      await new Promise((next) => setTimeout(next, 100));
    const rates: Record<Workload, { plain: number[]; watched: number[] }> = {
      single: { plain: [], watched: [] },
      bulk: { plain: [], watched: [] },
    };
    let written = 0;
    for (let turn = 0; turn <= ROUNDS; turn++) {
      say(turn === 0 ? 'warming up' : `round ${turn} of ${ROUNDS}`);
      for (const workload of ['single', 'bulk'] as const) {
        for (const side of turn % 2 === 0 ? (['plain', 'watched'] as const) : (['watched', 'plain'] as const)) {
          const count = await load(pools[side], WORKLOADS[workload]);
          if (side === 'watched') written += count;
          if (turn > 0) rates[workload][side].push(count / (ROUND_MS / 1000));
        }
      }
    }
    const from = performance.now();
    const { rows } = await pools.watched.query<{ lsn: string }>(
      `SELECT pg_logical_emit_message(false, 'mark', '') AS lsn`,
    );
    for (;;) {
      const position = (await ledger.radar.sources())[0]?.position;
      const reached = await pools.watched.query<{ ok: boolean }>('SELECT $1::pg_lsn >= $2::pg_lsn AS ok', [
        position,
        rows[0]?.lsn,
      ]);
      if (reached.rows[0]?.ok === true) break;
      await delay(50);
    }
    const behindMs = round(performance.now() - from, 0);
    await reading.close();
    const figures = Object.fromEntries(
      Object.entries(rates).flatMap(([name, { plain: bare, watched: seen }]) => [
        [`${name}PerSecond`, round(median(bare), 0)],
        [`${name}WatchedPerSecond`, round(median(seen), 0)],
        [`${name}Ratio`, round(median(seen.map((rate, at) => rate / (bare[at] ?? Number.NaN))))],
      ]),
    );
    if (!args.includes('--json')) {
      for (const [name, value] of Object.entries(figures)) say(`${name.padEnd(24)} ${value}`);
    }
    console.log(JSON.stringify({ ...figures, transactions: written, alerts, behindMs }));
  } finally {
    await tool.close();
    await Promise.all(Object.values(pools).map((pool) => pool.end()));
    await ledger.close();
    await Promise.all([plain.stop(), watched.stop(), books.stop()]);
    await rm(folder, { recursive: true, force: true });
  }
}

function poolFor({ url }: PostgresServer): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max: CLIENTS });
  pool.on('error', () => {});
  return pool;
}

/** @returns how many transactions were committed */
async function load(pool: pg.Pool, text: string): Promise<number> {
  const end = performance.now() + ROUND_MS;
  const counts = await Promise.all(
    Array.from({ length: CLIENTS }, async (_, client) => {
      let count = 0;
      // Each client has rows of its own, so that none waits for another.
      while (performance.now() < end) await pool.query(text, [client * 5 + (count++ % 5)]);
      return count;
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}
