/**
 * The functions and limits with which CEL is evaluated, in the evaluator thread and in this process. The size of texts and lists is
 * limited, the iterations of comprehensions are counted, and data is read in place.
 */
import type { CelEnv, CelError, CelFunc, CelInput, CelList, CelResult } from '@bufbuild/cel';
import { Budget, type CelLimits } from './budget.js';
import type { Program } from './program.js';
import { cel, RE2JS } from './library.js';

const {
  CelScalar,
  celEnv,
  celFunc,
  celList,
  celListConcat,
  celMethod,
  isCelError,
  isCelList,
  isCelMap,
  listType,
  plan,
} = cel;
const { BOOL, DOUBLE, INT, STRING } = CelScalar;
const LIST = listType(CelScalar.DYN);

/** How many compiled patterns are cached. The library would compile a pattern for every text, but programs contain only a few patterns. */
const KEPT_PATTERNS = 100;

/** Evaluates one expression over the variables given. */
export type PlannedExpression = (variables: Readonly<Record<string, CelInput>>) => CelResult;

/** Evaluates programs within limits that `begin` starts to count. */
export class CelEnvironment {
  readonly #budget: Budget;
  readonly #env: CelEnv;

  /** `extend`, if any, makes further functions, which charge what they cost to the budget. */
  constructor(limits: CelLimits, extend?: (budget: Budget) => readonly CelFunc[]) {
    this.#budget = new Budget(limits);
    this.#env = celEnv({
      re2: cachedPatterns(this.#budget),
      funcs: [...boundedFunctions(this.#budget), ...conversions(), ...arithmetic(), ...(extend?.(this.#budget) ?? [])],
    });
  }

  plan(expr: Program['expr']): PlannedExpression {
    return plan(this.#env, expr);
  }

  /** Starts counting from zero. */
  begin(): void {
    this.#budget.begin();
  }

  /** The first limit exceeded since `begin`; undefined when none was. */
  get exceeded(): string | undefined {
    return this.#budget.exceeded;
  }
}

/** The functions that loop or grow. A checked program calls `@step` in every iteration and `@append` for every collected item. */
function boundedFunctions(budget: Budget): CelFunc[] {
  // The lists that comprehensions are building. Nothing else refers to them yet, so they can grow in place.
  const growing = new WeakMap<CelList, CelInput[]>();
  const append = (list: CelList, one: CelList): CelList => {
    let items = growing.get(list);
    let grown = list;
    if (items === undefined) {
      items = [];
      grown = celList(items);
      growing.set(grown, items);
    }
    items.push(one.get(0) as CelInput);
    return budget.bounded(grown);
  };
  const { text: most } = budget.limits;
  return [
    celFunc('@step', [BOOL, INT], BOOL, (condition, cost) => {
      budget.charge(Number(cost));
      budget.checkTime();
      return condition;
    }),
    celFunc('@append', [LIST, LIST], LIST, append),
    celFunc('_+_', [LIST, LIST], LIST, (left, right) => budget.bounded(celListConcat(left, right))),
    celFunc('_+_', [STRING, STRING], STRING, (left, right) =>
      left.length + right.length > most ? budget.exceed(`a text of more than ${most} characters`) : left + right,
    ),
  ];
}

/** Conversions that are stricter than those of JavaScript, where an empty text is zero. */
function conversions(): CelFunc[] {
  return [
    celFunc('size', [STRING], INT, codePoints),
    celMethod('size', STRING, [], INT, function () {
      return codePoints(this);
    }),
    celFunc('int', [STRING], INT, toInt),
    celFunc('double', [STRING], DOUBLE, toDouble),
  ];
}

function codePoints(text: string): bigint {
  let count = 0n;
  for (const _ of text) count++;
  return count;
}

function toInt(text: string): bigint {
  const value = /^[+-]?\d{1,19}$/.test(text) ? BigInt(text) : undefined;
  if (value === undefined || BigInt.asIntN(64, value) !== value)
    throw new Error(`not an int: ${JSON.stringify(text.slice(0, 40))}`);
  return value;
}

function toDouble(text: string): number {
  if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text))
    throw new Error(`not a double: ${JSON.stringify(text.slice(0, 40))}`);
  return Number(text);
}

/** Arithmetic of an integer with a double, which yields a double. JSON has only one kind of number, so the two are mixed freely. */
function arithmetic(): CelFunc[] {
  const mixed = (operator: string, compute: (left: number, right: number) => number): CelFunc[] => [
    celFunc(operator, [INT, DOUBLE], DOUBLE, (left, right) => compute(Number(left), right)),
    celFunc(operator, [DOUBLE, INT], DOUBLE, (left, right) => compute(left, Number(right))),
  ];
  return [
    ...mixed('_+_', (left, right) => left + right),
    ...mixed('_-_', (left, right) => left - right),
    ...mixed('_*_', (left, right) => left * right),
    ...mixed('_/_', (left, right) => left / right),
  ];
}

function cachedPatterns(budget: Budget): { compile(pattern: string): { test(text: string): boolean } } {
  const patterns = new Map<string, { test(text: string): boolean }>();
  const { matched: most } = budget.limits;
  return {
    compile(pattern) {
      let compiled = patterns.get(pattern);
      if (compiled === undefined) {
        if (patterns.size >= KEPT_PATTERNS) patterns.clear();
        compiled = RE2JS.compile(pattern);
        patterns.set(pattern, compiled);
      }
      const matcher = compiled;
      return {
        test: (text) =>
          text.length > most ? budget.exceed(`a text of more than ${most} characters to match`) : matcher.test(text),
      };
    },
  };
}

const MISSED_INDEX = /^index (.*) out of bounds \[0, -1\)$/;

/** The reason why a value could not be computed, from the library's error. */
export function reasonOf({ message }: CelError): string {
  const missed = MISSED_INDEX.exec(message);
  return missed === null ? message : `no item ${missed[1]} (if that is a key, it is a text: ["${missed[1]}"])`;
}

/** Describes a value in a few words, for messages. */
export function describeValue(value: unknown): string {
  if (isCelMap(value)) return `a map of ${value.size}`;
  if (isCelList(value)) return `a list of ${value.size}`;
  if (isCelError(value)) return `an error: ${reasonOf(value)}`;
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 80));
  if (typeof value !== 'object' || value === null) return String(value);
  const { desc } = value as { readonly desc?: { readonly typeName?: string } };
  return desc?.typeName ?? value.constructor.name;
}
