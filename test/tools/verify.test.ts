import { describe, expect, test } from 'vitest';
import type { Preview } from '../../src/action/decision.js';
import type { Json } from '../../src/action/json.js';
import type { Check } from '../../src/action/outcome.js';
import { postgres } from '../../src/tools/index.js';
import type { Execution } from '../../src/tools/tool.js';

const tool = postgres({
  name: 'shop-db',
  environment: 'test',
  url: 'postgres://nobody@127.0.0.1:1/none',
  sideEffectTables: ['audit'],
  maintainedColumns: ['updated_at'],
});

type Rows = Record<string, Record<string, Json>>;

function verify(
  raw: object,
  pre: Rows,
  post: Rows,
  execution: Execution | undefined,
  rows = Object.keys(pre).length,
): Record<string, Check> {
  const preview: Preview = { rows, targets: ['t'], reads: [], schemaChange: false, sample: [], summary: '' };
  const checks = tool.verify({
    input: tool.input.parse(raw),
    preview,
    pre: { t: pre },
    post: { t: post },
    delta: { patch: [], operations: 0, latencyMs: 0 },
    execution,
  });
  return Object.fromEntries(checks.map((one) => [one.name, one]));
}

const failed = (checks: Record<string, Check>): string[] =>
  Object.values(checks)
    .filter((one) => !one.ok)
    .map((one) => one.name);

const UPDATE = { op: 'update', table: 't', set: { a: 5 }, where: { b: 'x' } };
const RAW = { op: 'sql', sql: `UPDATE t SET a = 5, c = c + 1 WHERE b = 'x'` };
const DONE: Execution = { result: { rowCount: 2, assigned: [{ a: '5.00' }] }, affectedRows: { t: 2 } };
const PRE: Rows = { '1': { id: 1, a: '1.00', b: 'x', c: 1 }, '2': { id: 2, a: '2.00', b: 'x', c: 1 } };
const POST: Rows = { '1': { id: 1, a: '5.00', b: 'x', c: 1 }, '2': { id: 2, a: '5.00', b: 'x', c: 1 } };

describe('an update', () => {
  test('that changed what it should passes every check', () => {
    expect(failed(verify(UPDATE, PRE, POST, DONE))).toEqual([]);
    expect(failed(verify(RAW, PRE, { '1': { ...POST['1'], c: 2 }, '2': { ...POST['2'], c: 2 } }, DONE))).toEqual([]);
  });

  test('of which one row kept its value: derived, naming table, key, column, expected and actual', () => {
    const checks = verify(UPDATE, PRE, { ...POST, '2': PRE['2'] ?? {} }, DONE);
    expect(failed(checks)).toEqual(['derived']);
    expect(checks['derived']?.detail).toBe('1 of 2 rows are as expected; t/2.a is "2.00", expected "5.00"');
  });

  test('of which one row vanished: derived and frame.rows', () => {
    const checks = verify(UPDATE, PRE, { '1': POST['1'] ?? {} }, DONE);
    expect(failed(checks)).toEqual(['derived', 'frame.rows']);
    expect(checks['frame.rows']?.detail).toBe('t/2 vanished');
  });

  test('that also changed another column: frame.columns', () => {
    const checks = verify(UPDATE, PRE, { ...POST, '1': { ...POST['1'], c: 9 } }, DONE);
    expect(failed(checks)).toEqual(['frame.columns']);
    expect(checks['frame.columns']?.detail).toBe('t/1.c is 9, expected 1');
    expect(failed(verify(RAW, PRE, { ...POST, '1': { ...POST['1'], b: 'y' } }, DONE))).toEqual(['frame.columns']);
  });

  test('that also changed a column which the operator listed as maintained passes', () => {
    const withTime = (rows: Rows, at: string): Rows =>
      Object.fromEntries(Object.entries(rows).map(([key, row]) => [key, { ...row, updated_at: at }]));
    expect(failed(verify(UPDATE, withTime(PRE, 'then'), withTime(POST, 'now'), DONE))).toEqual([]);
  });

  test('reports rows that match only now, and fails only when the counts do not exclude the action', () => {
    const more = { ...POST, '3': { id: 3, a: '1.00', b: 'x', c: 1 } };
    const cleared = verify(UPDATE, PRE, more, DONE);
    expect(failed(cleared)).toEqual([]);
    expect(cleared['frame.rows']?.detail).toContain('1 more rows match by now');
    expect(failed(verify(UPDATE, PRE, more, { ...DONE, affectedRows: { t: 3 } }))).toEqual([
      'frame.rows',
      'frame.affectedTables',
    ]);
    expect(failed(verify(UPDATE, PRE, more, { result: DONE.result }))).toEqual(['frame.rows', 'frame.affectedTables']);
  });

  test('whose transaction wrote elsewhere: frame.affectedTables, except for tables the operator listed', () => {
    expect(failed(verify(UPDATE, PRE, POST, { ...DONE, affectedRows: { t: 2, audit: 1 } }))).toEqual([]);
    const checks = verify(UPDATE, PRE, POST, { ...DONE, affectedRows: { t: 2, other: 4 } });
    expect(failed(checks)).toEqual(['frame.affectedTables']);
    expect(checks['frame.affectedTables']?.detail).toBe('other: expected no change, 4 rows written');
    expect(failed(verify(UPDATE, PRE, POST, { ...DONE, affectedRows: {} }))).toEqual(['frame.affectedTables']);
  });

  test('without a record of the execution is not verified', () => {
    expect(failed(verify({ ...UPDATE, set: { a: '5.00' } }, PRE, POST, undefined))).toEqual([
      'derived',
      'frame.affectedTables',
    ]);
  });

  test('describes only the first five differences', () => {
    const many = Object.fromEntries(Array.from({ length: 9 }, (_, id) => [String(id), { id, a: '1.00' }]));
    const detail = verify(UPDATE, many, many, DONE)['derived']?.detail ?? '';
    expect(detail.split('; ')).toHaveLength(7);
    expect(detail).toContain('and 4 more');
  });

  test('with an added or lost column has changed a row', () => {
    const { c: _, ...less } = POST['1'] ?? {};
    expect(failed(verify(UPDATE, PRE, { ...POST, '1': less }, DONE))).toEqual(['frame.columns']);
    expect(failed(verify(UPDATE, PRE, { ...POST, '1': { ...POST['1'], d: null } }, DONE))).toEqual(['frame.columns']);
  });
});

