/** Evaluates compiled CEL in this process, synchronously: for expressions of the operator over data of bounded size. */
import { createRequire } from 'node:module';
import { compileFunction } from 'node:vm';
import { ENVIRONMENT_SOURCE, type CelEnvironment, type CelLimits } from './environment.js';
import type { Program } from './program.js';

/** A program made ready to be evaluated again and again. */
export type Evaluate = (variables: CelVariables) => unknown;

/** Values as CEL reads them, from `variables`. */
export interface CelVariables {
  readonly values: Readonly<Record<string, unknown>>;
}

/**
 * Not every operation can be interrupted: each takes time linear in the data, and comprehensions are stopped by the limits. So this is for
 * data of at most a few hundred KB and for programs that do not come from agents; expectations have a thread of their own.
 */
export class CelEvaluator {
  readonly #environment: CelEnvironment;

  constructor(limits: CelLimits) {
    const load = createRequire(import.meta.url);
    const path = load.resolve('@bufbuild/cel');
    const { RE2JS } = createRequire(path)('@bufbuild/re2') as { RE2JS: unknown };
    const make = compileFunction(ENVIRONMENT_SOURCE, ['cel', 'RE2JS', 'limits', 'extend'], {
      filename: 'cel-environment.js',
    });
    this.#environment = make(load(path), RE2JS, limits) as CelEnvironment;
  }

  /** The program's value: a bigint, number, boolean, text, null, or one of the library's own. The function throws Error saying what failed. */
  plan(program: Program): Evaluate {
    const environment = this.#environment;
    const evaluate = environment.plan(program.expr);
    return ({ values }) => {
      const value = withoutTraces(() => evaluate(values));
      const exceeded = environment.exceeded();
      if (exceeded !== undefined) throw new Error(`it is too costly: ${exceeded}`);
      if (environment.isError(value)) throw new Error(environment.reason(value));
      return value;
    };
  }

  /** What is evaluated from now on shares what one evaluation may take. */
  begin(): void {
    this.#environment.begin();
  }

  /** Values for the programs of this evaluator. They must not change. */
  variables(values: Readonly<Record<string, unknown>>): CelVariables {
    const own: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
    for (const [name, value] of Object.entries(values)) own[name] = this.#environment.toCel(value);
    return { values: own };
  }

  /** A value in a few words. */
  describe(value: unknown): string {
    return this.#environment.describe(value);
  }
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
