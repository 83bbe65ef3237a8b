/**
 * Finds the policies that can match a request, so that a decision evaluates no others. A policy is left out only when its scope, or a
 * condition that Cedar evaluates before anything of it that can fail, is false: then it can neither match nor fail.
 */
import type { Clause, Expr } from '@cedar-policy/cedar-wasm/nodejs';
import type { ActionType } from '../action/decision.js';
import type { CedarRequest } from './request.js';
import type { Rule } from './rules.js';
import { scopeOf, uidOf, type RuleScope } from './scope.js';

/** What a policy asks for before anything else. A list is met by any one of its members. */
interface RuleKeys extends RuleScope {
  readonly targets?: readonly string[];
  readonly operations?: readonly string[];
  readonly environments?: readonly string[];
}

/** What of a request keys are compared with. */
interface RequestKeys {
  readonly agent: string;
  readonly tool: string;
  readonly roles: readonly string[];
  readonly targets: readonly string[];
  readonly operation: string;
  readonly environment: string;
}

interface Indexed {
  readonly rule: Rule;
  /** Its place in the bundle. */
  readonly number: number;
  readonly keys: RuleKeys;
}

export class RuleIndex {
  /** Each policy is in the buckets of one of its keys, the one that usually leaves out most; those without keys are in one of their own. */
  readonly #buckets = new Map<string, Indexed[]>();

  constructor(rules: readonly Rule[]) {
    for (const [number, rule] of rules.entries()) {
      const indexed = { rule, number, keys: keysOf(rule) };
      for (const actionType of rule.actions) {
        for (const key of bucketsOf(indexed.keys)) this.#bucket(actionType, key).push(indexed);
      }
    }
  }

  /** The policies that can match the request, in the order of the bundle. */
  candidates(request: CedarRequest): readonly Rule[] {
    const keys = requestKeys(request);
    const found = new Map<number, Rule>();
    for (const bucket of bucketsFor(keys)) {
      for (const { rule, number, keys: own } of this.#buckets.get(bucketName(request.actionType, bucket)) ?? []) {
        if (!found.has(number) && canMatch(own, keys)) found.set(number, rule);
      }
    }
    return [...found].sort(([a], [b]) => a - b).map(([, rule]) => rule);
  }

  #bucket(actionType: ActionType, key: string): Indexed[] {
    const name = bucketName(actionType, key);
    const bucket = this.#buckets.get(name) ?? [];
    this.#buckets.set(name, bucket);
    return bucket;
  }
}

function bucketName(actionType: ActionType, key: string): string {
  return `${actionType} ${key}`;
}

function bucketsOf({ agent, tool, role, targets, operations, environments }: RuleKeys): readonly string[] {
  if (agent !== undefined) return [`agent ${agent}`];
  if (tool !== undefined) return [`tool ${tool}`];
  if (targets !== undefined) return targets.map((target) => `target ${target}`);
  if (operations !== undefined) return operations.map((operation) => `operation ${operation}`);
  if (role !== undefined) return [`role ${role}`];
  return environments?.map((environment) => `environment ${environment}`) ?? ['any'];
}

function bucketsFor({ agent, tool, roles, targets, operation, environment }: RequestKeys): readonly string[] {
  return [
    `agent ${agent}`,
    `tool ${tool}`,
    ...targets.map((target) => `target ${target}`),
    `operation ${operation}`,
    ...roles.map((role) => `role ${role}`),
    `environment ${environment}`,
    'any',
  ];
}

function canMatch(own: RuleKeys, request: RequestKeys): boolean {
  const { agent, tool, role, targets, operations, environments } = own;
  return (
    (agent === undefined || agent === request.agent) &&
    (tool === undefined || tool === request.tool) &&
    (role === undefined || request.roles.includes(role)) &&
    (targets === undefined || targets.some((target) => request.targets.includes(target))) &&
    (operations === undefined || operations.includes(request.operation)) &&
    (environments === undefined || environments.includes(request.environment))
  );
}

