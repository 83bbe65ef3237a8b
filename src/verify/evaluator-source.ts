/**
 * The program of the evaluator thread, as text: so it starts the same from TypeScript source and from the build. It gets the path of
 * the CEL library and the limits as `workerData`, says `ready`, and answers each job `{program, values}` with a `Verdict`.
 *
 * A thread that runs out of heap step by step is ended by Node and the process lives; one that asks for a lot at once can take the
 * process with it. Therefore nothing in here, and nothing that it is given to evaluate with, may allocate much at once.
 */
import { ENVIRONMENT_SOURCE, type CelLimits } from '../cel/environment.js';
import { HELPERS_SOURCE } from './helpers.js';

/** What the evaluator thread answers. `costly` says that it was stopped by a limit, whatever the value would have been. */
export interface Verdict {
  readonly ok: boolean;
  readonly costly: boolean;
  /** Whether the value is false, as opposed to no value at all. */
  readonly broken?: boolean;
  readonly detail?: string;
}

export interface EvaluatorData extends CelLimits {
  /** Absolute path of `@bufbuild/cel`'s CommonJS entry. */
  readonly cel: string;
}

export const EVALUATOR_SOURCE = String.raw`
'use strict';
const { createRequire } = require('node:module');
const { parentPort, workerData } = require('node:worker_threads');
const cel = require(workerData.cel);
const { RE2JS } = createRequire(workerData.cel)('@bufbuild/re2');
const { celMap, unparse } = cel;

// Errors are values here, made by the thousand: a stack trace for each would be most of the cost.
Error.stackTraceLimit = 0;

// The library's own test takes a key whose value is null for absent; CEL does not.
Object.getPrototypeOf(celMap(new Map())).has = function (key) {
  return this.get(key) !== undefined;
};

/** The states of the job at hand, as plain data. */
let roots = {};
const helpers = ({ charge, bounded }) => {
${HELPERS_SOURCE}
};

const environment = ((cel, RE2JS, limits, extend) => {
${ENVIRONMENT_SOURCE}
})(cel, RE2JS, workerData, helpers);

const COMPARISONS = new Set(['_==_', '_!=_', '_<_', '_<=_', '_>_', '_>=_', '@in']);

function judge({ program, values }) {
  environment.begin();
  const variables = Object.create(null);
  roots = Object.create(null);
  for (const [name, text] of Object.entries(values)) {
    roots[name] = JSON.parse(text);
    variables[name] = environment.toCel(roots[name]);
  }
  const value = evaluate(program.expr, variables);
  const exceeded = environment.exceeded();
  if (exceeded !== undefined) return { ok: false, costly: true, detail: 'is too costly: ' + exceeded };
  if (value === true) return { ok: true, costly: false };
  if (value === false) return { ok: false, costly: false, broken: true, detail: explain(program, variables) };
  const detail = environment.isError(value) ? 'cannot be evaluated: ' + environment.reason(value) : 'is ' + environment.describe(value) + ', not true or false';
  return { ok: false, costly: false, detail };
}

function evaluate(expr, variables) {
  return environment.plan(expr)(variables);
}

/** Says which part of a conjunction is false and, of a comparison, what its sides are. */
function explain(program, variables) {
  for (const part of conjuncts(program.expr)) {
    if (evaluate(part, variables) !== false) continue;
    const call = part.exprKind.value;
    let sides = '';
    if (part.exprKind.case === 'callExpr' && COMPARISONS.has(call.function)) {
      sides = call.args
        .map((side, index) => (side.exprKind.case === 'constExpr' ? '' : ['left', 'right'][index] + ' side is ' + environment.describe(evaluate(side, variables))))
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

parentPort.on('message', (job) => {
  let verdict;
  try {
    verdict = judge(job);
  } catch (error) {
    verdict = { ok: false, costly: environment.exceeded() !== undefined, detail: 'cannot be evaluated: ' + error.message };
  }
  parentPort.postMessage({ verdict: { ...verdict, detail: verdict.detail?.slice(0, 500) } });
});
parentPort.postMessage({ ready: true });
`;
