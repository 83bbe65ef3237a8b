/** What differs between two policies, in plain words: rules, limits, and what the schema declares. Pure. */
import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { parse } from 'yaml';
import { canonical } from '../action/json.js';
import { formatDuration } from '../action/duration.js';
import type { Digest } from '../action/json.js';
import type { ApprovalTerms } from './approval.js';
import { newCedar, type Cedar } from './cedar.js';
import type { Policy } from './compile.js';
import { withDeclaredTypes } from './declared-types.js';
import { HISTORY_FILE } from './history/fact.js';
import { historyText } from './history/figures.js';
import { LIMITS_FILE } from './limits/limit.js';
import { limitText } from './limits/counters.js';
import { SCHEMA_FILE, type Rule } from './rules.js';
import { scopeText } from './scope-text.js';

export interface PolicyDifference {
  readonly part: 'rule' | 'limit' | 'history' | 'schema';
  readonly what: 'added' | 'removed' | 'changed';
  /** The `@id` of a rule, the id of a limit or history fact, the path of a schema's declaration. */
  readonly name: string;
  /** Sentences, in the order of the rule's parts. */
  readonly sentences: readonly string[];
}

export interface PolicyDiff {
  readonly from: Digest;
  readonly to: Digest;
  /** By part, then by name. Empty when both say the same, in whatever layout. */
  readonly differences: readonly PolicyDifference[];
}

export function diffPolicies(from: Policy, to: Policy): PolicyDiff {
  const cedar = newCedar();
  return {
    from: from.digest,
    to: to.digest,
    differences: [
      ...compare('rule', rulesOf(cedar, from), rulesOf(cedar, to), changedRule),
      ...compare('limit', limitsOf(from), limitsOf(to), changedFields),
      ...compare('history', historyOf(from), historyOf(to), changedFields),
      ...compare('schema', declarationsOf(cedar, from), declarationsOf(cedar, to), (before, after) =>
        before.type === after.type ? [] : [`was ${before.type}, is ${after.type}`],
      ),
    ],
  };
}

interface Described {
  /** What is said of one that was added or removed. */
  readonly sentence: string;
}

function compare<T extends Described>(
  part: PolicyDifference['part'],
  before: ReadonlyMap<string, T>,
  after: ReadonlyMap<string, T>,
  changed: (before: T, after: T) => readonly string[],
): readonly PolicyDifference[] {
  return [...new Set([...before.keys(), ...after.keys()])].sort().flatMap((name): readonly PolicyDifference[] => {
    const [one, other] = [before.get(name), after.get(name)];
    if (one === undefined) return [{ part, what: 'added', name, sentences: [other?.sentence ?? ''] }];
    if (other === undefined) return [{ part, what: 'removed', name, sentences: [one.sentence] }];
    const sentences = changed(one, other);
    return sentences.length === 0 ? [] : [{ part, what: 'changed', name, sentences }];
  });
}

interface DescribedRule extends Described {
  readonly rule: Rule;
  readonly scope: string;
  readonly conditions: string;
  readonly shownConditions: string;
}

function rulesOf(cedar: Cedar, policy: Policy): ReadonlyMap<string, DescribedRule> {
  return new Map(
    policy.rules.map((rule): [string, DescribedRule] => {
      const parsed = cedar.policyToJson(rule.text);
      const json: Partial<PolicyJson> = parsed.type === 'success' ? parsed.json : {};
      const scope = scopeText(json);
      const shownConditions = conditionsText(rule.text);
      const condition = shownConditions === '' ? '' : `, ${shownConditions}`;
      const people = rule.approvals === undefined ? '' : `; lifted by ${approvalsText(rule.approvals)}`;
      const sentence = `${rule.effect === 'permit' ? 'permits' : 'forbids'} ${scope}${condition}${people}${constraintsText(rule)}`;
      return [rule.id, { rule, scope, conditions: canonical(json.conditions ?? []), shownConditions, sentence }];
    }),
  );
}

function changedRule(before: DescribedRule, after: DescribedRule): readonly string[] {
  const [one, other] = [before.rule, after.rule];
  const was = (text: string): string => (text === '' ? 'nothing' : text);
  const sentences: string[] = [];
  if (one.effect !== other.effect) sentences.push(`was a ${one.effect}, is a ${other.effect}`);
  if (before.scope !== after.scope) sentences.push(`its scope was ${before.scope}, is ${after.scope}`);
  if (before.conditions !== after.conditions) {
    sentences.push(`its condition was ${was(before.shownConditions)}, is ${was(after.shownConditions)}`);
  }
  if (canonical(one.approvals ?? []) !== canonical(other.approvals ?? [])) {
    const people = ({ approvals }: Rule): string => (approvals === undefined ? 'nobody can' : approvalsText(approvals));
    sentences.push(`who can lift it was ${people(one)}, is ${people(other)}`);
  }
  if (canonical(one.constraints) !== canonical(other.constraints)) {
    const list = ({ constraints }: Rule): string => constraints.map(({ name, value }) => `${name}=${value}`).join(', ');
    sentences.push(`its constraints were ${was(list(one))}, are ${was(list(other))}`);
  }
  if (one.reason !== other.reason) {
    sentences.push(`its reason was ${JSON.stringify(one.reason ?? '')}, is ${JSON.stringify(other.reason ?? '')}`);
  }
  return sentences;
}

