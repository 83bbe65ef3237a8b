/** The `postgres` tool: it changes rows and definitions of a PostgreSQL database, with preview, capture and verification, exactly once. */
import { checkTrustedExtensions } from './allowed-functions.js';
import type { ActionType, Preview } from '../../action/decision.js';
import { CountersignError, type ErrorView } from '../../action/errors.js';
import { assertJson, digest, type JsonObject } from '../../action/json.js';
import type { State } from '../../action/snapshot.js';
import type { ClientConfig } from 'pg';
import { timeoutSignal } from '../../timeout-signal.js';
import type { Execution, ExecuteContext, ReadContext, SampleOptions, Tool } from '../tool.js';
import { captureAfter, captureRehearsed, stateFrom, stateQueries, tooManyRows, type Reader } from './capture.js';
import { classify } from './classify.js';
import { compensationInput } from './compensate.js';
import { PostgresDatabase } from './connection.js';
import { DEFAULT_EFFECTS_SCHEMA, Effects } from './effects.js';
import { executeChange } from './execute.js';
import { postgresInput, type PostgresInput } from './input.js';
import { limitOf } from './effect-transaction.js';
import { planFor, rehearsed, type ChangePlan, type ReadPlan, type RehearsedPlan } from './plan.js';
import { actsWith, previewChange } from './preview.js';
import { rehearse, rehearsalRefusal, rehearsedPreview, type RehearseOptions, type Rehearsed } from './rehearse.js';
import { RehearsedTransaction } from './rehearsed-transaction.js';
import { rehearsalSettings, wantsRehearsal, type RehearsalMode, type RehearsalOptions } from './rehearsal-options.js';
import { Transaction } from './transaction.js';
import { total } from './trial.js';
import { countRefusal } from './row-count.js';
import { checkFrame, sampleAround, type FrameOptions } from './sample.js';
import { SqlScope } from './scope.js';
import { verifyChange } from './verify.js';
import { violated } from './affected-tables.js';

export { EFFECTS_DDL, effectsDdl } from './effects.js';
export type { PostgresInput } from './input.js';
export type { FrameOptions } from './sample.js';
export type { RehearsalMode, RehearsalOptions } from './rehearsal-options.js';

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
   * When a change of rows is tried in a transaction that is rolled back, before it is decided on: `always`; `when-asked`: when the input says
   * `rehearse: true`, and for changes that only a rehearsal can preview (upserts, MERGE, WITH queries that write, cascades, changed keys,
   * tables without a key); `never`: then these changes are refused. Default `when-asked`.
   */
  readonly rehearse?: RehearsalMode;
  /** How it rehearses: with which role, and for how long. */
  readonly rehearsal?: RehearsalOptions;
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
  const maintainedColumns = new Set(options.maintainedColumns);
  const verifyOptions = { schema, sideEffectTables, maintainedColumns };
  const mode = options.rehearse ?? 'when-asked';
  const limits = rehearsalSettings(name, options.rehearsal);
  const rehearsing = limits.client === undefined ? database : database.as(limits.client);
  const rehearsalOptions = {
    tool: name,
    database: rehearsing,
    scope,
    maxRows,
    sideEffectTables,
    maintainedColumns,
    limits,
  };

  /** The plan of an input, as one to be rehearsed where it is. */
  const planned = async (input: PostgresInput, signal: AbortSignal): Promise<ChangePlan> => {
    const plan = await planFor(input, scope, signal);
    if (!wantsRehearsal(plan, input, mode, name)) return plan;
    return plan.kind === 'rows' || plan.kind === 'rehearsed' ? rehearsed(plan, returns(input)) : plan;
  };

  return {
    name,
    kind: 'postgres',
    environment,
    idempotency: 'native',
    constraints: ['maxRows', 'timeoutMs'],
    timeoutMs,
    input: postgresInput,
    actionType: actionTypeOf,
    operation: (input) => (input.op === 'sql' ? classify(input.sql).operation : input.op),

    preview: (input, { signal }) =>
      scope.upToDate(async () => {
        const plan = await planned(input, signal);
        if (plan.kind === 'rehearsed') {
          const found = await rehearse(plan, rehearsalOptions, signal);
          return previewOf(plan, input, found, rehearsalOptions);
        }
        const preview = await previewChange(plan, { ...reader, sideEffectTables }, signal);
        if (plan.kind !== 'rows') return preview;
        return withRefusal(preview, countRefusal(plan.table.name, input, preview.rows));
      }),

    async capture(input, { after, preview: { rehearsal } = {} }, { signal }) {
      if (after === undefined) {
        return await scope.upToDate(async () => {
          const plan = await planned(input, signal);
          if (plan.kind === 'rehearsed') {
            const found = await rehearse(plan, rehearsalOptions, signal);
            if (rehearsal !== undefined && rehearsal.digest !== found.rehearsal.digest) throw rehearsedOtherwise();
            return found.trial.before;
          }
          const queries = stateQueries(plan, maxRows);
          return stateFrom(plan, queries.length === 0 ? [] : await database.read(queries, signal), reader);
        });
      }
      if (rehearsal !== undefined) return await captureRehearsed(after, reader, signal);
      // The definition may just have changed, perhaps by another worker.
      if (isDefinition(input)) scope.forget();
      const plan = await planFor(input, scope, signal, after.pre);
      if (plan.kind === 'rehearsed') throw notRehearsed(name, plan);
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
        const options = { ...reader, tool: name, effects, sideEffectTables, maintainedColumns, timeoutMs };
        const { rehearsal } = context;
        if (rehearsal !== undefined && plan.kind !== 'definition') {
          const order = { plan: rehearsed(plan, returns(input)), input: inputDigest, rehearsal };
          return await executeChange(
            (time) => new RehearsedTransaction(order, context, options, time),
            context,
            options,
          );
        }
        if (plan.kind === 'rehearsed' || (plan.kind === 'rows' && plan.onlyRehearsed !== undefined))
          throw notRehearsed(name, plan);
        const order = { plan, input: inputDigest };
        return await executeChange((time) => new Transaction(order, context, options, time), context, options);
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

    check: ({ signal }) => effects.check(signal),
    lookUp: (key) => effects.lookUp(key),
    verify: (effect) => verifyChange(effect, verifyOptions),
    compensate: (input: PostgresInput, pre: State, post: State): JsonObject | undefined =>
      compensationInput(input, pre, post, schema),
    async close() {
      await database.close();
      if (rehearsing !== database) await rehearsing.close();
    },
  };
}

