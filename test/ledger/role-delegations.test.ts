/** Duties in the ledger: whose they are, from when until when, and that they end. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { digestText } from '../../src/action/json.js';
import type { Ledger } from '../../src/ledger/index.js';
import type { NewAuthorization } from '../../src/action/person-authorization.js';
import type { RoleDelegation } from '../../src/action/role-delegation.js';
import { newTenant, startLedger, type TestLedger } from './support.js';

let at: TestLedger;
let ledger: Ledger;

beforeAll(async () => {
  at = await startLedger();
  ledger = at.ledger;
});
afterAll(() => at.stop());

/** By the database's clock. */
async function time(fromNowMs: number): Promise<string> {
  const { rows } = await at.pool.query<{ now: Date }>('select clock_timestamp() as now');
  return new Date((rows[0]?.now.getTime() ?? 0) + fromNowMs).toISOString();
}

async function give(tenant: string, more: Partial<NewAuthorization<RoleDelegation>> = {}): Promise<RoleDelegation> {
  const statement = `statement ${randomUUID()}`;
  return ledger.roleDelegations.add({
    tenant,
    id: randomUUID(),
    person: 'bob@example.com',
    role: 'dba',
    since: await time(-60_000),
    until: await time(3_600_000),
    by: 'ann@example.com',
    credentials: ['ann-1'],
    reason: 'on call',
    statement,
    digest: digestText(statement),
    ...more,
  });
}

const of = async (tenant: string, person = 'bob@example.com'): Promise<readonly string[]> =>
  (await ledger.roleDelegations.of(tenant, person)).map(({ id }) => id);

test('a role delegation is found for its person, however the id is spelled, and for nobody else', async () => {
  const tenant = newTenant();
  const { id } = await give(tenant);
  expect(await of(tenant)).toEqual([id]);
  expect(await of(tenant, 'Bob@Example.com')).toEqual([id]);
  expect(await of(tenant, 'ann@example.com')).toEqual([]);
  expect(await of(newTenant())).toEqual([]);
});

test('a role delegation begins and ends by the database’s clock', async () => {
  const tenant = newTenant();
  const later = await give(tenant, { since: await time(60_000) });
  await give(tenant, { since: await time(-120_000), until: await time(-1) });
  expect(await of(tenant)).toEqual([]);
  expect((await ledger.roleDelegations.list({ tenant, activeOnly: true })).map(({ id }) => id)).toEqual([later.id]);
  expect(await ledger.roleDelegations.list({ tenant })).toHaveLength(2);
});

test('a role delegation ends when its id or a credential of its giver is revoked', async () => {
  const tenant = newTenant();
  const [one, other] = [await give(tenant), await give(tenant, { credentials: ['ann-2'], by: 'anna' })];
  await ledger.controls.revoke({ tenant, jti: one.id, reason: 'back', by: 'ann@example.com' });
  expect(await of(tenant)).toEqual([other.id]);
  expect(await ledger.roleDelegations.find(tenant, one.id)).toMatchObject({
    ended: { by: 'ann@example.com', reason: 'back' },
  });
  await ledger.controls.revoke({ tenant, jti: 'ann-2', reason: 'lost', by: 'olga' });
  expect(await of(tenant)).toEqual([]);
});

test('a role delegation that would end before it begins is refused, and so is every change of one', async () => {
  const tenant = newTenant();
  await expect(give(tenant, { since: await time(60_000), until: await time(30_000) })).rejects.toMatchObject({
    code: 'INTERNAL',
  });
  await give(tenant);
  for (const query of [
    "update countersign.role_delegations set role = 'cto'",
    'delete from countersign.role_delegations',
    'truncate countersign.role_delegations',
  ]) {
    await expect(at.pool.query(query)).rejects.toMatchObject({ code: '23001' });
  }
});
