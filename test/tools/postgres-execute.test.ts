import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { digest } from '../../src/action/json.js';
import type { ExecuteContext, Tool } from '../../src/tools/tool.js';
import type { PostgresInput } from '../../src/tools/index.js';
import { startProxy, type Proxy } from '../ledger/proxy.js';
import { until } from '../support/until.js';
import { act, expectCode, failureOf, never } from './conformance.js';
import { openShop, type Shop } from './shop.js';

let shop: Shop;
let tool: Tool<PostgresInput>;
let nextId = 1_000;

beforeAll(async () => {
  shop = await openShop();
  tool = shop.tool();
  // So that no test depends on the one that is first to make the record of effects.
  await tool.check?.({ signal: never() });
});
afterAll(async () => {
  await shop.stop();
});

async function order(status = 'open'): Promise<number> {
  const id = nextId++;
  await shop.sql('INSERT INTO orders (id, customer_id, status) VALUES ($1, 1, $2)', [id, status]);
  return id;
}

async function statusOf(id: number): Promise<unknown> {
  return (await shop.sql('SELECT status FROM orders WHERE id = $1', [id]))[0]?.['status'];
}

function setStatus(id: number, status = 'sent'): object {
  return { op: 'update', table: 'orders', set: { status }, where: { id } };
}

/** Runs all steps before the execution. */
async function prepare(on: Tool<PostgresInput>, raw: object, more: Partial<ExecuteContext> = {}) {
  const input = on.input.parse(raw);
  const preview = await on.preview(input, { signal: never() });
  const pre = await on.capture(input, {}, { signal: never() });
  const context: ExecuteContext = {
    idempotencyKey: randomUUID(),
    preDigest: digest(pre),
    constraints: [],
    rows: preview.rows,
    signal: never(),
    heartbeat: () => {},
    ...more,
  };
  return { input, preview, pre, context, execute: () => on.execute(input, context) };
}

/** Holds the lock of a row while `during` runs. */
async function withRowLocked<T>(
  id: number,
  during: (release: (how: 'COMMIT' | 'ROLLBACK') => Promise<void>) => Promise<T>,
): Promise<T> {
  const holder = new pg.Client({ connectionString: shop.url });
  await holder.connect();
  let open = true;
  const release = async (how: 'COMMIT' | 'ROLLBACK'): Promise<void> => {
    if (open) await holder.query(how);
    open = false;
  };
  try {
    await holder.query('BEGIN');
    await holder.query('SELECT FROM orders WHERE id = $1 FOR UPDATE', [id]);
    return await during(release);
  } finally {
    await release('ROLLBACK');
    await holder.end();
  }
}