function actionTypeOf(input: PostgresInput): ActionType {
  return input.op === 'sql' ? classify(input.sql).actionType : ACTION_TYPES[input.op];
}

const ACTION_TYPES: Readonly<Record<Exclude<PostgresInput['op'], 'sql'>, ActionType>> = {
  describe: 'READ',
  select: 'READ',
  insert: 'WRITE',
  upsert: 'WRITE',
  update: 'WRITE',
  restore: 'WRITE',
  delete: 'DELETE',
};

/** Whether a statement returns rows that the agent asked for. */
function returns(input: PostgresInput): boolean {
  if (input.op !== 'sql') return false;
  const statement = classify(input.sql);
  return 'returning' in statement && statement.returning;
}

function previewOf(plan: RehearsedPlan, input: PostgresInput, found: Rehearsed, options: RehearseOptions): Preview {
  const verb = plan.rows?.verb;
  const events = verb === undefined || verb === 'restore' ? (['insert', 'update', 'delete'] as const) : [verb];
  const warnings = plan.targets.flatMap((table) => actsWith(table, events));
  const preview = rehearsedPreview(plan, found, input.op, warnings);
  const names = plan.targets.map((table) => table.name);
  const rows = names.reduce((sum, name) => sum + total(found.rehearsal.tables[name] ?? NO_ROWS), 0);
  const refusal =
    countRefusal(names.join(', '), input, rows) ??
    rehearsalRefusal(plan, found, { input, actionType: actionTypeOf(input) }, options);
  return withRefusal(preview, refusal);
}

const NO_ROWS = { inserted: 0, updated: 0, deleted: 0 } as const;

function withRefusal(preview: Preview, refusal: ErrorView | undefined): Preview {
  return refusal === undefined ? preview : { ...preview, refusal };
}

function rehearsedOtherwise(): CountersignError {
  return new CountersignError('STATE_CHANGED', 'The change no longer does what it did when it was first rehearsed.', {
    expected: 'a change that does the same each time',
    fix: 'Propose the action again. If it happens again, see which trigger acts differently each time.',
  });
}

function notRehearsed(tool: string, plan: ChangePlan): CountersignError {
  const why = 'onlyRehearsed' in plan && plan.onlyRehearsed !== undefined ? `, because ${plan.onlyRehearsed}` : '';
  return new CountersignError(
    'CONSTRAINT_VIOLATED',
    `${tool}: the change must be rehearsed first${why}; nothing was done.`,
    {
      field: 'input',
      expected: 'a change that was rehearsed before it was decided on',
      fix: 'Propose the action again.',
    },
  );
}

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
