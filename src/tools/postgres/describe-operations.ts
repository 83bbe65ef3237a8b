/** The operations of the `postgres` tool, for models. */
import { z } from 'zod';
import type { ActionType } from '../../action/decision.js';
import type { OperationDescription } from '../../action/catalogue.js';
import type { JsonObject } from '../../action/json.js';
import { postgresInput, type PostgresInput } from './input.js';
import type { PostgresOptions } from './options.js';

const DESCRIBED: Readonly<
  Record<Exclude<PostgresInput['op'], 'restore'>, { readonly actionType: ActionType; readonly description: string }>
> = {
  describe: { actionType: 'READ', description: 'Lists tables with their columns, types, keys and foreign keys.' },
  select: { actionType: 'READ', description: 'Returns rows of one table that meet a condition.' },
  insert: { actionType: 'WRITE', description: 'Inserts rows into one table.' },
  upsert: { actionType: 'WRITE', description: 'Inserts rows, and updates those that are there already.' },
  update: { actionType: 'WRITE', description: 'Changes columns of the rows of one table that meet a condition.' },
  delete: { actionType: 'DELETE', description: 'Deletes the rows of one table that meet a condition.' },
  sql: {
    actionType: 'DELETE',
    description: 'Runs one SQL statement, with $1, $2 … for its parameters. Prefer the other operations where they do.',
  },
};

/** What raw SQL is classified as, where it is the usual. */
const SQL_OPERATIONS = ['sql.select', 'sql.insert', 'sql.update', 'sql.delete'];

/** A restore is what a compensation proposes; models need none. */
export function describeOperations({ schema = 'public', tables }: PostgresOptions): readonly OperationDescription[] {
  const covered = tables === undefined ? `the tables of the schema ${schema}` : `the tables ${tables.join(', ')}`;
  return postgresInput.options.flatMap((option) => {
    const [op] = option.shape.op.values;
    if (op === undefined || op === 'restore') return [];
    const { actionType, description } = DESCRIBED[op];
    return [
      {
        operation: op,
        ...(op === 'sql' ? { alsoNamed: SQL_OPERATIONS } : {}),
        description: `${description} It covers ${covered}.`,
        actionType,
        idempotent: actionType === 'READ',
        arguments: argumentsOf(option),
        fixed: { op },
      },
    ];
  });
}

/** Of each operation as models read them: the same for every tool, and made once, because that takes longer than the rest of a tool's start. */
const madeArguments = new Map<z.ZodType, JsonObject>();

function argumentsOf(option: z.ZodType): JsonObject {
  const made = madeArguments.get(option) ?? withoutOp(z.toJSONSchema(option, { io: 'input' }) as JsonObject);
  madeArguments.set(option, made);
  return made;
}

function withoutOp({ properties, required, ...schema }: JsonObject): JsonObject {
  const { op: _op, ...others } = properties as JsonObject;
  const names = (required as readonly string[]).filter((name) => name !== 'op');
  return { ...schema, properties: others, ...(names.length === 0 ? {} : { required: names }) };
}
