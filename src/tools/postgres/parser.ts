/** Uses PostgreSQL's own parser (libpg_query) safely: it parses one statement of limited size, and parses again what it prints. */
import { deparseSync, loadModule, parseSync } from 'pgsql-parser';
import { CountersignError } from '../../action/errors.js';
import { canonical } from '../../action/json.js';

await loadModule();

/** A parse tree node or a part of one, as libpg_query prints it. */
export type Ast = { readonly [field: string]: unknown };

export interface SqlStatement {
  /** The type of the node, such as `DeleteStmt`. */
  readonly type: string;
  readonly node: Ast;
  /** The statement alone, without a semicolon. It may end in a comment, so append to it only after a line break. */
  readonly text: string;
}

/**
 * The most words and signs of a text. The parser recurses in WebAssembly, and a stack overflow damages its memory for all later calls. The
 * words and signs, counted in literals too, are never fewer than the levels of nesting. This is half of the depth measured to fail.
 */
const MAX_PIECES = 3_000;

let damaged = false;

/**
 * Parses exactly one statement.
 *
 * @throws CountersignError STATEMENT_REFUSED
 */
export function parseOne(sql: string): SqlStatement {
  const { stmts } = parse(sql);
  const only = stmts?.[0];
  if (only?.stmt === undefined || stmts?.length !== 1) {
    throw refuseStatement(
      `The text holds ${stmts?.length ?? 0} statements.`,
      'exactly one SQL statement',
      'Propose one action for each statement.',
    );
  }
  const [type, node] = unwrap(only.stmt);
  // The positions of the parser count bytes.
  const bytes = Buffer.from(sql, 'utf8');
  const start = only.stmt_location ?? 0;
  const text = bytes.subarray(start, only.stmt_len ? start + only.stmt_len : bytes.length).toString('utf8');
  return { type, node, text };
}

/** Unwraps `{SelectStmt: {…}}` into the type and the fields. */
export function unwrap(wrapped: unknown): [type: string, node: Ast] {
  const entries = isAst(wrapped) ? Object.entries(wrapped) : [];
  const [type, node] = entries[0] ?? [];
  if (entries.length !== 1 || type === undefined || !isAst(node))
    throw refuseStatement('A part of the statement has an unknown form.');
  return [type, node];
}

export function isAst(value: unknown): value is Ast {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Prints a tree as SQL. The text is parsed again and must give the same tree, so that a bug in the printer cannot change the statement.
 *
 * @throws CountersignError STATEMENT_REFUSED
 */
export function print(type: string, node: Ast): string {
  let text: string;
  try {
    text = deparseSync({ [type]: node }, { pretty: false });
  } catch (error) {
    throw refuseStatement('The statement cannot be rewritten to preview it.', undefined, undefined, error);
  }
  const back = parse(text).stmts;
  if (back?.length !== 1 || shape(back[0]?.stmt) !== shape({ [type]: node })) {
    throw refuseStatement('The statement cannot be rewritten faithfully to preview it.');
  }
  return text;
}

/** Prints an expression as SQL, with the same check. */
export function printExpression(expression: unknown): string {
  return print('SelectStmt', selectOf([expression])).replace(/^SELECT\s+/, '');
}

/** Builds the tree of `SELECT <expressions> …`. */
export function selectOf(expressions: readonly unknown[], rest: Ast = {}): Ast {
  return {
    targetList: expressions.map((val) => ({ ResTarget: { val } })),
    ...rest,
    limitOption: 'LIMIT_OPTION_DEFAULT',
    op: 'SETOP_NONE',
  };
}

function parse(sql: string): { stmts?: { stmt?: unknown; stmt_location?: number; stmt_len?: number }[] } {
  // The parser reads a C string, so it would stop at a NUL where the server might not.
  if (sql.includes('\u0000') || !sql.isWellFormed()) {
    throw refuseStatement('The text holds a NUL byte or a lone surrogate.', 'well-formed text');
  }
  if ((sql.match(/[A-Za-z0-9_$]+|[^\sA-Za-z0-9_$]/g)?.length ?? 0) > MAX_PIECES) {
    throw refuseStatement(
      'The statement is too long to be parsed safely.',
      `at most ${MAX_PIECES} words and signs, those inside literals counted`,
      'Pass values in params, use the structured operations, or split the action.',
    );
  }
  if (damaged)
    throw refuseStatement('The SQL parser stopped working in this process.', undefined, 'Restart the worker.');
  try {
    return parseSync(sql);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // A stack overflow, or a trap of WebAssembly.
    if (error instanceof Error && ['RangeError', 'RuntimeError'].includes(error.name)) damaged = true;
    throw refuseStatement(
      `The SQL cannot be parsed: ${message}`,
      'one statement of PostgreSQL',
      'Correct the syntax.',
      error,
    );
  }
}

/** A text of the tree without positions, independent of the order of its fields. */
function shape(value: unknown): string {
  return canonical(JSON.parse(JSON.stringify(value, (key, item: unknown) => (POSITION.test(key) ? undefined : item))));
}

/** Fields with positions in the text. */
export const POSITION = /^(location|stmt_location|stmt_len|list_start|list_end|rexpr_list_start|rexpr_list_end)$/;

export function refuseStatement(message: string, expected?: string, fix?: string, cause?: unknown): CountersignError {
  return new CountersignError('STATEMENT_REFUSED', message, {
    field: 'input.sql',
    expected:
      expected ?? 'a single select, insert, update, delete, truncate, or create, alter or drop of a table or index',
    fix: fix ?? 'Write the statement in a simpler way, or use the structured operations.',
    cause,
  });
}
