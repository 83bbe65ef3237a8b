import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { zodError } from '../../src/action/proposal.js';
import { postgres, type PostgresInput } from '../../src/tools/index.js';
import type { Tool } from '../../src/tools/tool.js';
import { act, expectCode, never } from './conformance.js';
import { openShop, type Shop } from './shop.js';

let shop: Shop;
let tool: Tool<PostgresInput>;

beforeAll(async () => {
  shop = await openShop();
  tool = shop.tool();
});
afterAll(async () => {
  await shop.stop();
});

async function rows(raw: object): Promise<unknown> {
  const performed = await act(tool, raw);
  return (performed.execution.result as { rows: unknown }).rows;
}

async function ids(where: object): Promise<unknown[]> {
  return ((await rows({ op: 'select', table: 'orders', columns: ['id'], where })) as { id: string }[]).map(({ id }) =>
    Number(id),
  );
}

describe('inputs', () => {
  test.each<[string, object, string]>([
    ['an unknown operation', { op: 'drop', table: 'orders' }, 'op'],
    ['an update of no named row', { op: 'update', table: 'orders', set: { status: 'x' } }, 'where'],
    ['an update with an empty condition', { op: 'update', table: 'orders', set: { status: 'x' }, where: {} }, 'where'],
    ['a delete of no named row', { op: 'delete', table: 'orders' }, 'where'],
    ['a delete with an empty condition', { op: 'delete', table: 'orders', where: {} }, 'where'],
    ['all, and a condition', { op: 'delete', table: 'orders', where: { id: 1 }, all: true }, 'where'],
    ['keys, and a condition', { op: 'delete', table: 'orders', where: { id: 1 }, keys: ['1'] }, 'where'],
    ['all: false', { op: 'delete', table: 'orders', all: false }, 'all'],
    ['nothing to set', { op: 'update', table: 'orders', set: {}, where: { id: 1 } }, 'set'],
    ['no rows to insert', { op: 'insert', table: 'orders', rows: [] }, 'rows'],
    ['an empty list', { op: 'delete', table: 'orders', where: { id: { in: [] } } }, 'where'],
    ['a condition without operator', { op: 'delete', table: 'orders', where: { id: {} } }, 'where'],
    ['an unknown operator', { op: 'delete', table: 'orders', where: { id: { regex: '.*' } } }, 'where'],
    ['null in a list', { op: 'delete', table: 'orders', where: { id: { in: [null] } } }, 'where'],
    ['a limit that is too high', { op: 'select', table: 'orders', limit: 1_001 }, 'limit'],
    [
      'an unknown direction',
      { op: 'select', table: 'orders', orderBy: [{ column: 'id', direction: 'asc; DROP' }] },
      'orderBy',
    ],
    ['a field too many', { op: 'select', table: 'orders', having: '1=1' }, 'having'],
  ])('%s is refused by the schema, naming the field', (_, raw, field) => {
    const { error } = tool.input.safeParse(raw);
    expect(error && zodError('INVALID_INPUT', error, 'input').message).toContain(field);
  });

  test.each<[string, object, string]>([
    ['an unknown table', { op: 'select', table: 'nothing' }, 'input.table'],
    ['a system table', { op: 'select', table: 'pg_class' }, 'input.table'],
    ['another schema', { op: 'select', table: 'pg_catalog.pg_class' }, 'input.table'],
    ['an unknown column', { op: 'select', table: 'orders', columns: ['id', 'nope'] }, 'input.columns.1'],
    [
      'an unknown column in the order',
      { op: 'select', table: 'orders', orderBy: [{ column: 'nope' }] },
      'input.orderBy.0.column',
    ],
    ['an unknown column in the condition', { op: 'delete', table: 'orders', where: { nope: 1 } }, 'input.where.nope'],
    [
      'an unknown column to set',
      { op: 'update', table: 'orders', set: { nope: 1 }, where: { id: 1 } },
      'input.set.nope',
    ],
    ['an unknown column to insert', { op: 'insert', table: 'orders', rows: [{ nope: 1 }] }, 'input.rows'],
    ['the same key twice', { op: 'insert', table: 'orders', rows: [{ id: 1 }, { id: 1 }] }, 'input.rows'],
    ['a restore without a key', { op: 'restore', table: 'orders', rows: [{ status: 'x' }] }, 'input.rows'],
    [
      'a restore of uneven rows',
      { op: 'restore', table: 'orders', rows: [{ id: 1 }, { id: 2, status: 'x' }] },
      'input.rows',
    ],
    ['a key of the wrong length', { op: 'delete', table: 'order_items', keys: ['1'] }, 'input.keys'],
    ['a value that does not fit', { op: 'delete', table: 'orders', where: { id: 'one' } }, 'input'],
  ])('%s is refused by the preview, naming the field and what exists', async (_, raw, field) => {
    const error = await expectCode(tool.preview(tool.input.parse(raw), { signal: never() }), 'INVALID_INPUT');
    expect(error.field).toBe(field);
    expect(error.expected).toBeTruthy();
    expect(error.fix).toBeTruthy();
  });

  test('the refusal of a column names the columns of the table', async () => {
    const input = tool.input.parse({ op: 'delete', table: 'customers', where: { nope: 1 } });
    const error = await expectCode(tool.preview(input, { signal: never() }), 'INVALID_INPUT');
    expect(error.expected).toBe('one of id, name, email, tier');
  });

  test('invalid configuration is refused at once, and the error does not contain the password', () => {
    const base = { name: 'x', environment: 'test' };
    for (const options of [
      base,
      { ...base, url: 'postgres://a', connection: {} },
      { ...base, url: 'postgres://user:pa ss@host:port' },
      { ...base, url: 'mysql://user:secret@host/db' },
      { ...base, url: 'postgres://h/db', schema: 'countersign_effects' },
      { ...base, url: 'postgres://h/db', tables: ['countersign_effects.effects'] },
    ]) {
      let error: unknown;
      try {
        postgres(options);
      } catch (caught) {
        error = caught;
      }
      expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
      expect(String((error as Error).stack)).not.toMatch(/pa ss|secret/);
    }
  });
});

