/** States that are too large for history are kept in the ledger, which others may be able to write: they count only as what they were captured as. */
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { digest } from '../../src/action/json.js';
import { recall } from '../../activities/snapshots.js';
import type { Snapshot } from '../../src/action/snapshot.js';
import type { Countersign } from '../../src/client/countersign.js';
import { ended, startStack, type Stack } from '../support/stack.js';

let stack: Stack;
let ledgerDatabase: pg.Pool;
let bot: Countersign;

beforeAll(async () => {
  stack = await startStack({
    // The shop writes titles in lower case, whatever it is told.
    schema: `CREATE TABLE pages (id int PRIMARY KEY, title text NOT NULL, body text NOT NULL);
      INSERT INTO pages SELECT i, 'old', repeat('long ', 20000) FROM generate_series(1, 5) i;
      CREATE FUNCTION quietly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.title := lower(new.title); RETURN new; END $$;
      CREATE TRIGGER quietly BEFORE UPDATE ON pages FOR EACH ROW EXECUTE FUNCTION quietly();`,
  });
  ledgerDatabase = new pg.Pool({ connectionString: stack.ledgerUrl, max: 1 });
  bot = await stack.agent();
});
afterAll(async () => {
  await ledgerDatabase?.end();
  await stack?.stop();
});

const retitle = (id: number, title: string, more: object = {}) => ({
  actionId: `retitle-${id}`,
  tool: 'shop-db',
  input: { op: 'update', table: 'pages', set: { title }, where: { id } },
  ...more,
});

/** Has the ledger store other states than it is given, as long as the body runs. */
async function forging(change: string, body: () => Promise<void>): Promise<void> {
  await ledgerDatabase.query(`
    CREATE FUNCTION countersign.forge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${change}; RETURN new; END $$;
    CREATE TRIGGER forge BEFORE INSERT ON countersign.snapshots FOR EACH ROW EXECUTE FUNCTION countersign.forge();`);
  try {
    await body();
  } finally {
    await ledgerDatabase.query('DROP FUNCTION countersign.forge() CASCADE');
  }
}

test('an effect that is not what was promised is a mismatch, however large the state', async () => {
  expect(await ended(bot, retitle(1, 'LOUD'))).toMatchObject({ status: 'mismatch' });
});

test('whoever can write to the ledger cannot have a mismatch verified as a success', async () => {
  await forging(`new.body := replace(new.body::text, '"loud"', '"LOUD"')::json`, async () => {
    const outcome = await ended(bot, retitle(2, 'LOUD'));
    expect(outcome).toMatchObject({ status: 'unknown', error: { code: 'EFFECT_UNKNOWN' } });
    expect(outcome.reason).toContain('is another one');
  });
});

test('nor what there was before taken for something else', async () => {
  await forging(`new.body := replace(new.body::text, '"old"', '"LOUD"')::json`, async () => {
    const outcome = await ended(bot, retitle(3, 'loud'));
    expect(outcome).toMatchObject({ status: 'unknown', error: { code: 'EFFECT_UNKNOWN' } });
  });
  expect((await stack.shop.query('SELECT title FROM pages WHERE id = 3')).rows).toEqual([{ title: 'loud' }]);
});

test('a state in place of another is recalled by nobody, and neither is one that is gone', async () => {
  const state = { pages: { 1: { title: 'x' } } };
  const snapshot: Snapshot = { digest: digest(state), count: 1, tookMs: 1 };
  const recalled = () => recall('acme', snapshot, { ledger: stack.ledger });
  await expect(recalled()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await stack.ledger.content.putSealedSnapshot('acme', snapshot.digest, { pages: { 1: { title: 'y' } } });
  await expect(recalled()).rejects.toMatchObject({ code: 'RECEIPTS_BROKEN' });
  await ledgerDatabase.query('DELETE FROM countersign.snapshots WHERE digest = $1', [snapshot.digest]);
  await stack.ledger.content.putSnapshot('acme', snapshot.digest, state);
  expect(await recalled()).toEqual(state);
});
