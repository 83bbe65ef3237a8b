/** The radar of one database: what was written there past every action, read from the database's own log. */
import { CountersignError } from '../../../action/errors.js';
import type { RadarSource, SourceStanding } from '../../../radar/source.js';
import { PostgresDatabase } from '../connection.js';
import { DEFAULT_EFFECTS_SCHEMA, type Effects } from '../effects.js';
import type { PostgresOptions } from '../options.js';
import { radarSettings, slotName, type RadarSettings } from './settings.js';
import { PostgresRadarReader } from './reader.js';
import { runFixed } from './fixed-session.js';
import { assertLogical, radarFailure, slotStanding } from './slot.js';

export type { PostgresRadarOptions } from './options.js';

/** How long one statement of the radar may take. Milliseconds. */
const TIMEOUT_MS = 5 * 60_000;

/** @throws CountersignError CONFIG_INVALID */
export function postgresRadar(options: PostgresOptions, effects: Effects): RadarSource | undefined {
  if (options.radar === undefined) return undefined;
  const settings = radarSettings(options, options.radar);
  const { name, schema = 'public', tables, effectsSchema = DEFAULT_EFFECTS_SCHEMA } = options;
  const open = (): PostgresDatabase =>
    new PostgresDatabase({ tool: name, client: settings.client, schema, timeoutMs: TIMEOUT_MS, maxConnections: 1 });
  const watched = {
    tool: name,
    schema,
    tables,
    except: new Set(
      (options.sideEffectTables ?? []).map((table) => (table.includes('.') ? table : `${schema}.${table}`)),
    ),
    effectsSchema,
    triggers: settings.triggers,
  };
  return {
    kind: 'postgres',
    everyMs: settings.everyMs,
    required: settings.required,
    writers: settings.writers,
    oneWritePerKey: true,
    repeats: false,
    open: (remembered) =>
      new PostgresRadarReader(
        { settings, watched, database: open(), prepare: (signal) => effects.check(signal) },
        remembered,
      ),
    async stands(signal) {
      const database = open();
      try {
        return await standing(database, settings, signal);
      } catch (error) {
        throw radarFailure(error, name);
      } finally {
        await database.close();
      }
    },
  };
}

async function standing(
  database: PostgresDatabase,
  settings: RadarSettings,
  signal: AbortSignal,
): Promise<SourceStanding> {
  const session = await database.session();
  try {
    await assertLogical(session, settings.tool, signal);
    const [found] = await runFixed(
      session,
      [
        {
          text: `SELECT current_database(), current_setting('max_slot_wal_keep_size'), rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user`,
        },
      ],
      signal,
    );
    const [name, keep, mayReplicate] = found?.rows[0] ?? [];
    if (mayReplicate !== 't') {
      throw new CountersignError('CONFIG_INVALID', `The role of the radar of ${settings.tool} may not read the log.`, {
        field: 'radar.url',
        fix: 'Have an administrator run: ALTER ROLE <role> REPLICATION;',
      });
    }
    const slot = settings.slot ?? slotName(settings.tool, name ?? '');
    const { exists, lost, lagBytes } = await slotStanding(session, slot, signal);
    if (!exists) return { ok: true, detail: `the slot ${slot} is not there: a worker makes it when it starts` };
    const detail = `the slot ${slot} holds back ${lagBytes} bytes of log`;
    if (lost || lagBytes > settings.maxLagBytes) {
      const fix = 'See that a worker runs; it gives the slot up, says what was not seen, and begins anew.';
      return { ok: false, detail: lost ? `the slot ${slot} is lost` : detail, fix };
    }
    if (keep !== '-1') return { ok: true, detail: `${detail}; max_slot_wal_keep_size is ${keep}` };
    const gib = Math.max(1, Math.ceil((2 * settings.maxLagBytes) / 1024 ** 3));
    return {
      ok: false,
      detail: `${detail}, and nothing bounds that while no worker runs: max_slot_wal_keep_size is -1`,
      fix: `Have an administrator run: ALTER SYSTEM SET max_slot_wal_keep_size = '${gib}GB'; SELECT pg_reload_conf();`,
    };
  } finally {
    session.release();
  }
}
