/** Compiles an expectation: parses its CEL, refuses what it may not use, and bounds what it can cost, all before any effect. */
import { parse } from '@bufbuild/cel';
import { CountersignError } from '../action/errors.js';
import type { Expect } from '../action/proposal.js';
import { checkProgram, ROOTS, type Program, type Root } from './program.js';

/** The longest expectation, in UTF-16 code units. */
export const MAX_EXPECTATION_LENGTH = 4096;

/** The parser backtracks over open brackets, in time cubic in their number. Counted inside texts too, so that none can hide there. */
const MAX_BRACKETS = 100;

/** An expectation that compiled. Pass it to an `ExpectationRunner`. */
export interface Expectation {
  /** The CEL text. */
  readonly source: string;
  /** How long the real system may take to show it, milliseconds. */
  readonly withinMs: number;
  /** Which of `pre`, `post`, `delta` and `result` it reads. */
  readonly uses: readonly Root[];
  /** The checked syntax tree, as plain data that a worker thread can be sent. */
  readonly program: Program;
}

/**
 * Compiles a CEL expression over `pre`, `post` (`{table: {key: row}}`), `delta` (`{patch, operations, latencyMs}`) and `result`.
 * It has the standard functions of CEL without bytes, types and messages; `has(x["key"])` works as `has(x.key)` does;
 * a comprehension (`all`, `exists`, `exists_one`, `filter`, `map`) may hold one more, not two.
 *
 * @throws CountersignError INVALID_EXPECTATION with the position of what is wrong
 */
export function compileExpectation(expect: string | Expect): Expectation {
  const source = typeof expect === 'string' ? expect : expect.cel;
  const withinMs = typeof expect === 'string' ? 0 : (expect.withinMs ?? 0);
  if (typeof source !== 'string' || source.length === 0 || source.length > MAX_EXPECTATION_LENGTH) {
    throw refused(`has ${typeof source === 'string' ? source.length : 'no'} characters`, {
      expected: `1 to ${MAX_EXPECTATION_LENGTH} characters`,
      fix: 'Check only what the action was meant to change.',
    });
  }
  if (source.includes('\u0000') || !source.isWellFormed()) {
    throw refused('holds a NUL byte or a lone surrogate', {
      expected: 'well-formed Unicode text without NUL',
      fix: 'Remove the character.',
    });
  }
  const brackets = source.match(/[([{]/g)?.length ?? 0;
  if (brackets > MAX_BRACKETS) {
    throw refused(`has ${brackets} opening brackets`, {
      expected: `at most ${MAX_BRACKETS} opening brackets`,
      fix: 'Simplify the expression.',
    });
  }
  const program = parseSource(source);
  const uses = checkProgram(program, (problem, offset, hints) => {
    throw refused(offset === undefined ? problem : `${problem} (${position(source, offset)})`, hints);
  });
  return { source, withinMs, uses, program };
}

function parseSource(source: string): Program {
  try {
    return parse(source);
  } catch (error) {
    if (error instanceof RangeError) {
      throw refused('nests too deeply', { expected: 'a shallower expression', fix: 'Simplify it.', cause: error });
    }
    // The parser's message leads with its own name for the source, and may list every token that CEL has.
    const [, line, column, rest = ''] = /^<input>:(\d+):(\d+): (.*)$/su.exec((error as Error).message) ?? [];
    const where = line === undefined ? '' : ` at line ${line}, column ${column}`;
    throw refused(`does not compile${where}: ${(rest || (error as Error).message).slice(0, 200)}`, {
      expected: `a CEL expression over ${ROOTS.join(', ')} that yields a boolean`,
      fix: 'Correct the expression at the place named, for instance: post.orders["41"].status == "paid"',
      cause: error,
    });
  }
}

function position(source: string, offset: number): string {
  const before = source.slice(0, offset).split('\n');
  return `line ${before.length}, column ${(before.at(-1) ?? '').length + 1}`;
}

function refused(problem: string, hints: { expected: string; fix: string; cause?: unknown }): CountersignError {
  return new CountersignError('INVALID_EXPECTATION', `The expectation ${problem}.`, {
    field: 'proposal.expect',
    ...hints,
  });
}