describe('a delete', () => {
  const DELETE = { op: 'delete', table: 't', where: { b: 'x' } };
  const GONE: Execution = { result: { rowCount: 2 }, affectedRows: { t: 2 } };

  test('passes when the rows do not exist any more, and fails when one does', () => {
    expect(failed(verify(DELETE, PRE, {}, GONE))).toEqual([]);
    const checks = verify(DELETE, PRE, { '2': PRE['2'] ?? {} }, GONE);
    expect(failed(checks)).toEqual(['derived']);
    expect(checks['derived']?.detail).toBe('1 of 2 rows are as expected; t/2 is there, expected to be gone');
  });

  test('that removed more than was expected fails', () => {
    expect(failed(verify(DELETE, PRE, {}, { ...GONE, affectedRows: { t: 3 } }))).toEqual(['frame.affectedTables']);
  });
});

describe('an insert', () => {
  const INSERT = { op: 'insert', table: 't', rows: [{ a: 5 }, { a: 6 }] };
  const MADE: Execution = {
    result: { rowCount: 2, assigned: [{ a: '5.00' }, { a: '6.00' }] },
    affectedRows: { t: 2 },
    created: { t: ['7', '8'] },
  };
  const ROWS: Rows = { '7': { id: 7, a: '5.00', b: 'd' }, '8': { id: 8, a: '6.00', b: 'd' } };

  test('passes when the rows exist with their values', () => {
    expect(failed(verify(INSERT, {}, ROWS, MADE, 2))).toEqual([]);
  });

  test('fails when a row is missing, has another value, or was added', () => {
    expect(failed(verify(INSERT, {}, { '7': ROWS['7'] ?? {} }, MADE, 2))).toEqual(['derived']);
    expect(failed(verify(INSERT, {}, { ...ROWS, '8': { ...ROWS['8'], a: '5.00' } }, MADE, 2))).toEqual(['derived']);
    expect(
      failed(verify(INSERT, {}, { ...ROWS, '9': { id: 9, a: '1.00' } }, { ...MADE, affectedRows: { t: 3 } }, 2)),
    ).toEqual(['frame.rows', 'frame.affectedTables']);
    expect(failed(verify(INSERT, {}, ROWS, MADE, 3))).toEqual(['derived', 'frame.affectedTables']);
    expect(failed(verify(INSERT, {}, ROWS, { ...MADE, created: { t: ['7'] } }, 2))).toEqual(['derived']);
  });
});

