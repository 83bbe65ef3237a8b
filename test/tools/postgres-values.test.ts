import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { assertJson, type Json } from '../../src/action/json.js';
import type { PostgresInput } from '../../src/tools/index.js';
import type { Tool } from '../../src/tools/tool.js';
import { keyOf, splitKey } from '../../src/tools/postgres/rows.js';
import type { Table } from '../../src/tools/postgres/catalog.js';
import { act, expectCode, never } from './conformance.js';
import { openShop, type Shop } from './shop.js';

let shop: Shop;
let tool: Tool<PostgresInput>;

beforeAll(async () => {
  shop = await openShop();
  await shop.sql(`
    CREATE TYPE mood AS ENUM ('good', 'so, so');
    CREATE TYPE pair AS (a int, b text);
    CREATE DOMAIN posint AS int CHECK (VALUE > 0);
    CREATE TABLE kinds (
      id int PRIMARY KEY, small smallint, big bigint, num numeric, price numeric(12, 2), single real, double double precision, yes boolean,
      txt text, short varchar(5), fixed char(5), bytes bytea, day date, clock time, zoned_clock timetz, moment timestamp, instant timestamptz,
      span interval, uid uuid, js json, jsb jsonb, ip inet, net cidr, mac macaddr, bits bit varying, m mood, p pair, d posint, r int4range,
      ints int[], texts text[], bigs bigint[], nums numeric[], moods mood[], instants timestamptz[], docs jsonb[], flags boolean[], pt point, x xml, o oid, n name,
      twice int GENERATED ALWAYS AS (small * 2) STORED
    )`);
  tool = shop.tool({ catalogMaxAgeMs: 60_000 });
});
afterAll(async () => {
  await shop.stop();
});

let nextId = 1;

/** Stores the value of an SQL literal and reads it back through a capture. */
async function read(column: string, literal: string): Promise<Json | undefined> {
  const id = nextId++;
  await shop.sql(`INSERT INTO kinds (id, ${column}) VALUES (${id}, ${literal})`);
  const state = await tool.capture(
    tool.input.parse({ op: 'delete', table: 'kinds', where: { id } }),
    {},
    { signal: never() },
  );
  assertJson(state, 'state');
  return (state['kinds'] as Record<string, Record<string, Json>>)[String(id)]?.[column];
}

const DIGITS = '1234567890'.repeat(40);