/** The conditions as they are written, on one line, without comments. */
function conditionsText(text: string): string {
  const plain = text.replaceAll(/"(?:[^"\\]|\\.)*"|\/\/[^\n]*/g, (found) => (found.startsWith('"') ? found : ''));
  const head = /\)\s*(when|unless)\b/.exec(
    plain.replaceAll(/"(?:[^"\\]|\\.)*"/g, (found) => '"'.padEnd(found.length - 1, '_') + '"'),
  );
  if (head === null) return '';
  return plain
    .slice(head.index + 1)
    .replaceAll(/\s+/g, ' ')
    .replace(/;\s*$/, '')
    .trim();
}

export function approvalsText(approvals: readonly ApprovalTerms[]): string {
  return approvals
    .map(({ roles, quorum, ttlSeconds, passkey }) => {
      const people = quorum === 1 ? roles.join(' or ') : `${quorum} of ${roles.join(' or ')}`;
      return `${people} within ${formatDuration(ttlSeconds * 1000)}${passkey === true ? ', with a passkey' : ''}`;
    })
    .join(' and ');
}

function constraintsText({ constraints }: Rule): string {
  if (constraints.length === 0) return '';
  return `; constraints ${constraints.map(({ name, value }) => `${name}=${value}`).join(', ')}`;
}

interface DescribedFields extends Described {
  readonly fields: Readonly<Record<string, unknown>>;
}

type WrittenFields = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** What a file of the bundle has under its one key, as it is written. */
function writtenIn(policy: Policy, file: string, key: 'limits' | 'history'): WrittenFields {
  const text = policy.bundle.files[file];
  return text === undefined ? {} : ((parse(text) as { readonly [key in typeof key]?: WrittenFields })[key] ?? {});
}

function historyOf(policy: Policy): ReadonlyMap<string, DescribedFields> {
  const written = writtenIn(policy, HISTORY_FILE, 'history');
  return new Map(
    policy.history.facts.map((fact): [string, DescribedFields] => [
      fact.id,
      { fields: written[fact.id] ?? {}, sentence: historyText(fact) },
    ]),
  );
}

function limitsOf(policy: Policy): ReadonlyMap<string, DescribedFields> {
  const written = writtenIn(policy, LIMITS_FILE, 'limits');
  return new Map(
    policy.limits.limits.map((limit): [string, DescribedFields] => {
      const fields = written[limit.id] ?? {};
      const when = typeof fields['when'] === 'string' ? `, when ${fields['when']}` : '';
      return [limit.id, { fields, sentence: `${limitText(limit)}${when}` }];
    }),
  );
}

function changedFields(before: DescribedFields, after: DescribedFields): readonly string[] {
  const names = [...new Set([...Object.keys(before.fields), ...Object.keys(after.fields)])].sort();
  return names.flatMap((name) => {
    const [one, other] = [before.fields[name], after.fields[name]];
    const show = (value: unknown): string => (value === undefined ? 'absent' : JSON.stringify(value));
    return show(one) === show(other) ? [] : [`its ${name} was ${show(one)}, is ${show(other)}`];
  });
}

interface Declaration extends Described {
  readonly type: string;
}

/** What the schema declares, one entry for each attribute, by its path. */
function declarationsOf(cedar: Cedar, policy: Policy): ReadonlyMap<string, Declaration> {
  const ids = { limits: policy.limits.limits.map(({ id }) => id), history: policy.history.facts.map(({ id }) => id) };
  const schema = cedar.schemaToJson(withDeclaredTypes(cedar, policy.bundle.files[SCHEMA_FILE] ?? '', ids));
  const found = new Map<string, Declaration>();
  if (schema.type !== 'success') return found;
  const put = (path: string, type: string): void => {
    found.set(path, { type, sentence: type });
  };
  for (const [space, { entityTypes, actions, commonTypes }] of Object.entries(schema.json)) {
    const within = space === '' ? '' : `${space}::`;
    for (const [name, entity] of Object.entries(entityTypes)) {
      const { memberOfTypes = [], shape } = entity as { memberOfTypes?: string[]; shape?: Shape };
      put(`${within}${name}`, memberOfTypes.length === 0 ? 'an entity' : `an entity in ${memberOfTypes.join(', ')}`);
      attributes(`${within}${name}`, shape, put);
    }
    for (const [name, type] of Object.entries(commonTypes ?? {})) {
      // These types are made from what is compared itself.
      if (name !== 'Limits' && name !== 'History') attributes(`${within}${name}`, type, put);
    }
    for (const [name, action] of Object.entries(actions))
      put(`${within}Action::${name}`, `an action for ${canonical(action)}`);
  }
  return found;
}

interface Shape {
  readonly type?: string;
  readonly name?: string;
  readonly element?: Shape;
  readonly required?: boolean;
  readonly attributes?: Readonly<Record<string, Shape>>;
}

function attributes(path: string, shape: Shape | undefined, put: (path: string, type: string) => void): void {
  for (const [name, type] of Object.entries(shape?.attributes ?? {})) {
    put(`${path}.${name}`, `${typeText(type)}${type.required === false ? ', optional' : ''}`);
    attributes(`${path}.${name}`, type, put);
  }
}

function typeText({ type = '', name, element }: Shape): string {
  if (type === 'Set') return `a set of ${typeText(element ?? {})}`;
  return type === 'EntityOrCommon' ? (name ?? type) : type === 'Record' ? 'a record' : (name ?? type);
}