describe('exactly once', () => {
  test('two workers that execute the same key concurrently make one effect and return the same', async () => {
    const other = shop.tool();
    const id = await order();
    const { input, context } = await prepare(tool, {
      op: 'sql',
      sql: `UPDATE orders SET total = total + 1 WHERE id = ${id}`,
    });
    const executions = await Promise.all([
      tool.execute(input, context),
      other.execute(input, context),
      tool.execute(input, context),
    ]);
    expect(new Set(executions.map((execution) => digest(execution))).size).toBe(1);
    expect(await shop.sql('SELECT total FROM orders WHERE id = $1', [id])).toEqual([{ total: '1.00' }]);
  });

  test('concurrent inserts with the same key insert one row', async () => {
    const { input, context } = await prepare(tool, { op: 'insert', table: 'audit', rows: [{ what: 'once' }] });
    await Promise.all(Array.from({ length: 8 }, () => tool.execute(input, context)));
    expect(await shop.sql(`SELECT count(*)::int AS n FROM audit WHERE what = 'once'`)).toEqual([{ n: 1 }]);
  });

  test('an insert whose rows another attempt with its key commits meanwhile returns what that one did', async () => {
    const id = await order();
    const rows = [{ order_id: id, line: 1, sku: 'a' }];
    const { input, context } = await prepare(tool, { op: 'insert', table: 'order_items', rows });
    const attempt = new pg.Client({ connectionString: shop.url });
    await attempt.connect();
    await attempt.query('BEGIN');
    await attempt.query(`INSERT INTO order_items (order_id, line, sku) VALUES ($1, 1, 'a')`, [id]);
    await attempt.query(
      `INSERT INTO countersign_effects.effects (key, status, input, execution) VALUES ($1, 'done', $2, '{"result":7}')`,
      [context.idempotencyKey, digest(input)],
    );
    // Its snapshot has neither the rows nor the record of the key.
    const execution = tool.execute(input, context);
    await shop.blocked();
    await attempt.query('COMMIT');
    await attempt.end();
    expect(await execution).toEqual({ result: 7 });
    // Rows that nobody with this key has made stay in the way.
    const other = { ...context, idempotencyKey: randomUUID() };
    await expectCode(tool.execute(input, other), 'STATE_CHANGED');
  });

  test('a key that was used for one input is refused for another', async () => {
    const [one, two] = [await order(), await order()];
    const first = await act(tool, setStatus(one));
    const second = await prepare(tool, setStatus(two), { idempotencyKey: first.key });
    await expectCode(second.execute(), 'TOOL_FAILED');
    expect(await statusOf(two)).toBe('open');
  });

  test('a look-up waits for an attempt that is about to commit, and then returns yes', async () => {
    const { input, context } = await prepare(tool, { op: 'insert', table: 'audit', rows: [{ what: 'looked up' }] });
    await act(tool, setStatus(await order()));
    // Holds an uncommitted record of the key, as an attempt does before its commit.
    const attempt = new pg.Client({ connectionString: shop.url });
    await attempt.connect();
    await attempt.query('BEGIN');
    await attempt.query(
      `INSERT INTO countersign_effects.effects (key, status, input, execution) VALUES ($1, 'done', $2, '{"result":7}')`,
      [context.idempotencyKey, digest(input)],
    );
    const found = tool.lookUp?.(context.idempotencyKey, { signal: never() });
    await shop.blocked();
    await attempt.query('COMMIT');
    await attempt.end();
    expect(await found).toEqual({ happened: 'yes', execution: { result: 7 } });
  });

  test('a look-up whose wait times out returns unknown, and never no', async () => {
    await act(tool, setStatus(await order()));
    const attempt = new pg.Client({ connectionString: shop.url });
    await attempt.connect();
    const key = randomUUID();
    await attempt.query('BEGIN');
    await attempt.query(`INSERT INTO countersign_effects.effects (key, status) VALUES ($1, 'done')`, [key]);
    expect(await tool.lookUp?.(key, { signal: never() })).toMatchObject({ happened: 'unknown' });
    await attempt.query('ROLLBACK');
    await attempt.end();
  }, 30_000);

  test('an attempt that hangs while its key is declared void cannot commit any more', async () => {
    const id = await order();
    const { context, execute } = await prepare(tool, setStatus(id));
    const late = await withRowLocked(id, async (release) => {
      const lateAttempt = failureOf(execute());
      await shop.blocked();
      expect(await tool.lookUp?.(context.idempotencyKey, { signal: never() })).toEqual({ happened: 'no' });
      await release('ROLLBACK');
      return await lateAttempt;
    });
    expect(late.code).toBe('TOOL_FAILED');
    expect(await statusOf(id)).toBe('open');
  });

  test('the table of effects is created once, even when many need it at the same time', async () => {
    const fresh = Array.from({ length: 6 }, () => shop.tool({ effectsSchema: 'other_effects' }));
    const ids = await Promise.all(fresh.map(() => order()));
    await Promise.all(fresh.map((one, at) => act(one, setStatus(ids[at] ?? 0))));
    expect(await shop.sql('SELECT count(*)::int AS n FROM other_effects.effects')).toEqual([{ n: 6 }]);
  });

  test('a role that may not create the table gets an error with the SQL for an administrator', async () => {
    await shop.sql(`DROP ROLE IF EXISTS clerk`);
    await shop.sql(`CREATE ROLE clerk LOGIN PASSWORD 'clerk-secret'; GRANT SELECT, UPDATE ON orders TO clerk`);
    const url = new URL(shop.url);
    url.username = 'clerk';
    url.password = 'clerk-secret';
    const restricted = shop.tool({ url: url.href, effectsSchema: 'clerk_effects' });
    const id = await order();
    const error = await expectCode(act(restricted, setStatus(id)), 'TOOL_FAILED');
    expect(error.fix).toContain('CREATE TABLE IF NOT EXISTS "clerk_effects".effects');
    expect(await statusOf(id)).toBe('open');
    await shop.sql(error.fix?.replace(/^[^\n]*\n/, '') ?? '');
    await shop.sql(
      'GRANT USAGE ON SCHEMA clerk_effects TO clerk; GRANT SELECT, INSERT ON clerk_effects.effects TO clerk',
    );
    await act(restricted, setStatus(id));
    expect(await statusOf(id)).toBe('sent');
    await restricted.close();
    await shop.sql('DROP OWNED BY clerk; DROP ROLE clerk');
  });
});

