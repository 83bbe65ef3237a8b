/** What the rules of a policy speak of: the roles, names and numbers whose change can change a decision. */
import type { Expr } from '@cedar-policy/cedar-wasm/nodejs';
import type { Json, JsonObject } from '../../../action/json.js';
import type { Policy } from '../../compile.js';
import { ROLE_TYPE, scopeOf } from '../../scope.js';
import { entityOf, literalOf, operands, pathOf, textsOf, walk } from '../expression.js';

export interface KnownValues {
  readonly roles: readonly string[];
  readonly environments: readonly string[];
  readonly operations: readonly string[];
  readonly targets: readonly string[];
  readonly rows: readonly number[];
  /** By the path of the argument: what it is compared with. */
  readonly input: ReadonlyMap<string, readonly (string | number | boolean)[]>;
}

const COMPARISONS = ['==', '!=', '<', '<=', '>', '>='] as const;
const INPUT = 'context.input.';

export function knownValues(policy: Policy): KnownValues {
  const roles = new Set<string>();
  const compared = new Map<string, Set<string | number | boolean>>();
  const note = (path: string | undefined, values: readonly (string | number | boolean | undefined)[]): void => {
    if (path === undefined) return;
    const found = compared.get(path) ?? new Set();
    compared.set(path, found);
    for (const value of values) if (value !== undefined) found.add(value);
  };
  for (const { json } of policy.rules) {
    const { role } = scopeOf(json);
    if (role !== undefined) roles.add(role);
    walk(json.conditions, (expr) => {
      const entity = entityOf(expr);
      if (entity?.type === ROLE_TYPE) roles.add(entity.id);
      noteComparison(expr, note);
    });
  }
  const textsAt = (...paths: readonly string[]): readonly string[] =>
    unique(paths.flatMap((path) => [...(compared.get(path) ?? [])].filter((value) => typeof value === 'string')));
  const bounds = [...(compared.get('context.rows') ?? [])].filter((value) => typeof value === 'number');
  return {
    roles: unique([...roles, ...textsAt('context.roles')]),
    environments: textsAt('context.environment', 'resource.environment'),
    operations: textsAt('context.operation'),
    targets: textsAt('context.targets', 'context.reads'),
    rows: around([0, ...bounds]).filter((rows) => rows >= 0),
    input: new Map(
      [...compared]
        .filter(([path]) => path.startsWith(INPUT))
        .map(([path, values]) => [path.slice(INPUT.length), valuesAround([...values])] as const)
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    ),
  };
}

function noteComparison(
  expr: Expr,
  note: (path: string | undefined, values: readonly (string | number | boolean | undefined)[]) => void,
): void {
  for (const operator of COMPARISONS) {
    const both = operands(expr, operator);
    if (both === undefined) continue;
    note(pathOf(both.left), [literalOf(both.right)]);
    note(pathOf(both.right), [literalOf(both.left)]);
  }
  const contains = operands(expr, 'contains');
  if (contains !== undefined) {
    note(pathOf(contains.left), [literalOf(contains.right)]);
    note(pathOf(contains.right), textsOf(contains.left) ?? []);
  }
  for (const operator of ['containsAny', 'containsAll'] as const) {
    const both = operands(expr, operator);
    if (both !== undefined) note(pathOf(both.left), textsOf(both.right) ?? []);
  }
}

/** A bound, and what is just beyond it on either side: the nearest value that a comparison tells apart. */
function around(bounds: readonly number[]): readonly number[] {
  return [...new Set(bounds.flatMap((bound) => [bound - 1, bound, bound + 1]))].sort((a, b) => a - b);
}

function valuesAround(values: readonly (string | number | boolean)[]): readonly (string | number | boolean)[] {
  const numbers = values.filter((value) => typeof value === 'number');
  const flags = values.some((value) => typeof value === 'boolean') ? [false, true] : [];
  return [...around(numbers), ...unique(values.filter((value) => typeof value === 'string')), ...flags];
}

function unique(values: readonly string[]): readonly string[] {
  return [...new Set(values)].sort();
}

/** The input with the value at a dotted path, in new objects. */
export function withValue(input: Json | undefined, [name = '', ...rest]: readonly string[], value: Json): Json {
  const before: JsonObject = isObject(input) ? input : {};
  const own = before[name];
  return { ...before, [name]: rest.length === 0 ? value : withValue(own, rest, value) };
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
