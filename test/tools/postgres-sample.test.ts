/** The sample of other rows: it shows changes by anybody, and excludes what the action itself changes. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { digest } from '../../src/action/json.js';
import { postgres, type FrameOptions, type PostgresInput } from '../../src/tools/index.js';
import type { Tool } from '../../src/tools/tool.js';
import { sampleCheck, takeSample } from '../../src/verify/index.js';
import { expectCode, never } from './conformance.js';
import { openShop, type Shop } from './shop.js';

let shop: Shop;
let tool: Tool<PostgresInput>;

beforeAll(async () => {
  shop = await openShop();
  await shop.sql('CREATE TABLE log (what text)');
});
afterAll(() => shop.stop());
beforeEach(async () => {
  await shop.sql('TRUNCATE orders, order_items, audit RESTART IDENTITY CASCADE');
  await shop.sql(
    `INSERT INTO orders (id, customer_id, status, total) SELECT i, 1 + i % 5, 'open', i FROM generate_series(1, 20) i`,
  );
  tool = shop.tool({ frame: { sampleRows: 10, tables: ['customers'] } });
});

/** Runs an action with its samples. `meanwhile` runs right after the effect. */
async function sampled(raw: object, meanwhile?: string, on = tool) {
  const input = on.input.parse(raw);
  const preview = await on.preview(input, { signal: never() });
  const pre = await on.capture(input, {}, { signal: never() });
  const before = await takeSample(on, input, { pre, after: false }, never());
  if ('problem' in before) throw new Error(before.problem);
  const execution = await on.execute(input, {
    idempotencyKey: randomUUID(),
    preDigest: digest(pre),
    constraints: [],
    rows: preview.rows,
    signal: never(),
    heartbeat: () => {},
  });
  if (meanwhile !== undefined) await shop.sql(meanwhile);
  const after = await takeSample(on, input, { pre, execution, after: true }, never());
  return {
    before: before.state,
    after,
    check: sampleCheck({ before: before.state, after, pre, execution }),
    pre,
    execution,
  };
}

const CLOSE = { op: 'update', table: 'orders', set: { status: 'closed' }, where: { id: { lte: 3 } } };

describe('what the action itself does is not in the sample', () => {
  test.each<[string, object]>([
    ['an update', CLOSE],
    ['an update that its own condition no longer means', { ...CLOSE, where: { status: 'open', id: { lte: 3 } } }],
    ['a delete', { op: 'delete', table: 'orders', where: { id: { in: [1, 5] } } }],
    [
      'an insert that comes first',
      {
        op: 'insert',
        table: 'orders',
        rows: [
          { id: -5, customer_id: 1 },
          { id: 99, customer_id: 2 },
        ],
      },
    ],
    ['raw SQL', { op: 'sql', sql: `UPDATE orders SET total = total + 1 WHERE id % 2 = 0` }],
  ])('%s', async (_, raw) => {
    const { check, before, after } = await sampled(raw);
    expect(check).toEqual({ name: 'frame.sample', ok: true });
    expect(after).toEqual({ state: before });
    expect(before).toMatchObject({ orders: { rows: 10 }, customers: { rows: 5 } });
  });

  test('a read takes no sample', async () => {
    expect((await sampled({ op: 'select', table: 'orders', limit: 1 })).before).toEqual({});
  });

  test('a change of definition samples only the other tables', async () => {
    const { check, before } = await sampled({
      op: 'sql',
      sql: 'ALTER TABLE orders ADD COLUMN IF NOT EXISTS extra int',
    });
    expect(Object.keys(before)).toEqual(['customers']);
    expect(check.ok).toBe(true);
  });
});

