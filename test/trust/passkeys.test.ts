/** Passkeys: an assertion counts for one person, one site and exactly what was shown, and nothing that is sent instead of one can do harm. */
import type { AuthenticationResponseJSON, RegistrationResponseJSON } from '@simplewebauthn/server';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { CountersignError } from '../../src/action/errors.js';
import { VERDICTS } from '../../src/action/outcome.js';
import type { PasskeySettings, StoredPasskey } from '../../src/action/passkey.js';
import { signApproval, verifyApproval, MAX_APPROVAL_BYTES } from '../../src/trust/approvals.js';
import { issueApprover, type Credential } from '../../src/trust/credentials.js';
import type { Keyring } from '../../src/trust/keys.js';
import { verifyAssertion } from '../../src/trust/passkeys/assertion.js';
import { challengeOf, registrationChallengeOf } from '../../src/trust/passkeys/challenges.js';
import { verifyEnrolment, verifyRegistration } from '../../src/trust/passkeys/registration.js';
import { passkeySettingsSchema } from '../../src/trust/passkeys/settings.js';
import { signCommand, verifyCommand } from '../../src/trust/signed-commands.js';
import {
  attestationObject,
  cbor,
  SoftwareAuthenticator,
  type CborValue,
} from '../../src/prove/scratch/authenticator.js';
import { digestOf, newKeys, NOW, refusal } from './support.js';

const SETTINGS: PasskeySettings = { rpId: 'example.com', origins: ['https://approvals.example.com'] };
const SITE = { rpId: 'example.com', origin: 'https://approvals.example.com' };
const SAID = {
  tenant: 'acme',
  actionId: 'refund-42',
  shownDigest: digestOf('shown'),
  policyDigest: digestOf('policy'),
  verdict: 'approve',
} as const;
const CHALLENGE = challengeOf(SAID);
const NONCE = '0d9fb1ce-3a4e-4a7e-9d52-2f8c4fb0a9aa';
const BOB = { id: 'bob@example.com', tenant: 'acme' };
const ENROLMENT = { tenant: 'acme', person: BOB.id, nonce: NONCE };
const TO_ENROL = registrationChallengeOf(ENROLMENT);

let authenticator: SoftwareAuthenticator;
let passkey: StoredPasskey;
beforeAll(async () => {
  authenticator = new SoftwareAuthenticator();
  passkey = await enrolled(authenticator);
});

async function enrolled(device: SoftwareAuthenticator, person = BOB.id): Promise<StoredPasskey> {
  const registration = await verifyRegistration({
    response: device.register({ ...SITE, challenge: TO_ENROL }),
    challenge: TO_ENROL,
    settings: SETTINGS,
  });
  return { ...registration, tenant: 'acme', person, enrolledAt: NOW.toISOString() };
}

const verify = (response: unknown, more: Partial<Parameters<typeof verifyAssertion>[0]> = {}) =>
  verifyAssertion({
    response: response as AuthenticationResponseJSON,
    challenge: CHALLENGE,
    passkey,
    approver: BOB,
    settings: SETTINGS,
    ...more,
  });
const refused = async (response: unknown, more: Partial<Parameters<typeof verifyAssertion>[0]> = {}, message = '') =>
  expect((await refusal(verify(response, more), 'PASSKEY_INVALID')).message).toContain(message);
const asserted = (more: Partial<Parameters<SoftwareAuthenticator['assert']>[0]> = {}) =>
  authenticator.assert({ ...SITE, challenge: CHALLENGE, ...more });
const register = (response: unknown, challenge = TO_ENROL, settings = SETTINGS) =>
  verifyRegistration({ response: response as RegistrationResponseJSON, challenge, settings });

