import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canonical, digest, type Json } from '../../src/action/json.js';
import type { Ledger } from '../../src/ledger/index.js';
import { newTenant, startLedger, times, type TestLedger } from './support.js';

let at: TestLedger;
let ledger: Ledger;

beforeAll(async () => {
  at = await startLedger();
  ledger = at.ledger;
});
afterAll(() => at.stop());

describe('snapshots', () => {
  test('come back to their tenant by digest, to no other', async () => {
    const tenant = newTenant();
    const body = { orders: { '17': { total: '12.50', note: null } } };
    await ledger.content.putSnapshot(tenant, digest(body), body);
    expect(await ledger.content.getSnapshot(tenant, digest(body))).toEqual(body);
    expect(await ledger.content.getSnapshot(newTenant(), digest(body))).toBeUndefined();
    expect(await ledger.content.getSnapshot(tenant, digest('else'))).toBeUndefined();
  });

  test('can be put many times at once', async () => {
    const tenant = newTenant();
    const body = { rows: Array.from({ length: 2_000 }, (_, id) => ({ id, text: `row ${id} 𝒳` })) };
    const name = digest(body);
    await times(10, () => ledger.content.putSnapshot(tenant, name, body));
    expect(digest(await ledger.content.getSnapshot(tenant, name))).toBe(name);
  });

  test('any JSON comes back with the same canonical text', async () => {
    const tenant = newTenant();
    await fc.assert(
      fc.asyncProperty(fc.jsonValue({ stringUnit: 'binary' }), async (value) => {
        const body = value as Json;
        await ledger.content.putSnapshot(tenant, digest(body), body);
        expect(canonical(await ledger.content.getSnapshot(tenant, digest(body)))).toBe(canonical(body));
      }),
      { numRuns: 150 },
    );
  });

  test('under a digest that is not theirs are refused', async () => {
    const tenant = newTenant();
    await expect(ledger.content.putSnapshot(tenant, digest({ a: 1 }), { a: 2 })).rejects.toMatchObject({
      code: 'INVALID_JSON',
    });
    expect(await ledger.content.getSnapshot(tenant, digest({ a: 1 }))).toBeUndefined();
  });
});

describe('policy bundles', () => {
  test('come back file by file, and can be put again by many workers at once', async () => {
    const files = {
      'deny.cedar': 'forbid (principal, action, resource);\r\n',
      'limits.yaml': '',
      'tests/ä "x".yaml': "it's\t𝒳",
    };
    await times(10, () => ledger.content.putPolicy(digest(files), files));
    expect(await ledger.content.getPolicy(digest(files))).toEqual(files);
    expect(await ledger.content.getPolicy(digest('else'))).toBeUndefined();
  });

  test('a digest that stands for other files is refused, and those stay', async () => {
    const files = { 'a.cedar': 'permit (principal, action, resource);' };
    await ledger.content.putPolicy(digest(files), files);
    const swapped = { 'a.cedar': 'forbid (principal, action, resource);' };
    await expect(ledger.content.putPolicy(digest(files), swapped)).rejects.toMatchObject({ code: 'POLICY_INVALID' });
    expect(await ledger.content.getPolicy(digest(files))).toEqual(files);
  });
});