describe('conditions match the right rows', () => {
  test.each<[object, number[]]>([
    [{ id: 3 }, [3]],
    [{ id: '3' }, [3]],
    [{ id: { in: [1, 2, '3'] } }, [1, 2, 3]],
    [{ id: { lt: 3 } }, [1, 2]],
    [{ id: { gte: 19, lte: 20 } }, [19, 20]],
    [{ id: { gt: 18 }, status: 'open' }, [20]],
    [{ id: { lte: 4 }, status: { ne: 'open' } }, [1, 3]],
    [{ status: { like: 'op%' }, id: { lt: 5 } }, [2, 4]],
    [{ status: { eq: 'open' }, id: { lt: 3 } }, [2]],
    [{ note: null, id: 1 }, [1]],
    [{ note: { isNull: true }, id: 1 }, [1]],
    [{ note: { isNull: false } }, []],
    [{ total: { gt: '190.5' } }, [20]],
    [{ placed_at: { gt: '2024-05-01T09:59:59Z', lt: '2024-05-01T12:00:01+02:00' }, id: { lt: 3 } }, [1, 2]],
    [{ status: `' OR true --` }, []],
  ])('%j', async (where, expected) => {
    expect(await ids(where)).toEqual(expected);
  });

  test('columns, order and limit', async () => {
    expect(
      await rows({
        op: 'select',
        table: 'orders',
        columns: ['id', 'status'],
        orderBy: [{ column: 'status', direction: 'desc' }],
        limit: 3,
      }),
    ).toEqual([
      { id: '1', status: 'paid' },
      { id: '3', status: 'paid' },
      { id: '5', status: 'paid' },
    ]);
    expect(
      await rows({ op: 'select', table: 'customers', orderBy: [{ column: 'id', direction: 'desc' }], limit: 1 }),
    ).toEqual([{ id: 5, name: 'Customer 5', email: 'c5@example.com', tier: 'basic' }]);
  });

  test('a table without a key is read in a fixed order, and written only when it is rehearsed', async () => {
    await shop.sql(`CREATE TABLE loose (a int, j json); INSERT INTO loose VALUES (2, '1'), (1, '2'), (3, NULL)`);
    expect(await rows({ op: 'select', table: 'loose', columns: ['a'] })).toEqual([{ a: 1 }, { a: 2 }, { a: 3 }]);
    for (const raw of [
      { op: 'insert', table: 'loose', rows: [{ a: 1 }] },
      { op: 'update', table: 'loose', set: { a: 1 }, all: true },
      { op: 'delete', table: 'loose', all: true },
    ]) {
      const error = await expectCode(act(shop.tool({ rehearse: 'never' }), raw), 'INVALID_INPUT');
      expect(error.message).toContain('loose has no primary key');
    }
    await shop.sql(`CREATE TABLE named (code text NOT NULL UNIQUE, v int); INSERT INTO named VALUES ('a', 1)`);
    const performed = await act(tool, { op: 'update', table: 'named', set: { v: 2 }, where: { code: 'a' } });
    expect(performed.pre).toEqual({ named: { a: { code: 'a', v: 1 } } });
  });
});

