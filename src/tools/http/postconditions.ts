/** Postconditions of an operation: the operator's CEL over the input, the states before and after, and the result. */
import {
  CelScalar,
  celEnv,
  celFunc,
  celList,
  celMap,
  isCelError,
  isCelList,
  isCelMap,
  parse,
  plan,
  type CelInput,
} from '@bufbuild/cel';
import { CountersignError } from '../../action/errors.js';
import type { Json } from '../../action/json.js';
import type { Check } from '../../action/outcome.js';

export interface PostconditionValues {
  readonly input: Json;
  readonly pre: Json;
  readonly post: Json;
  readonly result: Json;
}

/** Evaluates to the check `ensures`. Never throws: a postcondition that cannot be evaluated does not hold. */
export type Postcondition = (values: PostconditionValues) => Check;

const ROOTS = ['input', 'pre', 'post', 'result'];
const { INT, DOUBLE } = CelScalar;

/** Arithmetic of an integer with a double, which yields a double. JSON has only one kind of number, so the two are mixed freely. */
function mixed(operator: string, compute: (left: number, right: number) => number) {
  return [
    celFunc(operator, [INT, DOUBLE], DOUBLE, (left, right) => compute(Number(left), right)),
    celFunc(operator, [DOUBLE, INT], DOUBLE, (left, right) => compute(left, Number(right))),
  ];
}

const ENVIRONMENT = celEnv({
  funcs: [
    ...mixed('_+_', (left, right) => left + right),
    ...mixed('_-_', (left, right) => left - right),
    ...mixed('_*_', (left, right) => left * right),
    ...mixed('_/_', (left, right) => left / right),
  ],
});

/** Compiles CEL over `input`, `pre`, `post` and `result`. @throws CountersignError CONFIG_INVALID if it is invalid or reads other names */
export function compilePostcondition(source: string, field: string, roots: readonly string[] = ROOTS): Postcondition {
  const invalid = (why: string): CountersignError =>
    new CountersignError('CONFIG_INVALID', `${field} does not compile: ${why.slice(0, 200)}`, {
      field,
      expected: `a CEL expression over ${roots.join(', ')}`,
      fix: "Correct the expression, for instance: post.order.status == 'refunded'",
    });
  let evaluate: (values: Record<string, CelInput>) => unknown;
  let unknown: string | undefined;
  try {
    const program = parse(source);
    evaluate = plan(ENVIRONMENT, program) as typeof evaluate;
    unknown = unknownName(program.expr, roots);
  } catch (error) {
    throw invalid((error as Error).message);
  }
  if (unknown !== undefined) throw invalid(`it names ${unknown}, which is not known`);
  return (values) => {
    let value: unknown;
    try {
      value = evaluate({
        input: toCel(values.input),
        pre: toCel(values.pre),
        post: toCel(values.post),
        result: toCel(values.result),
      });
    } catch (error) {
      value = error;
    }
    if (value === true) return { name: 'ensures', ok: true };
    const why = value === false ? 'does not hold' : `cannot be evaluated: ${explain(value)}`;
    return { name: 'ensures', ok: false, detail: `${source.slice(0, 200)} ${why}` };
  };
}

/** The first name that is neither a root nor the variable of a comprehension. */
function unknownName(expression: unknown, roots: readonly string[]): string | undefined {
  const named = new Set<string>();
  const known = new Set(roots);
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    const { case: kind, value } = node as { case?: string; value?: Readonly<Record<string, unknown>> };
    if (kind === 'identExpr') named.add(String(value?.['name']));
    if (kind === 'comprehensionExpr')
      for (const name of ['iterVar', 'iterVar2', 'accuVar']) known.add(String(value?.[name]));
    Object.values(node).forEach(visit);
  };
  visit(expression);
  return [...named].find((name) => !known.has(name));
}

/** Converts JSON to CEL: an integer is an int, any other number a double. */
function toCel(value: Json): CelInput {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return celList(value.map(toCel));
  return celMap(new Map(Object.entries(value).map(([key, member]) => [key, toCel(member)])));
}

function explain(value: unknown): string {
  if (isCelError(value) || value instanceof Error) return value.message.slice(0, 200);
  if (isCelMap(value)) return 'it is a map, not true or false';
  if (isCelList(value)) return 'it is a list, not true or false';
  return `it is ${String(value).slice(0, 80)}, not true or false`;
}
