/** Evaluates compiled CEL in this process, synchronously: for expressions of the operator over data of bounded size. */
import type { CelInput } from '@bufbuild/cel';
import type { CelLimits } from './budget.js';
import { toCel } from './data.js';
import { CelEnvironment, reasonOf } from './environment.js';
import type { Program } from './program.js';
import { cel } from './library.js';

const { isCelError } = cel;

/** A program made ready to be evaluated again and again. */
export type Evaluate = (variables: CelVariables) => unknown;

/** Values as CEL reads them, from `variables`. */
export interface CelVariables {
  readonly values: Readonly<Record<string, CelInput>>;
}

/**
 * Not every operation can be interrupted: each takes time linear in the data, and comprehensions are stopped by the limits. So this is for
 * data of at most a few hundred KB and for programs that do not come from agents; expectations have a thread of their own.
 */
export class CelEvaluator {
  readonly #environment: CelEnvironment;

  constructor(limits: CelLimits) {
    this.#environment = new CelEnvironment(limits);
  }

  /** The program's value: a bigint, number, boolean, text, null, or one of the library's own. The function throws Error saying what failed. */
  plan(program: Program): Evaluate {
    const environment = this.#environment;
    const evaluate = environment.plan(program.expr);
    return ({ values }) => {
      const value = withoutTraces(() => evaluate(values));
      const { exceeded } = environment;
      if (exceeded !== undefined) throw new Error(`it is too costly: ${exceeded}`);
      if (isCelError(value)) throw new Error(reasonOf(value));
      return value;
    };
  }

  /** What is evaluated from now on shares what one evaluation may take. */
  begin(): void {
    this.#environment.begin();
  }
}

/** Values for programs. They must not change. */
export function celVariables(values: Readonly<Record<string, unknown>>): CelVariables {
  const own: Record<string, CelInput> = Object.create(null) as Record<string, CelInput>;
  for (const [name, value] of Object.entries(values)) own[name] = toCel(value);
  return { values: own };
}

/** Errors are values in CEL, and can come by the thousand: their stack traces would be most of the cost. */
function withoutTraces<Value>(run: () => Value): Value {
  const before = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return run();
  } finally {
    Error.stackTraceLimit = before;
  }
}
