/** Rewrites the few places of a syntax tree where CEL's own form is unbounded or unhandy. */
import { ACCUMULATOR, type Expr } from './syntax.js';

/** `@result + [x]`, in the step of map and filter, becomes `@append(@result, [x])`. Nobody else holds the list that it changes. */
export function growInPlace(step: Expr | undefined): void {
  if (step?.exprKind.case !== 'callExpr') return;
  const call = step.exprKind.value;
  const [left, right] = call.args;
  if (call.function === '_?_:_') return growInPlace(right);
  const accumulates = left?.exprKind.case === 'identExpr' && left.exprKind.value.name === ACCUMULATOR;
  if (call.function === '_+_' && accumulates && right?.exprKind.case === 'listExpr') call.function = '@append';
}

/** `@step(condition, cost)`: the condition, or an error once the evaluation has spent what it may. */
export function charged(condition: Expr | undefined, cost: number): Expr {
  const price: Expr = {
    $typeName: 'cel.expr.Expr',
    id: 0n,
    exprKind: {
      case: 'constExpr',
      value: { $typeName: 'cel.expr.Constant', constantKind: { case: 'int64Value', value: BigInt(cost) } },
    },
  };
  return {
    $typeName: 'cel.expr.Expr',
    id: 0n,
    exprKind: {
      case: 'callExpr',
      value: {
        $typeName: 'cel.expr.Expr.Call',
        function: '@step',
        args: condition === undefined ? [price] : [condition, price],
      },
    },
  };
}

/** `has(x["key"])` becomes the test that `has(x.key)` is. */
export function testField(expr: Expr, operand: Expr, field: string): void {
  expr.exprKind = {
    case: 'selectExpr',
    value: { $typeName: 'cel.expr.Expr.Select', operand, field, testOnly: true },
  };
}
