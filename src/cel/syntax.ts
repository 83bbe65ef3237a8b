/** Nodes of the syntax tree that `@bufbuild/cel` parses an expression into. */
import type { parse } from '@bufbuild/cel';

export type Expr = ReturnType<typeof parse>['expr'];

/** The content of one kind of node. */
export type Kind<C extends string> = Extract<Expr['exprKind'], { case: C }>['value'];

/** CEL's name for the value that a comprehension builds; no text can name it. */
export const ACCUMULATOR = '@result';
