/** Conditions that contradict themselves: two texts that one attribute must be, a number both over and under a bound. */
import type { Clause, Expr } from '@cedar-policy/cedar-wasm/nodejs';
import { conjuncts, literalOf, operands, pathOf } from '../expression.js';

interface Bounds {
  equals?: string | number | boolean;
  least: number;
  most: number;
}

const OPERATORS = ['==', '<', '<=', '>', '>='] as const;
type Operator = (typeof OPERATORS)[number];
const MIRRORED: Readonly<Record<Operator, Operator>> = { '==': '==', '<': '>', '<=': '>=', '>': '<', '>=': '<=' };

/** The attribute of which no value can meet all conditions; undefined when there is none. Cedar's numbers are whole. */
export function contradictedPath(conditions: readonly Clause[]): string | undefined {
  const found = new Map<string, Bounds>();
  for (const conjunct of conjuncts(conditions)) {
    const comparison = comparisonOf(conjunct);
    if (comparison === undefined) continue;
    const { path, operator, value } = comparison;
    const bounds = found.get(path) ?? { least: -Infinity, most: Infinity };
    found.set(path, bounds);
    if (!fits(bounds, operator, value)) return path;
  }
  return undefined;
}

function fits(bounds: Bounds, operator: Operator, value: string | number | boolean): boolean {
  if (operator === '==') {
    if (bounds.equals !== undefined && bounds.equals !== value) return false;
    bounds.equals = value;
  } else if (typeof value === 'number') {
    if (operator === '<' || operator === '<=') bounds.most = Math.min(bounds.most, value - (operator === '<' ? 1 : 0));
    else bounds.least = Math.max(bounds.least, value + (operator === '>' ? 1 : 0));
  }
  const { equals, least, most } = bounds;
  if (least > most) return false;
  return typeof equals !== 'number' || (equals >= least && equals <= most);
}

function comparisonOf(
  expr: Expr,
): { readonly path: string; readonly operator: Operator; readonly value: string | number | boolean } | undefined {
  for (const operator of OPERATORS) {
    const both = operands(expr, operator);
    if (both === undefined) continue;
    const [left, right] = [pathOf(both.left), pathOf(both.right)];
    const value = literalOf(left === undefined ? both.left : both.right);
    const path = left ?? right;
    if (path === undefined || value === undefined) return undefined;
    return { path, operator: left === undefined ? MIRRORED[operator] : operator, value };
  }
  return undefined;
}
