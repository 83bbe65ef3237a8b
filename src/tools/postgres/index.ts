/** The `postgres` tool: it changes rows and definitions of a PostgreSQL database, with preview, capture and verification, exactly once. */
import type { JsonObject } from '../../action/json.js';
import type { State } from '../../action/snapshot.js';
import type { ReadContext, SampleOptions, Tool } from '../tool.js';
import { actionTypeOf } from './action-type.js';
import { classify } from './classify.js';
import { compensationInput } from './compensate.js';
import { describeOperations } from './describe-operations.js';
import { elsewhere } from './elsewhere.js';
import { checkExports } from './exports.js';
import { effectRecords } from './effect-records.js';
import { postgresInput, type PostgresInput } from './input.js';
import { coveredTables, type PostgresOptions } from './options.js';
import { closeParts, partsOf } from './parts.js';
import { planFor } from './planner.js';
import { postgresRadar } from './radar/index.js';
import { sampleAround } from './sample.js';
import { captureInput, executeInput, previewInput } from './steps.js';
import { verifyChange } from './verify.js';

export { EFFECTS_DDL, effectsDdl } from './effects.js';
export type { PostgresInput } from './input.js';
export type { PostgresOptions } from './options.js';
export type { ExportOptions } from './exports.js';
export type { FrameOptions } from './sample.js';
export type { PostgresRadarOptions } from './radar/index.js';
export type { RehearsalMode, RehearsalOptions } from './rehearsal-options.js';

/**
 * Creates a tool for one database. It connects when it is first used.
 *
 * @throws CountersignError CONFIG_INVALID
 */
export function postgres(options: PostgresOptions): Tool<PostgresInput> {
  const parts = partsOf(options);
  const { schema, scope, effects, frame } = parts;
  const radar = postgresRadar(options, effects);
  return {
    name: options.name,
    kind: 'postgres',
    environment: options.environment,
    idempotency: 'native',
    constraints: ['maxRows', 'timeoutMs'],
    timeoutMs: parts.timeoutMs,
    ...(options.taskQueue === undefined ? {} : { taskQueue: options.taskQueue }),
    input: postgresInput,
    actionType: actionTypeOf,
    operation: (input) => (input.op === 'sql' ? classify(input.sql).operation : input.op),
    preview: (input, { signal }) => previewInput(input, parts, signal),
    capture: (input, captureOptions, { signal }) => captureInput(input, captureOptions, parts, signal),
    ...(frame === undefined
      ? {}
      : {
          sample: async (input: PostgresInput, beside: SampleOptions, { signal }: ReadContext): Promise<State> =>
            await sampleAround(await planFor(input, scope, signal, beside.pre), beside, frame, parts, signal),
        }),
    execute: (input, context) => executeInput(input, context, parts),
    async check({ signal }) {
      await effects.check(signal);
      if (parts.exports !== undefined) await checkExports(parts.exports, parts, signal);
    },
    lookUp: (key) => effects.lookUp(key),
    effects: effectRecords(parts.database, effects, options.name),
    verify: (effect) => verifyChange(effect, parts),
    compensate: (input: PostgresInput, pre: State, post: State): JsonObject | undefined =>
      compensationInput(input, pre, post, schema),
    describe: () => describeOperations(options),
    targets: () => coveredTables(options),
    ...(radar === undefined ? {} : { radar }),
    elsewhere: elsewhere(options, parts, postgres),
    close: () => closeParts(parts),
  };
}
