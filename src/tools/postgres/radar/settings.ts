/** What is checked of the option `radar` of the `postgres` tool, and its defaults. */
import { createHash } from 'node:crypto';
import type { ClientConfig } from 'pg';
import { configInvalid } from '../../../action/errors-config.js';
import { isTexts, isWhole } from '../../../radar/option-checks.js';
import type { DeclaredWriters } from '../../../radar/source.js';
import { clientOf, type PostgresOptions } from '../options.js';
import { RADAR_APPLICATION } from './messages.js';
import type { PostgresRadarOptions } from './options.js';

export interface RadarSettings {
  readonly tool: string;
  readonly client: ClientConfig;
  readonly writers: DeclaredWriters;
  readonly triggers: boolean;
  readonly everyMs: number;
  readonly maxLagBytes: number;
  /** Undefined: `slotName` makes it, once the name of the database is known. */
  readonly slot: string | undefined;
  readonly required: boolean;
}

const DEFAULT_MAX_LAG_BYTES = 1024 ** 3;

/** @throws CountersignError CONFIG_INVALID */
export function radarSettings(options: PostgresOptions, given: PostgresRadarOptions): RadarSettings {
  const { url, connection, writers = {}, triggers = true, everyMs = 1_000, slot, required = false } = given;
  const { maxLagBytes = DEFAULT_MAX_LAG_BYTES } = given;
  const { name } = options;
  const check = (ok: boolean, field: string, expected: string): void => {
    if (!ok) throw configInvalid(`radar.${field}`, expected, `the config of the tool ${name}`);
  };
  const known = ['url', 'connection', 'writers', 'triggers', 'everyMs', 'maxLagBytes', 'slot', 'required'];
  for (const field of Object.keys(given)) check(known.includes(field), field, 'left out: it is not known');
  for (const [field, names] of Object.entries(writers)) {
    check(['roles', 'applications'].includes(field), `writers.${field}`, 'roles or applications');
    check(isTexts(names), `writers.${field}`, 'a list of names');
  }
  const declared = Object.values(writers).some((names) => names.length > 0);
  check(typeof triggers === 'boolean', 'triggers', 'true or false');
  check(triggers || !declared, 'writers', 'left out where triggers is false: nothing says who writes');
  check(isWhole(everyMs, 100, 60_000), 'everyMs', 'milliseconds from 100 to 60,000');
  check(isWhole(maxLagBytes, 1024 ** 2, 2 ** 50), 'maxLagBytes', 'bytes, at least 1,048,576');
  check(slot === undefined || /^[a-z0-9_]{1,50}$/.test(slot), 'slot', 'lower-case letters, digits and _, at most 50');
  check(typeof required === 'boolean', 'required', 'true or false');
  const own = url !== undefined || connection !== undefined;
  return {
    tool: name,
    client: {
      ...clientOf(own ? { ...given, name: `${name} (its radar)`, environment: options.environment } : options),
      application_name: RADAR_APPLICATION,
    },
    writers,
    triggers,
    everyMs,
    maxLagBytes,
    slot,
    required,
  };
}

/** Slots are named for the whole server: two databases of one server may have a tool of the same name. */
export function slotName(tool: string, database: string): string {
  const readable = tool
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, '_')
    .slice(0, 30);
  const hash = createHash('sha256').update(`${database}\u0000${tool}`).digest('hex').slice(0, 8);
  return `countersign_${readable}_${hash}`;
}