describe('the captured state', () => {
  test('a row changed between capture and execution stops it', async () => {
    const id = await order();
    const { execute } = await prepare(tool, setStatus(id));
    await shop.sql(`UPDATE orders SET total = 99 WHERE id = $1`, [id]);
    await expectCode(execute(), 'STATE_CHANGED');
    expect(await statusOf(id)).toBe('open');
  });

  test('a row that matches only since the capture stops it', async () => {
    const id = await order('odd');
    const { execute } = await prepare(tool, { op: 'delete', table: 'orders', where: { status: 'odd' } });
    const other = await order('odd');
    await expectCode(execute(), 'STATE_CHANGED');
    expect([await statusOf(id), await statusOf(other)]).toEqual(['odd', 'odd']);
  });

  test('a row changed by a transaction that commits while the statement waits for it stops it', async () => {
    const id = await order();
    const { execute } = await prepare(tool, setStatus(id));
    const failure = await withRowLocked(id, async (release) => {
      const attempt = failureOf(execute());
      await shop.blocked();
      await release('ROLLBACK');
      return await attempt.catch(() => undefined);
    }).catch(() => undefined);
    // The row was only locked and not changed, so the execution succeeds.
    expect(failure).toBeUndefined();
    const second = await prepare(tool, setStatus(id, 'late'));
    const holder = new pg.Client({ connectionString: shop.url });
    await holder.connect();
    await holder.query('BEGIN');
    await holder.query('UPDATE orders SET total = 5 WHERE id = $1', [id]);
    const attempt = failureOf(second.execute());
    await shop.blocked();
    await holder.query('COMMIT');
    await holder.end();
    expect((await attempt).code).toBe('STATE_CHANGED');
    expect(await statusOf(id)).toBe('sent');
  });

  test('an execution that would change more or fewer rows than previewed is rolled back', async () => {
    const id = await order();
    await expectCode(act(tool, setStatus(id), { rows: 2 }), 'CONSTRAINT_VIOLATED');
    await expectCode(act(tool, setStatus(id), { rows: 0 }), 'CONSTRAINT_VIOLATED');
    expect(await statusOf(id)).toBe('open');
  });
});