describe('the challenge', () => {
  test('is another for every part of what is decided', () => {
    const challenges = [
      SAID,
      { ...SAID, tenant: 'other' },
      { ...SAID, actionId: 'refund-43' },
      { ...SAID, shownDigest: digestOf('other') },
      { ...SAID, policyDigest: digestOf('other') },
      // What stands in one place shall not do for another.
      { ...SAID, shownDigest: SAID.policyDigest, policyDigest: SAID.shownDigest },
      ...VERDICTS.filter((verdict) => verdict !== SAID.verdict).map((verdict) => ({ ...SAID, verdict })),
    ].map(challengeOf);
    expect(new Set(challenges).size).toBe(challenges.length);
    for (const challenge of challenges) expect(challenge).toMatch(/^[A-Za-z0-9_-]{43}$/);
  });

  test('of an enrolment is another for every person, tenant and signed command, and never that of a decision', () => {
    const challenges = [
      ENROLMENT,
      { ...ENROLMENT, person: 'eve@example.com' },
      { ...ENROLMENT, tenant: 'other' },
      { ...ENROLMENT, nonce: '1d9fb1ce-3a4e-4a7e-9d52-2f8c4fb0a9aa' },
      // The same letters, cut in another place.
      { ...ENROLMENT, tenant: 'acmebob', person: '@example.com' },
    ].map(registrationChallengeOf);
    expect(new Set([...challenges, CHALLENGE]).size).toBe(challenges.length + 1);
  });
});