describe('previews', () => {
  test('summarize the action in one line, with rows as they are or as they would be', async () => {
    const shown = async (raw: object) => await tool.preview(tool.input.parse(raw), { signal: never() });
    expect(await shown({ op: 'select', table: 'customers', columns: ['id'], limit: 2 })).toEqual({
      rows: 2,
      targets: [],
      reads: ['customers'],
      schemaChange: false,
      sample: [{ id: 1 }, { id: 2 }],
      summary: 'read 2 rows from customers',
    });
    expect(
      await shown({ op: 'update', table: 'customers', set: { tier: 'gold' }, where: { id: { in: [1, 2] } } }),
    ).toMatchObject({
      rows: 2,
      targets: ['customers'],
      reads: [],
      sample: [
        { id: 1, tier: 'basic' },
        { id: 2, tier: 'basic' },
      ],
      columns: { customers: ['id', 'name', 'email', 'tier'] },
      summary: 'update 2 rows of customers: set tier',
    });
    expect(await shown({ op: 'insert', table: 'customers', rows: [{ id: 9, name: 'New' }] })).toMatchObject({
      rows: 1,
      sample: [{ id: 9, name: 'New' }],
      summary: 'insert 1 row into customers',
    });
    expect(
      await shown({
        op: 'insert',
        table: 'customers',
        rows: [
          { id: 1, name: 'Twice' },
          { id: 2, name: 'Twice' },
        ],
      }),
    ).toMatchObject({
      warnings: ['2 rows with a key given here are there already, so the insert will fail'],
    });
    expect(await shown({ op: 'delete', table: 'audit', all: true })).toMatchObject({
      rows: 0,
      summary: 'delete 0 rows from audit',
    });
  });
});

describe('an insert with values from the database', () => {
  test('defaults, generated keys and rows of different columns', async () => {
    const performed = await act(tool, {
      op: 'insert',
      table: 'orders',
      rows: [{ customer_id: 1 }, { total: '3.5', note: 'n' }, {}, { customer_id: null, placed_at: '2024-01-01' }],
    });
    expect(performed.execution.created?.['orders']).toHaveLength(4);
    expect(performed.checks.filter((one) => !one.ok)).toEqual([]);
    const [first, second, third, fourth] = Object.values(performed.post['orders'] as Record<string, object>);
    expect(first).toMatchObject({ customer_id: 1, status: 'open', total: '0.00' });
    expect(second).toMatchObject({ customer_id: null, total: '3.50', note: 'n' });
    expect(third).toMatchObject({ customer_id: null, status: 'open' });
    expect(fourth).toMatchObject({ placed_at: '2024-01-01T00:00:00Z' });
    await act(tool, tool.compensate?.(performed.input, performed.pre, performed.post));
  });

  test('a row of nothing but defaults', async () => {
    const performed = await act(tool, { op: 'insert', table: 'orders', rows: [{}] });
    expect(performed.checks.filter((one) => !one.ok)).toEqual([]);
    await act(tool, tool.compensate?.(performed.input, performed.pre, performed.post));
  });
});

