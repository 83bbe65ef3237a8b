/** How the ledger's tables are set up. */
import type { TableSet } from './migrate.js';

export const LEDGER_TABLES: TableSet = {
  versions: 'ledger_versions',
  migrations: {
    '0001-ledger': new URL('schema.sql', import.meta.url),
    '0002-trail': new URL('../trail/trail.sql', import.meta.url),
    '0003-radar': new URL('../radar/radar.sql', import.meta.url),
    '0004-canaries': new URL('../canaries/canaries.sql', import.meta.url),
    '0005-trail-grants': new URL('../trail/grants.sql', import.meta.url),
  },
};
