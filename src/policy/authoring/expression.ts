/** Cedar's conditions as data: their conjuncts, what they compare, and what is left of them when some of it is known. */
import type { Clause, Expr, PolicyJson, Var } from '@cedar-policy/cedar-wasm/nodejs';
import { uidOf } from '../scope.js';

type Operands = { readonly left: Expr; readonly right: Expr };

/** The operands of a binary operator, if the expression is one. */
export function operands(expr: Expr, operator: string): Operands | undefined {
  return (expr as Readonly<Record<string, Operands | undefined>>)[operator];
}

/** What must all be true for the conditions to hold. An `unless` is its negation. */
export function conjuncts(conditions: readonly Clause[]): readonly Expr[] {
  return conditions.flatMap(({ kind, body }) => (kind === 'when' ? split(body) : splitNegated(body)));
}

function split(expr: Expr): readonly Expr[] {
  const both = operands(expr, '&&');
  if (both !== undefined) return [...split(both.left), ...split(both.right)];
  const not = (expr as { readonly '!'?: { readonly arg: Expr } })['!'];
  return not === undefined ? [expr] : splitNegated(not.arg);
}

/** Not (a or b) is not a, and not b. */
function splitNegated(expr: Expr): readonly Expr[] {
  const either = operands(expr, '||');
  if (either !== undefined) return [...splitNegated(either.left), ...splitNegated(either.right)];
  const not = (expr as { readonly '!'?: { readonly arg: Expr } })['!'];
  return not === undefined ? [{ '!': { arg: expr } }] : split(not.arg);
}

/** `context.input.amount`; undefined for anything but attributes of a variable. */
export function pathOf(expr: Expr): string | undefined {
  if ('Var' in expr) return expr.Var as Var;
  const attribute = (expr as { readonly '.'?: { readonly left: Expr; readonly attr: string } })['.'];
  if (attribute === undefined) return undefined;
  const left = pathOf(attribute.left);
  return left === undefined ? undefined : `${left}.${attribute.attr}`;
}

/** The text, number or boolean that an expression is. */
export function literalOf(expr: Expr): string | number | boolean | undefined {
  if (!('Value' in expr)) return undefined;
  const { Value: value } = expr;
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : undefined;
}

/** The entity that an expression names. */
export function entityOf(expr: Expr): { readonly type: string; readonly id: string } | undefined {
  const value = 'Value' in expr ? expr.Value : undefined;
  if (typeof value !== 'object' || value === null || Array.isArray(value) || !('__entity' in value)) return undefined;
  return uidOf(value as Parameters<typeof uidOf>[0]);
}

/** The texts of a set that is written out. */
export function textsOf(expr: Expr): readonly string[] | undefined {
  if (!('Set' in expr)) return undefined;
  const values = (expr.Set as readonly Expr[]).map(literalOf);
  return values.every((value) => typeof value === 'string') ? values : undefined;
}

/** Calls `see` with every expression within, from the outside. */
export function walk(expr: unknown, see: (expr: Expr) => void): void {
  if (typeof expr !== 'object' || expr === null) return;
  if (!Array.isArray(expr)) see(expr as Expr);
  for (const part of Object.values(expr)) walk(part, see);
}

/**
 * What is certain of a residual: true, false, or undefined for neither. An `&&` of which one part is false can only be false or an error, so
 * it never holds.
 */
function truthOf(expr: Expr): boolean | undefined {
  if ('Value' in expr) return typeof expr.Value === 'boolean' ? expr.Value : undefined;
  const not = (expr as { readonly '!'?: { readonly arg: Expr } })['!'];
  if (not !== undefined) return negated(truthOf(not.arg));
  const and = operands(expr, '&&');
  if (and !== undefined) return conjunction(truthOf(and.left), truthOf(and.right));
  const or = operands(expr, '||');
  if (or !== undefined) return negated(conjunction(negated(truthOf(or.left)), negated(truthOf(or.right))));
  const choice = (
    expr as { readonly 'if-then-else'?: { readonly if: Expr; readonly then: Expr; readonly else: Expr } }
  )['if-then-else'];
  if (choice === undefined) return undefined;
  const [on, then, otherwise] = [truthOf(choice.if), truthOf(choice.then), truthOf(choice.else)];
  if (on !== undefined) return on ? then : otherwise;
  return then === otherwise ? then : undefined;
}

/** Whether a residual policy holds: for certain, never, or depending on what is not known. */
export function residualTruth({ conditions }: PolicyJson): boolean | undefined {
  return conditions
    .map(({ kind, body }) => (kind === 'when' ? truthOf(body) : negated(truthOf(body))))
    .reduce<boolean | undefined>(conjunction, true);
}

function negated(truth: boolean | undefined): boolean | undefined {
  return truth === undefined ? undefined : !truth;
}

function conjunction(a: boolean | undefined, b: boolean | undefined): boolean | undefined {
  if (a === false || b === false) return false;
  return a === true && b === true ? true : undefined;
}
