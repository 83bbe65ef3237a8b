/** Reads the policies of a bundle: Cedar parses them and validates them against the schema, and their annotations are read. */
import type { Policy as CedarPolicy, PolicyJson, DetailedError, SchemaJson } from '@cedar-policy/cedar-wasm/nodejs';
import { ACTION_TYPES, type ActionType } from '../action/decision.js';
import { readAnnotations, type AnnotationProblem, type NamedValue } from './annotations.js';
import type { ApprovalTerms } from './approval.js';
import { newCedar, locationAt, locationText, type Cedar, type SourceLocation } from './cedar.js';
import { inputTypes, type InputRecord } from './input/type.js';
import { actionsWith, withLimitsType } from './limits/cedar.js';
import { policyInvalid, type BundleProblem } from './problems.js';

/** One policy of a bundle. */
export interface Rule {
  /** The `@id` of the policy. */
  readonly id: string;
  readonly effect: 'permit' | 'forbid';
  readonly place: SourceLocation;
  /** How many UTF-8 bytes precede it in its file. */
  readonly offset: number;
  /** Cedar's text of this policy alone. */
  readonly text: string;
  /** The action types that its scope can match. */
  readonly actions: ReadonlySet<ActionType>;
  /** The template of its `@reason`. */
  readonly reason?: string;
  /** Present on a soft forbid: the requirements to lift it, all of which must be met. */
  readonly approvals?: readonly ApprovalTerms[];
  readonly constraints: readonly NamedValue[];
}

const ACTION_ENTITY = 'Countersign::Action';
export const SCHEMA_FILE = 'schema.cedarschema';

/**
 * How deeply a policy's expression may nest; `a && b && c` nests once for each operator. Cedar's module overflows its stack while
 * *evaluating* from about 90 levels on, depending on the shape, long after it parsed and validated the policy without complaint.
 */
const MAX_DEPTH = 50;
const DEPTH_FIX = 'Split the policy into several, or compare with a set: ["a", "b"].contains(…).';

/** The policies and the schema of a bundle. */
export interface Rules {
  readonly rules: readonly Rule[];
  /** The schema that Cedar gets. */
  readonly schema: string;
  /** The action types whose context has `limits`. */
  readonly withLimits: ReadonlySet<ActionType>;
  /** The action types whose context has `compensates`. */
  readonly withCompensates: ReadonlySet<ActionType>;
  /** The type of the context's `input`, by action type. */
  readonly inputs: ReadonlyMap<ActionType, InputRecord>;
}

/** Reads the policies of a bundle. `limits` are the ids of its limits. @throws CountersignError POLICY_INVALID */
export function readRules(files: Readonly<Record<string, string>>, written: string, limits: readonly string[]): Rules {
  const cedar = newCedar();
  const problems: BundleProblem[] = [];
  const schema = guard(SCHEMA_FILE, () => withLimitsType(cedar, written, limits));
  const { actions, ...optional } = guard(SCHEMA_FILE, () => readActions(cedar, schema, problems));
  const inputs = guard(SCHEMA_FILE, () => inputTypes(cedar, schema, problems, SCHEMA_FILE));
  const rules = Object.entries(files).flatMap(([file, text]) =>
    guard(file, () => splitFile(cedar, file, text, problems)).map((source) =>
      guard(file, () => readRule(cedar, source, actions, problems)),
    ),
  );
  if (rules.length === 0 && problems.length === 0) {
    problems.push({ at: 'the folder', message: 'its files hold no policy', fix: 'Write at least one permit.' });
  }
  checkIds(rules, problems);
  checkConstraintTypes(rules, problems);
  refuseIfAny(problems);
  guard('the folder', () => validate(cedar, files, rules, schema, problems));
  refuseIfAny(problems);
  return { rules, schema, ...optional, inputs };
}

function refuseIfAny(problems: readonly BundleProblem[]): void {
  const [first, ...others] = problems;
  if (first !== undefined) throw policyInvalid([first, ...others]);
}

/** Calls Cedar, which returns its errors. When it throws instead, its stack has overflowed. @throws CountersignError POLICY_INVALID */
function guard<Value>(file: string, read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw policyInvalid(
      [{ at: file, message: `Cedar failed on it (${why}): it nests too deeply`, fix: DEPTH_FIX }],
      error,
    );
  }
}

/** For each action and action group of the schema, the action types that `action in` it matches. */
type ActionIndex = ReadonlyMap<string, ReadonlySet<ActionType>>;

