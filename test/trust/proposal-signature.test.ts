/** Proofs of proposals: everything that an agent, or somebody who is none, might hand in. */
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { issueAgent, issueApprover, type Credential } from '../../src/trust/credentials.js';
import { generateKey } from '../../src/trust/ed25519.js';
import { parseKeyring, publicKeyring, type KeyringFile } from '../../src/trust/key-file.js';
import type { Keyring } from '../../src/trust/keys.js';
import { MAX_PROPOSAL_SIGNATURE_BYTES, signProposal, verifyProposal } from '../../src/trust/proposal-signature.js';
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
} from './support.js';

const DIGEST = digestOf('proposal');
const BOT = { id: 'billing-bot', tenant: 'acme', roles: ['billing'], scopes: ['payments'], owner: 'ann@example.com' };
const HEADER = { alg: 'EdDSA', typ: 'countersign-proposal+jwt' };
const DAY = 86_400;

let keyring: Keyring;
let file: KeyringFile;
let agent: Credential;
let proof: string;
beforeAll(async () => {
  ({ keyring, file } = await newKeys());
  agent = await issueAgent(keyring, BOT, NOW);
  proof = await signProposal(agent, DIGEST, NOW);
});

const verify = async (token: unknown, now = NOW, digest = DIGEST, keys = keyring) =>
  (await verifyProposal(keys, token as string, { digest, now })).agent;
const refused = (token: unknown, now?: Date) => refusal(verify(token, now), 'AGENT_UNVERIFIED', [agent.privateJwk.d]);
/** A credential as the issuer would sign it, with changed claims or header. */
const credentialWith = (claims: object, header: object = {}, key = firstKey(file, 'issuer')) => {
  const opened = openUnverified(agent.token);
  return forge({ ...opened.header, ...header }, { ...opened.payload, ...claims }, key);
};
/** A proposal signature signed by the agent's own key over any payload. */
const proofWith = (payload: object, header: object = HEADER) =>
  forge(header, { digest: DIGEST, credential: agent.token, iat: IAT, ...payload }, agent.privateJwk);

describe('a proposal signature', () => {
  test('names the agent that the issuer attests', async () => {
    expect(await verify(proof)).toEqual(BOT);
    const { owner: _, ...ownerless } = BOT;
    const free = await issueAgent(keyring, ownerless, NOW);
    expect(await verify(await signProposal(free, DIGEST, NOW))).toEqual(ownerless);
  });

  test('rests on the credential alone', async () => {
    const { authority } = await verifyProposal(keyring, proof, { digest: DIGEST, now: NOW });
    expect(authority).toEqual({ credentials: [openUnverified(agent.token).payload['jti']], caps: [], above: [] });
  });

  test('is verified with public keys alone', async () => {
    const reader = await parseKeyring(JSON.stringify(await publicKeyring(keyring)), 'public', { publicOnly: true });
    expect(await verify(proof, NOW, DIGEST, reader)).toEqual(BOT);
  });

  test('holds no secret', () => {
    expect(proof).not.toContain(agent.privateJwk.d);
    expect(JSON.stringify(openUnverified(proof))).not.toContain(agent.privateJwk.d);
  });

  test('is the same for the same proposal and second, so that a retry sends the same bytes', async () => {
    expect(await signProposal(agent, DIGEST, NOW)).toBe(proof);
  });

  test('cannot be made with the credential of an approver', async () => {
    const approver = await issueApprover(keyring, { id: 'bob', tenant: 'acme', roles: ['dba'] }, NOW);
    await refusal(signProposal(approver, DIGEST), 'KEYS_INVALID');
  });

  test('made with a broken private key fails without telling it', async () => {
    const other = await generateKey();
    const broken = { ...agent, privateJwk: { ...agent.privateJwk, d: other.d } };
    await refusal(signProposal(broken, DIGEST), 'KEYS_INVALID', [other.d, agent.privateJwk.d]);
  });
});

