/** What a database offers to the tool, for whoever writes its config: the tables that its role may read, and what keeps one from being covered. */
import { parseName } from './catalog.js';
import type { PostgresOptions } from './options.js';
import { closeParts, partsOf, type Parts } from './parts.js';

export interface OfferedTable {
  readonly name: string;
  /** Why it is better left out of `tables`; absent where it can be covered. */
  readonly problem?: 'no key' | 'a name that proposals cannot say';
}

/** Tables of the configured schema, ordered by name; views are left out. @throws CountersignError CONFIG_INVALID, TOOL_UNAVAILABLE */
export async function offeredTables(options: PostgresOptions, signal: AbortSignal): Promise<readonly OfferedTable[]> {
  const parts = partsOf(options);
  try {
    const names = await tableNames(parts, signal);
    const sayable = names.filter(isSayable);
    const tables = await parts.scope.existing(sayable.map(parseName), 'tables', signal);
    const keyed = new Set(tables.filter(({ key }) => key.length > 0).map(({ name }) => name));
    return names.map((name): OfferedTable => {
      if (!isSayable(name)) return { name, problem: 'a name that proposals cannot say' };
      return keyed.has(name) ? { name } : { name, problem: 'no key' };
    });
  } finally {
    await closeParts(parts);
  }
}

async function tableNames({ database, scope }: Parts, signal: AbortSignal): Promise<readonly string[]> {
  const [answer] = await database.read([await scope.describe(undefined, signal)], signal);
  const rows = answer === undefined ? [] : database.objects(answer);
  const tables = rows.filter(({ kind }) => kind === 'table' || kind === 'partitioned table');
  return tables.flatMap(({ table }) => (typeof table === 'string' ? [table] : []));
}

/** What stands before a dot is a schema to the tool, and what begins with pg_ the server's own. */
function isSayable(name: string): boolean {
  return !name.includes('.') && !name.startsWith('pg_');
}