describe('connections that break', () => {
  let proxy: Proxy;
  let behind: Tool<PostgresInput>;
  beforeEach(async () => {
    proxy = await startProxy(shop.url);
    // The catalog is cached, so that the first COMMIT of an execution is that of the effect.
    behind = shop.tool({ url: proxy.url, timeoutMs: 1_500, catalogMaxAgeMs: 60_000 });
    return async () => {
      await behind.close();
      await proxy.close();
    };
  });

  test('a commit whose response is lost is found by its key, and reported as done', async () => {
    const id = await order();
    const { execute } = await prepare(behind, {
      op: 'sql',
      sql: `UPDATE orders SET total = total + 1 WHERE id = ${id}`,
    });
    proxy.loseReplyTo('COMMIT');
    expect(await execute()).toMatchObject({ result: { rowCount: 1 }, affectedRows: { orders: 1 } });
    expect(proxy.cuts).toBe(1);
    expect(await shop.sql('SELECT total FROM orders WHERE id = $1', [id])).toEqual([{ total: '1.00' }]);
  });

  test('a commit after which the database stays unreachable is unknown, and a later look-up resolves it', async () => {
    const id = await order();
    const { hostname, port, username, password, pathname } = new URL(proxy.url);
    const leaving = shop.tool({
      connection: {
        host: hostname,
        port: Number(port),
        user: username,
        database: pathname.slice(1),
        password: () => {
          if (proxy.cuts > 0) throw new Error('the database is away');
          return decodeURIComponent(password);
        },
      },
      catalogMaxAgeMs: 60_000,
    });
    const { context, execute } = await prepare(leaving, setStatus(id));
    proxy.loseReplyTo('COMMIT');
    const error = await expectCode(execute(), 'EFFECT_UNKNOWN');
    expect(error.retryable).toBe(false);
    expect(await tool.lookUp?.(context.idempotencyKey, { signal: never() })).toMatchObject({ happened: 'yes' });
    expect(await statusOf(id)).toBe('sent');
  });

  test('a backend that is terminated during the transaction leaves nothing, and the error is retryable', async () => {
    const id = await order();
    const { input, context } = await prepare(tool, setStatus(id));
    const error = await withRowLocked(id, async () => {
      const attempt = failureOf(tool.execute(input, context));
      await shop.sql('SELECT pg_terminate_backend($1)', [await shop.blocked()]);
      return await attempt;
    });
    expect(error).toMatchObject({ code: 'TOOL_UNAVAILABLE', retryable: true });
    expect(await statusOf(id)).toBe('open');
    await tool.execute(input, context);
    expect(await statusOf(id)).toBe('sent');
  });

  test('a network that drops everything leads to an error, not to endless waiting', async () => {
    const id = await order();
    const { execute } = await prepare(behind, setStatus(id));
    proxy.silence();
    const error = await failureOf(execute());
    expect(['TOOL_UNAVAILABLE', 'TOOL_FAILED', 'EFFECT_UNKNOWN']).toContain(error.code);
    expect(await statusOf(id)).toBe('open');
  }, 40_000);

  test('a database that is down is unavailable, and the password is in no error', async () => {
    const url = new URL(shop.url);
    url.port = '1';
    url.password = 'very-secret';
    const down = shop.tool({ url: url.href });
    for (const attempt of [
      () => down.preview(down.input.parse(setStatus(1)), { signal: never() }),
      () => down.execute(down.input.parse(setStatus(1)), { ...CONTEXT, idempotencyKey: randomUUID() }),
      () => Promise.resolve(down.lookUp?.('k', { signal: never() })),
    ]) {
      const error = await failureOf(attempt());
      expect(error).toMatchObject({ code: 'TOOL_UNAVAILABLE', retryable: true });
      expect(JSON.stringify(error) + String(error.stack) + JSON.stringify(error.cause)).not.toContain('very-secret');
    }
  });

  test('a wrong password is unavailable, not retryable, and not in the error', async () => {
    const url = new URL(shop.url);
    url.password = 'wrong-secret';
    const error = await failureOf(
      shop.tool({ url: url.href }).preview(tool.input.parse(setStatus(1)), { signal: never() }),
    );
    expect(error).toMatchObject({ code: 'TOOL_UNAVAILABLE', retryable: false });
    expect(JSON.stringify(error) + String(error.stack)).not.toContain('wrong-secret');
  });
});

const CONTEXT = { preDigest: 'sha256:', constraints: [], rows: 1, signal: never(), heartbeat: () => {} } as const;

