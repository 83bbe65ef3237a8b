/** A Postgres of one's own whose log can be decoded, a ledger, and a radar between them. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import pino from 'pino';
import { onTestFinished } from 'vitest';
import { digest } from '../../src/action/json.js';
import { idempotencyKey } from '../../src/action/idempotency-key.js';
import type { RadarAlert } from '../../src/action/radar.js';
import { startPostgres, type PostgresServer } from '../../src/dev/postgres.js';
import type { Ledger } from '../../src/ledger/index.js';
import { Radar, type RadarOptions } from '../../src/radar/radar.js';
import { postgres, type PostgresInput, type PostgresOptions } from '../../src/tools/index.js';
import type { Tool } from '../../src/tools/tool.js';
import { until } from '../support/until.js';
import { admission, newTenant, startLedger, useOf, type TestLedger } from '../ledger/support.js';

export interface RadarWorld {
  readonly ledger: TestLedger;
  /** A database of its own on the server whose log can be decoded. */
  database(): Promise<WatchedDatabase>;
  /** A radar of the tool, once it watches: what is written before is not its matter. */
  watched(database: WatchedDatabase, tool: Tool<PostgresInput>): Promise<Watching>;
  /** Until everything that was committed by now is judged. */
  judged(source: string, database: WatchedDatabase): Promise<void>;
  stop(): Promise<void>;
}

export interface WatchedDatabase {
  readonly url: string;
  readonly pool: pg.Pool;
  /** The address for a role that this makes. */
  as(role: string): Promise<string>;
  tool(options?: Partial<PostgresOptions>): Tool<PostgresInput>;
  /** A radar of the tool, which runs until the test ends: each reads the log of the whole server. `found` has what it recorded. */
  watch(tool: Tool<PostgresInput>, more?: Partial<RadarOptions>): Promise<Watching>;
  /** An action on one row, admitted and granted in the ledger, whose effect the tool makes. */
  govern(tool: Tool<PostgresInput>, input: Record<string, unknown>): Promise<string>;
}

export interface Watching {
  readonly radar: Radar;
  readonly found: RadarAlert[];
}

const signal = new AbortController().signal;

export async function radarWorld(): Promise<RadarWorld> {
  const [server, ledger] = await Promise.all([
    startPostgres({ env: {}, settings: { wal_level: 'logical', max_connections: '60', max_replication_slots: '40' } }),
    startLedger(),
  ]);
  const closing: (() => Promise<unknown>)[] = [];
  const standing = async (source: string) => (await ledger.ledger.radar.sources()).find((one) => one.source === source);
  return {
    ledger,
    database: () => databaseOf(server, ledger.ledger, closing),
    async watched(database, tool) {
      const watching = await database.watch(tool);
      await until(
        () => standing(tool.name),
        (one) => one?.state === 'watching' && one.position !== '' && one.lagBytes !== undefined,
      );
      return watching;
    },
    async judged(source, { pool }) {
      // Behind this message everything lies that was committed by now.
      const { rows } = await pool.query<{ lsn: string }>(`SELECT pg_logical_emit_message(false, 'mark', '') AS lsn`);
      await until(
        async () => {
          const position = (await standing(source))?.position ?? '';
          const reached = await pool.query<{ ok: boolean }>('SELECT $1::pg_lsn >= $2::pg_lsn AS ok', [
            position === '' ? '0/0' : position,
            rows[0]?.lsn,
          ]);
          return reached.rows[0]?.ok;
        },
        (ok) => ok === true,
      );
    },
    async stop() {
      for (const close of closing.toReversed()) await close();
      await ledger.stop();
      await server.stop();
    },
  };
}

async function databaseOf(
  server: PostgresServer,
  ledger: Ledger,
  closing: (() => Promise<unknown>)[],
): Promise<WatchedDatabase> {
  const name = `shop_${randomUUID().slice(0, 8)}`;
  const admin = new pg.Client({ connectionString: server.url });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${name}`);
  await admin.end();
  const url = new URL(server.url);
  url.pathname = `/${name}`;
  const pool = new pg.Pool({ connectionString: url.href, max: 5, application_name: 'admin' });
  closing.push(() => pool.end());
  return {
    url: url.href,
    pool,
    async as(role) {
      const own = new URL(url);
      own.username = role;
      own.password = 'secret';
      await pool.query(`CREATE ROLE ${pg.escapeIdentifier(role)} LOGIN PASSWORD 'secret'`);
      closing.push(() =>
        pool.query(`DROP OWNED BY ${pg.escapeIdentifier(role)} CASCADE; DROP ROLE ${pg.escapeIdentifier(role)}`),
      );
      return own.href;
    },
    tool(options = {}) {
      const tool = postgres({
        name: 'shop-db',
        environment: 'test',
        url: url.href,
        radar: { everyMs: 100 },
        ...options,
      });
      closing.push(() => tool.close());
      return tool;
    },
    async watch(tool, more = {}) {
      const found: RadarAlert[] = [];
      if (tool.radar === undefined) throw new Error('the tool has no radar');
      const radar = new Radar({
        name: tool.name,
        source: tool.radar,
        tools: new Set([tool.name]),
        ledger,
        logger: pino({ level: process.env['TEST_LOG'] ?? 'silent' }),
        // Tests wait for it, and the machine has other work.
        duty: 1,
        found: (alerts) => void found.push(...alerts),
        tell: () => {},
        ...more,
      });
      onTestFinished(() => radar.close());
      radar.start();
      return { radar, found };
    },
    async govern(tool, input) {
      const names = { tenant: newTenant(), actionId: randomUUID() };
      const request = admission(names, { tool: tool.name });
      await ledger.actions.admit(request);
      await ledger.grants.use(useOf(request));
      const key = idempotencyKey(names);
      const parsed = tool.input.parse(input);
      const pre = await tool.capture(parsed, {}, { signal });
      await tool.execute(parsed, {
        idempotencyKey: key,
        preDigest: digest(pre),
        constraints: [],
        rows: 1,
        signal,
        heartbeat: () => {},
      });
      return key;
    },
  };
}
