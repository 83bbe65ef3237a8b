import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { UnsecuredJWT } from 'jose';
import { HttpBrowser, formOf, locationOf, type Page } from '../../support/http-browser.js';
import { loginPort, startLogin, type LoginGateway } from '../../support/login-gateway.js';
import { logInByOidc, startOidcProvider, type OidcProvider } from '../../support/oidc.js';

const ANN = {
  user: 'ann',
  password: 'correct horse',
  claims: {
    email: 'ann@acme.example',
    email_verified: true,
    name: 'Ann',
    tenant: 'acme',
    roles: ['dba', 'Everybody Else'],
  },
};
const BOB = {
  user: 'bob',
  password: 'battery staple',
  claims: { email: 'bob@acme.example', email_verified: true, name: 'Bob', tenant: 'acme', roles: ['lead'] },
};
const EVE = {
  user: 'eve',
  password: 'staple horse',
  claims: { email: 'eve+ann@acme.example', email_verified: true, name: 'Eve', tenant: 'acme', roles: ['dba'] },
};

let provider: OidcProvider;
let gateway: LoginGateway;
const isCallback = (location: string): boolean => new URL(location).pathname === '/callback';

beforeAll(async () => {
  const { url } = await loginPort();
  provider = await startOidcProvider({ people: [ANN, BOB, EVE], clientRedirects: [`${url}/callback`] });
  const { issuer, clientId, clientSecret } = provider;
  gateway = await startLogin({ publicUrl: url, oidc: { issuer, clientId, clientSecret } });
});
afterAll(async () => {
  await gateway.stop();
  await provider.stop();
});
beforeEach(() => {
  provider.lie = undefined;
});

async function whoami(browser: HttpBrowser): Promise<{ status: number; person: Record<string, unknown> }> {
  const page = await browser.get(`${gateway.url}/whoami`);
  return { status: page.status, person: JSON.parse(page.text) as Record<string, unknown> };
}

/** A login as far as the provider's answer, which the browser has not followed yet. */
async function answered(browser: HttpBrowser, who = ANN): Promise<URL> {
  const form = await browser.open(`${gateway.url}/login?return_to=/whoami`);
  const page = await browser.submit(form, { user: who.user, password: who.password }, isCallback);
  return new URL(locationOf(page) as string);
}

function refused(page: Page, text: RegExp, status = 400): void {
  expect(page.status).toBe(status);
  expect(page.text).toMatch(text);
  expect(page.headers.get('content-type')).toMatch(/^text\/html/);
}

