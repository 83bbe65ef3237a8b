/**
 * How rules read `context.history`: each count is compared with a number that is written out. So what has to be read is bounded, and it can
 * be told how far a count may move without another decision.
 */
import type { Expr, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { MAX_HISTORY_COUNT, type CountRange } from '../../action/history.js';
import type { SourceLocation } from '../cedar.js';
import type { BundleProblem } from '../problems.js';
import type { HistoryCount } from './cedar.js';

/** A comparison of a count with a number, as one rule has it. */
export interface HistoryUse {
  readonly fact: string;
  readonly count: HistoryCount;
  readonly bound: number;
  /**
   * Whether more of it lets the rule apply rather (`more`), or less (`less`). Undefined where that cannot be told: of `==`, and within
   * expressions other than `&&`, `||` and `!`.
   */
  readonly appliesWith?: 'more' | 'less';
}

const OPERATORS = ['==', '!=', '<', '<=', '>', '>='] as const;
type Operator = (typeof OPERATORS)[number];
const MIRRORED: Readonly<Record<Operator, Operator>> = {
  '==': '==',
  '!=': '!=',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
};

interface Attribute {
  readonly left: Expr;
  readonly attr: string;
}

/** The uses of a rule. What is read in another way is added to `problems`. */
export function historyUses(
  rule: { readonly id: string; readonly json: PolicyJson; readonly place: SourceLocation },
  problems: BundleProblem[],
): readonly HistoryUse[] {
  const uses: HistoryUse[] = [];
  const refuse = (message: string): void => {
    problems.push({
      at: rule.place,
      message: `${rule.id} ${message}`,
      expected: `comparisons such as context.history.tested.done >= 1, with a whole number from 0 to ${MAX_HISTORY_COUNT} written out`,
      fix: 'Compare each count with a number; for more than that, declare a limit.',
    });
  };
  /** `rises`: whether the rule applies rather when the expression is true. Undefined: that cannot be told. */
  const visit = (expr: unknown, rises: boolean | undefined): void => {
    if (typeof expr !== 'object' || expr === null) return;
    if (Array.isArray(expr)) return expr.forEach((part) => visit(part, undefined));
    const compared = comparisonIn(expr as Expr);
    if (compared !== undefined) {
      if (compared.bound === undefined)
        return refuse('compares a count of context.history with something else than a number');
      const more = compared.operator.startsWith('>') ? true : compared.operator.startsWith('<') ? false : undefined;
      const { fact, count, bound } = compared;
      const how =
        more === undefined || rises === undefined ? {} : ({ appliesWith: more === rises ? 'more' : 'less' } as const);
      uses.push({ fact, count, bound, ...how });
      return;
    }
    if (isHistory(expr as Expr)) return refuse('uses context.history in another way than to compare its counts');
    if ('Var' in expr && expr.Var === 'context') return refuse('uses the context as a whole, and so context.history');
    for (const [operator, part] of Object.entries(expr)) visitPart(operator, part, rises, visit);
  };
  for (const { kind, body } of rule.json.conditions) visit(body, kind === 'when');
  return uses;
}

/** Through what keeps or turns the sense of its parts; of the rest it is not known. An attribute of the context is no use of it as a whole. */
function visitPart(
  operator: string,
  part: unknown,
  rises: boolean | undefined,
  visit: (expr: unknown, rises: boolean | undefined) => void,
): void {
  if (typeof part !== 'object' || part === null) return;
  const { left, right, arg } = part as { readonly left?: Expr; readonly right?: Expr; readonly arg?: Expr };
  if (operator === '&&' || operator === '||') {
    visit(left, rises);
    visit(right, rises);
  } else if (operator === '!') {
    visit(arg, rises === undefined ? undefined : !rises);
  } else if ((operator === '.' || operator === 'has') && left !== undefined && 'Var' in left) {
    return;
  } else if (operator === 'Value') {
    return;
  } else {
    for (const inner of Array.isArray(part) ? part : Object.values(part)) visit(inner, undefined);
  }
}

function comparisonIn(
  expr: Expr,
):
  | { readonly fact: string; readonly count: HistoryCount; readonly operator: Operator; readonly bound?: number }
  | undefined {
  for (const operator of OPERATORS) {
    const both = (expr as Readonly<Record<string, { readonly left: Expr; readonly right: Expr } | undefined>>)[
      operator
    ];
    if (both === undefined) continue;
    const [left, right] = [countIn(both.left), countIn(both.right)];
    const count = left ?? right;
    if (count === undefined) return undefined;
    const bound = boundOf(left === undefined ? both.left : both.right);
    return {
      ...count,
      operator: left === undefined ? MIRRORED[operator] : operator,
      ...(bound === undefined ? {} : { bound }),
    };
  }
  return undefined;
}

function boundOf(expr: Expr): number | undefined {
  const value = 'Value' in expr ? expr.Value : undefined;
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_HISTORY_COUNT
    ? value
    : undefined;
}

/** The count that an expression is: `context.history.tested.done`. */
function countIn(expr: Expr): { readonly fact: string; readonly count: HistoryCount } | undefined {
  const count = attributeOf(expr);
  const fact = count && attributeOf(count.left);
  return count !== undefined && fact !== undefined && isHistory(fact.left)
    ? { fact: fact.attr, count: count.attr as HistoryCount }
    : undefined;
}

function isHistory(expr: Expr): boolean {
  const attribute = attributeOf(expr);
  return attribute?.attr === 'history' && 'Var' in attribute.left && attribute.left.Var === 'context';
}

function attributeOf(expr: Expr): Attribute | undefined {
  return (expr as { readonly '.'?: Attribute })['.'];
}

/** How far a count may move without meeting any of the comparisons otherwise. */
export function sameAnswers(value: number, bounds: readonly number[]): CountRange {
  const least = bounds.filter((bound) => bound <= value).map((bound) => (bound === value ? bound : bound + 1));
  const most = bounds.filter((bound) => bound >= value).map((bound) => (bound === value ? bound : bound - 1));
  return [Math.max(0, ...least), Math.min(MAX_HISTORY_COUNT, ...most)];
}