describe('cancellation and time', () => {
  test('a cancelled execution is stopped on the server and rolled back before it is reported', async () => {
    const id = await order();
    const controller = new AbortController();
    const { execute } = await prepare(tool, setStatus(id), { signal: controller.signal });
    const error = await withRowLocked(id, async () => {
      const attempt = failureOf(execute());
      const pid = await shop.blocked();
      controller.abort();
      const failure = await attempt;
      expect(
        await shop.sql(`SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'`, [pid]),
      ).toEqual([]);
      return failure;
    });
    expect(error).toMatchObject({ code: 'TOOL_FAILED' });
    expect(error.message).toContain('rolled back');
    expect(await statusOf(id)).toBe('open');
  });

  test('an execution that takes longer than policy allows is rolled back', async () => {
    const id = await order();
    const constraints = [{ name: 'timeoutMs', value: 200, policy: 'quick' }];
    const { execute } = await prepare(tool, setStatus(id), { constraints });
    const error = await withRowLocked(id, () => failureOf(execute()));
    expect(['TOOL_FAILED', 'TOOL_UNAVAILABLE']).toContain(error.code);
    expect(await statusOf(id)).toBe('open');
  });

  test('it sends heartbeats while a statement runs', async () => {
    const id = await order();
    let beats = 0;
    const { execute } = await prepare(tool, setStatus(id), { heartbeat: () => void beats++ });
    await withRowLocked(id, async (release) => {
      const attempt = execute();
      await shop.blocked();
      const before = beats;
      await until(
        async () => beats,
        (now) => now > before,
      );
      await release('ROLLBACK');
      await attempt;
    });
    expect(await statusOf(id)).toBe('sent');
  });

  test('reading stops when its time is over', async () => {
    const slow = `SELECT count(*) FROM generate_series(1, 1000000000) a`;
    const controller = new AbortController();
    const attempt = failureOf(tool.preview(tool.input.parse({ op: 'sql', sql: slow }), { signal: controller.signal }));
    await until(
      () =>
        shop.sql(
          `SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%1000000000%' AND pid <> pg_backend_pid()`,
        ),
      (rows) => rows.length > 0,
    );
    controller.abort();
    expect((await attempt).code).toBe('TOOL_UNAVAILABLE');
    await until(
      () =>
        shop.sql(
          `SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%1000000000%' AND pid <> pg_backend_pid()`,
        ),
      (rows) => rows.length === 0,
    );
  });
});