const VALUES: [column: string, literal: string, json: Json][] = [
  ['small', '-32768', -32768],
  ['big', '9223372036854775807', '9223372036854775807'],
  ['big', '-9223372036854775808', '-9223372036854775808'],
  ['big', '0', '0'],
  ['num', DIGITS, DIGITS],
  ['num', `0.${DIGITS}`, `0.${DIGITS}`],
  ['num', '1.10', '1.10'],
  ['num', `'NaN'`, 'NaN'],
  ['num', `'-Infinity'`, '-Infinity'],
  ['price', '5', '5.00'],
  ['single', '0.1', 0.1],
  ['double', '0.30000000000000004', 0.30000000000000004],
  ['double', `'NaN'`, 'NaN'],
  ['double', `'Infinity'`, 'Infinity'],
  ['double', '1e300', '1e+300'],
  ['double', '9007199254740991', 9007199254740991],
  ['double', '9007199254740992', '9.007199254740992e+15'],
  ['double', '5e-324', 5e-324],
  ['double', `'-0'`, '-0'],
  ['yes', 'true', true],
  ['yes', 'false', false],
  ['txt', `E'a\\tb\\n"\\\\ ünï 😀'`, 'a\tb\n"\\ ünï 😀'],
  ['txt', `''`, ''],
  ['txt', `'null'`, 'null'],
  ['txt', 'NULL', null],
  ['short', `'abc'`, 'abc'],
  ['fixed', `'ab'`, 'ab   '],
  ['bytes', `'\\x00ff'`, '\\x00ff'],
  ['day', `'2024-02-29'`, '2024-02-29'],
  ['day', `'infinity'`, 'infinity'],
  ['day', `'0044-03-15 BC'`, '0044-03-15 BC'],
  ['clock', `'23:59:59.999999'`, '23:59:59.999999'],
  ['zoned_clock', `'10:00+02'`, '10:00:00+02'],
  ['moment', `'2024-05-01 10:00:00.123456'`, '2024-05-01T10:00:00.123456'],
  ['moment', `'-infinity'`, '-infinity'],
  ['instant', `'2024-05-01 10:00:00.123456+02'`, '2024-05-01T08:00:00.123456Z'],
  ['instant', `'2024-05-01 10:00:00Z'`, '2024-05-01T10:00:00Z'],
  ['instant', `'infinity'`, 'infinity'],
  ['instant', `'0001-01-01 00:00:00Z BC'`, '0001-01-01 00:00:00+00 BC'],
  ['span', `'1 year 2 days 3.5 seconds'`, 'P1Y2DT3.5S'],
  ['uid', `'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'`, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  ['jsb', `'{"b": [1, 2.5, null, "x"], "a": {}}'`, { a: {}, b: [1, 2.5, null, 'x'] }],
  ['jsb', `'"text"'`, 'text'],
  ['jsb', `'null'`, { $json: 'null' }],
  ['jsb', 'NULL', null],
  ['jsb', `'{"n": 12345678901234567890}'`, { $json: '{"n": 12345678901234567890}' }],
  ['jsb', `'{"n": 1e400}'`, { $json: `{"n": 1${'0'.repeat(400)}}` }],
  ['jsb', `'{"$json": "x"}'`, { $json: '{"$json": "x"}' }],
  ['jsb', `'{"__proto__": 1}'`, { $json: '{"__proto__": 1}' }],
  ['jsb', `(repeat('[', 60) || repeat(']', 60))::jsonb`, { $json: '['.repeat(60) + ']'.repeat(60) }],
  ['js', `'{"a": 1, "a": 2}'`, { $json: '{"a": 1, "a": 2}' }],
  ['ip', `'10.0.0.1'`, '10.0.0.1'],
  ['net', `'10.0.0.0/8'`, '10.0.0.0/8'],
  ['mac', `'08:00:2b:01:02:03'`, '08:00:2b:01:02:03'],
  ['bits', `B'0101'`, '0101'],
  ['m', `'so, so'`, 'so, so'],
  ['p', `ROW(1, 'a,b')`, '(1,"a,b")'],
  ['d', '5', 5],
  ['r', `'[1,5)'`, '[1,5)'],
  ['ints', 'ARRAY[1, NULL, 3]', [1, null, 3]],
  ['ints', `'{}'`, []],
  [
    'ints',
    'ARRAY[[1, 2], [3, 4]]',
    [
      [1, 2],
      [3, 4],
    ],
  ],
  ['ints', `'[0:1]={5,6}'`, '[0:1]={5,6}'],
  ['texts', `ARRAY['a,b', '"', '\\', 'NULL', NULL, '{}', '']`, ['a,b', '"', '\\', 'NULL', null, '{}', '']],
  ['bigs', 'ARRAY[9223372036854775807]', ['9223372036854775807']],
  ['nums', `ARRAY['NaN', 1.50]::numeric[]`, ['NaN', '1.50']],
  ['moods', `'{good,"so, so"}'`, ['good', 'so, so']],
  ['instants', `ARRAY['2024-05-01 10:00Z'::timestamptz]`, ['2024-05-01T10:00:00Z']],
  ['docs', `ARRAY['{"a": [1]}', '[1, 2]', 'null', NULL]::jsonb[]`, [{ a: [1] }, [1, 2], { $json: 'null' }, null]],
  ['flags', 'ARRAY[true, false]', [true, false]],
  ['pt', `'(1,2)'`, '(1,2)'],
  ['x', `'<a/>'`, '<a/>'],
  ['o', '4294967295', 4294967295],
  ['n', `'name'`, 'name'],
];

describe('values are converted exactly', () => {
  test.each(VALUES)('%s %s', async (column, literal, json) => {
    expect(await read(column, literal)).toEqual(json);
  });

  test.each(VALUES)('%s %s is unchanged after a restore', async (column, literal) => {
    const id = nextId++;
    await shop.sql(`INSERT INTO kinds (id, ${column}) VALUES (${id}, ${literal})`);
    // Compared as text, except json, whose spaces and duplicate keys are not preserved.
    const text = `SELECT (${column === 'js' ? 'js::jsonb' : column})::text AS text FROM kinds WHERE id = ${id}`;
    const before = await shop.sql(text);
    const gone = await act(tool, { op: 'delete', table: 'kinds', where: { id } });
    expect(await shop.sql(text)).toEqual([]);
    const undone = await act(tool, tool.compensate?.(gone.input, gone.pre, gone.post));
    expect(undone.checks.filter((one) => !one.ok)).toEqual([]);
    expect(undone.post).toEqual(gone.pre);
    expect(await shop.sql(text)).toEqual(before);
  });

  test('generated columns are not part of the state, because they follow from the others', async () => {
    expect(await read('small', '3')).toBe(3);
    const [row] = await shop.sql('SELECT id FROM kinds WHERE small = 3');
    const where = { id: row?.['id'] };
    const performed = await act(tool, { op: 'update', table: 'kinds', set: { small: 4 }, where });
    expect(performed.checks.filter((one) => !one.ok)).toEqual([]);
    const selected = await act(tool, { op: 'select', table: 'kinds', columns: ['twice'], where });
    expect(selected.execution.result).toEqual({ rowCount: 1, rows: [{ twice: 8 }] });
  });
});

describe('values that are set are compared in the form of the database', () => {
  test.each<[string, Json, Json]>([
    ['price', 5, '5.00'],
    ['price', '5.005', '5.01'],
    ['num', '1e3', '1000'],
    ['big', 5, '5'],
    ['big', '0005', '5'],
    ['double', '1e2', 100],
    ['yes', 'on', true],
    ['fixed', 'a', 'a    '],
    ['instant', '2024-05-01 12:00+02', '2024-05-01T10:00:00Z'],
    ['moment', '2024-05-01', '2024-05-01T00:00:00'],
    ['day', '2024-05-01T23:00:00', '2024-05-01'],
    ['span', '90 minutes', 'PT1H30M'],
    ['uid', 'A0EEBC999C0B4EF8BB6D6BB9BD380A11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
    ['bytes', '\\xFF', '\\xff'],
    ['jsb', { b: 1, a: [1.0] }, { a: [1], b: 1 }],
    ['ints', [1, '2'], [1, 2]],
    ['m', 'good', 'good'],
    ['r', '[1,4]', '[1,5)'],
    ['txt', 12, '12'],
    ['short', 'abcde', 'abcde'],
    ['d', '7', 7],
  ])('%s = %j reads %j', async (column, given, stored) => {
    const id = nextId++;
    await shop.sql(`INSERT INTO kinds (id) VALUES (${id})`);
    const updated = await act(tool, { op: 'update', table: 'kinds', set: { [column]: given }, where: { id } });
    // Recorded only when the form differs from the given value.
    const { assigned } = updated.execution.result as { assigned?: object[] };
    expect({ [column]: given, ...assigned?.[0] }).toEqual({ [column]: stored });
    expect(updated.checks.filter((one) => !one.ok)).toEqual([]);
    const inserted = await act(tool, { op: 'insert', table: 'kinds', rows: [{ id: nextId++, [column]: given }] });
    expect(inserted.checks.filter((one) => !one.ok)).toEqual([]);
  });

  test.each<[string, Json]>([
    ['d', 0],
    ['small', '70000'],
    ['m', 'furious'],
    ['day', 'yesterday-ish'],
    ['yes', 'perhaps'],
    ['jsb', { $json: '{' }],
  ])('%s = %j does not fit the column, and the preview says so', async (column, given) => {
    for (const raw of [
      { op: 'update', table: 'kinds', set: { [column]: given }, where: { id: 1 } },
      { op: 'insert', table: 'kinds', rows: [{ id: 0, [column]: given }] },
    ]) {
      const error = await expectCode(tool.preview(tool.input.parse(raw), { signal: never() }), 'INVALID_INPUT');
      expect(error.message).toMatch(/invalid|violates|range/);
    }
  });

  test('a value that only the statement itself can refuse is rolled back', async () => {
    const error = await expectCode(
      act(tool, { op: 'insert', table: 'kinds', rows: [{ id: nextId++, short: 'too long' }] }),
      'TOOL_FAILED',
    );
    expect(error.message).toContain('rolled back');
  });

  test('an object or array for a plain column is refused without a query', async () => {
    for (const given of [{ a: 1 }, [1]]) {
      const error = await expectCode(
        act(tool, { op: 'update', table: 'kinds', set: { txt: given }, where: { id: 1 } }),
        'INVALID_INPUT',
      );
      expect(error.field).toBe('input.set.txt');
    }
  });

  test('the values of many rows that the database computes are read together', async () => {
    const rows = Array.from({ length: 800 }, (_, at) => ({
      id: nextId++,
      price: at,
      num: `${at}.50`,
      instant: '2024-01-01',
    }));
    const performed = await act(tool, { op: 'insert', table: 'kinds', rows });
    expect(performed.checks.filter((one) => !one.ok)).toEqual([]);
    expect(performed.execution.result).toMatchObject({ rowCount: 800 });
    const many = Array.from({ length: 9_000 }, (_, at) => ({ id: 1_000_000 + at, price: at }));
    await expectCode(
      tool.preview(tool.input.parse({ op: 'insert', table: 'kinds', rows: many }), { signal: never() }),
      'INVALID_INPUT',
    );
  });
});

describe('keys', () => {
  test('of several columns identify one row each, whatever their values', () => {
    const key = [{ name: 'a' }, { name: 'b' }, { name: 'c' }];
    const table = { key } as unknown as Table;
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.string(), fc.string(), fc.string()), { minLength: 2, maxLength: 20 }),
        (tuples) => {
          const keys = tuples.map(([a, b, c]) => keyOf(table, { a, b, c }));
          expect(keys.map((one) => splitKey(table.key, one))).toEqual(tuples);
          expect(new Set(keys).size).toBe(new Set(tuples.map((tuple) => JSON.stringify(tuple))).size);
        },
      ),
    );
  });

  test('with commas, backslashes and unusual names survive a round trip through the database', async () => {
    await shop.sql(`CREATE TABLE odd (a text, b timestamptz, c boolean, v int, PRIMARY KEY (a, b, c))`);
    const rows = ['x,y', '\\', ',', '\\,', '', 'ü', '__proto', 'constructor'].map((a) => ({
      a,
      b: '2024-01-01T00:00:00Z',
      c: true,
      v: 1,
    }));
    const inserted = await act(tool, { op: 'insert', table: 'odd', rows });
    expect(inserted.checks.filter((one) => !one.ok)).toEqual([]);
    const updated = await act(tool, { op: 'update', table: 'odd', set: { v: 2 }, all: true });
    expect(updated.checks.filter((one) => !one.ok)).toEqual([]);
    await act(tool, tool.compensate?.(updated.input, updated.pre, updated.post));
    expect(await shop.sql('SELECT DISTINCT v FROM odd')).toEqual([{ v: 1 }]);
    await act(tool, tool.compensate?.(inserted.input, inserted.pre, inserted.post));
    expect(await shop.sql('SELECT * FROM odd')).toEqual([]);
  });

  test('a row or column named __proto__ is refused rather than lost', async () => {
    await shop.sql(`CREATE TABLE protos (id text PRIMARY KEY); INSERT INTO protos VALUES ('__proto__')`);
    await expectCode(
      tool.capture(tool.input.parse({ op: 'delete', table: 'protos', all: true }), {}, { signal: never() }),
      'INVALID_JSON',
    );
    await shop.sql(
      `CREATE TABLE proto_columns (id int PRIMARY KEY, "__proto__" int); INSERT INTO proto_columns VALUES (1, 2)`,
    );
    await expectCode(
      tool.capture(tool.input.parse({ op: 'delete', table: 'proto_columns', all: true }), {}, { signal: never() }),
      'INVALID_JSON',
    );
    expect(await shop.sql('SELECT count(*)::int AS n FROM protos')).toEqual([{ n: 1 }]);
  });
});