describe('login at an OpenID Connect provider', () => {
  test('leads to the page that was asked for, as the person the provider names', async () => {
    const browser = new HttpBrowser();
    const page = await logInByOidc(browser, gateway.url, ANN, '/login?return_to=/whoami');
    expect(page.url).toBe(`${gateway.url}/whoami`);
    expect(JSON.parse(page.text)).toMatchObject({
      kind: 'person',
      id: 'ann@acme.example',
      name: 'Ann',
      tenant: 'acme',
      roles: ['dba'],
      auth: { method: 'oidc', by: provider.issuer },
      jti: '@ann@acme.example',
      session: { csrf: expect.stringMatching(/^[\w-]{43}$/), authenticatedAt: expect.any(String) },
    });
  });

  test('asks for a code with PKCE, state and nonce, and nothing of them twice', async () => {
    const urls = await Promise.all(
      [0, 1].map(async () => new URL(locationOf(await new HttpBrowser().get(`${gateway.url}/login`)) as string)),
    );
    for (const { searchParams: sent, origin } of urls) {
      expect(origin).toBe(provider.issuer);
      expect(Object.fromEntries(sent)).toMatchObject({
        response_type: 'code',
        code_challenge_method: 'S256',
        scope: 'openid email profile',
        redirect_uri: `${gateway.url}/callback`,
        max_age: '43200',
      });
    }
    for (const name of ['state', 'nonce', 'code_challenge']) {
      const [one, other] = urls.map(({ searchParams }) => searchParams.get(name));
      expect(one).toMatch(/^[\w-]{43}$/);
      expect(one).not.toBe(other);
    }
  });

  test('the cookie is for the server alone, and the ledger has only its hash', async () => {
    const browser = new HttpBrowser();
    await logInByOidc(browser, gateway.url, ANN);
    const attributes = browser.attributes('countersign');
    expect(attributes).toContain('httponly');
    expect(attributes).toContain('samesite=lax');
    expect(attributes).toContain('path=/');
    expect(attributes).not.toContain('domain');
    const secret = browser.cookie('countersign') as string;
    const { person } = await whoami(browser);
    const rows = await gateway.pool.query<Record<string, unknown>>('select s::text as row from countersign.sessions s');
    const stored = rows.rows.map(({ row }) => String(row)).join('\n');
    expect(stored).toContain('ann@acme.example');
    expect(stored).not.toContain(secret);
    expect(stored).not.toContain((person['session'] as { csrf: string }).csrf);
  });

  test('neither secrets nor codes nor tokens are logged, also when it fails', async () => {
    const browser = new HttpBrowser();
    const back = await answered(browser);
    await browser.open(back.href);
    provider.lie = (claims, sign) => sign({ ...claims, nonce: 'another' });
    const again = await answered(new HttpBrowser());
    await browser.open(again.href);
    const log = JSON.stringify(gateway.logged);
    expect(log).toContain('logged in');
    for (const secret of [
      browser.cookie('countersign'),
      back.searchParams.get('code'),
      back.searchParams.get('state'),
      provider.clientSecret,
      'eyJ',
    ]) {
      expect(log).not.toContain(secret);
    }
  });

  test('a wrong password stays at the provider', async () => {
    const browser = new HttpBrowser();
    const page = await logInByOidc(browser, gateway.url, { ...ANN, password: 'wrong' });
    expect(page.url).toContain(provider.issuer);
    expect(page.text).toContain('Wrong user or password');
    expect((await whoami(browser)).status).toBe(401);
  });

  test('an id that cannot be one is refused, and the page says what to do', async () => {
    const browser = new HttpBrowser();
    const page = await logInByOidc(browser, gateway.url, EVE);
    refused(page, /1 to 63 letters/, 403);
    expect(page.text).toContain('/login?again=1');
    expect(page.text).not.toContain('eve+ann');
    expect(browser.cookie('countersign')).toBeUndefined();
  });

  test('several logins of one browser at once do not disturb each other', async () => {
    const browser = new HttpBrowser();
    const first = await browser.open(`${gateway.url}/login?return_to=/whoami`);
    const second = await browser.open(`${gateway.url}/login?return_to=/whoami`);
    for (const form of [first, second]) {
      const page = await browser.submit(form, { user: 'ann', password: ANN.password });
      expect(page.url).toBe(`${gateway.url}/whoami`);
    }
  });

  test('whoever is logged in goes on without the provider, unless they ask for it', async () => {
    const browser = new HttpBrowser();
    await logInByOidc(browser, gateway.url, ANN);
    expect(locationOf(await browser.get(`${gateway.url}/login?return_to=/whoami`))).toBe(`${gateway.url}/whoami`);
    const again = await browser.open(`${gateway.url}/login?again=1`);
    expect(again.url).toContain('/interaction/');
    expect(again.text).toContain('password');
  });

  test('a session of the provider alone does not count as a fresh proof', async () => {
    const browser = new HttpBrowser();
    await logInByOidc(browser, gateway.url, ANN);
    const first = (await whoami(browser)).person['session'] as { authenticatedAt: string };
    const silent = browser.copy();
    silent.setCookie('localhost', 'countersign', '');
    await silent.open(`${gateway.url}/login`);
    const { person } = await whoami(silent);
    expect((person['session'] as { authenticatedAt: string }).authenticatedAt).toBe(first.authenticatedAt);
    // As the provider said it, in whole seconds.
    expect(first.authenticatedAt).toMatch(/\.000Z$/);
  });

  test.each([
    ['evil', 'https://evil.example/'],
    ['evil without a scheme', '//evil.example'],
    ['evil by a backslash', '/\\evil.example'],
  ])('a login does not end at %s', async (_what, returnTo) => {
    const browser = new HttpBrowser();
    const form = await browser.open(`${gateway.url}/login?return_to=${encodeURIComponent(returnTo)}`);
    const page = await browser.submit(
      form,
      { user: 'ann', password: ANN.password },
      (location) => location === `${gateway.url}/`,
    );
    expect(locationOf(page)).toBe(`${gateway.url}/`);
  });
});