describe('triggers, cascades and rules', () => {
  async function withTrigger<T>(timing: string, body: string, during: () => Promise<T>): Promise<T> {
    await shop.sql(
      `CREATE FUNCTION acts() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body} END $$; CREATE TRIGGER acts ${timing} FOR EACH ROW EXECUTE FUNCTION acts()`,
    );
    try {
      return await during();
    } finally {
      await shop.sql('DROP FUNCTION acts CASCADE');
    }
  }
  const LOGS = `INSERT INTO audit (what) VALUES ('order ' || NEW.id); RETURN NEW;`;
  const auditCount = async (): Promise<unknown> => (await shop.sql('SELECT count(*)::int AS n FROM audit'))[0]?.['n'];

  test('a trigger that writes to a table nobody named: rolled back, with the table and the count', async () => {
    const id = await order();
    const before = await auditCount();
    await withTrigger('AFTER UPDATE ON orders', LOGS, async () => {
      const preview = await tool.preview(tool.input.parse(setStatus(id)), { signal: never() });
      expect(preview.warnings).toEqual(['trigger acts on orders runs']);
      const error = await expectCode(act(tool, setStatus(id)), 'CONSTRAINT_VIOLATED');
      expect(error.message).toContain('audit (1)');
    });
    expect(await statusOf(id)).toBe('open');
    expect(await auditCount()).toBe(before);
  });

  test('the same trigger passes when the operator listed the table', async () => {
    const id = await order();
    await withTrigger('AFTER UPDATE ON orders', LOGS, async () => {
      const performed = await act(shop.tool({ sideEffectTables: ['audit'] }), setStatus(id));
      expect(performed.execution.affectedRows).toEqual({ orders: 1, audit: 1 });
      expect(performed.checks.filter((one) => !one.ok)).toEqual([]);
    });
  });

  test('a trigger that is deferred to the commit is detected too', async () => {
    const id = await order();
    await shop.sql(
      `CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${LOGS} END $$;
       CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON orders DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late()`,
    );
    try {
      await expectCode(act(tool, setStatus(id)), 'CONSTRAINT_VIOLATED');
    } finally {
      await shop.sql('DROP FUNCTION late CASCADE');
    }
    expect(await statusOf(id)).toBe('open');
  });

  test('counts of an earlier transaction on the same connection do not affect the next', async () => {
    const one = shop.tool({ maxConnections: 1, sideEffectTables: ['audit'] });
    await withTrigger('AFTER UPDATE ON orders', LOGS, () => order().then((id) => act(one, setStatus(id))));
    const performed = await act(one, setStatus(await order()));
    expect(performed.execution.affectedRows).toEqual({ orders: 1 });
  });

  test('a trigger that changes other rows of the same table: rolled back', async () => {
    const [id, other] = [await order(), await order()];
    const body = `IF pg_trigger_depth() < 2 THEN UPDATE orders SET note = 'hit' WHERE id = ${other}; END IF; RETURN NEW;`;
    await withTrigger('AFTER UPDATE ON orders', body, () =>
      expectCode(act(tool, setStatus(id)), 'CONSTRAINT_VIOLATED'),
    );
    expect(await shop.sql('SELECT note FROM orders WHERE id = $1', [other])).toEqual([{ note: null }]);
  });

  test('a trigger that truncates another table is detected although nothing counts as deleted', async () => {
    await shop.sql(`CREATE TABLE victims (id int PRIMARY KEY); INSERT INTO victims VALUES (1)`);
    await withTrigger('AFTER UPDATE ON orders', 'TRUNCATE victims; RETURN NEW;', async () => {
      const error = await expectCode(act(tool, setStatus(await order())), 'CONSTRAINT_VIOLATED');
      expect(error.message).toContain('pg_catalog.pg_class');
    });
    expect(await shop.sql('SELECT id FROM victims')).toEqual([{ id: 1 }]);
  });

  test('a trigger that silently suppresses the change: rolled back', async () => {
    const id = await order();
    await withTrigger('BEFORE UPDATE ON orders', 'RETURN NULL;', async () => {
      const error = await expectCode(act(tool, setStatus(id)), 'CONSTRAINT_VIOLATED');
      expect(error.message).toContain('changed 0 rows');
    });
  });

  test('a trigger that turns it into another row: rolled back', async () => {
    const id = await order();
    await withTrigger('BEFORE UPDATE ON orders', 'NEW.id := NEW.id + 1000000; RETURN NEW;', async () => {
      const error = await expectCode(act(tool, setStatus(id)), 'CONSTRAINT_VIOLATED');
      expect(error.message).toContain(`such as ${id + 1_000_000}`);
    });
    expect(await statusOf(id)).toBe('open');
  });

  test('a trigger that silently undoes the change: committed, and verification says so', async () => {
    const id = await order();
    await withTrigger('BEFORE UPDATE ON orders', 'NEW.status := OLD.status; RETURN NEW;', async () => {
      const { checks } = await act(tool, setStatus(id));
      expect(checks.find((one) => one.name === 'derived')).toEqual({
        name: 'derived',
        ok: false,
        detail: `0 of 1 row is as expected; orders/${id}.status is "open", expected "sent"`,
      });
    });
  });

  test('a trigger that changes another column: verification says so, unless the operator listed the column', async () => {
    const body = `NEW.note := 'by trigger'; RETURN NEW;`;
    await withTrigger('BEFORE UPDATE ON orders', body, async () => {
      const strict = await act(tool, setStatus(await order()));
      expect(strict.checks.filter((one) => !one.ok).map((one) => one.name)).toEqual(['frame.columns']);
      const lenient = await act(shop.tool({ maintainedColumns: ['note'] }), setStatus(await order()));
      expect(lenient.checks.filter((one) => !one.ok)).toEqual([]);
    });
  });

  test('without a rehearsal, a delete that would cascade is refused before anybody is asked, and passes when the table is listed', async () => {
    const id = await order();
    await shop.sql(`INSERT INTO order_items VALUES ($1, 1, 'a'), ($1, 2, 'b')`, [id]);
    const gone = { op: 'delete', table: 'orders', where: { id } };
    const error = await expectCode(act(shop.tool({ rehearse: 'never' }), gone), 'INVALID_INPUT');
    expect(error.message).toContain('2 rows of order_items');
    const lenient = shop.tool({ sideEffectTables: ['order_items'], rehearse: 'never' });
    const performed = await act(lenient, gone);
    expect(performed.preview.warnings).toEqual(['foreign key: cascade on 2 rows of order_items']);
    expect(performed.execution.affectedRows).toEqual({ orders: 1, order_items: 2 });
  });

  test('without a rehearsal, a row that would cascade only since the preview: rolled back', async () => {
    const id = await order();
    const between = async (): Promise<void> =>
      void (await shop.sql(`INSERT INTO order_items VALUES ($1, 1, 'a')`, [id]));
    const error = await expectCode(
      act(shop.tool({ rehearse: 'never' }), { op: 'delete', table: 'orders', where: { id } }, { between }),
      'CONSTRAINT_VIOLATED',
    );
    expect(error.message).toContain('order_items (1)');
    expect(await statusOf(id)).toBe('open');
  });

  test('a rule that rewrites a delete into an update: nothing happens', async () => {
    const id = await order();
    await shop.sql(
      `CREATE RULE keep AS ON DELETE TO orders DO INSTEAD UPDATE orders SET status = 'deleted' WHERE id = OLD.id`,
    );
    try {
      const gone = { op: 'delete', table: 'orders', where: { id } };
      const unrehearsed = shop.tool({ rehearse: 'never' });
      const preview = await unrehearsed.preview(tool.input.parse(gone), { signal: never() });
      expect(preview.warnings).toContain('rule keep on orders rewrites the statement');
      expect(['TOOL_FAILED', 'CONSTRAINT_VIOLATED']).toContain((await failureOf(act(unrehearsed, gone))).code);
      await expectCode(tool.preview(tool.input.parse(gone), { signal: never() }), 'INVALID_INPUT');
    } finally {
      await shop.sql('DROP RULE keep ON orders');
    }
    expect(await statusOf(id)).toBe('open');
  });

  test('a rule that also writes elsewhere: rolled back', async () => {
    const id = await order();
    await shop.sql(`CREATE RULE note AS ON UPDATE TO orders DO ALSO INSERT INTO audit (what) VALUES ('by rule')`);
    try {
      expect(['TOOL_FAILED', 'CONSTRAINT_VIOLATED']).toContain((await failureOf(act(tool, setStatus(id)))).code);
    } finally {
      await shop.sql('DROP RULE note ON orders');
    }
    expect(await statusOf(id)).toBe('open');
    expect(await shop.sql(`SELECT 1 FROM audit WHERE what = 'by rule'`)).toEqual([]);
  });

  test('rows that row-level security hides are neither counted nor changed, and the preview says that there may be some', async () => {
    await shop.sql(`DROP ROLE IF EXISTS viewer; CREATE ROLE viewer LOGIN PASSWORD 'v'`);
    await shop.sql(
      `CREATE TABLE secrets (id int PRIMARY KEY, owner text, v int); INSERT INTO secrets VALUES (1, 'viewer', 0), (2, 'boss', 0)`,
    );
    await shop.sql(
      `ALTER TABLE secrets ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON secrets USING (owner = current_user)`,
    );
    await shop.sql(`GRANT SELECT, UPDATE ON secrets TO viewer; CREATE SCHEMA viewer_effects AUTHORIZATION viewer`);
    const url = new URL(shop.url);
    url.username = 'viewer';
    url.password = 'v';
    const viewer = shop.tool({ url: url.href, effectsSchema: 'viewer_effects' });
    const performed = await act(viewer, { op: 'update', table: 'secrets', set: { v: 1 }, all: true });
    expect(performed.preview).toMatchObject({
      rows: 1,
      warnings: ['row-level security on secrets hides rows from this tool'],
    });
    expect(await shop.sql('SELECT id, v FROM secrets ORDER BY id')).toEqual([
      { id: 1, v: 1 },
      { id: 2, v: 0 },
    ]);
    await viewer.close();
    await shop.sql('DROP OWNED BY viewer; DROP ROLE viewer; DROP TABLE secrets');
  });

  test("the database's refusal comes back with its message, and without other rows' data", async () => {
    const error = await expectCode(
      act(tool, { op: 'insert', table: 'customers', rows: [{ id: 1, name: 'Twice' }] }),
      'TOOL_FAILED',
    );
    expect(error.message).toContain('customers_pkey');
    const performed = await expectCode(
      act(tool, { op: 'update', table: 'customers', set: { email: 'c2@example.com' }, where: { id: 1 } }),
      'TOOL_FAILED',
    );
    expect(performed.message).not.toContain('c2@example.com');
  });
});

