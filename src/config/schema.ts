/** Building blocks of the config's schema, and how its first problem is told. */
import { z } from 'zod';
import { configInvalid } from '../action/errors-config.js';
import type { CountersignError } from '../action/errors.js';

/** `unit` as in `a whole number of seconds from 1 to 60`. */
export function whole(least: number, most: number, unit?: string): z.ZodNumber {
  const error = `a whole number${unit === undefined ? '' : ` of ${unit}`} from ${least} to ${most}`;
  return z.number({ error }).int({ error }).min(least, { error }).max(most, { error });
}

export function nonEmpty(error: string): z.ZodString {
  return z.string({ error }).min(1, { error });
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
};

function expectedBy(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type' && issue.message.startsWith('Invalid input')) {
    return KINDS[issue.expected] ?? `of the type ${issue.expected}`;
  }
  if (issue.code === 'invalid_value' && issue.message.startsWith('Invalid')) {
    return `one of ${issue.values.map(String).join(', ')}`;
  }
  if (issue.code === 'too_small' && issue.message.startsWith('Too small')) return 'a list or text that is not empty';
  return issue.message;
}

/** The first problem as an error with its field, by its path below `root`; `root` itself stands for the whole. */
export function firstProblem(error: z.ZodError, root: string, source: string, whole = root): CountersignError {
  const [issue] = error.issues;
  const path = [...(root === '' ? [] : [root]), ...(issue?.path ?? [])].map(String);
  if (issue?.code === 'unrecognized_keys') {
    return configInvalid([...path, issue.keys[0]].join('.'), 'absent, because there is no such option', source);
  }
  return configInvalid(path.join('.') || whole, issue === undefined ? 'valid' : expectedBy(issue), source);
}