describe('a login that was tampered with', () => {
  test('cannot be ended twice: the state is good once', async () => {
    const browser = new HttpBrowser();
    const back = await answered(browser);
    expect((await browser.get(back.href)).status).toBe(303);
    refused(await browser.get(back.href), /began no such login/);
  });

  test('cannot be ended with a state that was made up, or without one', async () => {
    const browser = new HttpBrowser();
    const back = await answered(browser);
    for (const state of ['A'.repeat(43), 'x', '']) {
      const forged = new URL(back);
      forged.searchParams.set('state', state);
      refused(await browser.get(forged.href), /began no such login/);
    }
    back.searchParams.delete('state');
    refused(await browser.get(back.href), /began no such login/);
    expect((await whoami(browser)).status).toBe(401);
  });

  test('cannot be ended after ten minutes', async () => {
    const browser = new HttpBrowser();
    const back = await answered(browser);
    await gateway.pool.query("update countersign.logins set expires_at = expires_at - interval '10 minutes'");
    refused(await browser.get(back.href), /ten minutes/);
    expect((await whoami(browser)).status).toBe(401);
  });

  test("cannot be ended in another browser: nobody is logged in as somebody else's account (login CSRF)", async () => {
    const attacker = new HttpBrowser();
    const back = await answered(attacker, BOB);
    const victim = new HttpBrowser();
    refused(await victim.get(back.href), /This browser began no such login/);
    expect((await whoami(victim)).status).toBe(401);
    // Not even where the victim is about to log in.
    await answered(victim);
    refused(await victim.get(back.href), /This browser began no such login/);
    // And the attempt takes nothing from whoever began it.
    expect((await attacker.get(back.href)).status).toBe(303);
  });

  test("a code of another login is worth nothing: it does not answer this login's PKCE challenge", async () => {
    const attacker = new HttpBrowser();
    const stolen = (await answered(attacker, BOB)).searchParams.get('code') as string;
    const victim = new HttpBrowser();
    const back = await answered(victim);
    back.searchParams.set('code', stolen);
    refused(await victim.get(back.href), /does not verify/);
    expect((await whoami(victim)).status).toBe(401);
  });

  test('an answer that names another issuer is refused (mix-up)', async () => {
    const browser = new HttpBrowser();
    const back = await answered(browser);
    back.searchParams.set('iss', 'https://evil.example');
    refused(await browser.get(back.href), /does not verify/);
  });

  test('an answer that names no issuer is refused where the provider says it always does', async () => {
    const browser = new HttpBrowser();
    const back = await answered(browser);
    expect(back.searchParams.get('iss')).toBe(provider.issuer);
    back.searchParams.delete('iss');
    refused(await browser.get(back.href), /does not verify/);
  });

  test('a refusal of the provider is told without its words', async () => {
    const browser = new HttpBrowser();
    const state = (await answered(browser)).searchParams.get('state') as string;
    const query = new URLSearchParams({
      error: 'access_denied',
      error_description: '<b>call 5550199100</b>',
      state,
      iss: provider.issuer,
    });
    const page = await browser.get(`${gateway.url}/callback?${query.toString()}`);
    refused(page, /access_denied/);
    expect(page.text).not.toContain('5550199100');
  });
});

describe('an ID token that lies', () => {
  const now = (): number => Math.floor(Date.now() / 1000);

  test.each<[string, NonNullable<OidcProvider['lie']>]>([
    ['of another login (nonce)', (claims, sign) => sign({ ...claims, nonce: 'another' })],
    ['without a nonce', ({ nonce: _nonce, ...claims }, sign) => sign(claims)],
    ['of another issuer', (claims, sign) => sign({ ...claims, iss: 'https://evil.example' })],
    ['for another client', (claims, sign) => sign({ ...claims, aud: 'another' })],
    [
      'for several clients, and not authorized to this one',
      (claims, sign) => sign({ ...claims, aud: ['countersign', 'another'], azp: 'another' }),
    ],
    ['that has expired', (claims, sign) => sign({ ...claims, iat: now() - 700, exp: now() - 120 })],
    ['that is not signed (alg none)', (claims) => new UnsecuredJWT(claims).encode()],
    [
      'whose claims were changed after it was signed',
      async (claims, sign) => {
        const [head, , signature] = (await sign(claims)).split('.');
        const body = Buffer.from(JSON.stringify({ ...claims, email: 'root@acme.example' })).toString('base64url');
        return `${head}.${body}.${signature}`;
      },
    ],
    ['without a signature', async (claims, sign) => (await sign(claims)).replace(/[^.]*$/, '')],
    ['that is no token', () => 'no token'],
  ])('%s logs nobody in', async (_what, lie) => {
    const browser = new HttpBrowser();
    const back = await answered(browser);
    provider.lie = lie;
    refused(await browser.get(back.href), /does not verify/);
    expect((await whoami(browser)).status).toBe(401);
    expect(browser.cookie('countersign')).toBeUndefined();
  });

  test('a clock that is a little off is forgiven', async () => {
    const browser = new HttpBrowser();
    const back = await answered(browser);
    provider.lie = (claims, sign) => sign({ ...claims, iat: now() - 630, exp: now() - 30 });
    expect((await browser.get(back.href)).status).toBe(303);
    expect((await whoami(browser)).status).toBe(200);
  });

  test('when somebody proved who they are is not in the future', async () => {
    const browser = new HttpBrowser();
    const back = await answered(browser);
    provider.lie = (claims, sign) => sign({ ...claims, auth_time: now() + 86_400 });
    await browser.get(back.href);
    const { person } = await whoami(browser);
    const { authenticatedAt } = person['session'] as { authenticatedAt: string };
    expect(Date.parse(authenticatedAt)).toBeLessThanOrEqual(Date.now() + 1000);
  });
});