describe('compensation', () => {
  const everything = async (): Promise<unknown> => [
    await shop.sql('SELECT * FROM orders ORDER BY id'),
    await shop.sql('SELECT * FROM order_items ORDER BY 1, 2'),
  ];

  test.each<[string, object]>([
    [
      'an update of many rows with different values',
      { op: 'sql', sql: `UPDATE orders SET total = total * 2, note = 'n' || id WHERE id > 5` },
    ],
    ['a delete of many rows', { op: 'delete', table: 'orders', where: { status: 'paid' } }],
    ['an insert of many rows', { op: 'insert', table: 'orders', rows: [{ total: 1 }, { total: 2 }] }],
    [
      'an insert of rows with two keys',
      { op: 'insert', table: 'order_items', rows: [4, 6].map((line) => ({ order_id: line, line, sku: 's' })) },
    ],
    [
      'a raw insert from a query',
      { op: 'sql', sql: 'INSERT INTO orders (customer_id, total) SELECT id, 1 FROM customers' },
    ],
    ['a truncate', { op: 'sql', sql: 'TRUNCATE order_items' }],
  ])('%s: the proposed compensation restores the exact state', async (_, raw) => {
    await shop.sql(`INSERT INTO order_items VALUES (2, 1, 'a'), (2, 2, 'b') ON CONFLICT DO NOTHING`);
    const before = await everything();
    const performed = await act(tool, raw);
    expect(await everything()).not.toEqual(before);
    const undone = await act(tool, tool.compensate?.(performed.input, performed.pre, performed.post));
    expect(undone.checks.filter((one) => !one.ok)).toEqual([]);
    expect(await everything()).toEqual(before);
  });

  test('a restore can itself be undone', async () => {
    const gone = await act(tool, { op: 'update', table: 'orders', set: { note: 'x' }, where: { id: { in: [2, 3] } } });
    const undone = await act(tool, tool.compensate?.(gone.input, gone.pre, gone.post));
    const redone = await act(tool, tool.compensate?.(undone.input, undone.pre, undone.post));
    expect(redone.post).toEqual(gone.post);
    await act(tool, tool.compensate?.(redone.input, redone.pre, redone.post));
    expect(await shop.sql('SELECT note FROM orders WHERE note IS NOT NULL')).toEqual([]);
  });

  test('identity columns that are always generated are restored with their values', async () => {
    const inserted = await act(tool, { op: 'insert', table: 'audit', rows: [{ what: 'a' }, { what: 'b' }] });
    const removed = await act(tool, {
      op: 'delete',
      table: 'audit',
      keys: [...(inserted.execution.created?.['audit'] ?? [])],
    });
    const undone = await act(tool, tool.compensate?.(removed.input, removed.pre, removed.post));
    expect(undone.post).toEqual(removed.pre);
  });

  test('there is none when nothing changed, or when one action cannot undo the change', async () => {
    const nothing = await act(tool, { op: 'update', table: 'orders', set: { note: 'x' }, where: { id: -1 } });
    expect(tool.compensate?.(nothing.input, nothing.pre, nothing.post)).toBeUndefined();
    const read = await act(tool, { op: 'select', table: 'orders' });
    expect(tool.compensate?.(read.input, read.pre, read.post)).toBeUndefined();
    const altered = await act(tool, { op: 'sql', sql: 'ALTER TABLE audit ADD COLUMN extra int' });
    expect(tool.compensate?.(altered.input, altered.pre, altered.post)).toBeUndefined();
    const mixed = await act(tool, {
      op: 'restore',
      table: 'customers',
      rows: [
        { id: 1, name: 'Old', email: null, tier: 'basic' },
        { id: 77, name: 'New', email: null, tier: 'basic' },
      ],
    });
    expect(mixed.checks.filter((one) => !one.ok)).toEqual([]);
    expect(mixed.execution).toMatchObject({ affectedRows: { customers: 2 }, created: { customers: ['77'] } });
    expect(tool.compensate?.(mixed.input, mixed.pre, mixed.post)).toBeUndefined();
  });
});
