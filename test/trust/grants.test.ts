/** Grants: what a forger, a thief of another key, or a clock could make of them. */
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import type { GrantClaims } from '../../src/action/grant.js';
import { issueAgent } from '../../src/trust/credentials.js';
import { MAX_GRANT_BYTES, openGrant, signGrant } from '../../src/trust/grants.js';
import { generateKey } from '../../src/trust/ed25519.js';
import type { KeyringFile } from '../../src/trust/key-file.js';
import type { Keyring } from '../../src/trust/keys.js';
import { signReceipt, verifyReceipt } from '../../src/trust/receipts.js';
import { grantClaims, receiptClaims } from './claims.js';
import {
  digestOf,
  firstKey,
  forge,
  forgeHmac,
  forgeUnsigned,
  IAT,
  later,
  newKeys,
  NOW,
  openUnverified,
  refusal,
  verifyGrant,
} from './support.js';

let keyring: Keyring;
let file: KeyringFile;
let grant: string;
let header: { alg: string; typ: string; kid: string };
beforeAll(async () => {
  ({ keyring, file } = await newKeys());
  grant = await signGrant(keyring, grantClaims());
  header = { alg: 'EdDSA', typ: 'countersign-grant+jwt', kid: firstKey(file, 'grant').kid };
});

const refused = (token: unknown, now = NOW) => refusal(verifyGrant(keyring, token as string, { now }), 'GRANT_INVALID');

describe('a grant', () => {
  test('comes back as it was signed', async () => {
    expect(await verifyGrant(keyring, grant, { now: NOW })).toEqual(grantClaims());
    expect(openUnverified(grant).header).toEqual(header);
  });

  test('is the same text for the same claims, in whatever order they come', async () => {
    const reversed = Object.fromEntries(Object.entries(grantClaims()).toReversed()) as unknown as GrantClaims;
    expect(await signGrant(keyring, reversed)).toBe(grant);
  });

  test('holds to the second of its expiry, with no tolerance', async () => {
    expect(await verifyGrant(keyring, grant, { now: later(119) })).toEqual(grantClaims());
    await refusal(verifyGrant(keyring, grant, { now: later(120) }), 'GRANT_EXPIRED');
    await refusal(verifyGrant(keyring, grant, { now: later(1e9) }), 'GRANT_EXPIRED');
  });

  test('from before the clock was set back is taken within the tolerance', async () => {
    expect(await verifyGrant(keyring, grant, { now: later(-60) })).toEqual(grantClaims());
    await refused(grant, later(-61));
    await refused(grant, new Date(Number.NaN));
  });

  test('that is forged is refused as that, also after its expiry', async () => {
    const forged = forge(header, grantClaims(), await generateKey());
    await refusal(verifyGrant(keyring, forged, { now: later(120) }), 'GRANT_INVALID');
  });

  const wrong: [string, Record<string, unknown>][] = [
    ['no jti', { jti: '' }],
    ['a tenant that is none', { tenant: 'A' }],
    ['an action id that is none', { actionId: 'a/b' }],
    ['an agent with NUL', { agent: 'bot\u0000' }],
    ['another type of action', { actionType: 'DROP' }],
    ['a digest that is none', { preDigest: 'sha256:00' }],
    ['a digest in capitals', { planDigest: digestOf('plan').toUpperCase() }],
    ['no plan digest', { planDigest: undefined }],
    ['approvals out of order', { approvals: [digestOf('one'), digestOf('two')].sort().toReversed() }],
    ['the same approval twice', { approvals: [digestOf('one'), digestOf('one')] }],
    ['constraints that are no list', { constraints: {} }],
    ['a constraint with an object', { constraints: [{ name: 'n', value: {}, policy: 'p' }] }],
    ['negative rows', { rows: -1 }],
    ['half a row', { rows: 0.5 }],
    ['endless rows', { rows: Number.POSITIVE_INFINITY }],
    ['an expiry before its issue', { exp: IAT }],
    ['an expiry that is a text', { exp: '9999999999' }],
    ['a claim that does not belong there', { admin: true }],
    ['a target with a lone surrogate', { targets: ['a\ud800'] }],
  ];
  test.each(wrong)('with %s is not signed, and not taken from one who has the key', async (_, change) => {
    const claims = { ...grantClaims(), ...change } as GrantClaims;
    const error = await refusal(signGrant(keyring, claims), 'INTERNAL');
    expect(error.field).toMatch(/^grant\./);
    await refused(forge(header, claims, firstKey(file, 'grant')));
  });

  test('too long to carry is neither signed nor taken', async () => {
    const targets = Array.from({ length: 2000 }, (_, i) => `schema.table_number_${i}`);
    await refusal(signGrant(keyring, grantClaims({ targets })), 'INTERNAL');
    const error = await refused(forge(header, grantClaims({ targets }), firstKey(file, 'grant')));
    expect(error.message).toContain(String(MAX_GRANT_BYTES));
    await refused('A'.repeat(50_000_000));
  });
});

