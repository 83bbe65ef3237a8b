/** Reads history.yaml. All problems are reported together, each with its place. */
import { z } from 'zod';
import { withoutUndefined } from '../../action/json.js';
import type { SourceLocation } from '../cedar.js';
import { readYaml, type YamlFile } from '../limits/yaml.js';
import type { BundleProblem } from '../problems.js';
import { HISTORY_FILE, NO_HISTORY, type HistoryFact, type HistorySet } from './fact.js';
import {
  EARLIER_FIELDS,
  expectedOf,
  HISTORY_FIELDS,
  HISTORY_ID,
  historyFactSchema,
  MAX_HISTORY_FACTS,
  type HistoryFactShape,
} from './schema.js';

/** The largest file, in characters. Finding duplicate keys takes time quadratic in their number. */
const MAX_CHARS = 64 * 1024;

const fileSchema = z.strictObject({ history: z.record(z.string(), z.unknown()) });

type PlacedProblem = BundleProblem & { readonly at: SourceLocation };

/** Parses the file. Invalid facts are left out, and their problems added to `problems`. */
export function parseHistory(text: string, problems: BundleProblem[]): HistorySet {
  if (text.length > MAX_CHARS) {
    problems.push({
      at: HISTORY_FILE,
      message: `it is over ${MAX_CHARS} characters`,
      fix: 'Take out facts that no rule reads.',
    });
    return NO_HISTORY;
  }
  const file = readYaml(text, problems, HISTORY_FILE);
  if (file === undefined) return NO_HISTORY;
  const read = fileSchema.safeParse(file.value);
  if (!read.success) {
    problems.push(...read.error.issues.map((issue) => fileProblem(file, issue)));
    return NO_HISTORY;
  }
  const entries = Object.entries(read.data.history);
  if (entries.length > MAX_HISTORY_FACTS) {
    problems.push({
      at: file.atKey(['history']),
      message: `it has ${entries.length} facts`,
      expected: `at most ${MAX_HISTORY_FACTS}`,
      fix: 'Take out facts that no rule reads.',
    });
    return NO_HISTORY;
  }
  const found: PlacedProblem[] = [];
  const facts = entries.flatMap(([id, value]) => readFact(file, id, value, found));
  problems.push(...found.sort(({ at: a }, { at: b }) => a.line - b.line || a.column - b.column));
  return { facts };
}

function fileProblem(file: YamlFile, issue: z.core.$ZodIssue): BundleProblem {
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  return unknown === undefined
    ? {
        at: file.at(issue.path),
        message: 'it has no map of facts',
        expected: 'history: and, under it, facts by id',
        fix: 'Write each fact under its id: history: {tested: {of: {tool: ci}, scope: task, within: 4h}}',
      }
    : {
        at: file.atKey([unknown]),
        message: `${JSON.stringify(unknown.slice(0, 64))} is unknown`,
        expected: 'history, and nothing beside it',
        fix: 'Put the fact under history, or take it out.',
      };
}

function readFact(file: YamlFile, id: string, value: unknown, problems: PlacedProblem[]): readonly HistoryFact[] {
  const path = ['history', id];
  const before = problems.length;
  if (!HISTORY_ID.test(id)) {
    problems.push({
      at: file.atKey(path),
      message: `${JSON.stringify(id.slice(0, 80))} is not a usable id`,
      expected: 'a-z, 0-9 and -, at most 64 characters',
      fix: 'Rename the fact, for instance: tested',
    });
  }
  const shape = historyFactSchema.safeParse(value);
  for (const issue of shape.error?.issues ?? []) problems.push(...shapeProblems(file, id, value, issue));
  if (!shape.success || problems.length > before) return [];
  return [toFact(id, shape.data, file)];
}

function shapeProblems(file: YamlFile, id: string, value: unknown, issue: z.core.$ZodIssue): readonly PlacedProblem[] {
  const path = ['history', id, ...issue.path];
  const name = `history.${id.slice(0, 64)}`;
  if (issue.code === 'unrecognized_keys') {
    const known = issue.path.length === 0 ? HISTORY_FIELDS : EARLIER_FIELDS;
    return issue.keys.map((key) => ({
      at: file.atKey([...path, key]),
      message: `${name}: ${JSON.stringify(key.slice(0, 64))} is unknown`,
      expected: `${issue.path.length === 0 ? 'a fact' : issue.path.join('.')} has ${known.join(', ')}`,
      fix: 'Correct its name, or take it out.',
    }));
  }
  if (issue.path.length === 0) {
    return [
      {
        at: file.at(path),
        message: `${name} is no map`,
        expected: `a fact with ${HISTORY_FIELDS.join(', ')}`,
        fix: 'Write its fields under it, each on a line of its own.',
      },
    ];
  }
  const field = issue.path.slice(0, 2).map(String).join('.');
  const given = issue.path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], value);
  const expected = expectedOf(issue.path);
  const wrong =
    issue.code === 'custom' ? issue.message : `${JSON.stringify(given)?.slice(0, 80) ?? 'nothing'} will not do`;
  return [
    {
      at: file.at(path),
      message: `${name}: ${given === undefined ? `a fact needs ${field}` : `${field}: ${wrong}`}`,
      expected,
      fix: `Give ${field} ${expected}.`,
    },
  ];
}

function toFact(id: string, shape: HistoryFactShape, file: YamlFile): HistoryFact {
  const { of, scope, same = [], outcome = ['success'], within, wait } = shape;
  return {
    id,
    place: file.atKey(['history', id]),
    of: withoutUndefined(of),
    scope,
    same,
    outcomes: outcome,
    withinMs: within,
    ...(wait === undefined ? {} : { waitMs: wait }),
  };
}
