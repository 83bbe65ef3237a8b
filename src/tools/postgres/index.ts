/** The `postgres` tool: it changes rows and definitions of a PostgreSQL database, with preview, capture and verification, exactly once. */
import { checkTrustedExtensions } from './allowed-functions.js';
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
  /** The name of the tool in proposals. */
  readonly name: string;
  /** The environment of the database in policies: `production`, `staging` … */
  readonly environment: string;
  /** The URL of the database: `postgres://user:password@host:port/database`. Either this or `connection` is required. */
  readonly url?: string;
  /** The settings of node-postgres: host, port, user, password (also a function), database, ssl. */
  readonly connection?: ClientConfig;
  /** The schema of names without one. Default `public`. */
  readonly schema?: string;
  /** The only tables that the tool covers: `orders`, or `sales.orders` for another schema. Default: every table of the schema. */
  readonly tables?: readonly string[];
  /** The most rows that one action may change or return. Default 10,000. */
  readonly maxRows?: number;
  /** The longest time of one statement, and of one execution. Milliseconds, default 30,000. */
  readonly timeoutMs?: number;
  /** Tables, such as an audit log, that triggers and foreign keys may write in addition to the action's own. Default none. */
  readonly sideEffectTables?: readonly string[];
  /** Columns that triggers maintain, such as `updated_at`. They may change with any update. Default none. */
  readonly maintainedColumns?: readonly string[];
  /**
   * Takes samples of other rows before and after an action, for the check `frame.sample`. This costs two short reads for each action.
   * Default: no sample.
   */
  readonly frame?: FrameOptions;
  /** Functions of the database that the operator declares free of effects, so raw SQL may call them: `full_name`, `tools.slug`. Default none. */
  readonly readOnlyFunctions?: readonly string[];
  /**
   * Extensions whose functions raw SQL may call where the extension declares all their overloads IMMUTABLE or STABLE: `pg_trgm`, `postgis`.
   * Not `tablefunc` and `xml2`, whose functions run queries that they are given as text. Default none.
   */
  readonly trustedExtensions?: readonly string[];
  /** The schema for the keys of effects. It is created when missing, and no action may touch it. Default `countersign_effects`. */
  readonly effectsSchema?: string;
  /** The most connections in the pool. Default 10. */
  readonly maxConnections?: number;
  /** How long the catalog (columns, triggers, functions) is cached. Milliseconds, default 5,000. */
  readonly catalogMaxAgeMs?: number;
}

/**
 * Creates a tool for one database. It connects when it is first used.
 *
 * @throws CountersignError CONFIG_INVALID
 */
export function postgres(options: PostgresOptions): Tool<PostgresInput> {
  const { name, environment, schema = 'public', maxRows = 10_000, timeoutMs = 30_000 } = options;
  const effectsSchema = options.effectsSchema ?? DEFAULT_EFFECTS_SCHEMA;
  const client = clientOf(options);
  checkSchemas(options, schema, effectsSchema);
  checkTrustedExtensions(options.trustedExtensions ?? [], name);
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
    trustedExtensions: options.trustedExtensions ?? [],
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
      // The definition may just have changed, perhaps by another worker.
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
        // An earlier attempt may have dropped or renamed what this one does not find.
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
  const limited = `SELECT * FROM (\n${wanted.text}\n) q LIMIT ${Math.min(most, maxRows) + 1}`;
  const bounded = plan.explains === true ? wanted : { ...wanted, text: limited };
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
  // The error of the URL parser would quote the URL with its password.
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

/** Checks that no action can reach the schema of effects: whoever can write there can forge that an effect happened. */
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
