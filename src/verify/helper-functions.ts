/** Computes the helpers of expectations and invariants, in the evaluator thread. Each adds its cost to the steps of the evaluation. */
import type { CelFunc, CelInput, CelList, CelValue } from '@bufbuild/cel';
import type { Budget } from '../cel/budget.js';
import { describeValue } from '../cel/environment.js';
import { add, distance, isAtMost, parseDecimal, toDouble, ZERO, type Decimal } from './decimal.js';
import { cel } from '../cel/library.js';

const { CelScalar, celFunc, celList, isCelList, isCelMap, listType } = cel;
const { BOOL, DYN } = CelScalar;
const LIST = listType(DYN);

/** The most names in the path of `changed` or `unchanged`. */
const LONGEST_PATH = 8;

type PlainObject = Readonly<Record<string, unknown>>;

/** Makes the helper functions. `states` returns the states of the current evaluation, as plain data. */
export function helperFunctions(
  budget: Budget,
  states: () => { readonly pre?: unknown; readonly post?: unknown },
): readonly CelFunc[] {
  return [...dataFunctions(budget), ...changeFunctions(budget, states)];
}

function dataFunctions(budget: Budget): CelFunc[] {
  const itemsOf = (collection: unknown): Iterable<CelValue> => {
    if (!isCelMap(collection) && !isCelList(collection)) throw new Error('not a table or a list');
    budget.charge(collection.size + 1);
    return isCelMap(collection) ? collection.values() : collection;
  };
  /** Numbers as they are written, so that sums of decimals are exact. */
  const decimal = (value: unknown): Decimal => {
    const parsed = parseDecimal(value);
    if (typeof value !== 'bigint') budget.charge(String(value).length >> 2);
    return parsed;
  };
  const sum = (collection: unknown, column?: CelValue): bigint | number => {
    let total = ZERO;
    let whole = true;
    for (const item of itemsOf(collection)) {
      budget.charge(4);
      const value = column === undefined ? item : memberOf(item, column);
      if (value === undefined)
        throw new Error(`a row has no ${typeof column === 'string' ? column.slice(0, 64) : describeValue(column)}`);
      // As in SQL, null does not count.
      if (value === null) continue;
      whole &&= typeof value === 'bigint';
      total = add(total, decimal(value));
    }
    return whole ? asInt(total) : asDouble(total);
  };
  const approx = (left: unknown, right: unknown, tolerance: unknown): boolean => {
    const apart = distance(decimal(left), decimal(right));
    const most = decimal(tolerance);
    if (most.digits < 0n) throw new Error('a tolerance below zero');
    return isAtMost(apart, most);
  };
  return [
    celFunc('rows', [DYN], LIST, (table) => {
      if (isCelMap(table) || isCelList(table)) budget.bounded(table);
      return celList([...itemsOf(table)] as CelInput[]);
    }),
    celFunc('sum', [DYN], DYN, (list) => sum(list)),
    celFunc('sum', [DYN, DYN], DYN, sum),
    celFunc('approx', [DYN, DYN, DYN], BOOL, approx),
  ];
}

/** The member of a row that is a map. */
function memberOf(row: CelValue, column: CelValue): CelValue | undefined {
  return isCelMap(row) ? row.get(column as string) : undefined;
}

function asInt({ digits }: Decimal): bigint {
  if (BigInt.asIntN(64, digits) !== digits) throw new Error('a sum beyond 64 bits');
  return digits;
}

function asDouble(total: Decimal): number {
  const number = toDouble(total);
  if (!Number.isFinite(number)) throw new Error('a sum that no double carries');
  return number;
}

function changeFunctions(budget: Budget, states: () => { readonly pre?: unknown; readonly post?: unknown }): CelFunc[] {
  /** The values at a path before and after. A value in neither state was not captured, so nothing is known of it. @throws Error then */
  const beforeAndAfter = (path: readonly unknown[]): [before: unknown, after: unknown] => {
    const names = path.map((name) => {
      if (typeof name !== 'string' && typeof name !== 'bigint')
        throw new Error('a path is made of texts: "orders", "7", "status"');
      return String(name);
    });
    budget.charge(names.length);
    const { pre, post } = states();
    const before = names.reduce(member, pre);
    const after = names.reduce(member, post);
    if (before === undefined && after === undefined)
      throw new Error(`neither state holds ${names.join('/').slice(0, 200)}`);
    return [before, after];
  };
  const same = (one: unknown, other: unknown): boolean => {
    budget.charge(typeof one === 'string' ? 1 + (one.length >> 6) : 1);
    if (one === other) return true;
    if (!isObject(one) || !isObject(other) || Array.isArray(one) !== Array.isArray(other)) return false;
    const names = Object.keys(one);
    return (
      names.length === Object.keys(other).length &&
      names.every((name) => Object.hasOwn(other, name) && same(one[name], other[name]))
    );
  };
  /** The keys of those rows of a table that `pick` selects. */
  const keys = (table: unknown, pick: (before: PlainObject, after: PlainObject) => string[]): CelList => {
    const [before = {}, after = {}] = beforeAndAfter([table]);
    if (!isObject(before) || !isObject(after) || Array.isArray(before) || Array.isArray(after))
      throw new Error(`not a table: ${String(table).slice(0, 64)}`);
    return budget.bounded(celList(pick(before, after)));
  };
  const onlyIn = (one: PlainObject, other: PlainObject): string[] =>
    Object.keys(one).filter((key) => {
      budget.charge(1);
      return !Object.hasOwn(other, key);
    });
  const updated = (before: PlainObject, after: PlainObject): string[] =>
    Object.keys(before).filter((key) => Object.hasOwn(after, key) && !same(before[key], after[key]));
  return [
    celFunc('added', [DYN], LIST, (table) => keys(table, (before, after) => onlyIn(after, before))),
    celFunc('removed', [DYN], LIST, (table) => keys(table, onlyIn)),
    celFunc('updated', [DYN], LIST, (table) => keys(table, updated)),
    ...ofAnyLength('changed', (path) => !same(...beforeAndAfter(path))),
    ...ofAnyLength('unchanged', (path) => same(...beforeAndAfter(path))),
  ];
}

/** Makes one function for each number of arguments, because CEL has no variadic functions. */
function ofAnyLength(name: string, compute: (path: readonly unknown[]) => boolean): CelFunc[] {
  return Array.from({ length: LONGEST_PATH }, (_, at) =>
    celFunc(name, Array<typeof DYN>(at + 1).fill(DYN), BOOL, (...path: readonly unknown[]) => compute(path)),
  );
}

function member(value: unknown, name: string): unknown {
  if (!isObject(value) || !Object.hasOwn(value, name)) return undefined;
  return Array.isArray(value) && !/^\d+$/.test(name) ? undefined : value[name];
}

function isObject(value: unknown): value is PlainObject {
  return typeof value === 'object' && value !== null;
}
