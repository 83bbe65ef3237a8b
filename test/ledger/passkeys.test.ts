/** Passkeys in the ledger: enrolled once, retired for good, and a copied authenticator noticed however workers race. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { digestText } from '../../src/action/json.js';
import type { AddPasskey } from '../../src/ledger/index.js';
import { newTenant, startLedger, type TestLedger } from './support.js';

let stand: TestLedger;
beforeAll(async () => {
  stand = await startLedger();
});
afterAll(() => stand.stop());

let made = 0;
function request(tenant: string, more: Partial<AddPasskey> = {}): AddPasskey {
  const credentialId = Buffer.from(`passkey ${++made}`).toString('base64url');
  return {
    tenant,
    person: 'ann@example.com',
    credentialId,
    publicKey: 'pQECAyYgASFYIA',
    counter: 0,
    transports: ['usb', 'nfc'],
    statement: digestText(credentialId),
    ...more,
  };
}

async function enrolled(counter = 0): Promise<{ tenant: string; credentialId: string }> {
  const { tenant, credentialId } = await stand.ledger.passkeys.add(request(newTenant(), { counter }));
  return { tenant, credentialId };
}

/** As if everything so far had been longer ago. */
async function longAgo(tenant: string): Promise<void> {
  await stand.pool.query('alter table countersign.passkey_uses disable trigger final');
  await stand.pool.query(
    "update countersign.passkey_uses set used_at = used_at - interval '11 minutes' where tenant = $1",
    [tenant],
  );
  await stand.pool.query('alter table countersign.passkey_uses enable trigger final');
}

describe('a passkey', () => {
  test('is kept as it was enrolled, and found and listed', async () => {
    const { passkeys } = stand.ledger;
    const asked = request(newTenant(), { counter: 7 });
    const { statement: _, ...said } = asked;
    const kept = await passkeys.add(asked);
    expect(kept).toEqual({ ...said, enrolledAt: expect.stringMatching(/Z$/) as string });
    expect(await passkeys.find(asked.tenant, asked.credentialId)).toEqual(kept);
    expect(await passkeys.list(asked.tenant, 'Ann@Example.com')).toEqual([kept]);
    expect(await passkeys.list(asked.tenant, 'bob@example.com')).toEqual([]);
  });

  test('enrolled again by the same statement is the same; by another, or for another person, it is refused', async () => {
    const { passkeys } = stand.ledger;
    const asked = request(newTenant());
    const [one, two] = await Promise.all([passkeys.add(asked), passkeys.add(asked)]);
    expect(two).toEqual(one);
    for (const change of [
      { statement: digestText('another') },
      { person: 'eve@example.com', statement: digestText('eve') },
      { publicKey: 'AAAA' },
    ]) {
      await expect(passkeys.add({ ...asked, ...change })).rejects.toMatchObject({ code: 'PASSKEY_INVALID' });
    }
    expect(await passkeys.find(asked.tenant, asked.credentialId)).toEqual(one);
  });

  test('of one tenant is nothing in another', async () => {
    const { passkeys } = stand.ledger;
    const asked = request(newTenant());
    await passkeys.add(asked);
    const other = newTenant();
    expect(await passkeys.find(other, asked.credentialId)).toBeUndefined();
    expect(await passkeys.list(other, asked.person)).toEqual([]);
    await expect(
      passkeys.retire({ tenant: other, credentialId: asked.credentialId, by: 'eve', reason: 'mine' }),
    ).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect((await passkeys.find(asked.tenant, asked.credentialId))?.retired).toBeUndefined();
    // The same authenticator may be known to two tenants.
    expect(await passkeys.add({ ...asked, tenant: other })).toMatchObject({ tenant: other });
  });

  test('retired stays so: the first word counts, and it cannot be enrolled again', async () => {
    const { passkeys } = stand.ledger;
    const asked = request(newTenant());
    const { tenant, credentialId } = asked;
    await passkeys.add(asked);
    const retired = await passkeys.retire({ tenant, credentialId, by: 'ann@example.com', reason: 'lost' });
    expect(retired.retired).toMatchObject({ by: 'ann@example.com', reason: 'lost' });
    expect(await passkeys.retire({ tenant, credentialId, by: 'bob', reason: 'again' })).toEqual(retired);
    expect(await passkeys.list(tenant, asked.person)).toEqual([]);
    expect(await passkeys.find(tenant, credentialId)).toEqual(retired);
    const anew = { ...asked, statement: digestText('anew') };
    await expect(passkeys.add(anew)).rejects.toMatchObject({ code: 'PASSKEY_INVALID' });
    const revived = stand.pool.query('update countersign.passkeys set retired_at = null where tenant = $1', [tenant]);
    await expect(revived).rejects.toThrow('refuses');
  });

  test('keeps its key, its person and its counter, whoever writes to the table', async () => {
    const { tenant } = await enrolled(5);
    for (const change of ["public_key = 'AAAA'", "person = 'eve'", 'counter = 0', "enrolled_at = 'epoch'"]) {
      const changed = stand.pool.query(`update countersign.passkeys set ${change} where tenant = $1`, [tenant]);
      await expect(changed).rejects.toThrow('refuses');
    }
  });

  test('is one of at most twenty of a person', async () => {
    const { passkeys } = stand.ledger;
    const tenant = newTenant();
    const first = request(tenant);
    await passkeys.add(first);
    for (let i = 1; i < 20; i++)
      await passkeys.add(request(tenant, { person: i % 2 === 0 ? 'Ann@Example.com' : first.person }));
    const error = await passkeys.add(request(tenant)).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'PASSKEY_INVALID', expected: 'at most 20 in use' });
    expect(await passkeys.add(first)).toMatchObject({ credentialId: first.credentialId });
    expect(await passkeys.add(request(tenant, { person: 'bob@example.com' }))).toMatchObject({ tenant });
    await passkeys.retire({ tenant, credentialId: first.credentialId, by: 'ann', reason: 'one too many' });
    expect(await passkeys.add(request(tenant))).toMatchObject({ tenant });
  });

  test('with text that no database can carry is refused', async () => {
    const asked = request(newTenant());
    await expect(stand.ledger.passkeys.add({ ...asked, person: 'a\u0000b' })).rejects.toMatchObject({
      code: 'INVALID_TEXT',
    });
    const { tenant, credentialId } = await enrolled();
    const retire = stand.ledger.passkeys.retire({ tenant, credentialId, by: 'ann', reason: '\ud800' });
    await expect(retire).rejects.toMatchObject({ code: 'INVALID_TEXT' });
  });
});

