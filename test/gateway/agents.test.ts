/** How agents prove who they are: what an issuer signed for this audience and nothing else, and keys that are good until they are not. */
import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { SignJWT, UnsecuredJWT, exportJWK, type JWTPayload } from 'jose';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAgents } from '../../src/gateway/auth/agents.js';
import type { AgentIssuer } from '../../src/config/gateway.js';
import type { AgentSource } from '../../src/gateway/auth/identity.js';
import { ApiKeys } from '../../src/gateway/store/api-keys.js';
import { Database, Ledger } from '../../src/ledger/index.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';

const AUDIENCE = 'https://approvals.example.com';

/** An issuer of tokens, on loopback. */
class Issuer {
  readonly url: string;
  /** How often its keys were asked for. */
  asked = 0;
  down = false;
  metadata: object;
  readonly key: KeyObject;
  readonly #server: Server;

  private constructor(server: Server, key: KeyObject) {
    this.#server = server;
    this.key = key;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    this.metadata = { issuer: this.url, jwks_uri: `${this.url}/keys` };
  }

  static async start(): Promise<Issuer> {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const jwk = { ...(await exportJWK(createPublicKey(privateKey))), kid: 'one', alg: 'RS256', use: 'sig' };
    const server = createServer((request, response) => {
      if (issuer.down) return void response.writeHead(500).end();
      if (request.url === '/keys') {
        issuer.asked++;
        return void response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: [jwk] }));
      }
      if (request.url === '/.well-known/oauth-authorization-server') {
        return void response.setHeader('content-type', 'application/json').end(JSON.stringify(issuer.metadata));
      }
      response.writeHead(404).end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const issuer: Issuer = new Issuer(server, privateKey);
    return issuer;
  }

  token(claims: JWTPayload = {}, header: Record<string, unknown> = {}, key: KeyObject = this.key): Promise<string> {
    const whole = {
      iss: this.url,
      aud: AUDIENCE,
      sub: 'billing-bot',
      tenant: 'acme',
      roles: ['billing_agent'],
      scopes: ['payments:refund', 'crm'],
      iat: now(),
      exp: now() + 300,
      ...claims,
    };
    const present = Object.fromEntries(Object.entries(whole).filter(([, value]) => value !== undefined));
    return new SignJWT(present).setProtectedHeader({ alg: 'RS256', kid: 'one', typ: 'at+jwt', ...header }).sign(key);
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

const now = (): number => Math.floor(Date.now() / 1000);

let database: TestDatabase;
let ledger: Ledger;
let keys: ApiKeys;
let issuer: Issuer;
let agents: AgentSource;

beforeAll(async () => {
  database = await createDatabase('installation');
  const opened = new Database({ url: database.url });
  ledger = new Ledger(opened);
  keys = new ApiKeys(opened);
  issuer = await Issuer.start();
  agents = sourceOf([{ issuer: issuer.url, audience: AUDIENCE }]);
});
afterAll(async () => {
  issuer?.stop();
  await ledger?.close();
  await database?.drop();
});

function sourceOf(issuers: readonly AgentIssuer[]): AgentSource {
  return createAgents({ issuers, apiKeys: keys, ledger });
}

function known(token: string, by = agents) {
  return by.authenticate(`Bearer ${token}`);
}

const REFUSED = { code: 'UNAUTHENTICATED' };

describe('a token of a configured issuer', () => {
  test('says who the agent is', async () => {
    expect(await known(await issuer.token({ owner: 'ann@example.com' }))).toEqual({
      kind: 'agent',
      id: 'billing-bot',
      tenant: 'acme',
      roles: ['billing_agent'],
      scopes: ['payments:refund', 'crm'],
      owner: 'ann@example.com',
      auth: { method: 'jwt', by: issuer.url },
      jti: expect.stringMatching(/^jwt\/[A-Za-z0-9_-]{43}$/) as string,
    });
  });

  test('of one agent is revoked with every other of it, and with no other agent', async () => {
    const [one, again, other] = await Promise.all([
      known(await issuer.token({ sub: 'lost' })),
      known(await issuer.token({ sub: 'lost', roles: [] })),
      known(await issuer.token({ sub: 'kept' })),
    ]);
    expect(again.jti).toBe(one.jti);
    expect(other.jti).not.toBe(one.jti);
    await ledger.controls.revoke({ tenant: 'acme', jti: one.jti, reason: 'it runs wild', by: 'ann' });
    await expect(known(await issuer.token({ sub: 'lost' }))).rejects.toMatchObject({
      code: 'CREDENTIAL_REVOKED',
      message: expect.stringContaining('it runs wild') as string,
    });
    expect(await known(await issuer.token({ sub: 'kept' }))).toMatchObject({ id: 'kept' });
  });

  test.each<[string, JWTPayload]>([
    ['has expired', { exp: now() - 60 }],
    ['never expires', { exp: undefined } as never],
    ['is not valid yet', { nbf: now() + 120 }],
    ['is for somebody else', { aud: 'https://other.example' }],
    ['is for nobody', { aud: undefined } as never],
    ['is of an issuer that is not known', { iss: 'https://evil.example' }],
    ['is of no issuer', { iss: undefined } as never],
    ['names nobody', { sub: undefined } as never],
    ['names somebody else’s delegate', { sub: 'ops/helper' }],
    ['names an impossible id', { sub: 'bot\n' }],
    ['names no tenant', { tenant: undefined }],
    ['names every tenant', { tenant: '*' }],
    ['names a tenant with a path', { tenant: 'acme/globex' }],
    ['has a role that is no name', { roles: ['admin user', 'x y'] }],
    ['has roles that are no list', { roles: { admin: true } }],
    ['has no scope', { scopes: [] }],
    ['has a scope that is none', { scopes: ['*:*:\u0000'] }],
    ['has an owner that is nobody', { owner: '' }],
    ['has more scopes than a credential carries', { scopes: Array.from({ length: 65 }, (_, n) => `tool-${n}`) }],
  ])('that %s is refused', async (_, claims) => {
    const token = await issuer.token(claims);
    const failure = await known(token).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toMatchObject(REFUSED);
    expect(JSON.stringify(failure)).not.toContain(token.slice(-20));
  });

  test.each([
    ['for another purpose', { typ: 'logout+jwt' }],
    ['that is a credential of ours', { typ: 'countersign-agent+jwt' }],
    ['under a key that the issuer does not have', { kid: 'two' }],
  ])('%s is refused', async (_, header) => {
    await expect(known(await issuer.token({}, header))).rejects.toMatchObject(REFUSED);
  });

  test('that somebody else signed is refused', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    await expect(known(await issuer.token({}, {}, privateKey))).rejects.toMatchObject(REFUSED);
    const [head, body] = (await issuer.token()).split('.');
    const [, , other] = (await issuer.token({ sub: 'other' })).split('.');
    await expect(known(`${head}.${body}.${other}`)).rejects.toMatchObject(REFUSED);
  });

  test('that nobody signed, or that is signed with the public key as a secret, is refused', async () => {
    const unsigned = new UnsecuredJWT({ sub: 'billing-bot', tenant: 'acme', roles: [], scopes: ['*'] })
      .setIssuer(issuer.url)
      .setAudience(AUDIENCE)
      .setExpirationTime('5m')
      .encode();
    await expect(known(unsigned)).rejects.toMatchObject(REFUSED);

    const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const [, claims] = (await issuer.token()).split('.');
    for (const secret of [
      createPublicKey(issuer.key).export({ type: 'spki', format: 'pem' }) as string,
      createPublicKey(issuer.key).export({ type: 'pkcs1', format: 'pem' }) as string,
    ]) {
      const signed = `${encode({ alg: 'HS256', kid: 'one', typ: 'at+jwt' })}.${claims}`;
      const forged = `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
      await expect(known(forged)).rejects.toMatchObject(REFUSED);
    }
  });

  test('cannot bring its own key or say where one is', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const jwk = await exportJWK(publicKey);
    for (const header of [{ jwk }, { jku: `${issuer.url}/keys2` }, { x5u: 'https://evil.example' }]) {
      await expect(known(await issuer.token({}, header, privateKey))).rejects.toMatchObject(REFUSED);
    }
    await expect(known(await issuer.token({}, { crit: ['x'], x: 1 }).catch(() => 'a.b.c'))).rejects.toMatchObject(
      REFUSED,
    );
  });

  test('is read where the settings say; a tenant that they give is the tenant, whatever the token claims', async () => {
    const nested = sourceOf([
      {
        issuer: issuer.url,
        audience: AUDIENCE,
        tenant: 'globex',
        claims: { id: 'azp', roles: 'realm_access.roles', scopes: 'scope', owner: 'https://acme.example/owner' },
      },
    ]);
    const token = await issuer.token({
      azp: 'crm-bot',
      realm_access: { roles: ['reader', 'reader'] },
      scope: 'crm:get_* payments',
      'https://acme.example/owner': 'ann',
    });
    expect(await known(token, nested)).toMatchObject({
      id: 'crm-bot',
      tenant: 'globex',
      roles: ['reader'],
      scopes: ['crm:get_*', 'payments'],
      owner: 'ann',
    });
  });

  test('is not let in while its issuer does not answer, and is once it does', async () => {
    const away = await Issuer.start();
    const source = sourceOf([{ issuer: away.url, audience: AUDIENCE, jwksUri: `${away.url}/keys` }]);
    away.down = true;
    await expect(known(await away.token(), source)).rejects.toMatchObject(REFUSED);
    away.down = false;
    const token = await away.token();
    await expect
      .poll(
        () =>
          known(token, source).then(
            ({ id }) => id,
            () => undefined,
          ),
        { timeout: 20_000 },
      )
      .toBe('billing-bot');
    away.stop();
  });

  test('of an issuer whose metadata are of another one is refused', async () => {
    const liar = await Issuer.start();
    liar.metadata = { issuer: issuer.url, jwks_uri: `${liar.url}/keys` };
    await expect(known(await liar.token(), sourceOf([{ issuer: liar.url, audience: AUDIENCE }]))).rejects.toMatchObject(
      {
        ...REFUSED,
        retryable: true,
      },
    );
    liar.metadata = { issuer: liar.url, jwks_uri: 'http://keys.example/keys' };
    await expect(known(await liar.token(), sourceOf([{ issuer: liar.url, audience: AUDIENCE }]))).rejects.toMatchObject(
      REFUSED,
    );
    liar.stop();
  });

  test('does not have the issuer asked again and again', async () => {
    const before = issuer.asked;
    for (let n = 0; n < 20; n++) await known(await issuer.token({}, { kid: `unknown-${n}` })).catch(() => {});
    expect(issuer.asked - before).toBeLessThanOrEqual(1);
  });
});

describe('an API key', () => {
  const wanted = { agent: 'bot', tenant: 'acme', roles: ['reader'], scopes: ['crm'], owner: 'ann' };

  test('says who the agent is, and its secret is nowhere in the ledger', async () => {
    const { text, id } = await keys.create(wanted);
    expect(text).toMatch(/^csa_[a-z0-9]{16}_[A-Za-z0-9_-]{43}$/);
    expect(await known(text)).toEqual({
      kind: 'agent',
      id: 'bot',
      tenant: 'acme',
      roles: ['reader'],
      scopes: ['crm'],
      owner: 'ann',
      auth: { method: 'api-key', by: id },
      jti: `api-key/${id}`,
    });
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    const { rows } = await client.query('select * from countersign.api_keys');
    await client.end();
    expect(JSON.stringify(rows)).not.toContain(text.split('_').slice(2).join('_'));
    expect(JSON.stringify(await keys.list())).not.toContain('secret');
  });

  test('with another secret, id or form is refused, and says not which', async () => {
    const [one, two] = [await keys.create(wanted), await keys.create(wanted)];
    const swapped = `csa_${one.id}_${two.text.split('_').slice(2).join('_')}`;
    const unknown = `csa_${'0'.repeat(16)}_${one.text.split('_').slice(2).join('_')}`;
    const messages = await Promise.all(
      [swapped, unknown].map((text) =>
        known(text).then(
          () => 'let in',
          (error: Error) => error.message,
        ),
      ),
    );
    expect(messages).toEqual(['There is no such API key.', 'There is no such API key.']);
    for (const text of [
      one.text.slice(0, -1),
      `${one.text}A`,
      `${one.text.slice(0, -1)}!`,
      one.text.toUpperCase(),
      'csa__',
    ]) {
      await expect(known(text)).rejects.toMatchObject(REFUSED);
    }
  });

  test('is good for nothing once it is revoked, here or as a credential', async () => {
    const [one, two] = [await keys.create(wanted), await keys.create(wanted)];
    await keys.revoke(one.id);
    expect((await keys.revoke(one.id)).revokedAt).toBeDefined();
    await expect(known(one.text)).rejects.toMatchObject({ ...REFUSED, message: 'The API key was revoked.' });
    await ledger.controls.revoke({ tenant: 'acme', jti: two.jti, reason: 'leaked', by: 'ann' });
    await expect(known(two.text)).rejects.toMatchObject({ code: 'CREDENTIAL_REVOKED' });
    await expect(keys.revoke('0'.repeat(16))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('expires', async () => {
    const { text } = await keys.create({ ...wanted, ttlSeconds: 1 });
    await expect
      .poll(
        () =>
          known(text).then(
            () => 'let in',
            (error: Error) => error.message,
          ),
        { timeout: 10_000 },
      )
      .toBe('The API key has expired.');
  });

  test('shows that it is used, and is not written to for every request', async () => {
    const { text, id } = await keys.create(wanted);
    const lastUsed = async () => (await keys.list('acme')).find((key) => key.id === id)?.lastUsedAt;
    expect(await lastUsed()).toBeUndefined();
    await known(text);
    const first = await lastUsed();
    expect(first).toBeDefined();
    await known(text);
    expect(await lastUsed()).toBe(first);
  });

  test.each([
    ['agent', { agent: 'a/b' }],
    ['tenant', { tenant: '*' }],
    ['roles.0', { roles: ['no name'] }],
    ['scopes', { scopes: [] }],
    ['owner', { owner: '/' }],
    ['ttlSeconds', { ttlSeconds: 0 }],
  ])('cannot be made with a bad %s', async (field, bad) => {
    await expect(keys.create({ ...wanted, ...bad })).rejects.toMatchObject({ code: 'CONFIG_INVALID', field });
  });

  test('keeps what it stands for: the ledger refuses to change it or to take a revocation back', async () => {
    const { id } = await keys.create(wanted);
    await keys.revoke(id);
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    for (const change of [
      "scopes = '{*}'",
      'revoked_at = null',
      "expires_at = expires_at + interval '1 day'",
      "tenant = 'globex'",
    ]) {
      await expect(client.query(`update countersign.api_keys set ${change} where id = $1`, [id])).rejects.toThrow(
        /refuses/,
      );
    }
    await client.end();
  });
});
