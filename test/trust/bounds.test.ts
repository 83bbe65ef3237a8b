/** Bounds: what is as long as may be is signed and taken, and what is one longer is neither. */
import { rm, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RegistrationResponseJSON } from '@simplewebauthn/server';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  attestationObject,
  cbor,
  SoftwareAuthenticator,
  type CborValue,
} from '../../src/prove/scratch/authenticator.js';
import { capsSchema, MAX_CREDENTIAL_BYTES } from '../../src/trust/claims.js';
import { decodeCredential, issueAgent, readCredential, type Credential } from '../../src/trust/credentials.js';
import { delegate } from '../../src/trust/delegations.js';
import { chainSchema, MAX_CHAIN_BYTES } from '../../src/trust/effective-credential.js';
import { MAX_GRANT_BYTES, signGrant } from '../../src/trust/grants.js';
import { generateKeyringFile } from '../../src/trust/key-file.js';
import { readKeyFile } from '../../src/trust/key-store.js';
import type { Keyring } from '../../src/trust/keys.js';
import { registrationChallengeOf } from '../../src/trust/passkeys/challenges.js';
import { verifyRegistration } from '../../src/trust/passkeys/registration.js';
import { signProposal, verifyProposal } from '../../src/trust/proposal-signature.js';
import { signReceipt, verifyReceipt } from '../../src/trust/receipts.js';
import { grantClaims, receiptClaims } from './claims.js';
import { digestOf, newKeys, NOW, refusal, thrown, verifyGrant } from './support.js';

let keyring: Keyring;
beforeAll(async () => {
  ({ keyring } = await newKeys());
});

/** How many characters a token's payload takes up: four for three bytes. */
const inBase64 = (bytes: number): number => Math.ceil((bytes * 4) / 3);

/** The most padding with which a token of this length without any is not over the bound. */
function paddingUpTo(most: number, token: string): number {
  const payload = token.split('.')[1] ?? '';
  const bytes = Buffer.from(payload, 'base64url').length;
  let padding = 0;
  while (token.length - payload.length + inBase64(bytes + padding + 1) <= most) padding++;
  return padding;
}

test('a credential of 4096 bytes is issued and proposes, and one more is not issued', async () => {
  const whole = Array.from({ length: 18 }, (_, i) => `tool:${'o'.repeat(126)}${i + 10}`);
  const issued = (padding: number) =>
    issueAgent(
      keyring,
      {
        id: 'bot',
        tenant: 'acme',
        roles: ['r'.repeat(60), 'q'.repeat(20)],
        scopes: [...whole, `tool:p${'p'.repeat(padding)}`],
      },
      NOW,
    );
  const padding = paddingUpTo(MAX_CREDENTIAL_BYTES, (await issued(0)).token);
  const longest = await issued(padding);
  expect(longest.token).toHaveLength(MAX_CREDENTIAL_BYTES);
  const signature = await signProposal(longest, digestOf('proposal'), NOW);
  const { agent } = await verifyProposal(keyring, signature, { digest: digestOf('proposal'), now: NOW });
  expect(agent.id).toBe('bot');
  const error = await refusal(issued(padding + 1), 'CONFIG_INVALID');
  expect(error).toMatchObject({ field: 'scopes', expected: 'fewer or shorter roles and scopes' });
});

test('a kept credential is read from up to 32 KiB of text, whatever blanks are in it', async () => {
  const kept = await issueAgent(keyring, { id: 'bot', tenant: 'acme', roles: [], scopes: ['crm'] }, NOW);
  const json = JSON.stringify(kept);
  const text = (bytes: number) => `csk_${Buffer.from(json.padEnd(bytes)).toString('base64url')}`;
  // Four characters for three bytes, behind the prefix.
  const most = ((32 * 1024 - 4) / 4) * 3;
  expect(text(most)).toHaveLength(32 * 1024);
  expect(decodeCredential(text(most))).toEqual(kept);
  thrown(() => decodeCredential(text(most + 1)), 'KEYS_INVALID', [kept.privateJwk.d]);
});

test('a grant of 32 KiB is signed and taken, and one more is not signed', async () => {
  const signed = (padding: number) => signGrant(keyring, grantClaims({ targets: ['t'.repeat(padding)] }));
  const padding = paddingUpTo(MAX_GRANT_BYTES, await signed(0));
  const longest = await signed(padding);
  expect(longest).toHaveLength(MAX_GRANT_BYTES);
  expect(await verifyGrant(keyring, longest, { now: NOW })).toMatchObject({ tool: 'payments' });
  const error = await refusal(signed(padding + 1), 'INTERNAL');
  expect(error).toMatchObject({ field: 'grant', expected: 'fewer constraints and approvals' });
  expect(error.message).toContain('would be longer than 32768 bytes');
});

test('a receipt of 64 KiB is signed and taken, and one more is not signed', async () => {
  const signed = (padding: number) => signReceipt(keyring, receiptClaims({ reason: 'r'.repeat(padding) }));
  const padding = paddingUpTo(64 * 1024, await signed(0));
  const longest = await signed(padding);
  expect(longest).toHaveLength(64 * 1024);
  expect(await verifyReceipt(keyring, longest)).toMatchObject({ reason: 'r'.repeat(padding) });
  const error = await refusal(signed(padding + 1), 'INTERNAL');
  expect(error).toMatchObject({ field: 'receipt.reason', expected: 'a shorter reason' });
});