describe('logout', () => {
  test('ends the session, and offers to log out at the provider with what it needs to know', async () => {
    const browser = new HttpBrowser();
    await logInByOidc(browser, gateway.url, ANN);
    const thief = browser.copy();
    const { person } = await whoami(browser);
    const { csrf } = person['session'] as { csrf: string };
    const page = await browser.post(`${gateway.url}/logout`, { form: { _csrf: csrf } });
    expect(page.status).toBe(200);
    expect(browser.cookie('countersign')).toBeUndefined();
    expect((await whoami(browser)).status).toBe(401);
    expect((await whoami(thief)).status).toBe(401);
    const link = /href="(http[^"]+session\/end[^"]+)"/.exec(page.text)?.[1]?.replaceAll('&amp;', '&') as string;
    const there = new URL(link);
    expect(there.origin).toBe(provider.issuer);
    expect(there.searchParams.get('post_logout_redirect_uri')).toBe(`${gateway.url}/logged-out`);
    const confirm = await browser.open(link);
    const { action, fields } = formOf(confirm);
    const out = await browser.follow(await browser.post(action, { form: { ...fields, logout: 'yes' } }));
    expect(out.url).toBe(`${gateway.url}/logged-out`);
    expect(out.text).toContain('You are logged out');
    // The provider asks for the password again.
    expect((await browser.open(`${gateway.url}/login`)).text).toContain('password');
  });
});

describe('providers differ', () => {
  test('one that keeps claims out of the ID token is asked for them (userinfo), for the same subject', async () => {
    const { url } = await loginPort();
    const strict = await startOidcProvider({
      people: [ANN],
      clientRedirects: [`${url}/callback`],
      claimsInIdToken: false,
    });
    const { issuer, clientId, clientSecret } = strict;
    const other = await startLogin({ publicUrl: url, oidc: { issuer, clientId, clientSecret } }, { on: gateway });
    try {
      const page = await logInByOidc(new HttpBrowser(), url, ANN, '/login?return_to=/whoami');
      expect(JSON.parse(page.text)).toMatchObject({ id: 'ann@acme.example', tenant: 'acme', roles: ['dba'] });
    } finally {
      await other.stop();
      await strict.stop();
    }
  });

  test('one that is down is told on a page; once it is up, people log in without a restart', async () => {
    const { url } = await loginPort();
    const { port } = await loginPort();
    const { clientId, clientSecret } = provider;
    const oidc = { issuer: `http://127.0.0.1:${port}`, clientId, clientSecret };
    const other = await startLogin({ publicUrl: url, oidc }, { on: gateway });
    try {
      refused(await new HttpBrowser().open(`${url}/login`), /does not answer/, 503);
      const late = await startOidcProvider({ people: [ANN], clientRedirects: [`${url}/callback`], port });
      const page = await logInByOidc(new HttpBrowser(), url, ANN, '/login?return_to=/whoami');
      expect(JSON.parse(page.text)).toMatchObject({ id: 'ann@acme.example' });
      await late.stop();
    } finally {
      await other.stop();
    }
  });

  test('one without TLS is refused, unless it is on this machine', async () => {
    const { url } = await loginPort();
    const oidc = { issuer: 'http://id.acme.example', clientId: 'countersign' };
    await expect(startLogin({ publicUrl: url, oidc }, { on: gateway })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      field: 'oidc.issuer',
    });
  });

  test('a session of a provider that is trusted no more is worth nothing', async () => {
    const browser = new HttpBrowser();
    await logInByOidc(browser, gateway.url, ANN);
    const { url } = await loginPort();
    const oidc = { issuer: 'https://another.example', clientId: 'countersign' };
    const other = await startLogin({ publicUrl: url, oidc }, { on: gateway });
    try {
      expect((await browser.get(`${url}/whoami`)).status).toBe(401);
      expect((await whoami(browser)).status).toBe(200);
    } finally {
      await other.stop();
    }
  });
});
