/** A revoked credential stops what rests on it, from the next admission and use of a grant on. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Ledger } from '../../src/ledger/index.js';
import { admission, newTenant, startLedger, times, useOf, type TestLedger } from './support.js';

let at: TestLedger;
let ledger: Ledger;

beforeAll(async () => {
  at = await startLedger();
  ledger = at.ledger;
});
afterAll(() => at.stop());

const CHAIN = ['root', 'middle', 'leaf'];
const budget = { limit: 'spend', key: '', kind: 'budget' as const, amount: 1, max: 9, unit: 'EUR' };

test('any credential of the chain that is revoked stops admission, with holds and without, and nothing is held', async () => {
  const tenant = newTenant();
  const names = { tenant, actionId: 'a' };
  expect(await ledger.actions.admit(admission(names, { credentials: CHAIN }))).toMatchObject({ kind: 'admitted' });
  const revocation = await ledger.controls.revoke({ tenant, jti: 'middle', reason: 'stolen', by: 'dana' });
  expect(revocation).toEqual({ tenant, jti: 'middle', reason: 'stolen', by: 'dana', at: expect.any(String) });
  const refused = { kind: 'revoked', revocation };
  expect(await ledger.actions.admit(admission(names, { credentials: CHAIN }))).toEqual(refused);
  const request = admission(names, { credentials: CHAIN, holds: [budget] });
  expect(await ledger.actions.admit(request)).toEqual(refused);
  expect(await ledger.limits.holds({ tenant, actionId: 'a' })).toEqual([]);
  expect(await ledger.grants.use(useOf(request))).toEqual({ kind: 'unknown', otherUses: 0 });
  expect(await ledger.actions.admit(admission(names, { credentials: ['root', 'leaf'] }))).toMatchObject({
    kind: 'admitted',
  });
  expect(
    await ledger.actions.admit(admission({ ...names, tenant: newTenant() }, { credentials: CHAIN })),
  ).toMatchObject({
    kind: 'admitted',
  });
});

test('a grant given before is refused at its use; a retry of the activity that had used it is told of both', async () => {
  const tenant = newTenant();
  const [fresh, used] = [1, 2].map((n) => admission({ tenant, actionId: `a-${n}` }, { credentials: CHAIN }));
  if (!fresh || !used) throw new Error('two were made');
  for (const request of [fresh, used]) await ledger.actions.admit(request);
  const use = { credentials: CHAIN };
  expect(await ledger.grants.use({ ...useOf(used), ...use })).toMatchObject({ kind: 'first' });
  const revocation = await ledger.controls.revoke({ tenant, jti: 'root', reason: 'left', by: 'dana' });
  expect(await ledger.grants.use({ ...useOf(fresh), ...use })).toEqual({ kind: 'revoked', otherUses: 0, revocation });
  expect(await ledger.grants.use({ ...useOf(used), ...use })).toEqual({ kind: 'again', otherUses: 0, revocation });
});

test('revoking again changes nothing, by many at once neither, and it cannot be taken back', async () => {
  const tenant = newTenant();
  const all = await times(8, (n) => ledger.controls.revoke({ tenant, jti: 'x', reason: `reason ${n}`, by: `p-${n}` }));
  expect(new Set(all.map((one) => JSON.stringify(one))).size).toBe(1);
  expect(await ledger.controls.revocations(tenant)).toEqual([all[0]]);
  expect((await ledger.controls.revocations()).filter((one) => one.tenant === tenant)).toEqual([all[0]]);
  for (const statement of ['delete from', 'truncate']) {
    await expect(at.pool.query(`${statement} countersign.revocations`)).rejects.toMatchObject({ code: '23001' });
  }
  await expect(at.pool.query(`update countersign.revocations set jti = 'y'`)).rejects.toMatchObject({ code: '23001' });
});

test.each(['tenant', 'jti', 'reason', 'by'])('a revocation without %s is refused', async (field) => {
  const request = { tenant: newTenant(), jti: 'j', reason: 'r', by: 'b', [field]: '' };
  await expect(ledger.controls.revoke(request)).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    field: `revoke.${field}`,
  });
});