describe('an assertion', () => {
  test('verifies, again and again, and tells its counter', async () => {
    const device = new SoftwareAuthenticator();
    const own = await enrolled(device);
    const first = device.assert({ ...SITE, challenge: CHALLENGE });
    const second = device.assert({ ...SITE, challenge: CHALLENGE });
    for (const [response, newCounter] of [
      [first, 1],
      [second, 2],
      [first, 1],
    ] as const) {
      expect(await verify(response, { passkey: own })).toEqual({ newCounter });
    }
  });

  test('of an authenticator that does not count verifies', async () => {
    const device = new SoftwareAuthenticator({ counts: false });
    const own = await enrolled(device);
    const response = device.assert({ ...SITE, challenge: CHALLENGE });
    expect(await verify(response, { passkey: own })).toEqual({ newCounter: 0 });
  });

  test("counts whatever the case in which the person's id is written", async () => {
    expect(await verify(asserted(), { approver: { ...BOB, id: 'Bob@Example.com' } })).toHaveProperty('newCounter');
  });

  test.each([
    ['another action', { actionId: 'refund-43' }],
    ['another tenant', { tenant: 'other' }],
    ['what was shown before', { shownDigest: digestOf('before') }],
    ['another policy', { policyDigest: digestOf('other policy') }],
    ['the other verdict', { verdict: 'deny' }],
  ] as const)('made for %s is refused', async (_, change) => {
    await refused(asserted({ challenge: challengeOf({ ...SAID, ...change }) }), {}, 'something else');
  });

  test('to an enrolment is refused as a decision', async () => {
    await refused(asserted({ challenge: TO_ENROL }), {}, 'something else');
    await refused(authenticator.clone().register({ ...SITE, challenge: CHALLENGE }));
    await refused(asserted({ clientData: { type: 'webauthn.create' } }));
    await refused(asserted({ clientData: { type: 'payment.get' } }));
  });

  test.each([
    ['another site', { origin: 'https://approvals.example.com.evil.test' }],
    ['the same site without TLS', { origin: 'http://approvals.example.com' }],
    ['another port', { origin: 'https://approvals.example.com:8443' }],
    ["a sibling's page", { origin: 'https://evil.example.com' }],
    ['a frame in another site', { clientData: { crossOrigin: true } }],
    ['a frame in a site that is named', { clientData: { crossOrigin: true, topOrigin: 'https://evil.test' } }],
    ['a site above that is named all the same', { clientData: { topOrigin: 'https://evil.test' } }],
  ])('made on %s is refused', async (_, change) => {
    await refused(asserted(change), {}, 'another site');
  });

  test('made for another domain is refused, though the page were ours', async () => {
    await refused(asserted({ rpId: 'evil.test' }), {}, 'does not verify');
  });

  test('without a verified or a present person is refused', async () => {
    await refused(asserted({ userVerified: false }), {}, 'does not verify');
    await refused(asserted({ userPresent: false }), {}, 'does not verify');
    await refused(asserted({ userVerified: false, userPresent: false }), {}, 'does not verify');
  });

  test("with another person's passkey is refused, though it verifies", async () => {
    await refused(asserted(), { passkey: { ...passkey, person: 'eve@example.com' } }, "another person's");
    await refused(asserted(), { approver: { ...BOB, tenant: 'other' } }, "another person's");
    await refused(asserted(), { passkey: { ...passkey, tenant: 'other' } }, "another person's");
  });

  test('by another passkey under this one’s id is refused, and this one’s under another id', async () => {
    const other = new SoftwareAuthenticator();
    const others = await enrolled(other);
    const theirs = other.assert({ ...SITE, challenge: CHALLENGE });
    await refused(theirs, {}, 'another passkey');
    await refused({ ...theirs, id: passkey.credentialId, rawId: passkey.credentialId }, {}, 'does not verify');
    await refused({ ...theirs, id: passkey.credentialId }, {}, 'another passkey');
    await refused({ ...asserted(), rawId: others.credentialId }, {}, 'another passkey');
  });

  test('by a retired passkey is refused', async () => {
    const retired = { at: NOW.toISOString(), by: BOB.id, reason: 'lost' };
    await refused(asserted(), { passkey: { ...passkey, retired } }, 'retired');
  });

  test('changed in any one byte is refused', async () => {
    const response = asserted();
    const { clientDataJSON, authenticatorData, signature } = response.response;
    const parts = { clientDataJSON, authenticatorData, signature };
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...(Object.keys(parts) as (keyof typeof parts)[])),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async (part, at, flip) => {
          const bytes = Buffer.from(parts[part], 'base64url');
          // The library reads the ASN.1 around r and s loosely: neither of them, nor what they sign, is another by it.
          fc.pre(part !== 'signature' || at % bytes.length > 1);
          bytes[at % bytes.length]! ^= flip;
          await refused({ ...response, response: { ...parts, [part]: bytes.toString('base64url') } });
        },
      ),
      { numRuns: 200 },
    );
  });

  test('that is of any other shape is refused, and nothing breaks', async () => {
    const good = asserted();
    const deep = Buffer.concat([Buffer.alloc(1400, 0x81), Buffer.from([0])]);
    const withExtensions = Buffer.from(good.response.authenticatorData, 'base64url');
    withExtensions[32]! |= 0x80;
    const inner = (change: object) => ({ ...good, response: { ...good.response, ...change } });
    const clientData = (text: string | Buffer) => inner({ clientDataJSON: Buffer.from(text).toString('base64url') });
    const hostile: unknown[] = [
      undefined,
      null,
      1,
      'assertion',
      [],
      {},
      { ...good, id: '' },
      { ...good, id: `${good.id}=`, rawId: `${good.id}=` },
      { ...good, id: 7, rawId: 7 },
      { ...good, type: 'password' },
      { ...good, response: undefined },
      { ...good, response: [] },
      inner({ clientDataJSON: undefined }),
      inner({ clientDataJSON: {} }),
      inner({ clientDataJSON: 'A'.repeat(5_000_000) }),
      inner({ authenticatorData: 'A'.repeat(5_000_000) }),
      inner({ signature: 'A'.repeat(5_000_000) }),
      inner({ signature: '' }),
      inner({ signature: '+/+/' }),
      inner({ signature: 'AAB' }),
      inner({ signature: 'MAA' }),
      inner({ authenticatorData: 'AAAA' }),
      inner({ authenticatorData: `${good.response.authenticatorData}AAAA` }),
      inner({ authenticatorData: Buffer.concat([withExtensions, deep]).toString('base64url') }),
      inner({
        authenticatorData: Buffer.concat([withExtensions, Buffer.from('bbffffffffffffffff', 'hex')]).toString(
          'base64url',
        ),
      }),
      inner({
        authenticatorData: Buffer.concat([withExtensions, Buffer.from('9affffffff', 'hex')]).toString('base64url'),
      }),
      clientData('null'),
      clientData('[]'),
      clientData('{'),
      clientData(Buffer.from([0xff, 0xfe])),
      clientData('{"type":"webauthn.get"}'),
      clientData(JSON.stringify({ type: 'webauthn.get', challenge: [CHALLENGE], origin: SITE.origin })),
      clientData(JSON.stringify({ type: 'webauthn.get', challenge: CHALLENGE, origin: [SITE.origin] })),
      clientData(JSON.stringify({ type: 'webauthn.get', challenge: CHALLENGE, ...SITE, crossOrigin: 'true' })),
      clientData(JSON.stringify({ type: 'webauthn.get', challenge: CHALLENGE, ...SITE, tokenBinding: 'x' })),
    ];
    for (const response of hostile) await refused(response);
  });

  test('for a key that is none is refused, not a crash', async () => {
    for (const publicKey of [
      'AAAA',
      cbor('key').toString('base64url'),
      cbor(new Map([[1, 2]])).toString('base64url'),
    ]) {
      await refused(asserted(), { passkey: { ...passkey, publicKey } }, 'does not verify');
    }
  });

  test('is refused wherever passkeys have no origin', async () => {
    await refused(asserted(), { settings: { ...SETTINGS, origins: [] } });
  });

  test('repeats nothing of a hostile text in its refusal', async () => {
    const marker = 'https://evil.test/<script>';
    const error = await refusal(verify(asserted({ origin: marker, clientData: { x: marker } })), 'PASSKEY_INVALID', [
      marker,
    ]);
    expect(error.cause).toBeUndefined();
  });
});

