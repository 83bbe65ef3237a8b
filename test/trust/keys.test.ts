/** Key files: what is taken, what is refused, and that nothing of a key is ever told. */
import { generateKeyPairSync } from 'node:crypto';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { generateKeyringFile, parseKeyring, publicKeyring, type KeyringFile } from '../../src/trust/key-file.js';
import { KEY_ROLES, signingKey, type Keyring } from '../../src/trust/keys.js';
import { signGrant } from '../../src/trust/grants.js';
import { grantClaims } from './claims.js';
import { firstKey, newKeys, NOW, refusal, thrown, verifyGrant } from './support.js';

let keyring: Keyring;
let file: KeyringFile;
let other: KeyringFile;
beforeAll(async () => {
  ({ keyring, file } = await newKeys());
  other = await generateKeyringFile();
});

describe('a keyring', () => {
  test('a generated file gives every role one signing key, which also verifies', () => {
    for (const role of KEY_ROLES) {
      const kid = firstKey(file, role).kid;
      expect(keyring.sign[role]?.kid).toBe(kid);
      expect([...keyring.verify[role].keys()]).toEqual([kid]);
    }
  });

  test('its public part verifies what it signed and signs nothing', async () => {
    const publicFile = await publicKeyring(keyring);
    expect(JSON.stringify(publicFile)).not.toContain('"d"');
    const { grant: only } = file;
    expect(Object.keys(await publicKeyring(await parseKeyring(JSON.stringify({ grant: only }), 'one')))).toEqual([
      'grant',
    ]);
    const reader = await parseKeyring(JSON.stringify(publicFile), 'public', { publicOnly: true });
    const grant = await signGrant(keyring, grantClaims());
    expect(await verifyGrant(reader, grant, { now: NOW })).toEqual(grantClaims());
    await refusal(signGrant(reader, grantClaims()), 'KEYS_MISSING');
    expect(thrown(() => signingKey(reader, 'issuer'), 'KEYS_MISSING').field).toBe('issuer');
  });

  test('rotation: the first private key signs, and what the older one signed still verifies', async () => {
    const before = await signGrant(keyring, grantClaims());
    const [fresh, old] = [firstKey(other, 'grant'), firstKey(file, 'grant')];
    const { d: _, ...oldPublic } = old;
    const rotated = await parseKeyring(JSON.stringify({ grant: [fresh, oldPublic] }), 'rotated');
    expect(rotated.sign.grant?.kid).toBe(fresh.kid);
    expect(await verifyGrant(rotated, before, { now: NOW })).toEqual(grantClaims());
    const after = await signGrant(rotated, grantClaims());
    expect(await verifyGrant(rotated, after, { now: NOW })).toEqual(grantClaims());
    await refusal(verifyGrant(keyring, after, { now: NOW }), 'GRANT_INVALID');
  });

  test('of two private keys in a role the first signs', async () => {
    const keys = [firstKey(other, 'grant'), firstKey(file, 'grant')];
    for (const grant of [keys, keys.toReversed()]) {
      expect((await parseKeyring(JSON.stringify({ grant }), 'two')).sign.grant?.kid).toBe(grant[0]?.kid);
    }
  });

  test('the public key listed before the private one: the private one signs', async () => {
    const { d: _, ...pub } = firstKey(other, 'grant');
    const mixed = await parseKeyring(JSON.stringify({ grant: [pub, firstKey(file, 'grant')] }), 'mixed');
    expect(mixed.sign.grant?.kid).toBe(firstKey(file, 'grant').kid);
  });

  test('its private keys can neither be exported, copied nor printed', () => {
    // Nothing but a function: no member of it leads to the key.
    expect(Reflect.ownKeys(signingKey(keyring, 'grant').key)).toEqual(['sign']);
    const printed = inspect(keyring, { depth: 10, showHidden: true }) + JSON.stringify(keyring);
    expect(() => structuredClone(keyring)).toThrow('could not be cloned');
    for (const role of KEY_ROLES) expect(printed).not.toContain(firstKey(file, role).d);
  });
});

