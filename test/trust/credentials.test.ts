/** Credentials: what may be issued, and how their holder keeps and reads them. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  decodeCredential,
  encodeCredential,
  issueAgent,
  issueApprover,
  peekCredential,
  readCredential,
  type AgentOptions,
  type Credential,
} from '../../src/trust/credentials.js';
import { holderKey } from '../../src/trust/holder.js';
import { MAX_CREDENTIAL_BYTES } from '../../src/trust/claims.js';
import { parseKeyring, publicKeyring } from '../../src/trust/key-file.js';
import type { Keyring } from '../../src/trust/keys.js';
import { IAT, newKeys, NOW, openUnverified, refusal, thrown } from './support.js';

const BOT = { id: 'billing-bot', tenant: 'acme', roles: ['billing'], scopes: ['payments'], owner: 'ann@example.com' };

let keyring: Keyring;
let agent: Credential;
let approver: Credential;
let folder: string;
beforeAll(async () => {
  ({ keyring } = await newKeys());
  agent = await issueAgent(keyring, BOT, NOW);
  approver = await issueApprover(keyring, { id: 'bob@example.com', tenant: 'acme', roles: ['dba'] }, NOW);
  folder = await mkdtemp(join(tmpdir(), 'countersign-credentials-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('an issued credential', () => {
  test('says who, for how long, and by which key, and holds no private key', () => {
    const { header, payload } = openUnverified(agent.token);
    expect(header).toEqual({ alg: 'EdDSA', typ: 'countersign-agent+jwt', kid: keyring.sign.issuer?.kid });
    expect(payload).toEqual({
      iss: 'countersign',
      aud: 'countersign',
      sub: 'billing-bot',
      tenant: 'acme',
      roles: ['billing'],
      scopes: ['payments'],
      owner: 'ann@example.com',
      iat: IAT,
      exp: IAT + 90 * 86_400,
      jti: expect.stringMatching(/^[0-9a-f-]{36}$/),
      cnf: { jwk: { kty: 'OKP', crv: 'Ed25519', x: agent.privateJwk.x } },
    });
    expect(agent.token).not.toContain(agent.privateJwk.d);
    expect(openUnverified(approver.token).header['typ']).toBe('countersign-approver+jwt');
  });

  test('has its own key: two for the same agent share none', async () => {
    const again = await issueAgent(keyring, BOT, NOW);
    expect(again.privateJwk.d).not.toBe(agent.privateJwk.d);
    expect(openUnverified(again.token).payload['jti']).not.toBe(openUnverified(agent.token).payload['jti']);
  });

  test('needs the private issuer key', async () => {
    const reader = await parseKeyring(JSON.stringify(await publicKeyring(keyring)), 'public');
    expect((await refusal(issueAgent(reader, BOT), 'KEYS_MISSING')).field).toBe('issuer');
  });

  const wrong: [string, Partial<Record<keyof AgentOptions, unknown>>, string][] = [
    ['an empty id', { id: '' }, 'id'],
    ['an id with NUL', { id: 'bot\u0000' }, 'id'],
    ['an id with a line feed at its end', { id: 'bot\n' }, 'id'],
    ['an id in look-alike letters', { id: 'b\u043et' }, 'id'],
    ['an id with a combining mark', { id: 'bo\u0301t' }, 'id'],
    ['an id with a lone surrogate', { id: 'bot\ud800' }, 'id'],
    ['an id with a right-to-left override', { id: 'bot\u202e' }, 'id'],
    ['an id with a slash, as in workflow ids', { id: 'acme/bot' }, 'id'],
    ['an id that is too long', { id: 'b'.repeat(64) }, 'id'],
    ['a tenant in capitals', { tenant: 'Acme' }, 'tenant'],
    ['a tenant with a slash', { tenant: 'acme/x' }, 'tenant'],
    ['the tenant of refused strangers', { tenant: '_unauthenticated' }, 'tenant'],
    ['a role that is a list', { roles: ['a,b'] }, 'roles.0'],
    ['roles that are no list', { roles: 'dba' }, 'roles'],
    ['too many roles', { roles: Array.from({ length: 33 }, (_, i) => `r${i}`) }, 'roles'],
    ['no scope', { scopes: [] }, 'scopes'],
    ['a scope with a space', { scopes: ['crm:get customer'] }, 'scopes.0'],
    ['a scope without a tool', { scopes: [':get'] }, 'scopes.0'],
    ['a scope without an operation after its colon', { scopes: ['crm:'] }, 'scopes.0'],
    ['a scope in look-alike letters', { scopes: ['\u0441rm'] }, 'scopes.0'],
    ['a scope with a line feed at its end', { scopes: ['crm\n'] }, 'scopes.0'],
    ['a scope that is too long', { scopes: [`crm:${'o'.repeat(129)}`] }, 'scopes.0'],
    ['an owner with a space', { owner: 'ann smith' }, 'owner'],
    ['a lifetime of nothing', { ttlSeconds: 0 }, 'ttlSeconds'],
    ['a negative lifetime', { ttlSeconds: -1 }, 'ttlSeconds'],
    ['an endless lifetime', { ttlSeconds: Number.POSITIVE_INFINITY }, 'ttlSeconds'],
    ['part of a second', { ttlSeconds: 1.5 }, 'ttlSeconds'],
  ];
  test.each(wrong)('%s is refused', async (_, change, field) => {
    const error = await refusal(issueAgent(keyring, { ...BOT, ...change } as AgentOptions), 'CONFIG_INVALID');
    expect(error.field).toBe(field);
  });

  test('an unknown option is refused rather than ignored', async () => {
    await refusal(issueAgent(keyring, { ...BOT, role: ['dba'] } as AgentOptions), 'CONFIG_INVALID');
  });

  test('an approver without a role is refused', async () => {
    const error = await refusal(issueApprover(keyring, { id: 'bob', tenant: 'acme', roles: [] }), 'CONFIG_INVALID');
    expect(error.field).toBe('roles');
  });

  test('a credential too long to travel is not issued', async () => {
    const scopes = Array.from({ length: 64 }, (_, i) => `${'t'.repeat(60)}${i}`);
    const error = await refusal(issueAgent(keyring, { ...BOT, scopes }), 'CONFIG_INVALID');
    expect(error.message).toContain(String(MAX_CREDENTIAL_BYTES));
  });
});

describe('a kept credential', () => {
  test('goes through one line of text and back', () => {
    for (const credential of [agent, approver]) {
      const text = encodeCredential(credential);
      expect(text).toMatch(/^csk_[A-Za-z0-9_-]+$/);
      expect(decodeCredential(text)).toEqual(credential);
    }
  });

  test('tells its holder who they are', () => {
    expect(peekCredential(agent)).toEqual({
      kind: 'agent',
      id: 'billing-bot',
      tenant: 'acme',
      roles: ['billing'],
      scopes: ['payments'],
      owner: 'ann@example.com',
      expiresAt: new Date((IAT + 90 * 86_400) * 1000),
      jti: openUnverified(agent.token).payload['jti'],
    });
    expect(peekCredential(approver)).toMatchObject({ kind: 'approver', id: 'bob@example.com', scopes: [] });
  });

  test('is read from its text or from a file', async () => {
    const path = join(folder, 'agent.csk');
    await writeFile(path, `${encodeCredential(agent)}\n`);
    expect(await readCredential(path)).toEqual(agent);
    expect(await readCredential(`  ${encodeCredential(agent)}\n`)).toEqual(agent);
  });

  test('an absent file is named; what may be a mangled credential is not repeated', async () => {
    const path = join(folder, 'none.csk');
    expect((await refusal(readCredential(path), 'KEYS_MISSING')).message).toContain(path);
    const text = encodeCredential(agent);
    for (const mangled of [
      `"${text}"`,
      text.slice(4),
      JSON.stringify(agent),
      agent.privateJwk.d,
      `./${agent.privateJwk.d}"`,
      `./${text}`,
      `"${agent.privateJwk.d}" ./x`,
    ]) {
      await refusal(readCredential(mangled), 'KEYS_MISSING', [agent.privateJwk.d, text.slice(4, 60)]);
    }
  });

  test.each(['./none.csk', '~/none.csk', 'keys.d/my agent~1:2@home-3.csk', 'c\\none', '@x/y'])(
    'the absent file %s is named',
    async (path) => {
      expect((await refusal(readCredential(path), 'KEYS_MISSING')).message).toBe(`There is no credential at ${path}.`);
    },
  );

  test.each(['none', 'a b/none', './none;x', 'x=./none', 'ein-größerer/name'])(
    '%s may be no path, and is not repeated',
    async (text) => {
      expect((await refusal(readCredential(text), 'KEYS_MISSING')).message).toBe('There is no credential.');
    },
  );

  test('with the key of another credential is refused at once', async () => {
    const mixed = { ...agent, privateJwk: (await issueAgent(keyring, BOT)).privateJwk };
    thrown(() => decodeCredential(encodeCredential(mixed)), 'KEYS_INVALID', [mixed.privateJwk.d]);
  });

  test("an approver's token in an agent's credential is refused", () => {
    thrown(() => decodeCredential(encodeCredential({ ...approver, kind: 'agent' })), 'KEYS_INVALID', [
      approver.privateJwk.d,
    ]);
    thrown(() => peekCredential({ ...agent, kind: 'approver' }), 'KEYS_INVALID');
    thrown(() => peekCredential({ kind: 'agent', token: 'not a token' }), 'KEYS_INVALID');
  });

  test('a text of any kind is refused without being repeated', () => {
    const text = encodeCredential(agent);
    for (const bad of [
      '',
      'csk_',
      'csk_!',
      `csk_${'A'.repeat(9000)}`,
      `csk_${Buffer.from('null').toString('base64url')}`,
    ]) {
      thrown(() => decodeCredential(bad), 'KEYS_INVALID');
    }
    const secret = agent.privateJwk.d;
    fc.assert(
      fc.property(fc.integer({ min: 0, max: text.length - 1 }), fc.constantFrom('', '!', '"', '\n'), (at, put) => {
        thrown(() => decodeCredential(text.slice(0, at) + put + text.slice(at + 1)), 'KEYS_INVALID', [
          secret.slice(0, 21),
          secret.slice(21),
          ...[text.slice(4, at), text.slice(at + 1)].filter((whole) => whole.length >= 20),
        ]);
      }),
      { numRuns: 200 },
    );
  });
});

test('a text with anything around the credential is refused: it may be cut, or two in one', () => {
  const text = encodeCredential(agent);
  for (const other of [
    `${text}!`,
    `${text}\n`,
    ` ${text}`,
    `x${text}`,
    `${text}${text}`,
    `${text}${'A'.repeat(40_000)}`,
  ])
    thrown(() => decodeCredential(other), 'KEYS_INVALID', [agent.privateJwk.d]);
});

describe('whoever holds the wrong credential is told which they need', () => {
  test('to propose, an agent’s; to decide, a person’s', async () => {
    const propose = await refusal(holderKey(approver, 'agent'), 'KEYS_INVALID');
    expect(propose).toMatchObject({ field: 'credential', expected: 'the credential of an agent' });
    expect(propose.message).toContain('cannot propose');
    const decide = await refusal(holderKey(agent, 'approver'), 'KEYS_INVALID');
    expect(decide).toMatchObject({ field: 'credential', expected: 'the credential of an approver' });
    expect(decide.message).toContain('cannot speak for a person');
  });

  test('names are kept once and in order, so that equal rights make equal claims', async () => {
    const { token } = await issueAgent(keyring, { ...BOT, roles: ['b', 'a', 'b'], scopes: ['y', 'x', 'y'] }, NOW);
    expect(openUnverified(token).payload).toMatchObject({ roles: ['a', 'b'], scopes: ['x', 'y'] });
  });

  test('an agent that somebody owns names its owner, who may not approve for it', async () => {
    const credential = await issueAgent(keyring, BOT, NOW);
    expect(openUnverified(credential.token).payload).toMatchObject({ owner: 'ann@example.com' });
    expect(peekCredential(credential)).toMatchObject({ owner: 'ann@example.com' });
  });

  test('an agent that nobody owns names no owner', async () => {
    const { owner: _, ...free } = BOT;
    const credential = await issueAgent(keyring, free, NOW);
    expect(openUnverified(credential.token).payload).not.toHaveProperty('owner');
    expect(peekCredential(credential)).not.toHaveProperty('owner');
    expect(peekCredential(credential)).not.toHaveProperty('caps');
  });
});
