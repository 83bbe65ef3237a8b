/** The way to Postgres. */
export { Database, type DatabaseOptions } from './database.js';
export { assertSetUp, migrate, pendingMigrations, type TableSet } from './migrate.js';
export type { JsonText, LedgerTables } from './tables.js';
export { takesNobodys } from './failure.js';
