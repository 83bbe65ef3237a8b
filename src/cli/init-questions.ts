/** What `countersign init` asks on a terminal. Whoever leaves one question unanswered leaves all of it undone. */
import type { Readable, Writable } from 'node:stream';
import { type CANCEL_SYMBOL, isCancel, multiselect, password, select, text } from '@clack/prompts';
import { CountersignError } from '../action/errors.js';
import { sanitize } from '../presentation/sanitize.js';
import type { OfferedTable } from '../tools/postgres/offered-tables.js';
import { addressProblem, INIT_DEFAULTS, nameProblem } from './init-options.js';

/** The questions go to `output`: stdout may be for a script. */
export interface Dialogue {
  readonly input: Readable;
  readonly output: Writable;
}

/** Undefined: none. What is typed is not shown, because it holds a password. */
export async function askAddress(dialogue: Dialogue): Promise<string | undefined> {
  const typed = await answered(
    password({
      ...dialogue,
      message: 'The address of your Postgres database (postgres://…), or nothing: that of `countersign dev`',
      validate: (value = '') => (value === '' ? undefined : addressProblem(value)),
    }),
  );
  return typed === undefined || typed === '' ? undefined : typed;
}

/** Those with a key are chosen beforehand. */
export async function askTables(dialogue: Dialogue, offered: readonly OfferedTable[]): Promise<readonly string[]> {
  const sayable = offered.filter(({ problem }) => problem !== 'a name that proposals cannot say');
  if (sayable.length === 0) return [];
  return await answered(
    multiselect({
      ...dialogue,
      message: 'The tables that agents may name',
      options: sayable.map(({ name, problem }) => ({
        value: name,
        label: sanitize(name),
        ...(problem === undefined ? {} : { hint: 'no key: its changes are rehearsed' }),
      })),
      initialValues: sayable.filter(({ problem }) => problem === undefined).map(({ name }) => name),
      maxItems: 12,
    }),
  );
}

export async function askEnvironment(dialogue: Dialogue): Promise<string> {
  return await answered(
    select({
      ...dialogue,
      message: 'What policies know the database as',
      options: [
        { value: INIT_DEFAULTS.environment, hint: 'large changes and changes of the schema need a person' },
        { value: 'staging' },
        { value: 'development' },
      ],
    }),
  );
}

export async function askAgent(dialogue: Dialogue): Promise<string> {
  return await answered(
    text({
      ...dialogue,
      message: 'The name of the first agent',
      initialValue: INIT_DEFAULTS.agent,
      validate: (value = '') => nameProblem('--agent', value),
    }),
  );
}

export async function askRole(dialogue: Dialogue): Promise<string> {
  return await answered(
    select({
      ...dialogue,
      message: 'What it may do, in the words of the starter policy',
      options: [
        { value: INIT_DEFAULTS.role, hint: 'reads and changes rows, deletes none' },
        { value: 'read_only_user', hint: 'reads' },
        { value: 'admin_user', hint: 'also deletes, and changes the schema' },
      ],
    }),
  );
}

async function answered<T>(asked: Promise<T | typeof CANCEL_SYMBOL>): Promise<T> {
  const answer = await asked;
  if (!isCancel(answer)) return answer;
  throw new CountersignError('CANCELLED', 'Nothing was made.', {
    fix: 'Run the command again, or give flags and --yes.',
  });
}