describe('a grant is refused', () => {
  test.each(['issuer', 'receipt'] as const)('when the %s key signed it, under any key id', async (role) => {
    const key = firstKey(file, role);
    await refused(forge({ ...header, kid: key.kid }, grantClaims(), key));
    await refused(forge(header, grantClaims(), key));
    await refused(forge({ alg: header.alg, typ: header.typ }, grantClaims(), key));
  });

  test('when it is a receipt, even one that the grant key signed', async () => {
    await refused(await signReceipt(keyring, receiptClaims()));
    const crossed = await signReceipt(
      { ...keyring, sign: { ...keyring.sign, receipt: keyring.sign.grant! } },
      receiptClaims(),
    );
    expect((await refused(crossed)).message).toContain('countersign-receipt+jwt');
    await refusal(verifyReceipt(keyring, grant), 'RECEIPTS_BROKEN');
  });

  test('when it is a credential', async () => {
    const options = { id: 'bot', tenant: 'acme', roles: [], scopes: ['*'] };
    await refused((await issueAgent(keyring, options, NOW)).token);
    const crossed = { ...keyring, sign: { issuer: keyring.sign.grant! } };
    await refused((await issueAgent(crossed, options, NOW)).token);
  });

  test('when an agent signed it with its own key, or brought that key along', async () => {
    const key = await generateKey();
    const { d: _, ...jwk } = key;
    await refused(forge(header, grantClaims(), key));
    await refused(forge({ ...header, jwk }, grantClaims(), key));
  });

  test.each(['__proto__', 'constructor', 'toString', '', '\u0000'])('when its key id is %o', async (kid) => {
    await refused(forge({ ...header, kid }, grantClaims(), firstKey(file, 'grant')));
  });

  test('of algorithm none, or HMAC with the public key as secret', async () => {
    await refused(forgeUnsigned({ ...header, alg: 'none' }, grantClaims()));
    await refused(forgeUnsigned({ ...header, alg: 'none' }, grantClaims(), grant.split('.')[2]));
    const secret = Buffer.from(firstKey(file, 'grant').x, 'base64url');
    await refused(forgeHmac({ ...header, alg: 'HS256' }, grantClaims(), secret, 256));
    await refused(forgeHmac({ ...header, alg: 'HS512' }, grantClaims(), secret, 512));
    await refused(forgeHmac(header, grantClaims(), secret, 512));
  });

  test.each(['Ed25519', 'ES256', 'EDDSA', 'eddsa'])(
    'when its header says %s, though the signature is right',
    async (alg) => {
      const error = await refused(forge({ ...header, alg }, grantClaims(), firstKey(file, 'grant')));
      expect(error.expected).toBe('alg EdDSA');
    },
  );

  test('by a process that knows no grant key', async () => {
    const { keyring: blank } = await newKeys();
    const without = { ...blank, verify: { ...blank.verify, grant: new Map() } };
    await refusal(verifyGrant(without, grant, { now: NOW }), 'GRANT_INVALID');
    await refusal(signGrant({ ...blank, sign: {} }, grantClaims()), 'KEYS_MISSING');
  });

  test('when the header or payload is not UTF-8 JSON, or says a thing twice', async () => {
    const key = firstKey(file, 'grant');
    await refused(forge('{', grantClaims(), key));
    await refused(forge('null', grantClaims(), key));
    await refused(forge(header, '', key));
    await refused(forge(header, '{"jti":1}', key));
    await refused(forge(header, `\ufeff${JSON.stringify(grantClaims())}`, key));
  });

  test('when any one character is changed, wherever it stands', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: grant.length - 1 }),
        fc.constantFrom('A', 'Q', 'g', 'w', 'z', '5', '_', '.', '=', '+'),
        async (at, put) => {
          fc.pre(grant[at] !== put);
          await refused(grant.slice(0, at) + put + grant.slice(at + 1));
        },
      ),
      { numRuns: 400 },
    );
  });

  test('when any one bit of its signature is changed', async () => {
    const dot = grant.lastIndexOf('.') + 1;
    const bytes = Buffer.from(grant.slice(dot), 'base64url');
    for (let bit = 0; bit < 512; bit++) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      await refused(grant.slice(0, dot) + changed.toString('base64url'));
    }
  });

  test('when its signature is the other valid spelling of the same scalar (S + L)', async () => {
    const L = 2n ** 252n + 27742317777372353535851937790883648493n;
    const dot = grant.lastIndexOf('.') + 1;
    const bytes = Buffer.from(grant.slice(dot), 'base64url');
    const s = BigInt(`0x${Buffer.from(bytes.subarray(32).toReversed()).toString('hex')}`) + L;
    const other = Buffer.from(s.toString(16).padStart(64, '0'), 'hex').toReversed();
    await refused(grant.slice(0, dot) + Buffer.concat([bytes.subarray(0, 32), other]).toString('base64url'));
  });
});

describe('a grant that was used', () => {
  test('is read for what it granted, whatever the time, and no other token is', async () => {
    const grant = await signGrant(keyring, grantClaims());
    await refusal(verifyGrant(keyring, grant, { now: later(121) }), 'GRANT_EXPIRED');
    expect(await openGrant(keyring, grant)).toEqual(grantClaims());
    await refusal(openGrant((await newKeys()).keyring, grant), 'GRANT_INVALID');
  });

  test.each([
    ['actionId', { actionId: 'a/b' }],
    ['constraints.0.value', { constraints: [{ name: 'max_rows', value: null, policy: 'p' }] }],
    ['exp', { exp: IAT }],
  ])('would not have been signed with a wrong %s, which the fault names', async (field, change) => {
    const error = await refusal(signGrant(keyring, grantClaims(change as never)), 'INTERNAL');
    expect(error.field).toBe(`grant.${field}`);
    expect(error.message).toContain(`The claim "${field}" is not of the expected shape`);
  });

  test('would not have been signed with a claim more', async () => {
    const error = await refusal(signGrant(keyring, { ...grantClaims(), more: 1 } as never), 'INTERNAL');
    expect(error.message).toContain('The claims hold a member that does not belong there');
  });

  test('from before the clock was set back says which clock to look at', async () => {
    const early = verifyGrant(keyring, await signGrant(keyring, grantClaims()), { now: later(-61) });
    expect((await refusal(early, 'GRANT_INVALID')).fix).toBe("Check the clock of the ledger's database.");
  });
});