describe('a delegation', () => {
  test('is in a chain of 16 KiB, and in none that is a byte longer', () => {
    const whole = Array.from({ length: 4 }, () => 'x'.repeat(MAX_CREDENTIAL_BYTES));
    expect(whole.join('')).toHaveLength(MAX_CHAIN_BYTES);
    expect(chainSchema.safeParse(whole).success).toBe(true);
    expect(chainSchema.safeParse([...whole, 'x']).success).toBe(false);
    expect(chainSchema.safeParse(['x'.repeat(MAX_CREDENTIAL_BYTES + 1)]).success).toBe(false);
    expect(chainSchema.safeParse([]).success).toBe(false);
  });

  test('of its own is at most 4096 bytes long, whatever the chain has room for', async () => {
    const scopes = (count: number) => Array.from({ length: count }, (_, i) => `s${'s'.repeat(50)}${i + 10}`);
    const bot = await issueAgent(keyring, { id: 'bot', tenant: 'acme', roles: [], scopes: ['*'] }, NOW);
    await expect(delegate(bot, { id: 'd', roles: [], scopes: scopes(45) }, NOW)).resolves.toBeDefined();
    const error = await refusal(delegate(bot, { id: 'd', roles: [], scopes: scopes(60) }, NOW), 'CONFIG_INVALID');
    expect(error).toMatchObject({ field: 'scopes', expected: 'at most 4096 bytes, and 16384 with all those above it' });
  });

  test('gives an id of 255 characters, and none that is longer', async () => {
    const below = (parent: Credential, id: string) => delegate(parent, { id, roles: [], scopes: ['crm'] }, NOW);
    let deep = await issueAgent(keyring, { id: 'a'.repeat(63), tenant: 'acme', roles: [], scopes: ['crm'] }, NOW);
    for (const length of [63, 63, 61]) deep = await below(deep, 'b'.repeat(length));
    const signature = await signProposal(await below(deep, 'c'), digestOf('proposal'), NOW);
    const { agent } = await verifyProposal(keyring, signature, { digest: digestOf('proposal'), now: NOW });
    expect(agent.id).toHaveLength(255);
    const error = await refusal(below(deep, 'cc'), 'CONFIG_INVALID');
    expect(error).toMatchObject({ field: 'id' });
    expect(error.message).toContain('longer than 255 characters');
  });

  test('caps 1 to 16 units', () => {
    const units = (count: number) =>
      capsSchema.safeParse({ amounts: Object.fromEntries(Array.from({ length: count }, (_, i) => [`u${i}`, i])) })
        .success;
    expect([0, 1, 16, 17].map(units)).toEqual([false, true, true, false]);
  });
});

describe('a file', () => {
  test('of keys is read up to 64 KiB', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'countersign-bounds-'));
    try {
      const path = join(folder, 'keys.json');
      const text = JSON.stringify(await generateKeyringFile());
      await writeFile(path, text.padEnd(64 * 1024), { mode: 0o600 });
      expect((await readKeyFile(path, { production: true })).sign.grant).toBeDefined();
      await writeFile(path, text.padEnd(64 * 1024 + 1), { mode: 0o600 });
      const error = await refusal(readKeyFile(path, { production: true }), 'KEYS_INVALID');
      expect(error).toMatchObject({ field: path, message: `${path} is too long for a key file` });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('that should hold a credential is named up to 200 characters: a longer text may be one', async () => {
    const missing = async (length: number) =>
      (await refusal(readCredential(`/${'p'.repeat(length - 1)}`), 'KEYS_MISSING')).message;
    expect(await missing(200)).toBe(`There is no credential at /${'p'.repeat(199)}.`);
    expect(await missing(201)).toBe('There is no credential.');
  });
});

test("a passkey's public key is at most 1024 bytes long, and its keys of RSA are", async () => {
  const challenge = registrationChallengeOf({ tenant: 'acme', person: 'bob', nonce: 'n' });
  const site = { rpId: 'example.com', origin: 'https://example.com' };
  const made = new SoftwareAuthenticator().register({ ...site, challenge });
  const enrolled = (modulusBytes: number) => {
    const cose = cbor(
      new Map<number, CborValue>([
        [1, 3],
        [3, -257],
        [-1, Buffer.alloc(modulusBytes, 1)],
        [-2, Buffer.from('010001', 'hex')],
      ]),
    );
    const attested = Buffer.from(made.response.attestationObject, 'base64url');
    const at = attested.indexOf('authData') + 'authData'.length + 2;
    // The hash of the site, flags, counter, the authenticator's id, and the passkey's id with its length: the key comes behind them.
    const authData = Buffer.concat([attested.subarray(at, at + 32 + 1 + 4 + 16 + 2 + 32), cose]);
    const object = attestationObject('none', new Map(), authData);
    const response: RegistrationResponseJSON = { ...made, response: { ...made.response, attestationObject: object } };
    return verifyRegistration({ response, challenge, settings: { rpId: site.rpId, origins: [site.origin] } });
  };
  const { publicKey } = await enrolled(1008);
  expect(Buffer.from(publicKey, 'base64url')).toHaveLength(1024);
  expect((await refusal(enrolled(1009), 'PASSKEY_INVALID')).message).toContain('too long');
});
