/** Setting up all tables of an installation: the ledger's, and the gateway's beside them. */
import { migrate, pendingMigrations } from '../../ledger/database/index.js';
import { Ledger, type Database } from '../../ledger/index.js';
import { GATEWAY_TABLES } from './tables.js';

/**
 * Any number of callers may at once.
 *
 * @returns the names of the migrations that this call ran
 * @throws CountersignError LEDGER_UNAVAILABLE, CONFIG_INVALID
 */
export async function setUpTables(database: Database): Promise<readonly string[]> {
  const ledger = await new Ledger(database).migrate();
  return [...ledger, ...(await migrate(database, GATEWAY_TABLES))];
}

/** Of the gateway's own tables: the names of the migrations that `setUpTables` would run. @throws CountersignError LEDGER_UNAVAILABLE */
export function pendingGatewayTables(database: Database): Promise<readonly string[]> {
  return pendingMigrations(database, GATEWAY_TABLES);
}