describe('the counter of a passkey', () => {
  const use = (passkey: { tenant: string; credentialId: string }, challenge: string, counter: number) =>
    stand.ledger.passkeys.used({ ...passkey, challenge, counter });

  test('must be above that of enrolment', async () => {
    const passkey = await enrolled(5);
    expect(await use(passkey, 'low', 4)).toBe('cloned');
    expect(await use(passkey, 'same', 5)).toBe('cloned');
    expect(await use(passkey, 'next', 6)).toBe('ok');
  });

  test('used for one challenge is a sign of a copy when it comes with another', async () => {
    const passkey = await enrolled();
    expect(await use(passkey, 'A', 1)).toBe('ok');
    expect(await use(passkey, 'B', 1)).toBe('cloned');
    expect(await use(passkey, 'B', 2)).toBe('ok');
  });

  test('asked about again gets the same answer, whatever came since and however late', async () => {
    const passkey = await enrolled();
    expect(await use(passkey, 'A', 1)).toBe('ok');
    expect(await use(passkey, 'B', 9)).toBe('ok');
    expect(await use(passkey, 'C', 9)).toBe('cloned');
    await longAgo(passkey.tenant);
    expect(await use(passkey, 'A', 1)).toBe('ok');
    expect(await use(passkey, 'B', 9)).toBe('ok');
    expect(await use(passkey, 'C', 9)).toBe('cloned');
    expect(await use(passkey, 'A', 2)).toBe('cloned');
  });

  test('of two decisions that workers verify in the other order is no sign of a copy', async () => {
    const passkey = await enrolled();
    expect(await use(passkey, 'second', 4)).toBe('ok');
    expect(await use(passkey, 'first', 3)).toBe('ok');
  });

  test('that lags behind what was used long ago is a sign of a copy', async () => {
    const passkey = await enrolled();
    expect(await use(passkey, 'A', 10)).toBe('ok');
    await longAgo(passkey.tenant);
    expect(await use(passkey, 'B', 9)).toBe('cloned');
    expect(await use(passkey, 'C', 11)).toBe('ok');
  });

  test('of 0 is right for an authenticator that never counts, and for no other', async () => {
    const synced = await enrolled();
    for (const challenge of ['A', 'B', 'A']) expect(await use(synced, challenge, 0)).toBe('ok');
    const counting = await enrolled(3);
    expect(await use(counting, 'A', 0)).toBe('cloned');
    const began = await enrolled();
    expect(await use(began, 'A', 1)).toBe('ok');
    expect(await use(began, 'B', 0)).toBe('cloned');
  });

  test('is one challenge’s alone, of twenty that race for it; and of one challenge that races with itself all are right', async () => {
    const passkey = await enrolled();
    const other = await stand.another();
    const ledgers = [stand.ledger, other];
    const race = (challenge: (i: number) => string, counter: number) =>
      Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          ledgers[i % 2]!.passkeys.used({ ...passkey, challenge: challenge(i), counter }),
        ),
      );
    const racing = await race((i) => `challenge ${i}`, 1);
    expect(racing.filter((answer) => answer === 'ok')).toHaveLength(1);
    expect(new Set(await race(() => 'the same', 2))).toEqual(new Set(['ok']));
  });

  test('of a passkey that is not there is never right', async () => {
    const passkey = await enrolled();
    for (const counter of [0, 1]) {
      expect(await use({ ...passkey, tenant: newTenant() }, 'A', counter)).toBe('cloned');
      expect(await use({ ...passkey, credentialId: 'AAAA' }, 'A', counter)).toBe('cloned');
    }
  });

  test('reaches as far as authenticators count', async () => {
    const passkey = await enrolled(2 ** 32 - 2);
    expect(await use(passkey, 'last', 2 ** 32 - 1)).toBe('ok');
  });
});