describe('a proposal signature is refused', () => {
  test('for another proposal', async () => {
    expect((await refusal(verify(proof, NOW, digestOf('another')), 'AGENT_UNVERIFIED')).message).toContain(
      'another proposal',
    );
  });

  test('when somebody else has put their signature on the agent’s credential', async () => {
    const thief = await generateKey();
    await refused(forge(HEADER, { digest: DIGEST, credential: agent.token, iat: IAT }, thief));
  });

  test('when the key in the credential was swapped', async () => {
    const thief = await generateKey();
    const cnf = { jwk: { kty: 'OKP', crv: 'Ed25519', x: thief.x } };
    const [head, , signature] = agent.token.split('.');
    const payload = Buffer.from(JSON.stringify({ ...openUnverified(agent.token).payload, cnf })).toString('base64url');
    const credential = `${head}.${payload}.${signature}`;
    await refused(forge(HEADER, { digest: DIGEST, credential, iat: IAT }, thief));
    const own = credentialWith({ cnf }, {}, { ...thief, kid: '' });
    await refused(forge(HEADER, { digest: DIGEST, credential: own, iat: IAT }, thief));
  });

  test('when the credential holds a private key, or a key of another kind', async () => {
    const { privateJwk } = agent;
    await refused(proofWith({ credential: credentialWith({ cnf: { jwk: privateJwk } }) }));
    await refused(proofWith({ credential: credentialWith({ cnf: { jwk: { kty: 'oct', k: 'AAAA' } } }) }));
    await refused(proofWith({ credential: credentialWith({ cnf: { kid: 'elsewhere' } }) }));
    await refused(proofWith({ credential: credentialWith({ cnf: undefined }) }));
  });

  test('from a foreign issuer, even one that claims our key id', async () => {
    const foreign = await newKeys();
    const stranger = await issueAgent(foreign.keyring, BOT, NOW);
    expect((await refused(await signProposal(stranger, DIGEST, NOW))).message).toContain('not known here');
    const claimed = credentialWith({}, {}, firstKey(foreign.file, 'issuer'));
    expect((await refused(proofWith({ credential: claimed }))).message).toContain('signature does not verify');
  });

  test.each(['grant', 'receipt'] as const)('when the %s key attests the agent, by whichever key id', async (role) => {
    const key = firstKey(file, role);
    await refused(proofWith({ credential: credentialWith({}, { kid: key.kid }, key) }));
    await refused(proofWith({ credential: credentialWith({}, {}, key) }));
    await refused(proofWith({ credential: credentialWith({}, { kid: undefined }, key) }));
  });

  test('when the agent attests itself with the key that was attested', async () => {
    await refused(
      proofWith({ credential: credentialWith({ roles: ['admin'] }, {}, { ...agent.privateJwk, kid: '' }) }),
    );
  });

  test.each([
    ['expired', { exp: IAT - 60 }],
    ['from the future', { iat: IAT + 61 }],
    ['without an expiry', { exp: undefined }],
    ['with an expiry that is a text', { exp: '9999999999' }],
    ['with an expiry beyond all numbers', { exp: 1e300 }],
    ['of another issuer name', { iss: 'elsewhere' }],
    ['for another audience', { aud: 'elsewhere' }],
    ['of an id with NUL', { sub: 'bot\u0000' }],
    ['of an id in look-alike letters', { sub: 'b\u043et' }],
    ['of a tenant with a slash', { tenant: 'acme/x' }],
    ['with roles that are no list', { roles: { length: 1, 0: 'admin' } }],
    ['with a claim that does not belong there', { admin: true }],
  ])('when the issuer signed a credential %s', async (_, claims) => {
    const change = Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));
    const { payload, header } = openUnverified(agent.token);
    for (const [name, value] of Object.entries(claims)) if (value === undefined) delete payload[name];
    const credential = forge(header, { ...payload, ...change }, firstKey(file, 'issuer'));
    await refused(proofWith({ credential }));
  });

  test("when an approver's credential is used", async () => {
    const approver = await issueApprover(keyring, { id: 'bob', tenant: 'acme', roles: ['dba'] }, NOW);
    const error = await refused(await signProposal({ ...approver, kind: 'agent' }, DIGEST, NOW));
    expect(error.message).toContain('countersign-approver+jwt');
  });

  test('of algorithm none, with and without a signature', async () => {
    const payload = openUnverified(proof).payload;
    const signature = proof.split('.')[2];
    for (const alg of ['none', 'None', 'NONE', '']) {
      await refused(forgeUnsigned({ ...HEADER, alg }, payload));
      await refused(forgeUnsigned({ ...HEADER, alg }, payload, signature));
      await refused(forge({ ...HEADER, alg }, payload, agent.privateJwk));
    }
    const unsigned = forgeUnsigned(
      { ...openUnverified(agent.token).header, alg: 'none' },
      openUnverified(agent.token).payload,
    );
    await refused(proofWith({ credential: unsigned }));
  });

  test('of HMAC with the public key as secret', async () => {
    const { payload, header } = openUnverified(agent.token);
    const secret = Buffer.from(firstKey(file, 'issuer').x, 'base64url');
    await refused(proofWith({ credential: forgeHmac({ ...header, alg: 'HS256' }, payload, secret, 256) }));
    await refused(proofWith({ credential: forgeHmac({ ...header, alg: 'HS512' }, payload, secret, 512) }));
    // With the header left as it was, only the signature tells.
    await refused(proofWith({ credential: forgeHmac(header, payload, secret, 512) }));
  });

  test.each([
    ['a key of its own', { jwk: { kty: 'OKP', crv: 'Ed25519', x: 'A'.repeat(43) } }],
    ['a key from the network', { jku: 'https://example.com/keys' }],
    ['an extension', { crit: ['b64'], b64: true }],
    ['an unencoded payload', { crit: ['b64'], b64: false }],
    ['a key id', { kid: 'AAAA' }],
    ['a certificate', { x5c: ['AAAA'] }],
  ])('when its header names %s', async (_, extra) => {
    await refused(proofWith({}, { ...HEADER, ...extra }));
  });

  test.each([
    'countersign-approval+jwt',
    'countersign-grant+jwt',
    'COUNTERSIGN-PROPOSAL+JWT',
    'application/countersign-proposal+jwt',
    'JWT',
    undefined,
  ])('when it is of type %s', async (typ) => {
    await refused(proofWith({}, { alg: 'EdDSA', ...(typ === undefined ? {} : { typ }) }));
  });

  test('with a time in the future, or a claim more or less', async () => {
    await refused(proofWith({ iat: IAT + 61 }));
    await refused(proofWith({ iat: undefined }));
    await refused(proofWith({ digest: 'sha256:00' }));
    await refused(proofWith({ tenant: 'other' }));
    await refused(forge(HEADER, 'null', agent.privateJwk));
    await refused(forge(HEADER, '[]', agent.privateJwk));
    await refused(forge(HEADER, `{"__proto__": {}, "digest": "${DIGEST}"}`, agent.privateJwk));
  });

  test.each([undefined, null, 0, '', '.', '..', 'a.b', 'a.b.c.d', {}, [], Buffer.from('a.b.c'), true])(
    'when it is %o',
    async (token) => {
      await refused(token);
    },
  );

  test('when it is huge, before it is parsed', async () => {
    const error = await refused(`${proof.split('.')[0]}.${'A'.repeat(50_000_000)}.${'A'.repeat(86)}`);
    expect(error.message).toContain(String(MAX_PROPOSAL_SIGNATURE_BYTES));
    expect(error.message.length).toBeLessThan(200);
    const deep = '['.repeat(2500) + ']'.repeat(2500);
    await refused(forge(HEADER, deep, agent.privateJwk));
  });

  test('when any one character is changed, wherever it stands', async () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n\u0000é';
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: proof.length - 1 }), fc.constantFrom(...alphabet.split('')), async (at, put) => {
        fc.pre(proof[at] !== put);
        await refused(proof.slice(0, at) + put + proof.slice(at + 1));
      }),
      { numRuns: 400 },
    );
    // The last character carries four bits that a lenient decoder ignores: each of them is a different text of one signature.
    for (const put of alphabet) {
      if (put !== proof.at(-1)) await refused(proof.slice(0, -1) + put);
      await refused(proof + put);
      await refused(put + proof);
    }
  });

  test('when any character of the embedded credential is changed and the agent signs that', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: agent.token.length - 1 }),
        fc.constantFrom('A', 'z', '0', '_'),
        async (at, put) => {
          fc.pre(agent.token[at] !== put);
          await refused(proofWith({ credential: agent.token.slice(0, at) + put + agent.token.slice(at + 1) }));
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('the clock', () => {
  const exp = 90 * DAY;

  test.each([-60, 0, exp - 1, exp + 59])('%d seconds after issue it is accepted', async (seconds) => {
    expect((await verify(proof, later(seconds))).id).toBe(BOT.id);
  });

  test.each([-61, exp + 60, exp + DAY])('%d seconds after issue it is refused', async (seconds) => {
    await refused(proof, later(seconds));
  });

  test('an invalid time accepts nothing', async () => {
    await refused(proof, new Date(Number.NaN));
  });
});

describe('remembered credentials', () => {
  test('are checked for expiry on each use', async () => {
    const { keyring } = await newKeys();
    const brief = await issueAgent(keyring, { ...BOT, ttlSeconds: 10 }, NOW);
    const token = await signProposal(brief, DIGEST, NOW);
    expect((await verify(token, NOW, DIGEST, keyring)).id).toBe(BOT.id);
    await refusal(verify(token, later(70), DIGEST, keyring), 'AGENT_UNVERIFIED');
    expect((await verify(token, later(69), DIGEST, keyring)).id).toBe(BOT.id);
  });

  test('do not outlive the key that attested for them', async () => {
    expect((await verify(proof)).id).toBe(BOT.id);
    const { issuer: _, ...rest } = file;
    const without = await parseKeyring(JSON.stringify(rest), 'keys');
    await refusal(verify(proof, NOW, DIGEST, without), 'AGENT_UNVERIFIED');
  });

  test('of one agent do not answer for another, nor for the other kind', async () => {
    const other = await issueAgent(keyring, { ...BOT, id: 'other-bot' }, NOW);
    const answers = await Promise.all([
      verify(proof),
      verify(await signProposal(other, DIGEST, NOW)),
      verify(proof),
      verify(await signProposal(other, DIGEST, NOW)),
    ]);
    expect(answers.map(({ id }) => id)).toEqual(['billing-bot', 'other-bot', 'billing-bot', 'other-bot']);
    await refused(forge(HEADER, { digest: DIGEST, credential: other.token, iat: IAT }, agent.privateJwk));
  });

  test('beyond the number remembered are verified anew', async () => {
    const { keyring: many, file: manyFile } = await newKeys();
    const first = await issueAgent(many, BOT, NOW);
    const firstProof = await signProposal(first, DIGEST, NOW);
    await verify(firstProof, NOW, DIGEST, many);
    const { header, payload } = openUnverified(first.token);
    for (let i = 0; i < 1001; i++) {
      const credential = forge(header, { ...payload, sub: `bot-${i}` }, firstKey(manyFile, 'issuer'));
      const token = forge(HEADER, { digest: DIGEST, credential, iat: IAT }, first.privateJwk);
      expect((await verify(token, NOW, DIGEST, many)).id).toBe(`bot-${i}`);
    }
    expect((await verify(firstProof, NOW, DIGEST, many)).id).toBe(BOT.id);
  });
});