describe('partitions', () => {
  test('moving a row to another partition is one changed row of the table', async () => {
    await shop.sql(`
      CREATE TABLE events (id int, region text, v int, PRIMARY KEY (id)) PARTITION BY RANGE (id);
      CREATE TABLE events_low PARTITION OF events FOR VALUES FROM (0) TO (100);
      CREATE TABLE events_high PARTITION OF events FOR VALUES FROM (100) TO (200);
      CREATE TABLE regions (id int, region text, v int) PARTITION BY LIST (region);
      CREATE TABLE regions_eu PARTITION OF regions FOR VALUES IN ('eu');
      CREATE TABLE regions_us PARTITION OF regions FOR VALUES IN ('us');
      ALTER TABLE regions ADD PRIMARY KEY (id, region);
      INSERT INTO events VALUES (1, 'eu', 0), (150, 'us', 0)`);
    const performed = await act(tool, { op: 'update', table: 'events', set: { v: 1 }, all: true });
    expect(performed.execution.affectedRows).toEqual({ events: 2 });
    expect(performed.checks.filter((one) => !one.ok)).toEqual([]);
    await shop.sql(`CREATE TABLE spans (id int PRIMARY KEY, v int); CREATE TABLE child_spans () INHERITS (spans)`);
    await expectCode(act(tool, { op: 'update', table: 'spans', set: { v: 1 }, all: true }), 'INVALID_INPUT');
  });

  test('of a table that a trigger writes count as that table', async () => {
    await shop.sql(`
      CREATE TABLE sources (id int PRIMARY KEY, v int); INSERT INTO sources VALUES (1, 0);
      CREATE TABLE log (id int, v int) PARTITION BY RANGE (id);
      CREATE TABLE log_low PARTITION OF log FOR VALUES FROM (0) TO (100);
      CREATE TABLE log_high PARTITION OF log FOR VALUES FROM (100) TO (200);
      CREATE FUNCTION logs() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (1, 0), (150, 0), (151, 0); RETURN NEW; END $$;
      CREATE TRIGGER logs BEFORE UPDATE ON sources FOR EACH ROW EXECUTE FUNCTION logs()`);
    const change = { op: 'update', table: 'sources', set: { v: 1 }, where: { id: 1 } };
    const error = await expectCode(act(tool, change), 'CONSTRAINT_VIOLATED');
    expect(error.message).toContain('log (3)');
    const performed = await act(shop.tool({ sideEffectTables: ['log'] }), change);
    expect(performed.execution.affectedRows).toEqual({ sources: 1, log: 3 });
    expect(performed.checks.filter((one) => !one.ok)).toEqual([]);
  });
});

