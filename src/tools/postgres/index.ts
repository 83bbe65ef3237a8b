/** The `postgres` tool: it changes rows and definitions of a PostgreSQL database, with preview, capture and verification, exactly once. */
import { assertJson, digest, type JsonObject } from '../../action/json.js';
import type { State } from '../../action/snapshot.js';
import { timeoutSignal } from '../../timeout-signal.js';
import type { Execution, ExecuteContext, ReadContext, SampleOptions, Tool } from '../tool.js';
import { actionTypeOf, returns } from './action-type.js';
import { violated } from './affected-tables.js';
import { checkTrustedExtensions } from './allowed-functions.js';
import { captureAfter, captureRehearsed, stateFrom, stateQueries, tooManyRows, type Reader } from './capture.js';
import { classify } from './classify.js';
import { compensationInput } from './compensate.js';
import { PostgresDatabase } from './connection.js';
import { limitOf } from './effect-transaction.js';
import { DEFAULT_EFFECTS_SCHEMA, Effects } from './effects.js';
import { executeChange } from './execute.js';
import { postgresInput, type PostgresInput } from './input.js';
import { checkSchemas, clientOf, type PostgresOptions } from './options.js';
import type { ChangePlan, ReadPlan } from './plan.js';
import { rehearsed } from './plan-parts.js';
import { planFor } from './planner.js';
import { previewChange } from './preview.js';
import { rehearsalSettings, wantsRehearsal } from './rehearsal-options.js';
import { rehearse } from './rehearse.js';
import { notRehearsed, rehearsedOtherwise, rehearsedPreviewOf } from './rehearsed-preview.js';
import { RehearsedTransaction } from './rehearsed-transaction.js';
import { countRefusal, withRefusal } from './row-count.js';
import { checkFrame, sampleAround } from './sample.js';
import { SqlScope } from './scope.js';
import { Transaction } from './transaction.js';
import { verifyChange } from './verify.js';

export { EFFECTS_DDL, effectsDdl } from './effects.js';
export type { PostgresInput } from './input.js';
export type { PostgresOptions } from './options.js';
export type { FrameOptions } from './sample.js';
export type { RehearsalMode, RehearsalOptions } from './rehearsal-options.js';

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
  const secretColumns = new Set(options.secretColumns);
  const verifyOptions = { schema, sideEffectTables, maintainedColumns, secretColumns };
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
    secretColumns,
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

    preview: async (input, { signal }) => {
      const preview = await scope.upToDate(async () => {
        const plan = await planned(input, signal);
        if (plan.kind === 'rehearsed') {
          const found = await rehearse(plan, rehearsalOptions, signal);
          return rehearsedPreviewOf(plan, input, found, rehearsalOptions);
        }
        const preview = await previewChange(plan, { ...reader, sideEffectTables }, signal);
        if (plan.kind !== 'rows') return preview;
        return withRefusal(preview, countRefusal(plan.table.name, input, preview.rows));
      });
      return secretColumns.size === 0 ? preview : { ...preview, secretColumns: [...secretColumns].sort() };
    },

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
