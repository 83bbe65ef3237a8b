/** Databases that were set up once for the run: a copy of one costs a tenth of what setting it up does. */
import pg from 'pg';
import { setUpTables } from '../../src/gateway/store/set-up.js';
import { Database, Ledger } from '../../src/ledger/index.js';

/** A ledger without a gateway, and a whole installation. */
export const TEMPLATES = { ledger: 'set_up_ledger', installation: 'set_up_installation' } as const;

/** Makes them on this server. Nobody stays connected, or they could not be copied. */
export async function makeTemplates(server: string): Promise<void> {
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  try {
    await client.query(`CREATE DATABASE ${TEMPLATES.ledger}`);
    await within(server, TEMPLATES.ledger, (database) => new Ledger(database).migrate());
    await client.query(`CREATE DATABASE ${TEMPLATES.installation} TEMPLATE ${TEMPLATES.ledger}`);
    await within(server, TEMPLATES.installation, setUpTables);
  } finally {
    await client.end();
  }
}

async function within(server: string, name: string, work: (database: Database) => Promise<unknown>): Promise<void> {
  const url = new URL(server);
  url.pathname = `/${name}`;
  const database = new Database({ url: url.href });
  try {
    await work(database);
  } finally {
    await database.close();
  }
}
