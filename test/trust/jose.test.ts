/** Our tokens are plain JWS (RFC 7515, RFC 8037): a library that knows nothing of us reads what we sign, and signs what we read. */
import { createPrivateKey, sign } from 'node:crypto';
import { CompactSign, compactVerify, errors, flattenedVerify, importJWK, jwtVerify } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';
import { canonical } from '../../src/action/json.js';
import { issueAgent, type Credential } from '../../src/trust/credentials.js';
import { signGrant } from '../../src/trust/grants.js';
import type { KeyringFile } from '../../src/trust/key-file.js';
import type { Keyring } from '../../src/trust/keys.js';
import { signProposal, verifyProposal } from '../../src/trust/proposal-signature.js';
import { grantClaims } from './claims.js';
import { digestOf, firstKey, forge, newKeys, NOW, openUnverified, refusal, verifyGrant } from './support.js';

let keyring: Keyring;
let file: KeyringFile;
let agent: Credential;
beforeAll(async () => {
  ({ keyring, file } = await newKeys());
  agent = await issueAgent(keyring, { id: 'bot', tenant: 'acme', roles: [], scopes: ['*'] }, NOW);
});

const publicOf = ({ x }: { x: string }) => importJWK({ kty: 'OKP', crv: 'Ed25519', x }, 'EdDSA');
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const privateOf = ({ x, d }: { x: string; d: string }) => importJWK({ kty: 'OKP', crv: 'Ed25519', x, d }, 'EdDSA');

describe('jose', () => {
  test('verifies what we sign, by key id and by holder', async () => {
    const grant = await signGrant(keyring, grantClaims());
    const { payload, protectedHeader } = await compactVerify(grant, await publicOf(firstKey(file, 'grant')), {
      algorithms: ['EdDSA'],
    });
    expect(new TextDecoder().decode(payload)).toBe(canonical(grantClaims()));
    expect(protectedHeader).toEqual({
      alg: 'EdDSA',
      typ: 'countersign-grant+jwt',
      kid: firstKey(file, 'grant').kid,
    });
    const token = await jwtVerify(agent.token, await publicOf(firstKey(file, 'issuer')), {
      issuer: 'countersign',
      audience: 'countersign',
      typ: 'countersign-agent+jwt',
      currentDate: NOW,
    });
    expect(token.payload.sub).toBe('bot');
    const signature = await signProposal(agent, digestOf('proposal'), NOW);
    await expect(compactVerify(signature, await publicOf(agent.privateJwk))).resolves.toBeDefined();
    await expect(compactVerify(signature, await publicOf(firstKey(file, 'issuer')))).rejects.toThrow(
      'verification failed',
    );
  });

  test('signs, byte for byte, what we sign', async () => {
    for (const rows of [0, 1, 123_456_789]) {
      const ours = await signGrant(keyring, grantClaims({ rows, targets: ['\u6f22', '"', '\u{1f600}'] }));
      const { header, payload } = openUnverified(ours);
      const theirs = await new CompactSign(new TextEncoder().encode(canonical(payload)))
        .setProtectedHeader(header as { alg: string })
        .sign(await privateOf(firstKey(file, 'grant')));
      expect(theirs).toBe(ours);
    }
  });

  test('signs what we verify', async () => {
    const header = { alg: 'EdDSA', typ: 'countersign-proposal+jwt' };
    const { payload } = openUnverified(await signProposal(agent, digestOf('proposal'), NOW));
    const token = await new CompactSign(new TextEncoder().encode(JSON.stringify(payload)))
      .setProtectedHeader(header)
      .sign(await privateOf(agent.privateJwk));
    const options = { digest: digestOf('proposal'), now: NOW };
    expect((await verifyProposal(keyring, token, options)).agent.id).toBe('bot');
  });

  test('refuses every header by which a token could change how it is verified, and so do we', async () => {
    const key = firstKey(file, 'grant');
    const { header, payload } = openUnverified(await signGrant(keyring, grantClaims()));
    for (const extra of [{ crit: ['exp'], exp: 1 }, { crit: [] }, { alg: 'none' }, { alg: 'RS256' }]) {
      const token = forge({ ...header, ...extra }, payload, key);
      await expect(compactVerify(token, await publicOf(key), { algorithms: ['EdDSA'] })).rejects.toBeInstanceOf(
        errors.JOSEError,
      );
      await refusal(verifyGrant(keyring, token, { now: NOW }), 'GRANT_INVALID');
    }
  });

  test('takes no signature that we refuse for its bytes, nor the other way', async () => {
    const key = firstKey(file, 'grant');
    const grant = await signGrant(keyring, grantClaims());
    const [head = '', payload = '', text = ''] = grant.split('.');
    const signature = Buffer.from(text, 'base64url');
    // RFC 8032, 5.1.7: S at or above the order of the group is another spelling of the same signature, and no signature.
    const order = 2n ** 252n + 27_742_317_777_372_353_535_851_937_790_883_648_493n;
    const s = BigInt(`0x${hexOf(signature.subarray(32).toReversed())}`) + order;
    const shifted = Buffer.concat([
      signature.subarray(0, 32),
      Buffer.from(s.toString(16).padStart(64, '0'), 'hex').toReversed(),
    ]);
    const zero = Buffer.alloc(64);
    const swapped = Buffer.concat([signature.subarray(32), signature.subarray(0, 32)]);
    for (const bent of [shifted, zero, swapped]) {
      const jws = { protected: head, payload, signature: bent.toString('base64url') };
      await expect(flattenedVerify(jws, await publicOf(key))).rejects.toBeInstanceOf(errors.JOSEError);
      await refusal(verifyGrant(keyring, `${head}.${payload}.${jws.signature}`, { now: NOW }), 'GRANT_INVALID');
    }
  });
});

test('a part in other base64 than the one its bytes have is refused, though its signer signed that text', async () => {
  const key = firstKey(file, 'grant');
  const { header } = openUnverified(await signGrant(keyring, grantClaims()));
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signer = createPrivateKey({ key: { kty: 'OKP', crv: 'Ed25519', x: key.x, d: key.d }, format: 'jwk' });
  const signed = (head: string, payload: string) =>
    `${head}.${payload}.${sign(null, Buffer.from(`${head}.${payload}`), signer).toString('base64url')}`;
  // Two bytes left over, so that the last character carries bits which decoders ignore.
  const claims = [1, 2, 3]
    .map((n) => grantClaims({ jti: 'j'.repeat(n) }))
    .find((c) => JSON.stringify(c).length % 3 === 2);
  const payload = encode(claims);
  expect(await verifyGrant(keyring, signed(encode(header), payload), { now: NOW })).toEqual(claims);
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const lastOf = alphabet[alphabet.indexOf(payload.at(-1) as string) + 1] as string;
  for (const other of [payload.slice(0, -1) + lastOf, `${payload}A`, `${payload}AA`.slice(0, payload.length + 1)]) {
    expect(Buffer.from(other, 'base64url').toString()).toContain(JSON.stringify(claims));
    await refusal(verifyGrant(keyring, signed(encode(header), other), { now: NOW }), 'GRANT_INVALID');
  }
});