describe('a check of the tool', () => {
  test('prepares its record of effects, and says when its role may not use it', async () => {
    await tool.check?.({ signal: never() });
    const role = `limited_${randomUUID().slice(0, 8)}`;
    await shop.sql(`CREATE ROLE ${role} LOGIN PASSWORD 'limited'`);
    const url = new URL(shop.url);
    url.username = role;
    url.password = 'limited';
    const limited = shop.tool({ connection: { connectionString: url.href } });
    const error = await expectCode(limited.check?.({ signal: never() }) ?? Promise.resolve(), 'TOOL_FAILED');
    expect(error.message).toContain('may not use the table');
    expect(error.fix).toContain('GRANT');
    await shop.sql(`GRANT USAGE ON SCHEMA countersign_effects TO ${role};
      GRANT SELECT, INSERT ON countersign_effects.effects TO ${role}`);
    await limited.check?.({ signal: never() });
    await limited.close();
    await shop.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  });
});

describe('secret columns', () => {
  test('are named in the preview, and no check quotes their values', async () => {
    const id = await order();
    const secretive = shop.tool({ secretColumns: ['status'] });
    const { input, preview, pre, context, execute } = await prepare(secretive, setStatus(id, 'hush'));
    expect(preview.secretColumns).toEqual(['status']);
    const execution = await execute();
    await shop.sql(`UPDATE orders SET status = 'loud' WHERE id = $1`, [id]);
    const post = await secretive.capture(input, { after: { pre, execution } }, { signal: never() });
    const delta = { patch: [], operations: 0, latencyMs: 0 };
    const details = secretive.verify({ input, preview, pre, post, delta, execution }).map(({ detail }) => detail ?? '');
    expect(details.join()).toContain(`orders/${id}.status, a secret column, is not as expected`);
    expect(details.join()).not.toMatch(/hush|loud/);
    expect(context.rows).toBe(1);
  });
});
