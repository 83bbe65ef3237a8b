/** Compiles CEL: parses a text, refuses what it may not use, and bounds what it can cost, all before it is evaluated on any data. */
import { checkProgram, type Program, type Terms } from './program.js';
import { cel } from './library.js';

const { parse } = cel;

/** The most opening brackets: the parser takes time cubic in their number. Those in string literals count too, so none can hide there. */
const MAX_BRACKETS = 100;

/** A checked syntax tree, as plain data, with the names that it reads, sorted. */
export interface Compiled<Root extends string> {
  readonly program: Program;
  readonly uses: readonly Root[];
}

/** A problem with a text. The message has no subject of its own: "has 120 opening brackets". */
export class CelProblem extends Error {
  override readonly name = 'CelProblem';
  readonly expected: string;
  readonly fix: string;
  /** Position in the text, in UTF-16 code units. Absent when the problem is the text as a whole. */
  readonly offset: number | undefined;

  constructor(message: string, offset: number | undefined, hints: { expected: string; fix: string; cause?: unknown }) {
    super(message, { cause: hints.cause });
    this.expected = hints.expected;
    this.fix = hints.fix;
    this.offset = offset;
  }
}

/** Parses a text and checks it against `terms`. `maxLength` is in UTF-16 code units. @throws CelProblem */
export function compileCel<Root extends string>(source: string, maxLength: number, terms: Terms<Root>): Compiled<Root> {
  if (typeof source !== 'string' || source.length === 0 || source.length > maxLength) {
    throw new CelProblem(`has ${typeof source === 'string' ? source.length : 'no'} characters`, undefined, {
      expected: `1 to ${maxLength} characters`,
      fix: 'Check only what matters.',
    });
  }
  if (source.includes('\u0000') || !source.isWellFormed()) {
    throw new CelProblem('holds a NUL byte or a lone surrogate', undefined, {
      expected: 'well-formed Unicode text without NUL',
      fix: 'Remove the character.',
    });
  }
  const brackets = source.match(/[([{]/g)?.length ?? 0;
  if (brackets > MAX_BRACKETS) {
    throw new CelProblem(`has ${brackets} opening brackets`, undefined, {
      expected: `at most ${MAX_BRACKETS} opening brackets`,
      fix: 'Simplify the expression.',
    });
  }
  const program = parseSource(source, terms);
  const uses = checkProgram(program, terms, (problem, offset, hints) => {
    throw new CelProblem(problem, offset, hints);
  });
  return { program, uses };
}

function parseSource(source: string, { roots, yields, example }: Terms): Program {
  try {
    return parse(source);
  } catch (error) {
    if (error instanceof RangeError) {
      throw new CelProblem('nests too deeply', undefined, {
        expected: 'a shallower expression',
        fix: 'Simplify it.',
        cause: error,
      });
    }
    // The parser's message begins with its own name for the source, and may list every token of CEL.
    const [, line, column, rest = ''] = /^<input>:(\d+):(\d+): (.*)$/su.exec((error as Error).message) ?? [];
    const offset = line === undefined ? undefined : offsetOf(source, Number(line), Number(column));
    throw new CelProblem(`does not compile: ${(rest || (error as Error).message).slice(0, 200)}`, offset, {
      expected: `a CEL expression over ${roots.join(', ')} that yields a ${yields}`,
      fix: `Correct the expression at the place named, for instance: ${example}`,
      cause: error,
    });
  }
}

function offsetOf(source: string, line: number, column: number): number {
  const before = source.split('\n').slice(0, line - 1);
  return before.reduce((sum, text) => sum + text.length + 1, 0) + column - 1;
}

/** Formats an offset as `line 1, column 7`, both counted from 1. */
export function position(source: string, offset: number): string {
  const before = source.slice(0, offset).split('\n');
  return `line ${before.length}, column ${(before.at(-1) ?? '').length + 1}`;
}