describe('a restore', () => {
  const RESTORE = { op: 'restore', table: 't', rows: Object.values(PRE) };
  const BACK: Execution = { result: { rowCount: 2 }, affectedRows: { t: 2 }, created: { t: ['2'] } };

  test('passes when every row is as expected', () => {
    expect(failed(verify(RESTORE, { '1': POST['1'] ?? {} }, PRE, BACK, 2))).toEqual([]);
  });

  test('fails when a row is missing or different', () => {
    expect(failed(verify(RESTORE, { '1': POST['1'] ?? {} }, { '1': PRE['1'] ?? {} }, BACK, 2))).toEqual(['derived']);
    expect(failed(verify(RESTORE, { '1': POST['1'] ?? {} }, POST, BACK, 2))).toEqual(['derived']);
  });
});

describe('a change of definition', () => {
  const column = (type: string, more: object = {}): Json => ({
    type,
    notNull: false,
    default: null,
    identity: null,
    generated: null,
    ...more,
  });
  const table = (columns: Record<string, Json>, more: object = {}): Json => ({
    columns,
    constraints: {},
    indexes: {},
    triggers: {},
    ...more,
  });

  function judge(
    sql: string,
    before: Record<string, Json>,
    after: Record<string, Json>,
    others = 'md5:same',
  ): string[] {
    const checks = tool.verify({
      input: tool.input.parse({ op: 'sql', sql }),
      preview: { rows: 0, targets: Object.keys(before), reads: [], schemaChange: true, sample: [], summary: '' },
      pre: { $schema: { ...before, $others: 'md5:same' } },
      post: { $schema: { ...after, $others: others } },
      delta: { patch: [], operations: 0, latencyMs: 0 },
      execution: { result: null, affectedRows: {} },
    });
    return checks.filter((one) => !one.ok).map((one) => one.name);
  }

  const T = table({ id: column('integer'), a: column('text') });

  test.each<[string, Record<string, Json>, Record<string, Json>]>([
    ['CREATE TABLE t (id int, a text)', { t: null }, { t: null }],
    ['CREATE TABLE t (id int, a text)', { t: null }, { t: table({ id: column('integer') }) }],
    ['DROP TABLE t', { t: T }, { t: T }],
    ['ALTER TABLE t ADD COLUMN b int', { t: T }, { t: T }],
    [
      'ALTER TABLE t ADD COLUMN b int',
      { t: T },
      { t: table({ id: column('bigint'), a: column('text'), b: column('integer') }) },
    ],
    ['ALTER TABLE t DROP COLUMN a', { t: T }, { t: T }],
    ['ALTER TABLE t DROP COLUMN a', { t: T }, { t: table({}) }],
    ['ALTER TABLE t ALTER a SET NOT NULL', { t: T }, { t: T }],
    [
      'ALTER TABLE t ALTER a DROP NOT NULL',
      { t: T },
      { t: table({ id: column('integer'), a: column('text', { notNull: true }) }) },
    ],
    [`ALTER TABLE t ALTER a SET DEFAULT 'x'`, { t: T }, { t: T }],
    [
      'ALTER TABLE t ALTER a DROP DEFAULT',
      { t: T },
      { t: table({ id: column('integer'), a: column('text', { default: `'x'` }) }) },
    ],
    ['ALTER TABLE t ADD CONSTRAINT c CHECK (id > 0)', { t: T }, { t: T }],
    [
      'ALTER TABLE t DROP CONSTRAINT c',
      { t: T },
      { t: table({ id: column('integer'), a: column('text') }, { constraints: { c: 'CHECK' } }) },
    ],
    ['CREATE INDEX i ON t (a)', { t: T }, { t: T }],
    [
      'DROP INDEX i',
      { t: T },
      { t: table({ id: column('integer'), a: column('text') }, { indexes: { i: 'CREATE INDEX' } }) },
    ],
    ['ALTER TABLE t RENAME COLUMN a TO b', { t: T }, { t: T }],
    ['ALTER TABLE t RENAME COLUMN a TO b', { t: T }, { t: table({ id: column('integer'), b: column('integer') }) }],
    ['ALTER TABLE t RENAME TO u', { t: T, u: null }, { t: T, u: null }],
    ['TRUNCATE t', { t: T }, { t: table({}) }],
  ])('%s that did not happen as stated does not verify', (sql, before, after) => {
    expect(judge(sql, before, after)).toEqual(['derived']);
  });

  test('that also changed another table: frame.tables', () => {
    expect(judge('DROP TABLE t', { t: T }, { t: null }, 'md5:other')).toEqual(['frame.tables']);
  });
});