describe('what others change at the same time', () => {
  test.each<[string, string, string]>([
    ['another row of the same table', `UPDATE orders SET note = 'x' WHERE id = 5`, 'orders'],
    ['a row that vanishes', 'DELETE FROM orders WHERE id = 7', 'orders'],
    ['a row that appears', 'INSERT INTO orders (id, customer_id) VALUES (-1, 1)', 'orders'],
    ['another table', `UPDATE customers SET tier = 'gold' WHERE id = 2`, 'customers'],
  ])(
    '%s is reported and does not fail the check, because the server counted what the action wrote',
    async (_, sql, table) => {
      const { check } = await sampled(CLOSE, sql);
      expect(check).toMatchObject({
        ok: true,
        detail: expect.stringContaining(`changed in ${table}: another's doing`) as string,
      });
      await shop.sql(`UPDATE customers SET tier = 'basic'`);
    },
  );

  test('fails the check when the count does not exclude the action', async () => {
    const { before, after, pre, execution } = await sampled(CLOSE, `UPDATE orders SET note = 'x' WHERE id = 5`);
    const beyond = { ...execution, affectedRows: { orders: 4 } };
    expect(sampleCheck({ before, after, pre, execution: beyond }).ok).toBe(false);
    expect(sampleCheck({ before, after, pre, execution: undefined }).ok).toBe(false);
  });

  test('beyond the sampled rows is not noticed', async () => {
    expect((await sampled(CLOSE, `UPDATE orders SET note = 'x' WHERE id = 20`)).check).toEqual({
      name: 'frame.sample',
      ok: true,
    });
  });
});

describe('a sample is bounded', () => {
  test('in rows, and in what history carries', async () => {
    const { before } = await sampled(CLOSE, undefined, shop.tool({ frame: { sampleRows: 2 } }));
    expect(before).toEqual({ orders: { rows: 2, digest: expect.stringMatching(/^md5:[0-9a-f]{32}$/) as string } });
  });

  test('in time: before the effect it stops the action', async () => {
    await shop.sql(`CREATE TABLE wide (id int PRIMARY KEY, body text NOT NULL)`);
    await shop.sql(`INSERT INTO wide SELECT i, repeat(md5(i::text), 40000) FROM generate_series(1, 150) i`);
    const slow = shop.tool({ frame: { sampleRows: 1000, tables: ['wide'], timeoutMs: 100 } });
    const input = slow.input.parse(CLOSE);
    await expectCode(takeSample(slow, input, { pre: {}, after: false }, never()), 'TOOL_FAILED');
    expect(await takeSample(slow, input, { pre: {}, after: true }, never())).toMatchObject({
      problem: expect.stringContaining('timeout') as string,
    });
  });

  test('to tables that exist, have a key and are covered by the tool', async () => {
    const take = (tables: readonly string[]) => {
      const odd = shop.tool({ frame: { sampleRows: 5, tables } });
      return takeSample(odd, odd.input.parse(CLOSE), { pre: {}, after: false }, never());
    };
    expect((await expectCode(take(['nowhere']), 'INVALID_INPUT')).message).toContain('nowhere');
    await expectCode(take(['log']), 'CONFIG_INVALID');
    await expectCode(take(['countersign_effects.effects']), 'INVALID_INPUT');
  });

  test.each<[string, FrameOptions]>([
    ['sampleRows', { sampleRows: 0 }],
    ['sampleRows', { sampleRows: 1001 }],
    ['timeoutMs', { sampleRows: 1, timeoutMs: 10 }],
    ['tables', { sampleRows: 1, tables: Array.from({ length: 21 }, (_, at) => `t${at}`) }],
    ['tables', { sampleRows: 1, tables: ['audit'] }],
  ])('%s out of bounds is refused', (field, frame) => {
    const make = () =>
      postgres({
        name: 'db',
        environment: 'test',
        url: 'postgres://x@127.0.0.1:1/y',
        sideEffectTables: ['audit'],
        frame,
      });
    expect(make).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID', field: `frame.${field}` }) as Error);
  });

  test('a tool without the option has none', () => {
    expect(shop.tool()).not.toHaveProperty('sample');
  });
});
