/** Evaluates compiled CEL in this process, synchronously. It is meant for the operator's expressions over data of bounded size. */
import type { CelInput } from '@bufbuild/cel';
import type { CelLimits } from './budget.js';
import { toCel } from './data.js';
import { CelEnvironment, reasonOf } from './environment.js';
import type { Program } from './program.js';
import { cel } from './library.js';

const { isCelError } = cel;

/** Evaluates a prepared program on variables, any number of times. @throws Error saying what failed */
export type Evaluate = (variables: CelVariables) => unknown;

/** Values as CEL reads them. `celVariables` makes them. */
export interface CelVariables {
  readonly values: Readonly<Record<string, CelInput>>;
}

/**
 * Evaluates programs within limits. A single operation takes time linear in the data and cannot be interrupted; only comprehensions are
 * stopped by the limits. So it is meant for data of at most a few hundred KB and for programs that do not come from agents. Expectations
 * are evaluated in a thread of their own.
 */
export class CelEvaluator {
  readonly #environment: CelEnvironment;

  constructor(limits: CelLimits) {
    this.#environment = new CelEnvironment(limits);
  }

  /** Prepares a program. Its value is a bigint, number, boolean, text, null, or an object of the library. */
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

  /** Starts counting from zero: everything evaluated until the next call shares the limits of one evaluation. */
  begin(): void {
    this.#environment.begin();
  }
}

/** Makes variables from JSON values. The values must not change afterwards. */
export function celVariables(values: Readonly<Record<string, unknown>>): CelVariables {
  const own: Record<string, CelInput> = Object.create(null) as Record<string, CelInput>;
  for (const [name, value] of Object.entries(values)) own[name] = toCel(value);
  return { values: own };
}

/** Runs without collecting stack traces. Errors are values in CEL, and the traces of thousands of them would be most of the cost. */
function withoutTraces<Value>(run: () => Value): Value {
  const before = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return run();
  } finally {
    Error.stackTraceLimit = before;
  }
}
