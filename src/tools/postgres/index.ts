/** The `postgres` tool: rows and definitions of a PostgreSQL database, previewed, captured, changed exactly once, read back. */
import type { ActionType } from '../../action/decision.js';
import { CountersignError } from '../../action/errors.js';
import { assertJson, digest, type JsonObject } from '../../action/json.js';
import type { State } from '../../action/snapshot.js';
import type { ClientConfig } from 'pg';
import { timeoutSignal } from '../../timeout-signal.js';
import type { Execution, ExecuteContext, ReadContext, SampleOptions, Tool } from '../tool.js';
import { captureAfter, stateFrom, stateQueries, tooManyRows, type Reader } from './capture.js';
import { classify } from './classify.js';
import { compensationInput } from './compensate.js';
import { PostgresDatabase } from './connection.js';
import { DEFAULT_EFFECTS_SCHEMA, Effects } from './effects.js';
import { executeChange } from './execute.js';
import { postgresInput, type PostgresInput } from './input.js';
import { limitOf } from './transaction.js';
import { planFor, type ReadPlan } from './plan.js';
import { previewChange } from './preview.js';
import { countRefusal } from './row-count.js';
import { checkFrame, sampleAround, type FrameOptions } from './sample.js';
import { SqlScope } from './scope.js';
import { verifyChange } from './verify.js';
import { violated } from './affected-tables.js';

export { EFFECTS_DDL, effectsDdl } from './effects.js';
export type { PostgresInput } from './input.js';
export type { FrameOptions } from './sample.js';

export interface PostgresOptions {
  /** What proposals call the tool. */
  readonly name: string;
  /** What policies know its database as: `production`, `staging` … */
  readonly environment: string;
  /** `postgres://user:password@host:port/database`. Or else `connection`. */
  readonly url?: string;
  /** node-postgres's own settings: host, port, user, password (also a function), database, ssl. */
  readonly connection?: ClientConfig;
  /** The schema that names without one are in. Default `public`. */
  readonly schema?: string;
  /** The only tables it covers: `orders`, or `sales.orders` for another schema. Default: every table of the schema. */
  readonly tables?: readonly string[];
  /** The most rows that one action may change or return. Default 10,000. */
  readonly maxRows?: number;
  /** The longest one statement, and one execution, may take, milliseconds. Default 30,000. */
  readonly timeoutMs?: number;
  /** Tables that triggers and foreign keys may write beside the action's own, such as an audit log. Default none. */
  readonly sideEffectTables?: readonly string[];
  /** Columns that triggers keep, such as `updated_at`: they may change with any update. Default none. */
  readonly maintainedColumns?: readonly string[];
  /**
   * Samples rows that an action does not name before and after it: the check `frame.sample`. Costs two short reads for each action.
   * Default: none is taken.
   */
  readonly frame?: FrameOptions;
  /** Functions of the database that raw SQL may call, that the operator declares free of effects: `full_name`, `tools.slug`. Default none. */
  readonly readOnlyFunctions?: readonly string[];
  /** Where keys of effects are recorded. Created when missing; no action may touch it. Default `countersign_effects`. */
  readonly effectsSchema?: string;
  /** Connections kept at most. Default 10. */
  readonly maxConnections?: number;
  /** How long the catalog's answers (columns, triggers, functions) are used again, milliseconds. Default 5,000. */
  readonly catalogMaxAgeMs?: number;
}

/**
 * A tool for one database. Connects when first used.
 *
 * @throws CountersignError CONFIG_INVALID
 */
export function postgres(options: PostgresOptions): Tool<PostgresInput> {
  const { name, environment, schema = 'public', maxRows = 10_000, timeoutMs = 30_000 } = options;
  const effectsSchema = options.effectsSchema ?? DEFAULT_EFFECTS_SCHEMA;
  const client = clientOf(options);
  checkSchemas(options, schema, effectsSchema);
  const database = new PostgresDatabase({
    tool: name,
    client,
    schema,
    timeoutMs,
    maxConnections: options.maxConnections ?? 10,
  });
  const scope = new SqlScope(database, {
    tool: name,
    schema,
    tables: options.tables === undefined ? undefined : new Set(options.tables),
    readOnlyFunctions: new Set(options.readOnlyFunctions),
    maxAgeMs: options.catalogMaxAgeMs ?? 5_000,
  });
  const effects = new Effects(database, effectsSchema, name);
  const reader: Reader = { database, scope, maxRows };
  const sideEffectTables = new Set(options.sideEffectTables);
  const { frame } = options;
  if (frame !== undefined) checkFrame(name, frame, sideEffectTables);
  const verifyOptions = { schema, sideEffectTables, maintainedColumns: new Set(options.maintainedColumns) };

  return {
    name,
    kind: 'postgres',
    environment,
    idempotency: 'native',
    constraints: ['maxRows', 'timeoutMs'],
    timeoutMs,
    input: postgresInput,
    actionType: (input) => (input.op === 'sql' ? classify(input.sql).actionType : ACTION_TYPES[input.op]),
    operation: (input) => (input.op === 'sql' ? classify(input.sql).operation : input.op),

    preview: (input, { signal }) =>
      scope.upToDate(async () => {
        const plan = await planFor(input, scope, signal);
        const preview = await previewChange(plan, { ...reader, sideEffectTables }, signal);
        const refusal = countRefusal(plan, input, preview.rows);
        return refusal === undefined ? preview : { ...preview, refusal };
      }),

    async capture(input, { after }, { signal }) {
      if (after === undefined) {
        return await scope.upToDate(async () => {
          const plan = await planFor(input, scope, signal);
          const queries = stateQueries(plan, maxRows);
          return stateFrom(plan, queries.length === 0 ? [] : await database.read(queries, signal), reader);
        });
      }
      // The definition may just have changed, also by another worker.
      if (isDefinition(input)) scope.forget();
      const plan = await planFor(input, scope, signal, after.pre);
      return await captureAfter(plan, after, reader, signal);
    },

    ...(frame === undefined
      ? {}
      : {
          sample: async (input: PostgresInput, beside: SampleOptions, { signal }: ReadContext): Promise<State> =>
            await sampleAround(await planFor(input, scope, signal, beside.pre), beside, frame, reader, signal),
        }),

    async execute(input, context) {
      const inputDigest = digest(input);
      try {
        const plan = await planFor(input, scope, context.signal);
        if (plan.kind === 'read') return await executeRead(plan, reader, context);
        const options = { ...reader, tool: name, effects, sideEffectTables, timeoutMs };
        return await executeChange({ plan, input: inputDigest }, context, options);
      } catch (error) {
        scope.forget();
        // An earlier attempt may have dropped or renamed what this one stumbles over.
        const recorded = isDefinition(input) ? await effects.find(context.idempotencyKey, context.signal) : undefined;
        if (recorded?.status === 'done') return effects.again(recorded, inputDigest);
        throw error;
      } finally {
        if (isDefinition(input)) scope.forget();
      }
    },

    lookUp: (key) => effects.lookUp(key),
    verify: (effect) => verifyChange(effect, verifyOptions),
    compensate: (input: PostgresInput, pre: State, post: State): JsonObject | undefined =>
      compensationInput(input, pre, post, schema),
    close: () => database.close(),
  };
}

