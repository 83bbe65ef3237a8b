/** What explains a write, and how many alerts many writes become. Pure. */
import { expect, test } from 'vitest';
import type { RadarAlertRequest } from '../../src/action/radar.js';
import { alertOf, definitionAlertOf, putTogether, unexplained, type Knowledge } from '../../src/radar/judge.js';
import type { ObservedDefinition, ObservedWrite } from '../../src/radar/source.js';

const AT = new Date('2026-05-01T12:00:00Z');
const KEY = 'countersign:acme/a';

const write = (more: Partial<ObservedWrite> = {}): ObservedWrite => ({
  position: '0/1',
  at: AT,
  changes: [{ table: 'public.orders', operation: 'update', rows: 2 }],
  keys: [KEY],
  writers: [{ user: 'app', application: 'shop' }],
  ...more,
});

const known = (standing: object = {}, more: Partial<Knowledge> = {}): Knowledge => ({
  standings: new Map([
    [KEY, { key: KEY, tool: 'shop-db', status: 'open', uses: 1, endedAt: undefined, reads: false, ...standing }],
  ]),
  usedTwice: [],
  tools: new Set(['shop-db']),
  writers: {},
  ...more,
});

test.each([
  ['an action under way', known()],
  ['one whose key is in another transaction too', known({}, { usedTwice: [{ key: KEY, position: '0/2' }] })],
  ['one that has just ended', known({ status: 'success', endedAt: new Date(AT.getTime() - 1000) })],
  ['one of which nobody can tell yet', known({ status: 'unknown', endedAt: AT })],
])('%s explains its effect', (_what, knowledge) => {
  expect(unexplained(write(), knowledge)).toBeUndefined();
});

test.each([
  ['no used grant', known({ uses: 0 }), 'unknown_effect'],
  ['another kind of tool', known({ tool: 'payments' }), 'unknown_effect'],
  ['an action that only reads', known({ reads: true }), 'unknown_effect'],
  ['an outcome by which nothing was done', known({ status: 'failed', endedAt: AT }), 'unknown_effect'],
  ['an action that ended long ago', known({ status: 'success', endedAt: new Date('2026-04-01') }), 'effect_ended'],
  [
    'an action whose effect was another',
    known({}, { usedTwice: [{ key: KEY, position: '0/1' }] }),
    'effect_used_twice',
  ],
])('a key of %s explains nothing', (_what, knowledge, reason) => {
  expect(unexplained(write(), knowledge)).toEqual({ reason, key: KEY });
});

test('a good key does not make a bad one good, and no declared writer does', () => {
  const declared = known({}, { writers: { roles: ['app'] } });
  expect(unexplained(write({ keys: [KEY, 'made up'] }), declared)).toEqual({
    reason: 'unknown_effect',
    key: 'made up',
  });
});

test('every writer must be declared, and there must be one', () => {
  const declared = known({}, { writers: { roles: ['app'], applications: ['nightly'] } });
  const by = (...writers: ObservedWrite['writers']) => unexplained(write({ keys: [], writers }), declared)?.reason;
  expect(by({ user: 'app', application: '' })).toBeUndefined();
  expect(by({ user: 'other', application: 'nightly' })).toBeUndefined();
  expect(by({ user: 'app', application: '' }, { user: 'other', application: 'x' })).toBe('no_effect');
  expect(by()).toBe('no_effect');
});

test('what is too many is put together, and nothing of it is lost', () => {
  const alerts: readonly RadarAlertRequest[] = Array.from({ length: 5 }, (_, index) =>
    alertOf(write({ position: `0/${index}`, keys: [] }), { reason: 'no_effect' }),
  );
  expect(putTogether(alerts, 5)).toEqual(alerts);
  expect(putTogether(alerts, 4)).toEqual(alerts);
  const [first, together, ...none] = putTogether(alerts, 1);
  expect(none).toEqual([]);
  expect(first).toEqual(alerts[0]);
  expect(together).toMatchObject({
    position: '0/1 and 3 more',
    detail: '4 transactions, put together because there were too many: update of 8 rows of public.orders.',
    changes: [{ table: 'public.orders', operation: 'update', rows: 8 }],
    writers: [{ user: 'app', application: 'shop' }],
  });
});

const defined = (more: Partial<ObservedDefinition> = {}): ObservedDefinition => ({
  kind: 'definition',
  position: '0/1/definition',
  at: AT,
  changes: [{ table: 'public.orders', operation: 'ALTER TABLE' }],
  writers: [{ user: 'migrator', application: '' }],
  ...more,
});

test('a declared writer may change a definition, if everybody is one; nobody may change what the radar sees by', () => {
  const declared = { roles: ['migrator'] };
  expect(definitionAlertOf(defined(), declared)).toBeUndefined();
  const among = [...defined().writers, { user: 'intern', application: '' }];
  expect(definitionAlertOf(defined({ writers: among }), declared)).toMatchObject({ reason: 'definition_changed' });
  expect(definitionAlertOf(defined({ writers: [] }), declared)).toMatchObject({
    kind: 'definition',
    reason: 'definition_changed',
    detail: 'ALTER TABLE of public.orders: nobody says who did it.',
  });
  expect(definitionAlertOf(defined({ kind: 'guard' }), declared)).toMatchObject({ reason: 'guard_changed' });
});

test('definitions that are too many are put together by themselves', () => {
  const alerts = [1, 2, 3].map((index) =>
    definitionAlertOf(defined({ position: `0/${index}` }), {}),
  ) as RadarAlertRequest[];
  expect(putTogether(alerts, 1)).toMatchObject([
    { position: '0/1' },
    { kind: 'definition', position: '0/2 and 1 more' },
  ]);
});
