/** What somebody would try who wants an action approved that nobody approved. The database of the shop judges what was done. */
import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { RegistrationResponseJSON } from '@simplewebauthn/server';
import type { PendingView, Verdict } from '../../src/action/outcome.js';
import { challengeOf } from '../../src/trust/passkeys/challenges.js';
import { generateKeyringFile, parseKeyring, signApproval, signCommand, attestPerson } from '../../src/trust/index.js';
import { SoftwareAuthenticator } from '../../src/prove/scratch/authenticator.js';
import { HttpBrowser, type Page } from '../support/http-browser.js';
import { startPeopleGateway, type PeopleGateway, type PersonBrowser } from '../support/people-gateway.js';
import { startStack, TENANT, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';

const person = (user: string, tenant: string, roles: readonly string[]) => ({
  user,
  claims: { email: `${user}@${tenant}.example`, email_verified: true, name: user, tenant, roles },
});
const PEOPLE = [
  person('ann', TENANT, ['dba']),
  person('bea', TENANT, ['dba']),
  person('owen', TENANT, ['dba']),
  person('ian', TENANT, ['intern']),
  person('vic', TENANT, []),
  person('rae', TENANT, ['dba']),
  person('gil', 'globex', ['dba', 'operator']),
];
const ROWS = 150;

let stack: Stack;
let gateway: PeopleGateway;
let agent: string;
let ann: PersonBrowser;

beforeAll(async () => {
  stack = await startStack({
    schema: 'CREATE TABLE sessions (id int PRIMARY KEY, note text NOT NULL)',
    worker: false,
  });
  gateway = await startPeopleGateway(stack, PEOPLE);
  agent = await gateway.agent({ owner: 'owen@acme.example' });
  ann = await gateway.logIn('ann');
});
afterAll(async () => {
  await gateway?.stop();
  await stack?.stop();
});
beforeEach(async () => {
  await stack.shop.query(
    `TRUNCATE sessions; INSERT INTO sessions SELECT n, 'stale' FROM generate_series(1, ${ROWS}) n`,
  );
});

interface Waiting extends PendingView {
  readonly actionId: string;
}

/** An agent proposes what needs a dba. */
async function proposed(where: Readonly<Record<string, string>> = { note: 'stale' }): Promise<Waiting> {
  const actionId = randomUUID();
  const proposal = { actionId, tool: 'shop-db', input: { op: 'delete', table: 'sessions', where } };
  const page = await new HttpBrowser().post(`${gateway.url}/v1/actions?wait=20`, {
    json: proposal,
    headers: { authorization: agent },
  });
  expect(page.status).toBe(202);
  const { pending } = JSON.parse((await ann.get(`/v1/actions/${actionId}`)).text) as { pending: PendingView };
  return { ...pending, actionId };
}

function decide(
  by: PersonBrowser,
  { actionId, shownDigest }: Pick<Waiting, 'actionId' | 'shownDigest'>,
  more: Readonly<Record<string, unknown>> = {},
): Promise<Page> {
  return by.post(`/v1/actions/${actionId}/decision`, { shownDigest, verdict: 'approve', ...more });
}

function codeOf({ text }: Page): string {
  return (JSON.parse(text) as { code: string }).code;
}

async function left(): Promise<number> {
  const { rows } = await stack.shop.query<{ n: string }>('SELECT count(*) n FROM sessions');
  return Number(rows[0]?.n);
}

async function stillWaits({ actionId }: Waiting): Promise<void> {
  const { status } = JSON.parse((await ann.get(`/v1/actions/${actionId}`)).text) as { status: string };
  expect(status).toBe('pending');
  expect(await left()).toBe(ROWS);
}

async function done({ actionId }: Waiting): Promise<void> {
  const page = await ann.get(`/v1/actions/${actionId}/outcome?wait=20`);
  expect(JSON.parse(page.text)).toMatchObject({ status: 'success' });
  expect(await left()).toBe(0);
}

describe('a decision over HTTP', () => {
  test('by the right person, on what they saw, is taken: what follows is refused for its own reason', async () => {
    const action = await proposed();
    const page = await decide(ann, action);
    expect(page.status).toBe(200);
    expect(JSON.parse(page.text)).toMatchObject({
      state: 'approved',
      recorded: { approver: 'ann@acme.example', auth: { method: 'oidc', by: gateway.provider.issuer } },
    });
    await done(action);
  });

  test('is not for agents, neither with their key nor with a forged cookie beside it', async () => {
    const action = await proposed();
    const body = { shownDigest: action.shownDigest, verdict: 'approve' };
    const url = `${gateway.url}/v1/actions/${action.actionId}/decision`;
    const page = await new HttpBrowser().post(url, { json: body, headers: { authorization: agent } });
    expect([page.status, codeOf(page)]).toEqual([403, 'FORBIDDEN']);
    const owners = await gateway.agent({ agent: 'ann@acme.example', roles: ['dba', 'operator', 'admin_user'] });
    expect((await new HttpBrowser().post(url, { json: body, headers: { authorization: owners } })).status).toBe(403);
    const both = await ann.browser.post(url, {
      json: body,
      headers: { authorization: agent, 'x-csrf-token': ann.csrf },
    });
    expect([both.status, codeOf(both)]).toEqual([401, 'UNAUTHENTICATED']);
    await stillWaits(action);
  });

  test('is not for nobody, nor for whoever has an old cookie', async () => {
    const action = await proposed();
    const thief = await gateway.logIn('bea');
    const stolen = thief.browser.copy();
    expect((await thief.browser.post(`${gateway.url}/logout`, { form: { _csrf: thief.csrf } })).status).toBe(200);
    const url = `${gateway.url}/v1/actions/${action.actionId}/decision`;
    const body = { shownDigest: action.shownDigest, verdict: 'approve' };
    for (const browser of [new HttpBrowser(), stolen]) {
      const page = await browser.post(url, { json: body, headers: { 'x-csrf-token': thief.csrf } });
      expect([page.status, codeOf(page)]).toEqual([401, 'UNAUTHENTICATED']);
    }
    await stillWaits(action);
  });

  test.each([
    ['without the role', 'ian', 403, 'APPROVAL_FORBIDDEN'],
    ['without any role, who may look', 'vic', 403, 'APPROVAL_FORBIDDEN'],
    ['who answers for the agent', 'owen', 403, 'APPROVAL_FORBIDDEN'],
  ] as const)('by somebody %s is refused', async (_who, user, status, code) => {
    const action = await proposed();
    const somebody = await gateway.logIn(user);
    expect((await somebody.get(`/v1/actions/${action.actionId}`)).status).toBe(200);
    const page = await decide(somebody, action);
    expect([page.status, codeOf(page)]).toEqual([status, code]);
    await stillWaits(action);
  });

  test("by another tenant's person finds nothing, and tells nothing", async () => {
    const action = await proposed();
    const gil = await gateway.logIn('gil');
    const none = { ...action, actionId: randomUUID() };
    const same = (page: Page): unknown => {
      const { instance: _instance, ...problem } = JSON.parse(page.text) as Record<string, unknown>;
      return JSON.parse(JSON.stringify(problem).replaceAll(action.actionId, 'ID').replaceAll(none.actionId, 'ID'));
    };
    const [theirs, nobodys] = [await decide(gil, action), await decide(gil, none)];
    expect(theirs.status).toBe(404);
    expect(same(theirs)).toEqual(same(nobodys));
    const paths = (id: string): string[] => [
      `/v1/actions/${id}`,
      `/v1/actions/${id}/outcome`,
      `/v1/actions/${id}/events`,
    ];
    for (const [index, path] of paths(action.actionId).entries()) {
      const page = await gil.get(path);
      expect(page.status).toBe(404);
      expect(same(page)).toEqual(same(await gil.get(paths(none.actionId)[index] as string)));
    }
    expect((await gil.post(`/v1/actions/${action.actionId}/cancel`, {})).status).toBe(404);
    for (const path of ['/v1/actions', '/v1/approvals', `/v1/actions?text=${action.actionId}`]) {
      expect((await gil.get(path)).text).not.toContain(action.actionId);
    }
    await stillWaits(action);
  });

  test('on something else than what is shown now is stale, and a made-up digest as well', async () => {
    const [action, other] = [await proposed(), await proposed({ note: 'stale' })];
    for (const shownDigest of [other.shownDigest, `sha256:${'0'.repeat(64)}`] as const) {
      const page = await decide(ann, { ...action, shownDigest });
      expect([page.status, codeOf(page)]).toEqual([409, 'APPROVAL_STALE']);
    }
    await stillWaits(action);
    await stillWaits(other);
  });

  test('on what has changed since covers the changed thing no more', async () => {
    const action = await proposed();
    await stack.withPolicy(
      'production.cedar',
      (text) => text.replaceAll('@approval("dba")', '@approval("dba, quorum=2")'),
      async () => {
        // One person of two that are asked for now.
        await decide(ann, action);
        const { pending } = await until(
          async () => JSON.parse((await ann.get(`/v1/actions/${action.actionId}`)).text) as { pending?: PendingView },
          ({ pending: now }) => now !== undefined && now.shownDigest !== action.shownDigest,
        );
        expect(pending?.shown.requirements[0]?.quorum).toBe(2);
        expect(await left()).toBe(ROWS);
        const bea = await gateway.logIn('bea');
        expect(codeOf(await decide(bea, action))).toBe('APPROVAL_STALE');
        await stillWaits(action);
      },
    );
  });

  test('that was used cannot be used again, for this action or another', async () => {
    const action = await proposed();
    expect((await decide(ann, action)).status).toBe(200);
    await done(action);
    const again = await decide(ann, action);
    expect([again.status, codeOf(again)]).toEqual([409, 'NOT_PENDING']);
    await stack.shop.query(`INSERT INTO sessions SELECT n, 'stale' FROM generate_series(1, ${ROWS}) n`);
    const other = await proposed();
    expect(codeOf(await decide(ann, { ...action, actionId: other.actionId }))).toBe('APPROVAL_STALE');
    await stillWaits(other);
  });

  test('an agent cannot change its arguments after the approval: the same id is the same proposal, or refused', async () => {
    const action = await proposed();
    const changed = {
      actionId: action.actionId,
      tool: 'shop-db',
      input: { op: 'delete', table: 'sessions', where: { note: 'fresh' } },
    };
    const page = await new HttpBrowser().post(`${gateway.url}/v1/actions?wait=5`, {
      json: changed,
      headers: { authorization: agent },
    });
    expect([page.status, codeOf(page)]).toEqual([409, 'ACTION_CONFLICT']);
    await decide(ann, action);
    await done(action);
  });

  test('forged at Temporal itself, with a key of one who is no gateway, moves nothing', async () => {
    const action = await proposed();
    const forger = await parseKeyring(JSON.stringify(await generateKeyringFile()), 'forger');
    const client = await stack.agent();
    const credential = await attestPerson(
      forger,
      {
        id: 'ann@acme.example',
        tenant: TENANT,
        roles: ['dba'],
        auth: { method: 'oidc', by: gateway.provider.issuer },
        jti: '@ann@acme.example',
      },
      action.shownDigest,
      { ttlSeconds: 60 },
    );
    const forged = await signApproval(credential, {
      tenant: TENANT,
      actionId: action.actionId,
      shownDigest: action.shownDigest,
      verdict: 'approve',
    });
    await expect(client.decide(action.actionId, forged)).rejects.toMatchObject({ code: 'APPROVAL_INVALID' });
    await stillWaits(action);
  });
});

describe('somebody whose authority was revoked', () => {
  test('has no session, cannot log in, and what they decided before counts no more', async () => {
    const rae = await gateway.logIn('rae');
    const twoPeople = (text: string): string => text.replaceAll('@approval("dba")', '@approval("dba, quorum=2")');
    await stack.withPolicy('production.cedar', twoPeople, async () => {
      const action = await proposed();
      expect(JSON.parse((await decide(rae, action)).text)).toMatchObject({ state: 'waiting' });
      const operator = await stack.approver('otto', ['operator']);
      const client = await stack.agent();
      const statement = { kind: 'revoke', tenant: TENANT, subject: '@rae@acme.example', reason: 'left' } as const;
      await client.submitCommand(await signCommand(operator, statement));
      expect((await rae.get('/v1/approvals')).status).toBe(401);
      await expect(gateway.logIn('rae')).rejects.toThrow('rae could not log in');
      await decide(ann, action);
      const { approvals } = await until(
        async () => JSON.parse((await ann.get(`/v1/actions/${action.actionId}`)).text) as Reviewed,
        ({ status, approvals: counted }) => status === 'pending' && !counted.some(isRaes),
      );
      expect(approvals.map(({ approver }) => approver)).toEqual(['ann@acme.example']);
      await stillWaits(action);
    });
  });

  interface Reviewed {
    readonly status: string;
    readonly approvals: readonly { readonly approver: string }[];
  }
  const isRaes = ({ approver }: { approver: string }): boolean => approver === 'rae@acme.example';
});

describe('a request that another site makes with the person’s cookie (CSRF)', () => {
  test('decides nothing without the token, with a wrong one, or from elsewhere', async () => {
    const action = await proposed();
    const bea = await gateway.logIn('bea');
    const url = `${gateway.url}/v1/actions/${action.actionId}/decision`;
    const body = { shownDigest: action.shownDigest, verdict: 'approve' };
    const attempts: Readonly<Record<string, string>>[] = [
      {},
      { 'x-csrf-token': '' },
      { 'x-csrf-token': 'A'.repeat(43) },
      { 'x-csrf-token': bea.csrf },
      { 'x-csrf-token': ann.csrf, origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
      { 'x-csrf-token': ann.csrf, origin: 'http://localhost:3000', 'sec-fetch-site': 'same-site' },
    ];
    for (const headers of attempts) {
      const page = await ann.browser.post(url, { json: body, headers });
      expect([page.status, codeOf(page)]).toEqual([403, 'CSRF']);
    }
    // As a form of another site could send it, which no preflight asks about.
    const plain = await ann.browser.post(url, {
      form: { [JSON.stringify(body)]: '' },
      headers: { 'content-type': 'text/plain', origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
    });
    expect(plain.status).toBeGreaterThanOrEqual(400);
    await stillWaits(action);
  });

  test('changes nothing by GET, whatever it names', async () => {
    const action = await proposed();
    const query = new URLSearchParams({
      shownDigest: action.shownDigest,
      verdict: 'approve',
      _csrf: ann.csrf,
    }).toString();
    const paths = [
      `/v1/actions/${action.actionId}/decision?${query}`,
      `/v1/actions/${action.actionId}/cancel?${query}`,
      `/logout?${query}`,
      `/me/passkeys/options?${query}`,
      `/v1/freezes?${query}`,
    ];
    for (const path of paths) expect([200, 404, 405]).toContain((await ann.get(path)).status);
    await stillWaits(action);
    expect((await ann.get('/v1/approvals')).status).toBe(200);
    expect(await stack.ledger.controls.freezes({ activeOnly: true })).toEqual([]);
  });

  test('of freezing, resolving and cancelling needs the token as well', async () => {
    const action = await proposed();
    const bodies: readonly (readonly [path: string, body: unknown])[] = [
      ['/v1/freezes', { scope: { kind: 'tenant' }, reason: 'x' }],
      [`/v1/actions/${action.actionId}/cancel`, {}],
      [`/v1/actions/${action.actionId}/resolution`, { verdict: 'happened', evidence: 'x' }],
      ['/me/passkeys/options', {}],
      ['/me/passkeys', {}],
      ['/passkeys/assertion-options', {}],
      ['/logout', {}],
    ];
    for (const [path, json] of bodies) {
      const page = await ann.browser.post(`${gateway.url}${path}`, { json });
      expect([path, page.status, codeOf(page)]).toEqual([path, 403, 'CSRF']);
    }
    await stillWaits(action);
  });

  test('is not helped by CORS: no other site may read or send anything', async () => {
    const headers = { origin: 'https://evil.example', 'access-control-request-method': 'POST' };
    const page = await ann.browser.get(`${gateway.url}/v1/approvals`, { headers });
    expect(page.headers.get('access-control-allow-origin')).toBeNull();
    const preflight = await fetch(`${gateway.url}/v1/approvals`, { method: 'OPTIONS', headers });
    expect(preflight.headers.get('access-control-allow-origin')).toBeNull();
  });
});

describe('every page', () => {
  test.each([
    '/login',
    '/logged-out',
    '/callback',
    '/dev-login',
    '/',
    '/me',
    '/history',
    '/v1/approvals',
    '/nothing/here',
    '/docs',
    '/healthz',
  ])('%s keeps itself out of frames, and what runs in it to our own files', async (path) => {
    for (const browser of [new HttpBrowser(), ann.browser]) {
      const { headers } = await browser.get(`${gateway.url}${path}`, { headers: { accept: 'text/html' } });
      const policy = headers.get('content-security-policy') ?? '';
      expect(headers.get('x-frame-options')).toBe('DENY');
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).toContain("default-src 'none'");
      expect(policy).not.toContain('unsafe');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('cross-origin-opener-policy')).toBe('same-origin');
    }
  });

  test('is there under its own name only (DNS rebinding)', async () => {
    const { port } = new URL(gateway.url);
    for (const path of ['/login', '/', '/v1/approvals']) {
      for (const host of [
        'evil.example',
        `evil.example:${port}`,
        `127.0.0.1:${port}`,
        'localhost',
        'localhost.evil.example',
      ]) {
        expect([path, host, await statusFor(path, { host })]).toEqual([path, host, 421]);
      }
    }
    expect(await statusFor('/healthz', { host: 'evil.example' })).toBe(200);
    // Not even by the header of a proxy that nobody trusts.
    const { host } = new URL(gateway.url);
    expect(await statusFor('/login', { host: 'evil.example', 'x-forwarded-host': host })).toBe(421);
  });
});

function statusFor(path: string, headers: Readonly<Record<string, string>>): Promise<number> {
  return new Promise((resolve, reject) => {
    const { port } = new URL(gateway.url);
    const sent = request({ host: '127.0.0.1', port, path, headers }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    sent.on('error', reject);
    sent.end();
  });
}

describe('a passkey', () => {
  const PASSKEY = (text: string): string => text.replaceAll('@approval("dba")', '@approval("dba, passkey")');

  async function enrol(by: PersonBrowser, key = new SoftwareAuthenticator()): Promise<SoftwareAuthenticator> {
    const page = await by.post('/me/passkeys', await registration(by, key));
    expect(page.status).toBe(201);
    return key;
  }

  async function registration(by: PersonBrowser, key: SoftwareAuthenticator): Promise<RegistrationResponseJSON> {
    const page = await by.post('/me/passkeys/options', {});
    expect(page.status).toBe(200);
    const { challenge } = JSON.parse(page.text) as { challenge: string };
    return key.register({ challenge, ...at() });
  }

  function at(): { rpId: string; origin: string } {
    return { rpId: gateway.passkeys.rpId, origin: gateway.url };
  }

  /** What the page asks the authenticator to sign. */
  async function challengeFor(by: PersonBrowser, action: Waiting, verdict: Verdict = 'approve'): Promise<string> {
    const { actionId, shownDigest } = action;
    const { policyDigest } = action.decision;
    const page = await by.post('/passkeys/assertion-options', { actionId, shownDigest, policyDigest, verdict });
    expect(page.status).toBe(200);
    return (JSON.parse(page.text) as { challenge: string }).challenge;
  }

  async function assertion(
    by: PersonBrowser,
    key: SoftwareAuthenticator,
    action: Waiting,
    verdict: Verdict = 'approve',
  ) {
    const response = key.assert({ challenge: await challengeFor(by, action, verdict), ...at() });
    return { policyDigest: action.decision.policyDigest, response };
  }

  test('is enrolled once, used, listed in what the browser is asked for, and retired', async () => {
    await stack.withPolicy('production.cedar', PASSKEY, async () => {
      const bea = await gateway.logIn('bea');
      const key = new SoftwareAuthenticator();
      const made = await registration(bea, key);
      expect((await bea.post('/me/passkeys', made)).status).toBe(201);
      const again = await bea.post('/me/passkeys', made);
      expect(codeOf(again)).toBe('PASSKEY_INVALID');
      const options = JSON.parse((await bea.post('/me/passkeys/options', {})).text) as {
        excludeCredentials: { id: string }[];
      };
      expect(options.excludeCredentials.map(({ id }) => id)).toEqual([made.id]);

      const action = await proposed();
      const bare = await decide(bea, action);
      expect([bare.status, codeOf(bare)]).toEqual([403, 'PASSKEY_REQUIRED']);
      expect((await decide(bea, action, { assertion: await assertion(bea, key, action) })).status).toBe(200);
      await done(action);

      expect((await bea.post(`/me/passkeys/${made.id}/retire`, {})).status).toBe(200);
      await stack.shop.query(`INSERT INTO sessions SELECT n, 'stale' FROM generate_series(1, ${ROWS}) n`);
      const next = await proposed();
      const { actionId, shownDigest, decision } = next;
      const without = await bea.post('/passkeys/assertion-options', {
        actionId,
        shownDigest,
        policyDigest: decision.policyDigest,
        verdict: 'approve',
      });
      expect(codeOf(without)).toBe('PASSKEY_REQUIRED');
      const challenge = challengeOf({
        tenant: TENANT,
        actionId,
        shownDigest,
        policyDigest: decision.policyDigest,
        verdict: 'approve',
      });
      const late = { policyDigest: decision.policyDigest, response: key.assert({ challenge, ...at() }) };
      expect(codeOf(await decide(bea, next, { assertion: late }))).toBe('PASSKEY_INVALID');
      await stillWaits(next);
    });
  });

  test('asserts one action, one verdict, one person: for any other it is worth nothing', async () => {
    await stack.withPolicy('production.cedar', PASSKEY, async () => {
      const [bea, other] = [await gateway.logIn('bea'), await gateway.logIn('ann')];
      const [beas, anns] = [await enrol(bea), await enrol(other)];
      const [action, second] = [await proposed(), await proposed()];
      const forAction = await assertion(bea, beas, action);
      const toDeny = await assertion(bea, beas, second, 'deny');
      const ofAnn = await assertion(other, anns, second);
      for (const [what, attempt] of [
        ['of another action', await decide(bea, second, { assertion: forAction })],
        ['to deny', await decide(bea, second, { assertion: toDeny })],
        ["of another person's passkey", await decide(bea, second, { assertion: ofAnn })],
      ] as const) {
        expect([what, codeOf(attempt)]).toEqual([what, 'PASSKEY_INVALID']);
      }
      const elsewhere = { ...forAction, policyDigest: `sha256:${'0'.repeat(64)}` };
      expect(codeOf(await decide(bea, action, { assertion: elsewhere }))).toBe('APPROVAL_STALE');
      await stillWaits(second);
      // The person said it of this action, and so it counts there.
      expect((await decide(bea, action, { assertion: forAction })).status).toBe(200);
      await done(action);
    });
  });

  test('must be used on our own page, by a person it verified', async () => {
    await stack.withPolicy('production.cedar', PASSKEY, async () => {
      const bea = await gateway.logIn('bea');
      const key = await enrol(bea);
      const action = await proposed();
      const challenge = await challengeFor(bea, action);
      const { policyDigest } = action.decision;
      for (const response of [
        key.assert({ challenge, ...at(), origin: 'https://evil.example' }),
        key.assert({ challenge, ...at(), rpId: 'evil.example' }),
        key.assert({ challenge, ...at(), userVerified: false }),
        key.assert({ challenge, ...at(), clientData: { crossOrigin: true } }),
      ]) {
        expect(codeOf(await decide(bea, action, { assertion: { policyDigest, response } }))).toBe('PASSKEY_INVALID');
      }
      await stillWaits(action);
    });
  });

  test('that answers what another session asked for is not enrolled', async () => {
    const [bea, other] = [await gateway.logIn('bea'), await gateway.logIn('ann')];
    const forAnn = await registration(other, new SoftwareAuthenticator());
    expect((await bea.post('/me/passkeys/options', {})).status).toBe(200);
    expect(codeOf(await bea.post('/me/passkeys', forAnn))).toBe('PASSKEY_INVALID');
    const second = await gateway.logIn('bea');
    const forSecond = await registration(second, new SoftwareAuthenticator());
    expect(codeOf(await bea.post('/me/passkeys', forSecond))).toBe('PASSKEY_INVALID');
    const made = new SoftwareAuthenticator().register({ challenge: 'AAAA', ...at() });
    expect(codeOf(await bea.post('/me/passkeys', made))).toBe('PASSKEY_INVALID');
  });

  test('is enrolled after a fresh login only', async () => {
    gateway.provider.lie = (claims, sign) => sign({ ...claims, auth_time: Math.floor(Date.now() / 1000) - 16 * 60 });
    try {
      const old = await gateway.logIn('bea');
      for (const path of ['/me/passkeys/options', '/me/passkeys']) {
        const page = await old.post(path, {});
        expect([page.status, codeOf(page)]).toEqual([403, 'FORBIDDEN']);
        expect(page.text).toContain('/login?return_to=%2Fme&again=1');
      }
    } finally {
      gateway.provider.lie = undefined;
    }
  });

  test('is not got around by whoever finds an open session and gives its role to somebody who has a passkey', async () => {
    const inMinutes = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString();
    const duty = {
      person: 'zoe@acme.example',
      role: 'dba',
      from: inMinutes(-1),
      until: inMinutes(60),
      reason: 'holidays',
    };
    const given = async () => (await stack.ledger.roleDelegations.of(TENANT, duty.person)).map(({ by }) => by);
    gateway.provider.lie = (claims, sign) => sign({ ...claims, auth_time: Math.floor(Date.now() / 1000) - 16 * 60 });
    try {
      const old = await gateway.logIn('bea');
      const refused = await old.post('/v1/role-delegations', duty);
      expect([refused.status, codeOf(refused)]).toEqual([403, 'FORBIDDEN']);
      const form = { person: duty.person, role: 'dba', hours: '8', reason: 'holidays', _csrf: old.csrf };
      expect((await old.browser.post(`${gateway.url}/me/role-delegations`, { form })).status).toBe(403);
    } finally {
      gateway.provider.lie = undefined;
    }
    expect(await given()).toEqual([]);
    expect((await (await gateway.logIn('bea')).post('/v1/role-delegations', duty)).status).toBe(201);
    expect(await given()).toEqual(['bea@acme.example']);
  });

  test('is not got around by whoever finds an open session and approves in advance what an agent will do', async () => {
    const until = new Date(Date.now() + 60 * 60_000).toISOString();
    const given = { agent: 'agent-1', tool: 'shop-db', operation: 'delete', until, reason: 'the nightly purge' };
    const form = { agent: 'agent-1', tool: 'shop-db', hours: '8', reason: 'x' };
    const inForce = async () =>
      (await stack.ledger.standingApprovals.list({ tenant: TENANT, activeOnly: true })).length;
    const made = await (await gateway.logIn('bea')).post('/v1/standing-approvals', given);
    expect(made.status).toBe(201);
    const { id } = JSON.parse(made.text) as { id: string };
    gateway.provider.lie = (claims, sign) => sign({ ...claims, auth_time: Math.floor(Date.now() / 1000) - 16 * 60 });
    try {
      const old = await gateway.logIn('bea');
      const refused = await old.post('/v1/standing-approvals', given);
      expect([refused.status, codeOf(refused)]).toEqual([403, 'FORBIDDEN']);
      expect(refused.text).toContain('To give a standing approval, log in again first.');
      const onPage = await old.browser.post(`${gateway.url}/me/standing`, { form: { ...form, _csrf: old.csrf } });
      expect(onPage.status).toBe(403);
      expect(await inForce()).toBe(1);
      // To take one back no session is too old.
      const back = { form: { reason: 'enough', _csrf: old.csrf } };
      expect((await old.browser.post(`${gateway.url}/me/standing/${id}/withdraw`, back)).status).toBe(303);
      expect(await inForce()).toBe(0);
    } finally {
      gateway.provider.lie = undefined;
    }
  });

  test('is not enrolled by whoever finds a browser in which the provider knows somebody, and takes the question for a password out', async () => {
    const { browser } = await gateway.logIn('bea');
    const asked = await browser.get(`${gateway.url}/login?again=1&return_to=/healthz`);
    const there = new URL(asked.headers.get('location') ?? '');
    expect([there.searchParams.get('prompt'), there.searchParams.get('max_age')]).toEqual(['login', '0']);
    for (const name of ['prompt', 'max_age']) there.searchParams.delete(name);
    // No form on the way: the provider lets the browser in by what it remembers.
    expect((await browser.open(there.href)).url).toBe(`${gateway.url}/healthz`);
    const me = await browser.get(`${gateway.url}/v1/me`);
    const { csrf, id } = JSON.parse(me.text) as { csrf: string; id: string };
    expect(id).toBe('bea@acme.example');
    const headers = { 'x-csrf-token': csrf };
    const options = await browser.post(`${gateway.url}/me/passkeys/options`, { json: {}, headers });
    expect([options.status, codeOf(options)]).toEqual([403, 'FORBIDDEN']);
  });

  test('of somebody else cannot be retired, nor its existence found out', async () => {
    const [bea, other] = [await gateway.logIn('bea'), await gateway.logIn('ann')];
    const key = new SoftwareAuthenticator();
    const made = await registration(bea, key);
    expect((await bea.post('/me/passkeys', made)).status).toBe(201);
    const theirs = await other.post(`/me/passkeys/${made.id}/retire`, {});
    const none = await other.post(`/me/passkeys/${'A'.repeat(43)}/retire`, {});
    expect([theirs.status, none.status]).toEqual([404, 404]);
    expect(codeOf(theirs)).toBe(codeOf(none));
    const list = await stack.ledger.passkeys.list(TENANT, 'bea@acme.example');
    expect(list.find(({ credentialId }) => credentialId === made.id)?.retired).toBeUndefined();
  });
});
