/**
 * The evaluator thread. It gets the limits as `workerData`, posts `ready`, and posts an `EvaluationResult` for each job.
 *
 * Node ends a thread that runs out of heap gradually, and the process survives. But a single large allocation can crash the process.
 * Therefore nothing in this module, and no function that expressions can call, may allocate much at once.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { CelInput, CelMap, CelResult } from '@bufbuild/cel';
import type { CelLimits } from '../cel/budget.js';
import { toCel } from '../cel/data.js';
import { CelEnvironment, describeValue, reasonOf } from '../cel/environment.js';
import type { Program } from '../cel/program.js';
import { helperFunctions } from './helper-functions.js';
import { cel } from '../cel/library.js';

const { celMap, isCelError, unparse } = cel;

/** The result of an evaluation. `costly` means that a limit stopped it, whatever the value would have been. */
export interface EvaluationResult {
  readonly ok: boolean;
  readonly costly: boolean;
  /** Whether the value is false, as opposed to no value at all. */
  readonly broken?: boolean;
  readonly detail?: string;
}

/** A job for the thread: a checked program, and each value that it reads, as JSON text. */
export interface EvaluationJob {
  readonly program: Program;
  readonly values: Readonly<Record<string, string>>;
}

export type ThreadMessage = { readonly ready: true } | { readonly verdict: EvaluationResult };

type Expr = Program['expr'];
type Variables = Readonly<Record<string, CelInput>>;

const COMPARISONS: ReadonlySet<string> = new Set(['_==_', '_!=_', '_<_', '_<=_', '_>_', '_>=_', '@in']);
const LONGEST_DETAIL = 500;

// Errors are values in CEL, and stack traces for thousands of them would be most of the cost.
Error.stackTraceLimit = 0;

// The library's own test treats a key whose value is null as absent, which CEL does not.
const mapPrototype = Object.getPrototypeOf(celMap(new Map())) as CelMap;
mapPrototype.has = function (this: CelMap, key): boolean {
  return this.get(key) !== undefined;
};

/** The states of the current job, as plain data. */
let states: Readonly<Record<string, unknown>> = {};
const environment = new CelEnvironment(workerData as CelLimits, (budget) => helperFunctions(budget, () => states));

function judge({ program, values }: EvaluationJob): EvaluationResult {
  environment.begin();
  const variables = readValues(values);
  const value = evaluate(program.expr, variables);
  const { exceeded } = environment;
  if (exceeded !== undefined) return { ok: false, costly: true, detail: `is too costly: ${exceeded}` };
  if (value === true) return { ok: true, costly: false };
  if (value === false) return { ok: false, costly: false, broken: true, detail: explain(program, variables) };
  const detail = isCelError(value)
    ? `cannot be evaluated: ${reasonOf(value)}`
    : `is ${describeValue(value)}, not true or false`;
  return { ok: false, costly: false, detail };
}

function readValues(values: EvaluationJob['values']): Variables {
  const variables = Object.create(null) as Record<string, CelInput>;
  const data = Object.create(null) as Record<string, unknown>;
  for (const [name, text] of Object.entries(values)) {
    data[name] = JSON.parse(text);
    variables[name] = toCel(data[name]);
  }
  states = data;
  return variables;
}

function evaluate(expr: Expr, variables: Variables): CelResult {
  return environment.plan(expr)(variables);
}

/** Explains which part of a conjunction is false and, for a comparison, the values of its sides. */
function explain(program: Program, variables: Variables): string {
  const part = conjuncts(program.expr).find((one) => evaluate(one, variables) === false);
  if (part === undefined) return 'does not hold';
  const sides = sidesOf(part, variables);
  const text = unparse({ ...program, expr: part }).slice(0, 300);
  return `does not hold: ${text} is false${sides === '' ? '' : ` (${sides})`}`;
}

function sidesOf({ exprKind }: Expr, variables: Variables): string {
  if (exprKind.case !== 'callExpr' || !COMPARISONS.has(exprKind.value.function)) return '';
  return exprKind.value.args
    .flatMap((side, at) =>
      side.exprKind.case === 'constExpr'
        ? []
        : [`${at === 0 ? 'left' : 'right'} side is ${describeValue(evaluate(side, variables))}`],
    )
    .join(', ');
}

function conjuncts(expr: Expr): Expr[] {
  const { case: kind, value } = expr.exprKind;
  return kind === 'callExpr' && value.function === '_&&_' ? value.args.flatMap(conjuncts) : [expr];
}

function verdictOf(job: EvaluationJob): EvaluationResult {
  try {
    return judge(job);
  } catch (error) {
    const costly = environment.exceeded !== undefined;
    return { ok: false, costly, detail: `cannot be evaluated: ${(error as Error).message}` };
  }
}

function send(message: ThreadMessage): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage(message);
}

parentPort?.on('message', (job: EvaluationJob) => {
  const { detail, ...verdict } = verdictOf(job);
  send({ verdict: detail === undefined ? verdict : { ...verdict, detail: detail.slice(0, LONGEST_DETAIL) } });
});
send({ ready: true });
