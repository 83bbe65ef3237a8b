/** The policies of a bundle, read: parsed by Cedar, validated against the schema, their annotations understood. */
import type { Policy as CedarPolicy, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { LRUCache } from 'lru-cache';
import type { CountersignError } from '../action/errors.js';
import type { ActionType } from '../action/decision.js';
import { readAnnotations, type AnnotationProblem, type NamedValue } from './annotations.js';
import type { ApprovalTerms } from './approval.js';
import { newCedar, locationText, type Cedar } from './cedar.js';
import { withDeclaredTypes, type DeclaredIds } from './declared-types.js';
import { historyUses, type HistoryUse } from './history/uses.js';
import { inputTypes, type InputRecord } from './input/type.js';
import { locate, locateIn, pushAll } from './located-problems.js';
import { deeperThan, splitFile, type PolicySource } from './policy-source.js';
import { policyInvalid, type BundleProblem } from './problems.js';
import { matchedActions, readActions, type ActionIndex, type SchemaActions } from './schema-actions.js';

/** One policy of a bundle. */
export interface Rule extends PolicySource {
  /** Its `@id`. */
  readonly id: string;
  readonly effect: 'permit' | 'forbid';
  /** As Cedar reads it. */
  readonly json: PolicyJson;
  /** The action types that its scope can match. */
  readonly actions: ReadonlySet<ActionType>;
  /** The template of its `@reason`. */
  readonly reason?: string;
  /** Present on a soft forbid: the requirements to lift it, all of which must be met. */
  readonly approvals?: readonly ApprovalTerms[];
  readonly constraints: readonly NamedValue[];
}

export const SCHEMA_FILE = 'schema.cedarschema';

/**
 * How deeply a policy's expression may nest; `a && b && c` nests once for each operator. Cedar's module overflows its stack while
 * *evaluating* from about 90 levels on, depending on the shape, long after it parsed and validated the policy without complaint.
 */
const MAX_DEPTH = 50;
const DEPTH_FIX = 'Split the policy into several, or compare with a set: ["a", "b"].contains(…).';

/** The most policies of a bundle. Checking takes about a millisecond for each, in which the process does nothing else: with more, a worker would seem to be dead. */
const MAX_RULES = 5000;

/** The Cedar of a bundle. */
export interface Rules extends Omit<SchemaActions, 'actions'> {
  readonly rules: readonly Rule[];
  /** The schema that Cedar gets. */
  readonly schema: string;
  /** What of a tool's input the context's `input` declares, by action type. */
  readonly inputs: ReadonlyMap<ActionType, InputRecord>;
  /** How each rule reads the history facts, by the rule's id. Only of rules that read any. */
  readonly historyUses: ReadonlyMap<string, readonly HistoryUse[]>;
}

function tooMany(count: number): CountersignError {
  return policyInvalid([
    {
      at: 'the folder',
      message: `it has ${count} policies`,
      expected: `at most ${MAX_RULES} policies`,
      fix: 'Write one policy over a set of targets or roles in place of one for each.',
    },
  ]);
}

/** Reads the policies of a bundle. `ids` are those of its limits and history facts. @throws CountersignError POLICY_INVALID */
export function readRules(files: Readonly<Record<string, string>>, written: string, ids: DeclaredIds): Rules {
  const cedar = newCedar();
  const problems: BundleProblem[] = [];
  const { schema, inputs, actions, ...optional } = readSchema(cedar, written, ids, problems);
  const sources = Object.entries(files).flatMap(([file, text]) =>
    guard(file, () => splitFile(cedar, file, text, problems)),
  );
  if (sources.length > MAX_RULES) throw tooMany(sources.length);
  const rules = sources.map((source) => guard(source.place.file, () => readRule(cedar, source, actions, problems)));
  if (rules.length === 0 && problems.length === 0) {
    problems.push({ at: 'the folder', message: 'its files hold no policy', fix: 'Write at least one permit.' });
  }
  checkIds(rules, problems);
  checkConstraintTypes(rules, problems);
  refuseIfAny(problems);
  guard('the folder', () => validate(cedar, files, rules, schema, problems));
  refuseIfAny(problems);
  const uses = ids.history.length === 0 ? [] : rules.map((rule) => [rule.id, historyUses(rule, problems)] as const);
  refuseIfAny(problems);
  return { rules, schema, ...optional, inputs, historyUses: new Map(uses.filter(([, own]) => own.length > 0)) };
}

/** What rules are read by. */
interface Schema extends SchemaActions, Pick<Rules, 'schema' | 'inputs'> {}

/** Without a problem, by what they were read from: policies change often and their schema seldom, and Cedar takes as long over it as over all of them. */
const schemasLast = new LRUCache<string, Schema>({ max: 8 });

function readSchema(cedar: Cedar, written: string, ids: DeclaredIds, problems: BundleProblem[]): Schema {
  const key = JSON.stringify([written, ids.limits, ids.history]);
  const known = schemasLast.get(key);
  if (known !== undefined) return known;
  const schema = guard(SCHEMA_FILE, () => withDeclaredTypes(cedar, written, ids));
  const actions = guard(SCHEMA_FILE, () => readActions(cedar, schema, problems, SCHEMA_FILE));
  const inputs = guard(SCHEMA_FILE, () => inputTypes(cedar, schema, problems, SCHEMA_FILE));
  const read = { schema, inputs, ...actions };
  if (problems.length === 0) schemasLast.set(key, read);
  return read;
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

function readRule(cedar: Cedar, source: PolicySource, actions: ActionIndex, problems: BundleProblem[]): Rule {
  const { text, place } = source;
  const result = cedar.policyToJson(text);
  if (result.type === 'failure') {
    pushAll(problems, result.errors, (error) => ({ ...locate(error, place.file, text), at: place }));
    return { ...source, id: '', effect: 'forbid', json: UNREAD, actions: new Set(), constraints: [] };
  }
  const { effect, annotations = {}, action, conditions } = result.json;
  const own: AnnotationProblem[] = [];
  const read = readAnnotations(effect, annotations, own);
  for (const problem of own) problems.push({ at: place, ...problem });
  if (deeperThan(conditions, MAX_DEPTH)) {
    problems.push({ at: place, message: `its condition nests deeper than ${MAX_DEPTH} levels`, fix: DEPTH_FIX });
  }
  return { ...source, ...read, effect, json: result.json, actions: matchedActions(action, actions) };
}

/** Stands for a policy that Cedar cannot read, in a bundle that is refused. */
const UNREAD: PolicyJson = {
  effect: 'forbid',
  principal: { op: 'All' },
  action: { op: 'All' },
  resource: { op: 'All' },
  conditions: [],
};

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
