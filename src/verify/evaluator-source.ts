/**
 * The program of the evaluator thread, as text: so it starts the same from TypeScript source and from the build. It gets the path of
 * the CEL library and the limits as `workerData`, says `ready`, and answers each job `{program, values}` with a `Verdict`.
 *
 * A thread that runs out of heap step by step is ended by Node and the process lives; one that asks for a lot at once can take the
 * process with it. Therefore nothing in here may allocate much at once: what grows (texts, lists) is bounded, turns are counted, and data is read in
 * place, without a copy.
 */

/** What the evaluator thread answers. `costly` says that it was stopped by a limit, whatever the value would have been. */
export interface Verdict {
  readonly ok: boolean;
  readonly costly: boolean;
  readonly detail?: string;
}

export interface EvaluatorLimits {
  /** Syntax nodes that the turns of comprehensions may evaluate, in all. */
  readonly steps: number;
  /** Characters of a text that `+` makes. */
  readonly text: number;
  /** Items of a list that `+`, map or filter make. */
  readonly items: number;
}

export interface EvaluatorData extends EvaluatorLimits {
  /** Absolute path of `@bufbuild/cel`'s CommonJS entry. */
  readonly cel: string;
}

export const EVALUATOR_SOURCE = String.raw`
'use strict';
const { createRequire } = require('node:module');
const { parentPort, workerData } = require('node:worker_threads');
const { celEnv, celFunc, celList, celListConcat, celMap, celMethod, CelScalar, isCelError, isCelList, isCelMap, listType, plan, unparse } =
  require(workerData.cel);
const { RE2JS } = createRequire(workerData.cel)('@bufbuild/re2');
const { BOOL, DOUBLE, INT, STRING } = CelScalar;
const LIST = listType(CelScalar.DYN);

// Errors are values here, made by the thousand: a stack trace for each would be most of the cost.
Error.stackTraceLimit = 0;

// The library's own test takes a key whose value is null for absent; CEL does not.
Object.getPrototypeOf(celMap(new Map())).has = function (key) {
  return this.get(key) !== undefined;
};

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
    view = Array.isArray(value) ? celList(value.map(toCel)) : celMap(new ObjectView(value));
    views.set(value, view);
  }
  return view;
}

let steps = 0;
let exceeded;
let grown = new WeakMap();
let patterns = new Map();
function exceed(what) {
  exceeded ??= what;
  throw new Error(what);
}

function bounded(list) {
  return list.size > workerData.items ? exceed('a list of more than ' + workerData.items + ' items') : list;
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

/** The library compiles a pattern anew for every text; the patterns of an expectation are few and written out. */
const re2 = {
  compile(pattern) {
    let compiled = patterns.get(pattern);
    if (compiled === undefined) patterns.set(pattern, (compiled = RE2JS.compile(pattern)));
    return compiled;
  },
};

const env = celEnv({
  re2,
  funcs: [
    celFunc('@step', [BOOL, INT], BOOL, (condition, cost) => {
      steps -= Number(cost);
      return steps < 0 ? exceed('more than ' + workerData.steps + ' steps') : condition;
    }),
    celFunc('@append', [LIST, LIST], LIST, append),
    celFunc('_+_', [LIST, LIST], LIST, (left, right) => bounded(celListConcat(left, right))),
    celFunc('_+_', [STRING, STRING], STRING, (left, right) =>
      left.length + right.length > workerData.text ? exceed('a text of more than ' + workerData.text + ' characters') : left + right,
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
  ],
});

const COMPARISONS = new Set(['_==_', '_!=_', '_<_', '_<=_', '_>_', '_>=_', '@in']);
const MISSED_INDEX = /^index (.*) out of bounds \[0, -1\)$/;

function judge({ program, values }) {
  steps = workerData.steps;
  exceeded = undefined;
  grown = new WeakMap();
  patterns = new Map();
  const variables = Object.create(null);
  for (const [name, text] of Object.entries(values)) variables[name] = toCel(JSON.parse(text));
  const value = evaluate(program.expr, variables);
  if (exceeded !== undefined) return { ok: false, costly: true, detail: 'is too costly: ' + exceeded };
  if (value === true) return { ok: true, costly: false };
  if (value === false) return { ok: false, costly: false, detail: explain(program, variables) };
  const detail = isCelError(value) ? 'cannot be evaluated: ' + reason(value) : 'is ' + render(value) + ', not true or false';
  return { ok: false, costly: false, detail };
}

function evaluate(expr, variables) {
  return plan(env, expr)(variables);
}

function reason({ message }) {
  const missed = MISSED_INDEX.exec(message);
  return missed === null ? message : 'no item ' + missed[1] + ' (if that is a key, it is a text: ["' + missed[1] + '"])';
}

/** Says which part of a conjunction is false and, of a comparison, what its sides are. */
function explain(program, variables) {
  for (const part of conjuncts(program.expr)) {
    if (evaluate(part, variables) !== false) continue;
    const call = part.exprKind.value;
    let sides = '';
    if (part.exprKind.case === 'callExpr' && COMPARISONS.has(call.function)) {
      sides = call.args
        .map((side, index) => (side.exprKind.case === 'constExpr' ? '' : ['left', 'right'][index] + ' side is ' + render(evaluate(side, variables))))
        .filter((text) => text !== '')
        .join(', ');
    }
    return 'does not hold: ' + unparse({ ...program, expr: part }).slice(0, 300) + ' is false' + (sides === '' ? '' : ' (' + sides + ')');
  }
  return 'does not hold';
}

function conjuncts(expr) {
  const { case: kind, value } = expr.exprKind;
  return kind === 'callExpr' && value.function === '_&&_' ? value.args.flatMap(conjuncts) : [expr];
}

function render(value) {
  if (isCelMap(value)) return 'a map of ' + value.size;
  if (isCelList(value)) return 'a list of ' + value.size;
  if (isCelError(value)) return 'an error: ' + reason(value);
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 80));
  return typeof value === 'object' && value !== null ? String(value.desc?.typeName ?? value) : String(value);
}

parentPort.on('message', (job) => {
  let verdict;
  try {
    verdict = judge(job);
  } catch (error) {
    verdict = { ok: false, costly: exceeded !== undefined, detail: 'cannot be evaluated: ' + error.message };
  }
  parentPort.postMessage({ verdict: { ...verdict, detail: verdict.detail?.slice(0, 500) } });
});
parentPort.postMessage({ ready: true });
`;