describe('a key file is refused', () => {
  const parse = (value: unknown, options?: { publicOnly: boolean }): Promise<Keyring> =>
    parseKeyring(typeof value === 'string' ? value : JSON.stringify(value), 'keys', options);
  const jwk = (type: 'x25519' | 'ed448') => generateKeyPairSync(type as 'ed448').privateKey.export({ format: 'jwk' });
  const ec = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
  const rsa = () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });

  async function refused(value: unknown, field: string, options?: { publicOnly: boolean }): Promise<void> {
    const secrets = [file, other].flatMap((one) => KEY_ROLES.map((role) => firstKey(one, role).d));
    const error = await refusal(parse(value, options), 'KEYS_INVALID', secrets);
    expect(error.field).toBe(field);
    expect(error.expected).toBeDefined();
  }

  test('of the wrong curve or kind', async () => {
    await refused({ issuer: [jwk('x25519')] }, 'keys.issuer[0].crv');
    await refused({ issuer: [jwk('ed448')] }, 'keys.issuer[0].crv');
    await refused({ grant: [ec()] }, 'keys.grant[0].kty');
    await refused({ receipt: [rsa()] }, 'keys.receipt[0].kty');
    await refused({ receipt: [{ kty: 'oct', k: 'c2VjcmV0' }] }, 'keys.receipt[0].kty');
  });

  test('of a private key where only public ones belong', async () => {
    await refused({ issuer: [firstKey(file, 'issuer')] }, 'keys.issuer[0].d', { publicOnly: true });
  });

  test('of a private part that belongs to another public part', async () => {
    const { kid: _, ...key } = firstKey(file, 'grant');
    await refused({ grant: [{ ...key, d: firstKey(other, 'grant').d }] }, 'keys.grant[0]');
  });

  test('of a key that serves two roles', async () => {
    const key = firstKey(file, 'grant');
    await refused({ grant: [key], receipt: [key] }, 'keys.receipt[0]');
    const { d: _, ...pub } = key;
    await refused({ issuer: [key], receipt: [pub] }, 'keys.receipt[0]');
  });

  test('of a key id that is not the thumbprint', async () => {
    await refused({ grant: [{ ...firstKey(file, 'grant'), kid: firstKey(other, 'grant').kid }] }, 'keys.grant[0].kid');
  });

  test('of a key for another use or algorithm', async () => {
    await refused({ grant: [{ ...firstKey(file, 'grant'), use: 'enc' }] }, 'keys.grant[0].use');
    await refused({ grant: [{ ...firstKey(file, 'grant'), alg: 'HS256' }] }, 'keys.grant[0].alg');
  });

  test('of shortened, padded or non-canonical key material', async () => {
    const { kid: _, ...key } = firstKey(file, 'grant');
    await refused({ grant: [{ ...key, d: key.d.slice(0, -1) }] }, 'keys.grant[0].d');
    await refused({ grant: [{ ...key, d: `${key.d}=` }] }, 'keys.grant[0].d');
    await refused({ grant: [{ ...key, d: `${key.d.slice(0, -1)}B` }] }, 'keys.grant[0].d');
    await refused({ grant: [{ ...key, x: '' }] }, 'keys.grant[0].x');
    await refused({ grant: [{ ...key, x: undefined }] }, 'keys.grant[0].x');
  });

  test.each([
    ['zeros, as a placeholder may be', '00'.repeat(32)],
    ['the neutral element', `01${'00'.repeat(31)}`],
    ['the neutral element, its sign set', `01${'00'.repeat(30)}80`],
    ['a point of order two', `ec${'ff'.repeat(30)}7f`],
    ['a point of order four, not reduced', `ed${'ff'.repeat(31)}`],
    ['a point of order eight', '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85'],
  ])('of a public key under which anybody can sign: %s', async (_, hex) => {
    await refused(
      { issuer: [{ kty: 'OKP', crv: 'Ed25519', x: Buffer.from(hex, 'hex').toString('base64url') }] },
      'keys.issuer[0]',
    );
  });

  test('of members that do not belong there', async () => {
    await refused({ ...file, grants: [] }, 'keys');
    await refused({ grant: [{ ...firstKey(file, 'grant'), key_ops: ['sign'] }] }, 'keys.grant[0]');
    await refused({ grant: firstKey(file, 'grant') }, 'keys.grant');
  });

  test.each([
    ['kty', { kty: 'RSA' }, '"OKP"'],
    ['crv', { crv: 'X25519' }, '"Ed25519"'],
    ['x', { x: 'short' }, '32 bytes in base64url without padding'],
    ['d', { d: 'short' }, '32 bytes in base64url without padding'],
    ['use', { use: 'enc' }, '"sig"'],
    ['alg', { alg: 'RS256' }, '"EdDSA" or "Ed25519"'],
    ['kid', { kid: 7 }, 'lists of Ed25519 keys as JWK, at most 32 in each'],
  ])('of a wrong %s, with what belongs there', async (member, change, expected) => {
    const { kid: _, ...key } = firstKey(file, 'grant');
    const error = await refusal(parse({ grant: [{ ...key, ...change }] }), 'KEYS_INVALID');
    expect(error).toMatchObject({ field: `keys.grant[0].${member}`, expected });
  });

  test('of a member that does not belong there, with those that do', async () => {
    const top = await refusal(parse({ ...file, grants: [] }), 'KEYS_INVALID');
    expect(top.message).toContain('does not belong there');
    expect(top.expected).toBe(`only ${KEY_ROLES.map((role) => `"${role}"`).join(', ')}`);
    const inKey = await refusal(parse({ grant: [{ ...firstKey(file, 'grant'), key_ops: [] }] }), 'KEYS_INVALID');
    expect(inKey.expected).toBe('only kty, crv, x, d, kid, use and alg');
    // Another fault is not told as one.
    expect((await refusal(parse({ grant: [7] }), 'KEYS_INVALID')).message).not.toContain('does not belong there');
  });

  test('of text that breaks off, with where it does', async () => {
    expect((await refusal(parse(`{"issuer": [], ${' '.repeat(20)}x}`), 'KEYS_INVALID')).message).toMatch(
      /\(at position 35\)/,
    );
  });

  test('of no keys at all', async () => {
    await refused({}, 'keys');
    await refused({ issuer: [], grant: [] }, 'keys');
    await refused('null', 'keys');
    await refused('[]', 'keys');
  });

  test('of broken JSON, without repeating any of it', async () => {
    const text = JSON.stringify(file);
    const secret = firstKey(file, 'issuer').d;
    await refused(text.replace(`"${secret}"`, secret), 'keys');
    await refused(text.replace(`"${secret}"`, `"${secret}`), 'keys');
    await refused(`{"${secret}": 1, "${secret}": 2}`, 'keys');
    await refused(`{"issuer": [{"${secret}": 1}]}`, 'keys.issuer[0].kty');
    await refused(`{"${secret}": []}`, 'keys');
  });

  test('wherever a text is cut or changed, no key is told', async () => {
    const text = JSON.stringify(file);
    // Halves: one of them is whole wherever the change falls.
    const secrets = KEY_ROLES.flatMap((role) => {
      const { d } = firstKey(file, role);
      return [d.slice(0, 21), d.slice(21)];
    });
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: text.length - 2 }),
        fc.constantFrom('', '"', '{', 'x', '\u0000', '\\'),
        async (at, put) => {
          const broken = text.slice(0, at) + put + text.slice(at + 1);
          const outcome = await parseKeyring(broken, 'keys').catch((error: unknown) => error);
          // A changed key id or use may be harmless; what matters is that a refusal tells nothing.
          if (outcome instanceof Error) await refusal(Promise.reject(outcome), 'KEYS_INVALID', secrets);
        },
      ),
      { numRuns: 300 },
    );
  });
});