function requestKeys({ principal, resource, context }: CedarRequest): RequestKeys {
  return {
    agent: uidOf(principal).id,
    tool: uidOf(resource).id,
    roles: context['roles'] as readonly string[],
    targets: context['targets'] as readonly string[],
    operation: context['operation'] as string,
    environment: context['environment'] as string,
  };
}

/** Reads the keys of a policy: those of its scope, and of the conditions that Cedar evaluates first. */
function keysOf(rule: Rule): RuleKeys {
  const keys: { -readonly [key in keyof RuleKeys]: RuleKeys[key] } = { ...scopeOf(rule.json) };
  for (const leaf of leading(rule.json.conditions)) {
    const asked = askedBy(leaf);
    if (asked === undefined) break;
    const { path, texts } = asked;
    if (path === 'targets') keys.targets ??= texts;
    else if (path === 'operation') keys.operations ??= texts;
    else keys.environments ??= texts;
  }
  return keys;
}

/** The conjuncts of the first `when` clauses, in the order in which Cedar evaluates them. */
function* leading(conditions: readonly Clause[]): Iterable<Expr> {
  for (const { kind, body } of conditions) {
    if (kind !== 'when') return;
    yield* leaves(body);
  }
}

function* leaves(expr: Expr): Iterable<Expr> {
  const both = (expr as { readonly '&&'?: { readonly left: Expr; readonly right: Expr } })['&&'];
  if (both === undefined) yield expr;
  else {
    yield* leaves(both.left);
    yield* leaves(both.right);
  }
}

type Asked = { readonly path: 'targets' | 'operation' | 'environment'; readonly texts: readonly string[] };
type Operands = { readonly left: Expr; readonly right: Expr };

/** What a condition asks for, if it is one of those that cannot fail: the attributes are there in every request. */
function askedBy(expr: Expr): Asked | undefined {
  const { '==': equal, contains, containsAny } = expr as Readonly<Record<string, Operands | undefined>>;
  if (equal !== undefined) {
    return single(equal.left, equal.right) ?? single(equal.right, equal.left);
  }
  if (contains !== undefined) {
    if (isAttribute(contains.left, 'context', 'targets')) return asking('targets', [textOf(contains.right)]);
    const path = scalarPath(contains.right);
    return path === undefined ? undefined : asking(path, setOf(contains.left));
  }
  if (containsAny !== undefined && isAttribute(containsAny.left, 'context', 'targets')) {
    return asking('targets', setOf(containsAny.right));
  }
  return undefined;
}

function single(attribute: Expr, value: Expr): Asked | undefined {
  const path = scalarPath(attribute);
  return path === undefined ? undefined : asking(path, [textOf(value)]);
}

function asking(path: Asked['path'], texts: readonly (string | undefined)[]): Asked | undefined {
  return texts.every((text) => text !== undefined) ? { path, texts: [...new Set(texts)] } : undefined;
}

function scalarPath(expr: Expr): 'operation' | 'environment' | undefined {
  if (isAttribute(expr, 'context', 'operation')) return 'operation';
  return isAttribute(expr, 'context', 'environment') || isAttribute(expr, 'resource', 'environment')
    ? 'environment'
    : undefined;
}

function isAttribute(expr: Expr, variable: string, name: string): boolean {
  const attribute = (expr as { readonly '.'?: { readonly left: Expr; readonly attr: string } })['.'];
  return attribute?.attr === name && 'Var' in attribute.left && attribute.left.Var === variable;
}

function textOf(expr: Expr): string | undefined {
  const value = 'Value' in expr ? expr.Value : undefined;
  return typeof value === 'string' ? value : undefined;
}

function setOf(expr: Expr): readonly (string | undefined)[] {
  return 'Set' in expr ? (expr.Set as readonly Expr[]).map(textOf) : [undefined];
}
