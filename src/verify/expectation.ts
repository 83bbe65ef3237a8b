/** Compiles expectations: parses their CEL, refuses what they may not use, and bounds their cost, all before any effect. */
import { CountersignError } from '../action/errors.js';
import type { Expect, Proposal } from '../action/proposal.js';
import { CelProblem, compileCel, position, type Compiled } from '../cel/compile.js';
import type { CelHelper, Program, Terms } from '../cel/program.js';
import { CHANGE_HELPERS, DATA_HELPERS } from './helpers.js';

/** The longest expectation, in UTF-16 code units. */
export const MAX_EXPECTATION_LENGTH = 4096;

/** The names that an expectation can read. */
const ROOTS = ['pre', 'post', 'delta', 'result'] as const;
export type Root = (typeof ROOTS)[number];

const TERMS: Terms<Root> = {
  roots: ROOTS,
  bare: ['result'],
  yields: 'boolean',
  loops: 2,
  helpers: new Map<string, CelHelper<Root>>([...DATA_HELPERS, ...CHANGE_HELPERS]),
  example: 'post.orders["41"].status == "paid"',
};

/** An expectation that compiled. Pass it to an `ExpectationRunner`. */
export interface Expectation {
  /** The name of its check: `expect`, or `expect.<name>` for one of several. */
  readonly check: string;
  /** The CEL text. */
  readonly source: string;
  /** How long it may take until the expectation holds in the real system. Milliseconds. */
  readonly withinMs: number;
  /** Which of `pre`, `post`, `delta` and `result` it reads. */
  readonly uses: readonly Root[];
  /** The checked syntax tree, as plain data that can be posted to a worker thread. */
  readonly program: Program;
}

/**
 * Compiles a CEL expression over `pre`, `post` (`{table: {key: row}}`), `delta` (`{patch, operations, latencyMs}`) and `result`.
 * It has the standard functions of CEL without bytes, types and messages; `has(x["key"])` works as `has(x.key)` does;
 * a comprehension (`all`, `exists`, `exists_one`, `filter`, `map`) may hold one more, not two. Beyond CEL it has the helpers that
 * docs/verification.md lists.
 *
 * @throws CountersignError INVALID_EXPECTATION with the position of what is wrong
 */
export function compileExpectation(expect: string | Expect): Expectation {
  return compileAs('expect', 'proposal.expect', expect);
}

/**
 * Compiles all expectations of a proposal; an empty list when it has none.
 *
 * @throws CountersignError INVALID_EXPECTATION
 */
export function compileExpectations(expect: Proposal['expect']): readonly Expectation[] {
  if (expect === undefined) return [];
  if (!isList(expect)) return [compileExpectation(expect)];
  return expect.map((one, at) => compileAs(`expect.${one.name}`, `proposal.expect.${at}.cel`, one));
}

function compileAs(check: string, field: string, expect: string | Expect): Expectation {
  const given: Expect = typeof expect === 'string' ? { cel: expect } : expect;
  const { cel: source, withinMs = 0 } = given;
  let compiled: Compiled<Root>;
  try {
    compiled = compileCel(source, MAX_EXPECTATION_LENGTH, TERMS);
  } catch (error) {
    if (!(error instanceof CelProblem)) throw error;
    const { message, offset, expected, fix } = error;
    const where = offset === undefined ? '' : ` (${position(source, offset)})`;
    const subject = check === 'expect' ? 'The expectation' : `The expectation ${check.slice('expect.'.length)}`;
    throw new CountersignError('INVALID_EXPECTATION', `${subject} ${message}${where}.`, {
      field,
      expected,
      fix,
      cause: error.cause,
    });
  }
  return { check, source, withinMs, ...compiled };
}

/** Whether a value is a list. The type of `Array.isArray` does not distinguish readonly lists from objects. */
export function isList<Item extends object>(value: string | object | readonly Item[]): value is readonly Item[] {
  return Array.isArray(value);
}
