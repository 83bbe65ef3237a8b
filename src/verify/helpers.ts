/**
 * The functions that expectations and invariants have beyond those of CEL. Their program is text, as the evaluator's is, which it
 * becomes a part of; each charges what it costs to the evaluation's steps.
 */
import type { CelHelper } from '../cel/program.js';

const STATES = ['pre', 'post'] as const;

/** Over any data. */
export const DATA_HELPERS = [
  ['rows', { arguments: [1, 1], reads: [], yields: 'list' }],
  ['sum', { arguments: [1, 2], reads: [], yields: 'number' }],
  ['approx', { arguments: [3, 3], reads: [], yields: 'boolean' }],
] as const satisfies readonly (readonly [string, CelHelper<never>])[];

/** Over the states before and after. */
export const CHANGE_HELPERS = [
  ['added', { arguments: [1, 1], reads: STATES, yields: 'list' }],
  ['removed', { arguments: [1, 1], reads: STATES, yields: 'list' }],
  ['updated', { arguments: [1, 1], reads: STATES, yields: 'list' }],
  ['changed', { arguments: [1, 8], reads: STATES, yields: 'boolean' }],
  ['unchanged', { arguments: [1, 8], reads: STATES, yields: 'boolean' }],
] as const satisfies readonly (readonly [string, CelHelper<'pre' | 'post'>])[];

/**
 * A function's body, where `cel`, `charge`, `bounded` and `roots` (the states as plain data) are known, that returns functions for
 * `celEnv`.
 */
export const HELPERS_SOURCE = String.raw`
const { celFunc, celList, CelScalar, isCelList, isCelMap, listType } = cel;
const { BOOL, DYN } = CelScalar;
const LIST = listType(DYN);

function itemsOf(collection) {
  if (!isCelMap(collection) && !isCelList(collection)) throw new Error('not a table or a list');
  charge(collection.size + 1);
  return isCelMap(collection) ? collection.values() : collection;
}

/** Numbers as they are written, so that sums of decimals are exact: [digits, scale]. */
function decimal(value) {
  if (typeof value === 'bigint') return [value, 0];
  const text = typeof value === 'number' ? String(value) : value;
  const parts = typeof text === 'string' ? /^([+-]?)(\d{0,200})(?:\.(\d{0,200}))?(?:[eE]([+-]?\d{1,3}))?$/.exec(text) : null;
  if (parts === null || (parts[2] + (parts[3] ?? '')) === '') throw new Error('not a number: ' + String(text).slice(0, 40));
  const [, sign, whole, fraction = '', exponent = '0'] = parts;
  charge(text.length >> 2);
  const digits = BigInt(sign + whole + fraction);
  const scale = fraction.length - Number(exponent);
  return scale >= 0 ? [digits, scale] : [digits * 10n ** BigInt(-scale), 0];
}
/** Both at the larger scale. */
function aligned([left, leftScale], [right, rightScale]) {
  const scale = Math.max(leftScale, rightScale);
  const raised = (digits, from) => (from === scale ? digits : digits * 10n ** BigInt(scale - from));
  return [raised(left, leftScale), raised(right, rightScale), scale];
}
function absolute(digits) {
  return digits < 0n ? -digits : digits;
}
function sum(collection, column) {
  let total = [0n, 0];
  let whole = true;
  for (const item of itemsOf(collection)) {
    charge(4);
    const value = column === undefined ? item : isCelMap(item) ? item.get(column) : undefined;
    if (value === undefined) throw new Error('a row has no ' + String(column).slice(0, 64));
    // As in SQL.
    if (value === null) continue;
    whole &&= typeof value === 'bigint';
    const [left, right, scale] = aligned(total, decimal(value));
    total = [left + right, scale];
  }
  const [digits, scale] = total;
  if (whole) {
    if (BigInt.asIntN(64, digits) !== digits) throw new Error('a sum beyond 64 bits');
    return digits;
  }
  const text = absolute(digits).toString().padStart(scale + 1, '0');
  const number = Number((digits < 0n ? '-' : '') + text.slice(0, text.length - scale) + '.' + text.slice(text.length - scale) + '0');
  if (!Number.isFinite(number)) throw new Error('a sum that no double carries');
  return number;
}
function approx(left, right, tolerance) {
  const [one, other, scale] = aligned(decimal(left), decimal(right));
  const [distance, most] = aligned([absolute(one - other), scale], decimal(tolerance));
  if (most < 0n) throw new Error('a tolerance below zero');
  return distance <= most;
}

function member(value, name) {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return Array.isArray(value) && !/^\d+$/.test(name) ? undefined : value[name];
}
/** What is there before and after. What neither state holds was not looked at, so nothing can be said of it. */
function beforeAndAfter(path) {
  const names = path.map((name) => {
    if (typeof name !== 'string' && typeof name !== 'bigint') throw new Error('a path is made of texts: "orders", "7", "status"');
    return String(name);
  });
  charge(names.length);
  const found = [roots.pre, roots.post].map((state) => names.reduce(member, state));
  if (found[0] === undefined && found[1] === undefined) throw new Error('neither state holds ' + names.join('/').slice(0, 200));
  return found;
}
function same(one, other) {
  charge(typeof one === 'string' ? 1 + (one.length >> 6) : 1);
  if (one === other) return true;
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => Object.hasOwn(other, name) && same(one[name], other[name]));
}
/** The keys of those rows of a table that the test picks. */
function keys(table, pick) {
  const [before = {}, after = {}] = beforeAndAfter([table]);
  if ([before, after].some((state) => typeof state !== 'object' || state === null || Array.isArray(state))) throw new Error('not a table: ' + String(table).slice(0, 64));
  return bounded(celList(pick(before, after)));
}
function onlyIn(one, other) {
  return Object.keys(one).filter((key) => {
    charge(1);
    return !Object.hasOwn(other, key);
  });
}

const changed = (...path) => !same(...beforeAndAfter(path));
const unchanged = (...path) => same(...beforeAndAfter(path));
const anyLength = (name, compute) =>
  Array.from({ length: 8 }, (_, at) => celFunc(name, Array(at + 1).fill(DYN), BOOL, compute));

return [
  celFunc('rows', [DYN], LIST, (table) => celList([...itemsOf(bounded(table))])),
  celFunc('sum', [DYN], DYN, (list) => sum(list)),
  celFunc('sum', [DYN, DYN], DYN, sum),
  celFunc('approx', [DYN, DYN, DYN], BOOL, approx),
  celFunc('added', [DYN], LIST, (table) => keys(table, (before, after) => onlyIn(after, before))),
  celFunc('removed', [DYN], LIST, (table) => keys(table, onlyIn)),
  celFunc('updated', [DYN], LIST, (table) =>
    keys(table, (before, after) => Object.keys(before).filter((key) => Object.hasOwn(after, key) && !same(before[key], after[key]))),
  ),
  ...anyLength('changed', changed),
  ...anyLength('unchanged', unchanged),
];
`;
