/**
 * The functions and bounds that CEL is evaluated with, as text: it runs in the evaluator thread, which starts the same from TypeScript
 * source and from the build, and in this process. The body of a function of (cel, RE2JS, limits, extend) that returns a `CelEnvironment`;
 * `extend`, if any, makes further functions out of `{charge, bounded}`.
 *
 * What grows (texts, lists) is bounded, turns are counted, and data is read in place, without a copy.
 */
import type { CelError, CelResult } from '@bufbuild/cel';
import type { Program } from './program.js';

/** What one evaluation may take. */
export interface CelLimits {
  /** Syntax nodes that the turns of comprehensions may evaluate, in all. */
  readonly steps: number;
  /** Characters of a text that `+` makes. */
  readonly text: number;
  /** Items of a list that `+`, map or filter make. */
  readonly items: number;
  /** Characters of a text that a pattern is matched against. */
  readonly matched: number;
  /** Time, looked at on every turn of a comprehension. */
  readonly milliseconds: number;
}

export interface CelEnvironment {
  toCel(value: unknown): unknown;
  plan(expr: Program['expr']): (variables: Readonly<Record<string, unknown>>) => CelResult;
  begin(): void;
  exceeded(): string | undefined;
  isError(value: unknown): value is CelError;
  reason(error: CelError): string;
  /** A value in a few words, for messages. */
  describe(value: unknown): string;
}

export const ENVIRONMENT_SOURCE = String.raw`
const { celEnv, celFunc, celList, celListConcat, celMap, celMethod, CelScalar, isCelError, isCelList, isCelMap, listType, plan } = cel;
const { BOOL, DOUBLE, INT, STRING } = CelScalar;
const LIST = listType(CelScalar.DYN);

/** A JSON object, read in place as the map that CEL sees. Only own keys exist. */
class ObjectView {
  #object;
  #keys;
  constructor(object) {
    this.#object = object;
  }
  get size() {
    return this.keyList().length;
  }
  keyList() {
    return (this.#keys ??= Object.keys(this.#object));
  }
  get(key) {
    return typeof key === 'string' && Object.hasOwn(this.#object, key) ? toCel(this.#object[key]) : undefined;
  }
  has(key) {
    return typeof key === 'string' && Object.hasOwn(this.#object, key);
  }
  keys() {
    return this.keyList().values();
  }
  *entries() {
    for (const key of this.keyList()) yield [key, toCel(this.#object[key])];
  }
  *values() {
    for (const key of this.keyList()) yield toCel(this.#object[key]);
  }
  forEach(callback) {
    for (const [key, value] of this.entries()) callback(value, key, this);
  }
  [Symbol.iterator]() {
    return this.entries();
  }
}

const views = new WeakMap();
function toCel(value) {
  // A JSON integer is a CEL int, any other number a double.
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof value !== 'object' || value === null) return value;
  let view = views.get(value);
  if (view === undefined) {
    if (Array.isArray(value)) view = celList(value.map(toCel));
    else {
      const object = new ObjectView(value);
      view = celMap(object);
      // The library's own test takes a key whose value is null for absent; CEL does not.
      view.has = (key) => object.has(key);
    }
    views.set(value, view);
  }
  return view;
}

let steps = 0;
let deadline = Infinity;
let exceeded;
let grown = new WeakMap();
const patterns = new Map();
function exceed(what) {
  exceeded ??= what;
  throw new Error(what);
}

function bounded(list) {
  return list.size > limits.items ? exceed('a list of more than ' + limits.items + ' items') : list;
}
function append(list, one) {
  let array = grown.get(list);
  if (array === undefined) {
    array = [];
    list = celList(array);
    grown.set(list, array);
  }
  array.push(one.get(0));
  return bounded(list);
}
/** Stricter than JavaScript's own conversions, for which an empty text is zero. */
function toInt(text) {
  const value = /^[+-]?\d{1,19}$/.test(text) ? BigInt(text) : undefined;
  if (value === undefined || BigInt.asIntN(64, value) !== value) throw new Error('not an int: ' + JSON.stringify(text.slice(0, 40)));
  return value;
}
function toDouble(text) {
  if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) throw new Error('not a double: ' + JSON.stringify(text.slice(0, 40)));
  return Number(text);
}
function codePoints(text) {
  let count = 0n;
  for (const _ of text) count++;
  return count;
}
/** JSON has one kind of number: so a whole one may meet a fraction, and the result is a double. */
function mixed(operator, compute) {
  return [
    celFunc(operator, [INT, DOUBLE], DOUBLE, (left, right) => compute(Number(left), right)),
    celFunc(operator, [DOUBLE, INT], DOUBLE, (left, right) => compute(left, Number(right))),
  ];
}

/** The library compiles a pattern anew for every text; the patterns of a program are few and written out. */
const re2 = {
  compile(pattern) {
    let compiled = patterns.get(pattern);
    if (compiled === undefined) {
      if (patterns.size >= 100) patterns.clear();
      patterns.set(pattern, (compiled = RE2JS.compile(pattern)));
    }
    return {
      test: (text) =>
        text.length > limits.matched ? exceed('a text of more than ' + limits.matched + ' characters to match') : compiled.test(text),
    };
  },
};

/** For functions whose cost is in the data, not in the program. */
function charge(cost) {
  steps -= cost;
  if (steps < 0) exceed('more than ' + limits.steps + ' steps');
}

const env = celEnv({
  re2,
  funcs: [
    celFunc('@step', [BOOL, INT], BOOL, (condition, cost) => {
      charge(Number(cost));
      if (performance.now() > deadline) exceed('more than ' + limits.milliseconds + ' ms');
      return condition;
    }),
    celFunc('@append', [LIST, LIST], LIST, append),
    celFunc('_+_', [LIST, LIST], LIST, (left, right) => bounded(celListConcat(left, right))),
    celFunc('_+_', [STRING, STRING], STRING, (left, right) =>
      left.length + right.length > limits.text ? exceed('a text of more than ' + limits.text + ' characters') : left + right,
    ),
    celFunc('size', [STRING], INT, codePoints),
    celMethod('size', STRING, [], INT, function () {
      return codePoints(this);
    }),
    celFunc('int', [STRING], INT, toInt),
    celFunc('double', [STRING], DOUBLE, toDouble),
    ...mixed('_+_', (left, right) => left + right),
    ...mixed('_-_', (left, right) => left - right),
    ...mixed('_*_', (left, right) => left * right),
    ...mixed('_/_', (left, right) => left / right),
    ...(extend?.({ charge, bounded }) ?? []),
  ],
});

const MISSED_INDEX = /^index (.*) out of bounds \[0, -1\)$/;

return {
  toCel,
  plan: (expr) => plan(env, expr),
  /** Starts counting anew. */
  begin() {
    steps = limits.steps;
    deadline = performance.now() + limits.milliseconds;
    exceeded = undefined;
    grown = new WeakMap();
  },
  /** Which limit was exceeded, since begin. */
  exceeded: () => exceeded,
  isError: isCelError,
  reason({ message }) {
    const missed = MISSED_INDEX.exec(message);
    return missed === null ? message : 'no item ' + missed[1] + ' (if that is a key, it is a text: ["' + missed[1] + '"])';
  },
  describe(value) {
    if (isCelMap(value)) return 'a map of ' + value.size;
    if (isCelList(value)) return 'a list of ' + value.size;
    if (isCelError(value)) return 'an error: ' + this.reason(value);
    if (typeof value === 'string') return JSON.stringify(value.slice(0, 80));
    return typeof value === 'object' && value !== null ? String(value.desc?.typeName ?? value) : String(value);
  },
};
`;
