/** What the steps of one tool stand on: its connections, its scope, its record of effects and its settings. */
import { checkTrustedExtensions } from './allowed-functions.js';
import type { Reader } from './capture.js';
import { PostgresDatabase } from './connection.js';
import { DEFAULT_EFFECTS_SCHEMA, Effects } from './effects.js';
import { checkSchemas, clientOf, type PostgresOptions } from './options.js';
import { rehearsalSettings, type RehearsalMode } from './rehearsal-options.js';
import type { RehearseOptions } from './rehearse.js';
import { exportSettings } from './exports.js';
import { checkFrame, type FrameOptions } from './sample.js';
import { SqlScope } from './scope.js';

export interface Parts extends Reader {
  readonly tool: string;
  readonly schema: string;
  readonly timeoutMs: number;
  readonly effects: Effects;
  readonly sideEffectTables: ReadonlySet<string>;
  readonly maintainedColumns: ReadonlySet<string>;
  readonly secretColumns: ReadonlySet<string>;
  readonly frame: FrameOptions | undefined;
  readonly mode: RehearsalMode;
  /** Its database is that of the role that rehearses. */
  readonly rehearsals: RehearseOptions;
}

/** @throws CountersignError CONFIG_INVALID */
export function partsOf(options: PostgresOptions): Parts {
  const { name: tool, schema = 'public', maxRows = 10_000, timeoutMs = 30_000, frame, rehearse: mode } = options;
  const effectsSchema = options.effectsSchema ?? DEFAULT_EFFECTS_SCHEMA;
  const client = clientOf(options);
  checkSchemas(options, schema, effectsSchema);
  checkTrustedExtensions(options.trustedExtensions ?? [], tool);
  const database = new PostgresDatabase({
    tool,
    client,
    schema,
    timeoutMs,
    maxConnections: options.maxConnections ?? 10,
  });
  const scope = new SqlScope(database, {
    tool,
    schema,
    tables: options.tables === undefined ? undefined : new Set(options.tables),
    readOnlyFunctions: new Set(options.readOnlyFunctions),
    trustedExtensions: options.trustedExtensions ?? [],
    maxAgeMs: options.catalogMaxAgeMs ?? 5_000,
  });
  const columns = {
    sideEffectTables: new Set(options.sideEffectTables),
    maintainedColumns: new Set(options.maintainedColumns),
    secretColumns: new Set(options.secretColumns),
  };
  if (frame !== undefined) checkFrame(tool, frame, columns.sideEffectTables);
  const limits = rehearsalSettings(tool, options.rehearsal);
  const rehearsing = limits.client === undefined ? database : database.as(limits.client);
  return {
    tool,
    schema,
    timeoutMs,
    database,
    scope,
    maxRows,
    exports: exportSettings(tool, options.exports),
    effects: new Effects(database, effectsSchema, tool),
    ...columns,
    frame,
    mode: mode ?? 'when-asked',
    rehearsals: { tool, database: rehearsing, scope, maxRows, ...columns, limits },
  };
}

export async function closeParts({ database, rehearsals }: Parts): Promise<void> {
  await database.close();
  if (rehearsals.database !== database) await rehearsals.database.close();
}