const ACTION_TYPES: Readonly<Record<Exclude<PostgresInput['op'], 'sql'>, ActionType>> = {
  describe: 'READ',
  select: 'READ',
  insert: 'WRITE',
  update: 'WRITE',
  restore: 'WRITE',
  delete: 'DELETE',
};

async function executeRead(plan: ReadPlan, { database, maxRows }: Reader, context: ExecuteContext): Promise<Execution> {
  context.heartbeat();
  const most = limitOf(context, 'maxRows') ?? maxRows;
  const { query, page } = plan;
  const wanted = page?.withOneMore ?? query;
  const bounded = { ...wanted, text: `SELECT * FROM (\n${wanted.text}\n) q LIMIT ${Math.min(most, maxRows) + 1}` };
  const [answer] = await database.read([bounded], withTimeout(context));
  const found = answer === undefined ? [] : database.objects(answer);
  const rows = page === undefined ? found : found.slice(0, page.limit);
  if (rows.length > most)
    throw violated(
      `The action reads more than ${most} rows.`,
      `at most ${most} rows, as policy demands`,
      'Narrow the condition.',
    );
  if (rows.length > maxRows) throw tooManyRows(`more than ${maxRows}`, plan.reads.join(', '), maxRows);
  assertJson(rows, 'rows');
  const rest = page !== undefined && found.length > page.limit ? truncatedAt(page.limit) : {};
  return { result: { rowCount: rows.length, rows, ...rest } };
}

/** What an agent is told whose rows are not all there are. */
function truncatedAt(limit: number): JsonObject {
  const more =
    'There are more rows. Order by the key and select those after the last one, or raise the limit (at most 1000), or narrow the condition.';
  return { truncated: true, limit, more };
}

function withTimeout(context: ExecuteContext): AbortSignal {
  const timeoutMs = limitOf(context, 'timeoutMs');
  return timeoutMs === undefined ? context.signal : timeoutSignal(context.signal, timeoutMs);
}

function isDefinition(input: PostgresInput): boolean {
  return input.op === 'sql' && 'targets' in classify(input.sql);
}

function clientOf({ name, url, connection }: PostgresOptions): ClientConfig {
  if ((url === undefined) === (connection === undefined)) {
    throw new CountersignError('CONFIG_INVALID', `The tool ${name} needs the address of its database.`, {
      field: 'url',
      expected: 'either url or connection',
      fix: 'Give one of the two.',
    });
  }
  if (url === undefined) return connection ?? {};
  // The parser's own error quotes the address, and with it the password.
  if (!URL.canParse(url) || !/^postgres(ql)?:$/.test(new URL(url).protocol)) {
    throw new CountersignError(
      'CONFIG_INVALID',
      `The address of the tool ${name}'s database is not a URL of PostgreSQL.`,
      {
        field: 'url',
        expected: 'postgres://user:password@host:port/database',
        fix: 'Correct the address; special characters in a password are percent-encoded.',
      },
    );
  }
  return { connectionString: url };
}

/** Where effects are recorded must be out of every action's reach: who can write there can forge that something happened. */
function checkSchemas({ name, tables = [] }: PostgresOptions, schema: string, effectsSchema: string): void {
  const reachable = schema === effectsSchema || tables.some((table) => table.startsWith(`${effectsSchema}.`));
  if (!reachable) return;
  throw new CountersignError(
    'CONFIG_INVALID',
    `The tool ${name} could reach its own record of effects in ${effectsSchema}.`,
    {
      field: 'effectsSchema',
      expected: 'a schema that neither schema nor tables name',
      fix: 'Use a schema of its own.',
    },
  );
}
