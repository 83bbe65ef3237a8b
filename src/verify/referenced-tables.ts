/** Finds the members of a root that an expression names, without evaluating it. */
import type { Program } from '../cel/program.js';

type Expr = Program['expr'];

/** The names that directly follow the root (`state.products`, `state["products"]`), sorted. */
export function referencedTables(program: Program, root: string): readonly string[] {
  const names = new Set<string>();
  visit(program.expr, root, names);
  return [...names].sort();
}

function visit(expr: Expr | undefined, root: string, names: Set<string>): void {
  if (expr === undefined) return;
  const { case: kind, value } = expr.exprKind;
  switch (kind) {
    case 'selectExpr':
      if (isRoot(value.operand, root)) names.add(value.field);
      return visit(value.operand, root, names);
    case 'callExpr': {
      const [operand, key] = value.args;
      if (value.function === '_[_]' && isRoot(operand, root) && key?.exprKind.case === 'constExpr') {
        const constant = key.exprKind.value.constantKind;
        if (constant.case === 'stringValue') names.add(constant.value);
      }
      for (const part of [value.target, ...value.args]) visit(part, root, names);
      return;
    }
    case 'listExpr':
      for (const element of value.elements) visit(element, root, names);
      return;
    case 'structExpr':
      for (const { keyKind, value: entry } of value.entries) {
        if (keyKind.case === 'mapKey') visit(keyKind.value, root, names);
        visit(entry, root, names);
      }
      return;
    case 'comprehensionExpr':
      for (const part of [value.iterRange, value.accuInit, value.loopCondition, value.loopStep, value.result]) {
        visit(part, root, names);
      }
      return;
    case 'constExpr':
    case 'identExpr':
    case undefined:
  }
}

function isRoot(expr: Expr | undefined, root: string): boolean {
  return expr?.exprKind.case === 'identExpr' && expr.exprKind.value.name === root;
}
