/** What the database's catalog says of the tables that are watched, and of what the radar has made there, so that a change of either is seen. */
import type { Json, JsonObject } from '../../../action/json.js';
import type { PostgresSession } from '../connection.js';
import { DEFINITIONS_SQL, SEALS_SQL } from './catalog-sql.js';
import { EVENT_TRIGGERS } from './definition-source.js';
import { FIXED_PATH, runFixed } from './fixed-session.js';
import { TransactionSnapshot } from './transaction-snapshot.js';

export interface TableState {
  readonly oid: string;
  /** Of its definition, and those of its partitions. */
  readonly digest: string;
  /** By the number of the table or partition: the trigger that says who writes, and when it was touched last. */
  readonly triggers: Readonly<Record<string, string>>;
  /** Its place in the publication, and when that was touched last. Empty where it has none. */
  readonly published: string;
}

/** As one look found it. */
export interface CatalogFound {
  /** Names the server's data and the database in it. */
  readonly system: string;
  readonly tables: Readonly<Record<string, TableState>>;
  /** The function and the event triggers, each with when it was touched last. Empty where there is none. */
  readonly own: Readonly<Record<'function' | 'events', string>>;
}

export interface CatalogState extends CatalogFound {
  /** When it was first seen to be so. An LSN. */
  readonly since: string;
}

export interface NamedTable {
  readonly name: string;
  readonly oid: string;
}

interface Seals {
  /** Which transactions are in it. */
  readonly snapshot: TransactionSnapshot;
  readonly tables: ReadonlyMap<string, Pick<TableState, 'triggers' | 'published'>>;
  readonly own: CatalogState['own'];
}

export interface SealNames {
  readonly publications: readonly string[];
  readonly effectsSchema: string;
}

/** How a definition is written down must not depend on who asks. */
const FIXED = `BEGIN; ${FIXED_PATH}; SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = ISO; SET LOCAL intervalstyle = iso_8601;
  SET LOCAL bytea_output = hex`;

/** By number: the digest of each definition, and what it says where that is asked for. */
export async function definitionsOf(
  session: PostgresSession,
  tables: readonly NamedTable[],
  inFull: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, { readonly digest: string; readonly facts: readonly string[] | undefined }>> {
  const query = { text: DEFINITIONS_SQL, values: [tables.map(({ oid }) => oid), inFull] };
  const [, result] = await session.run([{ text: FIXED }, query, { text: 'COMMIT' }], signal);
  return new Map(
    (result?.rows ?? []).map(([oid, digest, facts]) => [
      oid ?? '',
      { digest: digest ?? '', facts: facts === null ? undefined : (JSON.parse(facts ?? '[]') as string[]) },
    ]),
  );
}

/** Touching one of them changes what is said here, also where it is put back: a row of the catalog has the number of the transaction that wrote it. */
export async function sealsOf(
  session: PostgresSession,
  tables: readonly NamedTable[],
  { publications, effectsSchema }: SealNames,
  signal: AbortSignal,
): Promise<Seals> {
  const values = [tables.map(({ oid }) => oid), publications, effectsSchema, Object.values(EVENT_TRIGGERS)];
  const [result] = await runFixed(session, [{ text: SEALS_SQL, values }], signal);
  const said = JSON.parse(result?.rows[0]?.[0] ?? '{}') as {
    readonly snapshot?: string;
    readonly tables?: Readonly<Record<string, Pick<TableState, 'triggers' | 'published'>>>;
    readonly function?: string;
    readonly events?: string;
  };
  return {
    snapshot: new TransactionSnapshot(said.snapshot ?? ''),
    tables: new Map(Object.entries(said.tables ?? {})),
    own: { function: said.function ?? '', events: said.events ?? '' },
  };
}

/** Undefined where it is none, such as one of another version. */
export function catalogStateIn(remembered: JsonObject | undefined): CatalogState | undefined {
  const { system, tables, own, since } = remembered ?? {};
  if (typeof system !== 'string' || typeof since !== 'string' || !isObject(tables) || !isObject(own)) return undefined;
  return remembered as unknown as CatalogState;
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
