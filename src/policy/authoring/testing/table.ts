/** The tests of a bundle, as `tests/*.yaml` has them: a proposal, what a worker knows of it, and the decision that is expected. */
import { z } from 'zod';
import { ACTION_TYPES, type Facts } from '../../../action/decision.js';
import { CountersignError } from '../../../action/errors.js';
import { MAX_HISTORY_COUNT } from '../../../action/history.js';
import { TRUST_LEVELS } from '../../../action/proposal.js';
import type { SourceLocation } from '../../cedar.js';
import { readYaml, type YamlFile } from '../../limits/yaml.js';
import { policyInvalid, type BundleProblem } from '../../problems.js';

const text = z.string();
const texts = z.array(text);
const whole = z.number().int().min(0);
const count = whole.max(MAX_HISTORY_COUNT);
const agent = z.strictObject({
  id: text.optional(),
  tenant: text.optional(),
  roles: texts.optional(),
  scopes: texts.optional(),
  owner: text.optional(),
  via: texts.optional(),
});

/** What a test gives, or the file's `defaults` give to each of its tests. */
const given = {
  agent: agent.optional(),
  /** The agents that delegated to it. */
  above: z.array(agent).optional(),
  tool: z.strictObject({ name: text.optional(), kind: text.optional(), environment: text.optional() }).optional(),
  actionType: z.enum(ACTION_TYPES).optional(),
  operation: text.optional(),
  input: z.record(text, z.unknown()).optional(),
  preview: z
    .strictObject({
      rows: whole.optional(),
      targets: texts.optional(),
      reads: texts.optional(),
      schemaChange: z.boolean().optional(),
    })
    .optional(),
  from: z.array(z.strictObject({ source: text, trust: z.enum(TRUST_LEVELS) })).optional(),
  /** Figures of limits by id. */
  limits: z
    .record(
      text,
      z.strictObject({
        max: z.number().optional(),
        used: z.number().optional(),
        held: z.number().optional(),
        left: z.number().optional(),
        fits: z.boolean().optional(),
      }),
    )
    .optional(),
  /** What earlier actions came to, by the facts of history.yaml. */
  history: z
    .record(text, z.strictObject({ done: count.optional(), underWay: count.optional(), possible: count.optional() }))
    .optional(),
  compensates: z.boolean().optional(),
  editedBy: text.optional(),
  now: text.optional(),
};

const expectation = z.strictObject({
  decision: z.enum(['allow', 'deny', 'require_approval']),
  code: text.optional(),
  /** A part of the reason, or several. */
  reason: z.union([text, texts]).optional(),
  /** Exactly these rules, in any order. */
  policies: texts.optional(),
  /** Exactly these constraints. */
  constraints: z.record(text, z.union([text, z.number(), z.boolean()])).optional(),
  /** As many requirements as there are, each with at least these fields. */
  requirements: z
    .array(
      z.strictObject({
        policy: text.optional(),
        roles: texts.optional(),
        quorum: whole.optional(),
        ttlSeconds: whole.optional(),
        denials: whole.optional(),
        passkey: z.boolean().optional(),
        self: z.boolean().optional(),
      }),
    )
    .optional(),
});

const givenSchema = z.strictObject(given);

const fileSchema = z.strictObject({
  defaults: givenSchema.optional(),
  tests: z.array(z.strictObject({ name: text.min(1), ...given, expect: expectation })).min(1),
});

type TableFile = z.infer<typeof fileSchema>;
export type Given = NonNullable<TableFile['defaults']>;
export type Expected = z.infer<typeof expectation>;

export interface TableTest {
  readonly name: string;
  readonly place: SourceLocation;
  readonly given: Given;
  readonly expect: Expected;
}

/** Reads what one test gives, from a document of its own. @throws CountersignError INVALID_PROPOSAL */
export function readGiven(value: unknown): Given {
  const read = givenSchema.safeParse(value);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw new CountersignError('INVALID_PROPOSAL', `${issue?.path.join('.') || 'the document'}: ${issue?.message}`, {
    field: issue?.path.join('.') || 'the document',
    expected: `an object with ${Object.keys(given).join(', ')}, or the recorded facts of an action`,
    fix: 'docs/policy-authoring.md shows what a proposal to explain has.',
  });
}

/** Reads every table of a bundle. @throws CountersignError POLICY_INVALID, naming each place */
export function readTables(files: Readonly<Record<string, string>>): readonly TableTest[] {
  const problems: BundleProblem[] = [];
  const tests = Object.entries(files)
    .filter(([path]) => path.startsWith('tests/'))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([path, content]) => readTable(path, content, problems));
  const [first, ...others] = problems;
  if (first !== undefined) throw policyInvalid([first, ...others]);
  return tests;
}

function readTable(path: string, content: string, problems: BundleProblem[]): readonly TableTest[] {
  const file = readYaml(content, problems, path);
  if (file === undefined) return [];
  const read = fileSchema.safeParse(file.value);
  if (!read.success) {
    problems.push(...read.error.issues.map((issue) => problemOf(issue, file)));
    return [];
  }
  const { defaults = {}, tests } = read.data;
  const names = new Set<string>();
  return tests.map(({ name, expect, ...own }, index) => {
    const place = file.at(['tests', index]);
    if (names.has(name)) {
      problems.push({ at: place, message: `a test above is called ${JSON.stringify(name)} too`, fix: 'Rename one.' });
    }
    names.add(name);
    return { name, place, given: withDefaults(defaults, own), expect };
  });
}

function problemOf(issue: z.core.$ZodIssue, file: YamlFile): BundleProblem {
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  return {
    at: unknown === undefined ? file.at(existing(file.value, issue.path)) : file.atKey([...issue.path, unknown]),
    message: `${issue.path.join('.') || 'the file'}: ${issue.message}`,
    fix: 'docs/policy-authoring.md shows what a test has.',
  };
}

/** The part of a path that leads to something: what is missing has no place of its own. */
function existing(value: unknown, path: readonly PropertyKey[]): readonly PropertyKey[] {
  let at = value;
  const end = path.findIndex((key) => {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return true;
    at = (at as Readonly<Record<PropertyKey, unknown>>)[key];
    return false;
  });
  return end < 0 ? path : path.slice(0, end);
}

/** A test's own members win, one level deep: `agent: {roles: …}` keeps the default agent's id. */
function withDefaults(defaults: Given, own: Given): Given {
  const merged: Record<string, unknown> = { ...defaults };
  for (const [name, value] of Object.entries(own)) {
    const before = merged[name];
    const both = isMap(value) && isMap(before) && name !== 'input';
    merged[name] = both ? { ...before, ...value } : value;
  }
  return merged;
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The preview that a test gives, with nothing where it says nothing. */
export function previewOf({ preview = {}, actionType = 'READ', input = {} }: Given): Facts['preview'] {
  const table = typeof input['table'] === 'string' ? [input['table'].toLowerCase()] : [];
  const { rows = 0, schemaChange = false, targets, reads } = preview;
  const write = actionType !== 'READ';
  return {
    rows,
    schemaChange,
    targets: targets ?? (write ? table : []),
    reads: reads ?? (write ? [] : table),
    sample: [],
    summary: '',
  };
}