describe('a registration', () => {
  test.each(['none', 'self'] as const)('with attestation "%s" gives what assertions verify by', async (attestation) => {
    const device = new SoftwareAuthenticator();
    const response = device.register({ ...SITE, challenge: TO_ENROL, attestation });
    const registration = await register(response);
    expect(registration).toEqual({
      credentialId: response.id,
      publicKey: expect.stringMatching(/^[A-Za-z0-9_-]+$/) as string,
      counter: 0,
      transports: ['usb'],
    });
    const own = { ...registration, tenant: 'acme', person: BOB.id, enrolledAt: NOW.toISOString() };
    expect(await verify(device.assert({ ...SITE, challenge: CHALLENGE }), { passkey: own })).toEqual({ newCounter: 1 });
  });

  test('of a browser that does not say how to reach the authenticator has no transports; one that says it twice, one', async () => {
    const made = () => new SoftwareAuthenticator().register({ ...SITE, challenge: TO_ENROL });
    const withTransports = (transports: readonly string[] | undefined) => {
      const response = made();
      const { transports: _, ...rest } = response.response;
      return { ...response, response: { ...rest, ...(transports === undefined ? {} : { transports }) } };
    };
    expect((await register(withTransports(undefined))).transports).toEqual([]);
    expect((await register(withTransports(['usb', 'nfc', 'usb']))).transports).toEqual(['usb', 'nfc']);
  });

  test('made elsewhere, for something else, or without the person is refused', async () => {
    const device = new SoftwareAuthenticator();
    for (const change of [
      { challenge: CHALLENGE },
      { challenge: registrationChallengeOf({ ...ENROLMENT, person: 'eve@example.com' }) },
      { origin: 'https://evil.test' },
      { rpId: 'evil.test' },
      { userVerified: false },
      { userPresent: false },
      { clientData: { type: 'webauthn.get' } },
      { clientData: { crossOrigin: true } },
    ]) {
      await refusal(register(device.register({ ...SITE, challenge: TO_ENROL, ...change })), 'PASSKEY_INVALID');
    }
  });

  test('is refused under the id of another passkey', async () => {
    const response = new SoftwareAuthenticator().register({ ...SITE, challenge: TO_ENROL });
    const { credentialId: id } = passkey;
    await refusal(register({ ...response, id, rawId: id }), 'PASSKEY_INVALID');
    await refusal(register({ ...response, rawId: id }), 'PASSKEY_INVALID');
  });

  test("with a manufacturer's attestation is refused before anything in its certificates is looked at", async () => {
    const response = new SoftwareAuthenticator().register({ ...SITE, challenge: TO_ENROL });
    const authData = authDataOf(response);
    const certificate = new Map<string, CborValue>([
      ['alg', -7],
      ['sig', Buffer.alloc(70)],
      ['x5c', [Buffer.from('3082', 'hex')]],
    ]);
    for (const fmt of ['packed', 'none', 'fido-u2f', 'tpm', 'apple', 'android-key', 'android-safetynet', 'mine']) {
      const error = await refusal(
        register(withObject(response, attestationObject(fmt, certificate, authData))),
        'PASSKEY_INVALID',
      );
      expect(error.message).toContain('carries an attestation');
    }
  });

  test('in any other format is refused, also without certificates', async () => {
    const response = new SoftwareAuthenticator().register({ ...SITE, challenge: TO_ENROL });
    for (const fmt of ['fido-u2f', 'tpm', 'mine', '']) {
      const object = attestationObject(fmt, new Map(), authDataOf(response));
      const error = await refusal(register(withObject(response, object)), 'PASSKEY_INVALID');
      expect(error).toMatchObject({ expected: 'a registration made with the attestation "none"' });
    }
  });

  test('that claims to attest itself and does not is refused', async () => {
    const response = new SoftwareAuthenticator().register({ ...SITE, challenge: TO_ENROL, attestation: 'self' });
    const command = new Map<string, CborValue>([
      ['alg', -7],
      ['sig', Buffer.alloc(70, 1)],
    ]);
    await refusal(
      register(withObject(response, attestationObject('packed', command, authDataOf(response)))),
      'PASSKEY_INVALID',
    );
  });

  test('of a key with another algorithm is refused', async () => {
    const response = new SoftwareAuthenticator().register({ ...SITE, challenge: TO_ENROL });
    const authData = authDataOf(response);
    // ES256's -7 is one byte after the key's type: 03 26; ES384's -35 needs two.
    const at = authData.indexOf(Buffer.from('010203', 'hex')) + 3;
    expect(authData[at]).toBe(0x26);
    const changed = Buffer.concat([authData.subarray(0, at), Buffer.from('3822', 'hex'), authData.subarray(at + 1)]);
    await refusal(register(withObject(response, attestationObject('none', new Map(), changed))), 'PASSKEY_INVALID');
  });

  test('that is of any other shape is refused, and nothing breaks', async () => {
    const good = new SoftwareAuthenticator().register({ ...SITE, challenge: TO_ENROL });
    const authData = authDataOf(good);
    const object = (bytes: Buffer) => withObject(good, bytes.toString('base64url'));
    const hostile: unknown[] = [
      undefined,
      null,
      [],
      'x',
      { ...good, response: null },
      { ...good, response: { ...good.response, transports: Array.from({ length: 100 }, () => 'usb') } },
      { ...good, response: { ...good.response, transports: ['<script>'] } },
      { ...good, response: { ...good.response, clientDataJSON: 'A'.repeat(5_000_000) } },
      withObject(good, 'A'.repeat(5_000_000)),
      withObject(good, ''),
      object(Buffer.alloc(6000, 0x81)),
      object(Buffer.from('bbffffffffffffffff', 'hex')),
      object(Buffer.from('9bffffffffffffffff', 'hex')),
      object(Buffer.from('5bffffffffffffffff', 'hex')),
      object(cbor('none')),
      object(cbor(new Map([['fmt', 'none']]))),
      withObject(good, attestationObject('none', 'command', authData)),
      withObject(good, attestationObject('none', [], authData)),
      withObject(good, attestationObject('none', new Map(), Buffer.alloc(0))),
      withObject(good, attestationObject('none', new Map(), authData.subarray(0, 60))),
      withObject(good, attestationObject('none', new Map(), Buffer.concat([authData, Buffer.alloc(10)]))),
    ];
    for (const response of hostile) await refusal(register(response), 'PASSKEY_INVALID');
  });

  test('cut or changed anywhere, it is refused or the same passkey', async () => {
    const good = new SoftwareAuthenticator().register({ ...SITE, challenge: TO_ENROL });
    const bytes = Buffer.from(good.response.attestationObject, 'base64url');
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: bytes.length - 1 }), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const changed = Buffer.from(bytes);
        changed[at]! ^= flip;
        // No signature covers a registration with attestation "none": what was changed is another key, which signs nothing.
        const outcome: unknown = await register(withObject(good, changed.toString('base64url'))).then(
          ({ credentialId }) => credentialId,
          (error: unknown) => error,
        );
        const refused = outcome instanceof CountersignError && outcome.code === 'PASSKEY_INVALID';
        expect(refused || outcome === good.id).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

describe('the signed command that enrols', () => {
  let keyring: Keyring;
  let bob: Credential;
  let eve: Credential;
  beforeAll(async () => {
    ({ keyring } = await newKeys());
    bob = await issueApprover(keyring, { id: BOB.id, tenant: 'acme', roles: ['dba'] }, NOW);
    eve = await issueApprover(keyring, { id: 'eve@example.com', tenant: 'acme', roles: ['dba'] }, NOW);
  });

  async function handedIn(
    by: Credential,
    more: { subject?: string; response?: string; jti?: string; tenant?: string } = {},
  ) {
    const response = new SoftwareAuthenticator().register({ ...SITE, challenge: TO_ENROL });
    const options = {
      kind: 'enrol_passkey',
      tenant: 'acme',
      subject: response.id,
      response: JSON.stringify(response),
      reason: 'My key.',
      jti: NONCE,
      ...more,
    } as const;
    const command = await verifyCommand(keyring, await signCommand(by, options, NOW), { now: NOW });
    if (command.kind !== 'enrol_passkey') throw new Error('another kind');
    return { id: response.id, enrolment: verifyEnrolment(command, SETTINGS) };
  }

  test('enrols the passkey that was made for it', async () => {
    const { id, enrolment } = await handedIn(bob);
    expect(await enrolment).toMatchObject({ credentialId: id, counter: 0 });
  });

  test("a registration of one person cannot be said by another, nor in another tenant's name", async () => {
    await refusal((await handedIn(eve)).enrolment, 'PASSKEY_INVALID');
    const elsewhere = await issueApprover(keyring, { id: BOB.id, tenant: 'other', roles: ['dba'] }, NOW);
    await refusal((await handedIn(elsewhere, { tenant: 'other' })).enrolment, 'PASSKEY_INVALID');
  });

  test('a registration cannot be said again in another signed command', async () => {
    await refusal((await handedIn(bob, { jti: '1d9fb1ce-3a4e-4a7e-9d52-2f8c4fb0a9aa' })).enrolment, 'PASSKEY_INVALID');
  });

  test('names the passkey that it holds', async () => {
    await refusal((await handedIn(bob, { subject: passkey.credentialId })).enrolment, 'PASSKEY_INVALID');
  });

  test.each(['{', 'null', '[]', '"x"', '{"id": 1}'])('with the response %s it is refused', async (response) => {
    await refusal((await handedIn(bob, { response })).enrolment, 'PASSKEY_INVALID');
  });
});

describe('an approval with an assertion', () => {
  let keyring: Keyring;
  let bob: Credential;
  const PLACE = { tenant: SAID.tenant, actionId: SAID.actionId, shownDigest: SAID.shownDigest };
  beforeAll(async () => {
    ({ keyring } = await newKeys());
    bob = await issueApprover(keyring, { id: BOB.id, tenant: 'acme', roles: ['dba'] }, NOW);
  });
  const approval = (response: AuthenticationResponseJSON, verdict: 'approve' | 'deny' = 'approve') =>
    signApproval(bob, { ...PLACE, verdict, assertion: { policyDigest: SAID.policyDigest, response } }, NOW);
  const opened = async (token: string) => (await verifyApproval(keyring, token, { ...PLACE, now: NOW })).assertion;

  test('carries what the passkey signed, and the challenge that it must have signed', async () => {
    const response = asserted();
    const assertion = await opened(await approval(response));
    const { authenticatorAttachment: _, ...signed } = response;
    expect(assertion).toEqual({ policyDigest: SAID.policyDigest, response: signed, challenge: CHALLENGE });
    expect(await verify(assertion?.response, { challenge: assertion?.challenge ?? '' })).toHaveProperty('newCounter');
  });

  test('the challenge goes by what is decided, not by what the assertion says', async () => {
    const assertion = await opened(await approval(asserted(), 'deny'));
    expect(assertion?.challenge).toBe(challengeOf({ ...SAID, verdict: 'deny' }));
    await refused(assertion?.response, { challenge: assertion?.challenge ?? '' }, 'something else');
  });

  test('of the largest kind fits, beside the longest reason and credential', async () => {
    const roles = Array.from({ length: 32 }, (_, i) => `${'r'.repeat(60)}${i + 10}`);
    const long = await issueApprover(keyring, { id: 'b'.repeat(63), tenant: 'acme', roles }, NOW);
    const text = (length: number) => Buffer.alloc(length, 1).toString('base64url');
    const id = text(1023);
    const response = {
      id,
      rawId: id,
      type: 'public-key',
      clientExtensionResults: {},
      response: { clientDataJSON: text(3072), authenticatorData: text(1536), signature: text(768) },
    } as const;
    const reason = '\u6f22'.repeat(2000);
    const options = {
      ...PLACE,
      verdict: 'approve',
      reason,
      assertion: { policyDigest: SAID.policyDigest, response },
    } as const;
    const token = await signApproval(long, options, NOW);
    expect(token.length).toBeLessThan(MAX_APPROVAL_BYTES);
    expect((await opened(token))?.response).toEqual(response);
  });

  test.each([undefined, null, 1, 'x', {}, { id: 'x'.repeat(5000) }])('that is %o is not signed', async (response) => {
    await refusal(approval(response as unknown as AuthenticationResponseJSON), 'PASSKEY_INVALID');
  });
});

describe('the settings of passkeys', () => {
  test.each([
    { rpId: 'example.com', origins: ['https://approvals.example.com', 'https://example.com'] },
    { rpId: 'localhost', origins: ['http://localhost:8787'] },
    { rpId: 'localhost', origins: ['https://localhost'] },
  ])('%o are taken', (settings) => {
    expect(passkeySettingsSchema.parse(settings)).toEqual(settings);
  });

  test.each([
    { rpId: 'example.com', origins: [] },
    { rpId: 'example.com', origins: ['https://example.com.evil.test'] },
    { rpId: 'example.com', origins: ['https://badexample.com'] },
    { rpId: 'example.com', origins: ['http://example.com'] },
    { rpId: 'example.com', origins: ['https://example.com/'] },
    { rpId: 'example.com', origins: ['https://example.com', 'approvals'] },
    { rpId: 'https://example.com', origins: ['https://example.com'] },
    { rpId: 'example.com', origins: ['https://user@example.com'] },
    { rpId: 'localhost', origins: ['http://sub.localhost:8787'] },
    { rpId: 'localhost', origins: ['ftp://localhost'] },
    { rpId: 'localhost', origins: ['ws://localhost'] },
    { rpId: 'localhost', origins: ['wss://localhost'] },
  ])('%o are refused', (settings) => {
    expect(passkeySettingsSchema.safeParse(settings).success).toBe(false);
  });
});

function authDataOf(response: RegistrationResponseJSON): Buffer {
  const bytes = Buffer.from(response.response.attestationObject, 'base64url');
  const at = bytes.indexOf('authData') + 'authData'.length;
  // A byte string of up to 255 bytes: 58, its length, itself.
  expect(bytes[at]).toBe(0x58);
  return bytes.subarray(at + 2, at + 2 + (bytes[at + 1] as number));
}

function withObject(response: RegistrationResponseJSON, attestation: string): RegistrationResponseJSON {
  return { ...response, response: { ...response.response, attestationObject: attestation } };
}