function readActions(
  cedar: Cedar,
  schema: string,
  problems: BundleProblem[],
): { readonly actions: ActionIndex } & Pick<Rules, 'withLimits' | 'withCompensates'> {
  const result = cedar.schemaToJson(schema);
  if (result.type === 'failure') {
    pushAll(problems, result.errors, (error) => locate(error, SCHEMA_FILE, schema));
    return { actions: new Map(), withLimits: new Set(), withCompensates: new Set() };
  }
  pushAll(problems, result.warnings, (error) => locate(error, SCHEMA_FILE, schema));
  const parents = actionParents(result.json);
  const index = new Map<string, Set<ActionType>>();
  for (const type of ACTION_TYPES) {
    const queue = [key(ACTION_ENTITY, type)];
    const seen = new Set(queue);
    for (const action of queue) {
      index.set(action, (index.get(action) ?? new Set()).add(type));
      for (const parent of parents.get(action) ?? []) {
        if (seen.has(parent)) continue;
        seen.add(parent);
        queue.push(parent);
      }
    }
  }
  return {
    actions: index,
    withLimits: actionsWith('limits', result.json),
    withCompensates: actionsWith('compensates', result.json),
  };
}

function key(type: string, id: string): string {
  return JSON.stringify([type, id]);
}

function actionParents(schema: SchemaJson<string>): ReadonlyMap<string, readonly string[]> {
  const parents = new Map<string, readonly string[]>();
  for (const [namespace, definition] of Object.entries(schema)) {
    const own = namespace === '' ? 'Action' : `${namespace}::Action`;
    for (const [id, action] of Object.entries(definition.actions)) {
      const groups = (action.memberOf ?? []).map((group) => {
        const type = group.type ?? own;
        return key(type === 'Action' && namespace !== '' ? own : type, group.id);
      });
      parents.set(key(own, id), groups);
    }
  }
  return parents;
}

type Source = Pick<Rule, 'text' | 'place' | 'offset'>;

/** Splits a file into its policies, in order, each with its place. Between policies there can only be space and comments. */
function splitFile(cedar: Cedar, file: string, text: string, problems: BundleProblem[]): readonly Source[] {
  const result = cedar.policySetTextToParts(text);
  if (result.type === 'failure') {
    pushAll(problems, result.errors, (error) => locate(error, file, text));
    return [];
  }
  const [template] = result.policy_templates;
  if (template !== undefined) {
    problems.push({
      at: locationAt(file, text, Buffer.byteLength(text.slice(0, text.indexOf(template)), 'utf8')),
      message: 'templates (?principal, ?resource) are not supported: nothing would link them',
      fix: 'Write the policy with a role or an entity in place of the slot.',
    });
    return [];
  }
  const sources: Source[] = [];
  let [at, offset, line, lineStart] = [0, 0, 1, 0];
  const advance = (length: number): void => {
    const passed = text.slice(at, at + length);
    offset += Buffer.byteLength(passed, 'utf8');
    line += passed.split('\n').length - 1;
    if (passed.includes('\n')) lineStart = at + passed.lastIndexOf('\n') + 1;
    at += length;
  };
  for (const part of inFileOrder(result.policies)) {
    BETWEEN.lastIndex = at;
    advance(BETWEEN.exec(text)?.[0].length ?? 0);
    const column = Array.from(text.slice(lineStart, at)).length + 1;
    sources.push({ text: part, offset, place: { file, line, column } });
    advance(part.length);
  }
  return sources;
}

const BETWEEN = /(?:\s+|\/\/[^\n]*)*/y;

/** Restores the order of the file. Cedar names policies policy0, policy1 … in that order, and returns them sorted by name as text. */
function inFileOrder(parts: readonly string[]): readonly string[] {
  const numbers = parts.map((_, number) => number).sort((a, b) => (String(a) < String(b) ? -1 : 1));
  const ordered: string[] = [];
  for (const [position, number] of numbers.entries()) ordered[number] = parts[position] ?? '';
  return ordered;
}

function readRule(cedar: Cedar, source: Source, actions: ActionIndex, problems: BundleProblem[]): Rule {
  const { text, place } = source;
  const result = cedar.policyToJson(text);
  if (result.type === 'failure') {
    pushAll(problems, result.errors, (error) => ({ ...locate(error, place.file, text), at: place }));
    return { ...source, id: '', effect: 'forbid', actions: new Set(), constraints: [] };
  }
  const { effect, annotations = {}, action, conditions } = result.json;
  const own: AnnotationProblem[] = [];
  const read = readAnnotations(effect, annotations, own);
  for (const problem of own) problems.push({ at: place, ...problem });
  if (deeperThan(conditions, MAX_DEPTH)) {
    problems.push({ at: place, message: `its condition nests deeper than ${MAX_DEPTH} levels`, fix: DEPTH_FIX });
  }
  return { ...source, ...read, effect, actions: matchedActions(action, actions) };
}

