/** Single use, and what forgetting may not do. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Ledger } from '../../src/ledger/index.js';
import { startProxy } from './proxy.js';
import { startLedger, times, type TestLedger } from './support.js';

let at: TestLedger;
let ledger: Ledger;

beforeAll(async () => {
  at = await startLedger();
  ledger = at.ledger;
});
afterAll(() => at.stop());

const soon = (): Date => new Date(Date.now() + 60_000);

test('of all who take a nonce, at once or later, one gets it; another scope is another nonce', async () => {
  const workers = [ledger, await at.another()];
  const nonce = randomUUID();
  const took = await times(20, (n) => (workers[n % 2] as Ledger).nonces.use({ scope: 's', nonce, expiresAt: soon() }));
  expect(took.filter(Boolean)).toHaveLength(1);
  expect(await ledger.nonces.use({ scope: 's', nonce, expiresAt: soon() })).toBe(false);
  expect(await ledger.nonces.use({ scope: 'other', nonce, expiresAt: soon() })).toBe(true);
});

test('a named taker gets its own again, and nobody else does', async () => {
  const nonce = randomUUID();
  expect(await ledger.nonces.use({ scope: 's', nonce, expiresAt: soon(), by: 'run-1' })).toBe(true);
  expect(await ledger.nonces.use({ scope: 's', nonce, expiresAt: soon(), by: 'run-1' })).toBe(true);
  expect(await ledger.nonces.use({ scope: 's', nonce, expiresAt: soon(), by: 'run-2' })).toBe(false);
  expect(await ledger.nonces.use({ scope: 's', nonce, expiresAt: soon() })).toBe(false);
});

test('one that is over is not taken, not even by who took it, whatever was forgotten', async () => {
  const over = new Date(Date.now() - 1000);
  expect(await ledger.nonces.use({ scope: 's', nonce: 'over', expiresAt: over, by: 'run-1' })).toBe(false);
  await at.pool.query(
    `insert into countersign.nonces (scope, nonce, taken_by, expires_at)
     select 's', 'old-' || n, 'somebody', now() - interval '2 days' from generate_series(1, 50) n
     union all select 's', 'yesterday', 'somebody', now() - interval '23 hours'`,
  );
  for (let call = 0; call < 3; call++) await ledger.nonces.use({ scope: 's', nonce: randomUUID(), expiresAt: soon() });
  const { rows } = await at.pool.query(`select nonce from countersign.nonces where expires_at < now()`);
  expect(rows).toEqual([{ nonce: 'yesterday' }]);
  expect(await ledger.nonces.use({ scope: 's', nonce: 'old-7', expiresAt: new Date(Date.now() - 172_800_000) })).toBe(
    false,
  );
});

test('when the reply is lost, the same call still gets what it took', async () => {
  const proxy = await startProxy(at.url);
  const other = await Ledger.connect({ url: proxy.url, poolSize: 1 });
  await other.nonces.use({ scope: 's', nonce: randomUUID(), expiresAt: soon() });
  const nonce = randomUUID();
  proxy.loseReplyTo('INSERT');
  expect(await other.nonces.use({ scope: 's', nonce, expiresAt: soon() })).toBe(true);
  expect(proxy.cuts).toBe(1);
  expect(await ledger.nonces.use({ scope: 's', nonce, expiresAt: soon() })).toBe(false);
  await other.close();
  await proxy.close();
});

test.each([
  `update countersign.nonces set taken_by = 'me'`,
  `update countersign.nonces set expires_at = now() - interval '9 days'`,
  `delete from countersign.nonces where expires_at > now()`,
  `truncate countersign.nonces`,
])('the database refuses to let one be taken twice: %s', async (statement) => {
  await ledger.nonces.use({ scope: 'kept', nonce: randomUUID(), expiresAt: soon() });
  await expect(at.pool.query(statement)).rejects.toMatchObject({ code: '23001' });
});
