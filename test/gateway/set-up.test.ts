import { afterAll, beforeAll, expect, test } from 'vitest';
import { ApiKeys } from '../../src/gateway/store/api-keys.js';
import { pendingGatewayTables, setUpTables } from '../../src/gateway/store/set-up.js';
import { Database, Ledger } from '../../src/ledger/index.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';

const ALL = ['0001-ledger', '0002-trail', '0003-radar', '0004-canaries', '0005-trail-grants', '0001-gateway'];

let server: TestDatabase;
const opened: Database[] = [];

function open(schema: string): Database {
  const database = new Database({ url: server.url, schema });
  opened.push(database);
  return database;
}

beforeAll(async () => {
  server = await createDatabase();
});
afterAll(async () => {
  await Promise.all(opened.map((database) => database.close()));
  await server.drop();
});

test('sets up the tables of the ledger and of the gateway, once', async () => {
  const database = open('twice');
  expect(await setUpTables(database)).toEqual(ALL);
  expect(await setUpTables(database)).toEqual([]);
  expect(await pendingGatewayTables(database)).toEqual([]);
});

test('five processes that set up the same schema at once do it once, and all can work', async () => {
  const databases = Array.from({ length: 5 }, () => open('race'));
  const ran = await Promise.all(databases.map(setUpTables));
  expect(ran.flat().toSorted()).toEqual(ALL.toSorted());
  const agent = { tenant: 'acme', roles: ['user'], scopes: ['*'] };
  await Promise.all(databases.map((one, index) => new ApiKeys(one).create({ ...agent, agent: `agent-${index}` })));
  expect(await new ApiKeys(open('race')).list('acme')).toHaveLength(5);
});

test('a ledger that was set up without the gateway says that tables of the gateway are missing', async () => {
  const database = open('ledger_only');
  await new Ledger(database).migrate();
  expect(await pendingGatewayTables(database)).toEqual(['0001-gateway']);
  await expect(new ApiKeys(database).list()).rejects.toMatchObject({
    code: 'LEDGER_UNAVAILABLE',
    fix: 'Run `countersign setup`.',
  });
  expect(await setUpTables(database)).toEqual(['0001-gateway']);
});