function matchedActions(scope: PolicyJson['action'], index: ActionIndex): ReadonlySet<ActionType> {
  if (scope.op === 'All') return new Set(ACTION_TYPES);
  // Only templates have a slot, and they are refused. A policy with one would be kept for all action types.
  const entities = 'entities' in scope ? scope.entities : 'entity' in scope ? [scope.entity] : undefined;
  if (entities === undefined) return new Set(ACTION_TYPES);
  return new Set(
    entities.flatMap((entity) => {
      const { type, id } = '__entity' in entity ? entity['__entity'] : entity;
      // `==` on a group matches nothing, and keeping the policy for the group's members does no harm.
      return [...(index.get(key(type, id)) ?? [])];
    }),
  );
}

/** Whether operators nest deeper than `limit`. It uses a stack of its own, because a policy can nest to any depth. */
function deeperThan(conditions: unknown, limit: number): boolean {
  const waiting: { readonly value: unknown; readonly depth: number }[] = [{ value: conditions, depth: 0 }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { value, depth } = next;
    if (typeof value !== 'object' || value === null) continue;
    if (depth > limit) return true;
    for (const [name, item] of Object.entries(value)) {
      // One operator is an object in an object (`{"&&": {left, right}}`): its operands are one level deeper, not two.
      const deeper = OPERANDS.has(name) || Array.isArray(value) ? 1 : 0;
      waiting.push({ value: item, depth: depth + deeper });
    }
  }
  return false;
}

const OPERANDS = new Set(['left', 'right', 'arg', 'if', 'then', 'else', 'Record', 'Set']);

function checkIds(rules: readonly Rule[], problems: BundleProblem[]): void {
  const first = new Map<string, Rule>();
  for (const rule of rules) {
    const other = first.get(rule.id);
    if (other === undefined || rule.id === '') first.set(rule.id, rule);
    else {
      problems.push({
        at: rule.place,
        message: `@id("${rule.id}") is also at ${locationText(other.place)}`,
        fix: 'Give each policy an id of its own.',
      });
    }
  }
}

/** Constraints of one name are merged to the strictest one, so their values must be comparable. */
function checkConstraintTypes(rules: readonly Rule[], problems: BundleProblem[]): void {
  const types = new Map<string, { readonly type: string; readonly rule: Rule }>();
  for (const rule of rules.filter((rule) => rule.effect === 'permit')) {
    for (const { name, value } of rule.constraints) {
      const other = types.get(name);
      if (other === undefined) types.set(name, { type: typeof value, rule });
      else if (other.type !== typeof value) {
        problems.push({
          at: rule.place,
          message: `the constraint ${name} is a ${typeof value} here and a ${other.type} at ${locationText(other.rule.place)}`,
          fix: 'Give the constraint the same kind of value in every permit.',
        });
      }
    }
  }
}

function validate(
  cedar: Cedar,
  files: Readonly<Record<string, string>>,
  rules: readonly Rule[],
  schema: string,
  problems: BundleProblem[],
): void {
  const result = cedar.validate({ schema, policies: { staticPolicies: staticPolicies(rules) } });
  if (result.type === 'failure') {
    pushAll(problems, result.errors, (error) => locate(error, 'the folder', ''));
    return;
  }
  const byId = new Map(rules.map((rule) => [rule.id, rule]));
  // Warnings count too: a policy that can never apply, or a name in look-alike letters, is a rule that is missing without notice.
  for (const { policyId, error } of [...result.validationErrors, ...result.validationWarnings]) {
    const rule = byId.get(policyId);
    if (rule === undefined) problems.push(locate(error, policyId, ''));
    else problems.push(locateIn(rule, error, files[rule.place.file] ?? ''));
  }
  pushAll(problems, result.otherWarnings, (error) => locate(error, SCHEMA_FILE, schema));
}

/** The policies by id, in the form that Cedar accepts. */
export function staticPolicies(rules: readonly Rule[]): Record<string, CedarPolicy> {
  return Object.fromEntries(rules.map((rule) => [rule.id, rule.text]));
}

function pushAll(
  problems: BundleProblem[],
  errors: readonly DetailedError[],
  toProblem: (error: DetailedError) => BundleProblem,
): void {
  for (const error of errors) problems.push(toProblem(error));
}

function locate(error: DetailedError, file: string, text: string): BundleProblem {
  const source = error.sourceLocations?.[0];
  return {
    at: source === undefined ? file : locationAt(file, text, source.start),
    message: error.message,
    ...(typeof source?.label === 'string' ? { expected: source.label } : {}),
    fix: error.help ?? 'Correct the line named.',
  };
}

/** Converts an error to a problem with its place in the file. Cedar got only this policy's text, so it counts from its first byte. */
function locateIn(rule: Rule, error: DetailedError, fileText: string): BundleProblem {
  const { file } = rule.place;
  const source = error.sourceLocations?.[0];
  const at = source === undefined ? rule.place : locationAt(file, fileText, rule.offset + source.start);
  return { ...locate(error, file, fileText), at };
}
