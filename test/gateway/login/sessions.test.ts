import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HttpBrowser, type Page, type Sent } from '../../support/http-browser.js';
import { loginPort, startLogin, type LoginGateway } from '../../support/login-gateway.js';

const PEOPLE = [
  { id: 'ann@acme.example', name: 'Ann', tenant: 'acme', roles: ['dba'] },
  { id: 'bob', name: 'Bob', tenant: 'globex', roles: ['dba'] },
];

let gateway: LoginGateway;
let other: LoginGateway;

beforeAll(async () => {
  const { url } = await loginPort();
  gateway = await startLogin({ publicUrl: url, devPeople: PEOPLE });
  const second = await loginPort();
  other = await startLogin({ publicUrl: second.url, devPeople: PEOPLE }, { on: gateway });
});
afterAll(async () => {
  await other.stop();
  await gateway.stop();
});

interface LoggedIn {
  readonly browser: HttpBrowser;
  readonly secret: string;
  readonly csrf: string;
}

async function logIn(person = 0, browser = new HttpBrowser()): Promise<LoggedIn> {
  const page = await browser.submit(await browser.open(`${gateway.url}/login?again=1&return_to=/whoami`), {
    person: String(person),
  });
  const { session } = JSON.parse(page.text) as { session: { csrf: string } };
  return { browser, secret: browser.cookie('countersign') as string, csrf: session.csrf };
}

function whoami(browser: HttpBrowser, url = gateway.url): Promise<Page> {
  return browser.get(`${url}/whoami`);
}

function change(browser: HttpBrowser, sent: Sent): Promise<Page> {
  return browser.post(`${gateway.url}/change`, sent);
}

/** Makes time pass for one session. */
async function age(secret: string, column: 'last_seen_at' | 'expires_at', interval: string): Promise<void> {
  const id = createHash('sha256').update(secret).digest('hex');
  await gateway.pool.query(`update countersign.sessions set ${column} = ${column} - $2::interval where id_hash = $1`, [
    id,
    interval,
  ]);
}

describe('a session', () => {
  test('is known to every gateway on the ledger', async () => {
    const { browser } = await logIn();
    expect((await whoami(browser, other.url)).status).toBe(200);
  });

  test('gets a new id at every login, whatever the browser came with (fixation)', async () => {
    const planted = 'A'.repeat(43);
    const victim = new HttpBrowser();
    victim.setCookie('localhost', 'countersign', planted);
    const first = await logIn(0, victim);
    expect(first.secret).not.toBe(planted);
    const attacker = new HttpBrowser();
    attacker.setCookie('localhost', 'countersign', planted);
    expect((await whoami(attacker)).status).toBe(401);
    const second = await logIn(0, victim);
    expect(second.secret).not.toBe(first.secret);
  });

  test('of before ends at a new login: whoever has its cookie has nothing', async () => {
    const first = await logIn();
    const thief = first.browser.copy();
    await logIn(1, first.browser);
    expect((await whoami(thief)).status).toBe(401);
    expect(JSON.parse((await whoami(first.browser)).text)).toMatchObject({ id: 'bob' });
  });

  test('ends when it was not used for as long as it may idle', async () => {
    const { browser, secret } = await logIn();
    await age(secret, 'last_seen_at', '29 minutes');
    expect((await whoami(browser)).status).toBe(200);
    // That was use: the time begins anew.
    await age(secret, 'last_seen_at', '29 minutes');
    expect((await whoami(browser)).status).toBe(200);
    await age(secret, 'last_seen_at', '31 minutes');
    expect((await whoami(browser)).status).toBe(401);
    expect((await whoami(browser, other.url)).status).toBe(401);
  });

  test('ends after as long as it may last, however much it is used', async () => {
    const { browser, secret } = await logIn();
    await age(secret, 'expires_at', '11 hours 59 minutes');
    expect((await whoami(browser)).status).toBe(200);
    await age(secret, 'expires_at', '1 minute');
    expect((await whoami(browser)).status).toBe(401);
  });

  test('ends at logout for good, at every gateway and for whoever copied its cookie', async () => {
    const { browser, csrf } = await logIn();
    const thief = browser.copy();
    const page = await browser.post(`${gateway.url}/logout`, { form: { _csrf: csrf } });
    expect(page.status).toBe(200);
    expect(page.text).toContain('You are logged out');
    expect(browser.cookie('countersign')).toBeUndefined();
    expect((await whoami(thief)).status).toBe(401);
    expect((await whoami(thief, other.url)).status).toBe(401);
    expect((await change(thief, { headers: { 'x-csrf-token': csrf } })).status).toBe(401);
  });

  test('ends at once when the authority of the person is revoked, and none begins any more', async () => {
    const { url } = await loginPort();
    const people = [{ id: 'Mallory', name: 'Mallory', tenant: 'acme', roles: ['dba'] }];
    const third = await startLogin({ publicUrl: url, devPeople: people }, { on: gateway });
    try {
      const browser = new HttpBrowser();
      await browser.submit(await browser.open(`${url}/login`), { person: '0' }, () => true);
      expect((await whoami(browser, url)).status).toBe(200);
      // Another tenant's revocation of the same name is none.
      await gateway.ledger.controls.revoke({ tenant: 'globex', jti: '@mallory', reason: 'left', by: 'op' });
      expect((await whoami(browser, url)).status).toBe(200);
      await gateway.ledger.controls.revoke({ tenant: 'acme', jti: '@mallory', reason: 'left', by: 'op' });
      expect((await whoami(browser, url)).status).toBe(401);
      const page = await browser.submit(await browser.open(`${url}/login`), { person: '0' });
      expect(page.status).toBe(403);
      expect(page.text).toContain('revoked');
      expect((await whoami(browser, url)).status).toBe(401);
    } finally {
      await third.stop();
    }
  });

  test.each(['', 'x', 'A'.repeat(43), 'A'.repeat(42), `${'A'.repeat(43)}'--`, '%00'.repeat(10), '.'.repeat(43)])(
    'is not had with the cookie %j',
    async (cookie) => {
      const browser = new HttpBrowser();
      browser.setCookie('localhost', 'countersign', cookie);
      expect((await whoami(browser)).status).toBe(401);
    },
  );

  test('is not had with what the ledger keeps of it', async () => {
    const { secret } = await logIn();
    const thief = new HttpBrowser();
    thief.setCookie('localhost', 'countersign', createHash('sha256').update(secret).digest('hex'));
    expect((await whoami(thief)).status).toBe(401);
    thief.setCookie('localhost', 'countersign', createHash('sha256').update(secret).digest('base64url'));
    expect((await whoami(thief)).status).toBe(401);
  });

  test('where people come by https, its cookie is for this very host and for TLS', async () => {
    const { port } = await loginPort();
    const oidc = { issuer: 'http://127.0.0.1:9', clientId: 'countersign' };
    const secure = await startLogin(
      { publicUrl: 'https://approvals.acme.example', oidc, trustedProxies: 1 },
      { on: gateway, port },
    );
    try {
      // As a proxy that ends TLS passes it on.
      const headers = { 'x-forwarded-host': 'approvals.acme.example' };
      const browser = new HttpBrowser();
      await browser.get(`http://localhost:${port}/login`, { headers });
      const attributes = browser.attributes('__Host-countersign-login') ?? '';
      for (const attribute of ['secure', 'httponly', 'path=/', 'samesite=lax']) expect(attributes).toContain(attribute);
      expect(attributes).not.toContain('domain');
      const { secret } = await logIn();
      const plain = new HttpBrowser();
      plain.setCookie('localhost', 'countersign', secret);
      expect((await plain.get(`http://localhost:${port}/whoami`, { headers })).status).toBe(401);
    } finally {
      await secure.stop();
    }
  });
});

describe('a request that changes something', () => {
  test('is taken with the token of the session, in the header or in the form', async () => {
    const { browser, csrf } = await logIn();
    expect((await change(browser, { headers: { 'x-csrf-token': csrf } })).status).toBe(200);
    expect((await change(browser, { form: { _csrf: csrf } })).status).toBe(200);
    expect((await change(browser, { json: {}, headers: { 'x-csrf-token': csrf } })).status).toBe(200);
  });

  test('is refused without it, with a wrong one, or with that of another session', async () => {
    const { browser, csrf, secret } = await logIn();
    const another = await logIn();
    const attempts: Sent[] = [
      {},
      { form: {} },
      { form: { _csrf: '' } },
      { form: { _csrf: another.csrf } },
      { form: { _csrf: csrf.slice(0, -1) } },
      { form: { _csrf: `${csrf}A` } },
      { form: { _csrf: secret } },
      { json: { _csrf: csrf } },
      { headers: { 'x-csrf-token': another.csrf } },
      { headers: { 'x-csrf-token': '' } },
      // A wrong header is not made good by a field.
      { headers: { 'x-csrf-token': 'x' }, form: { _csrf: csrf } },
    ];
    for (const sent of attempts) {
      const page = await change(browser, sent);
      expect(page.status).toBe(403);
      expect(JSON.parse(page.text)).toMatchObject({ code: 'CSRF' });
    }
  });

  test('is refused from another site, also with the right token', async () => {
    const { browser, csrf } = await logIn();
    const form = { _csrf: csrf };
    const { port } = new URL(gateway.url);
    for (const headers of [
      { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
      { origin: gateway.url, 'sec-fetch-site': 'cross-site' },
      { origin: gateway.url, 'sec-fetch-site': 'same-site' },
      { origin: gateway.url, 'sec-fetch-site': 'none' },
      { origin: 'null', 'sec-fetch-site': 'cross-site' },
      { origin: 'https://evil.example', 'sec-fetch-site': 'same-origin' },
      { origin: `http://localhost:${port}1`, 'sec-fetch-site': 'same-origin' },
      { origin: `http://127.0.0.1:${port}`, 'sec-fetch-site': 'same-origin' },
      { origin: `https://localhost:${port}`, 'sec-fetch-site': 'same-origin' },
    ]) {
      expect((await change(browser, { form, headers })).status).toBe(403);
    }
  });

  test('is taken from a page that keeps its address to itself, where the browser says that it is ours', async () => {
    const { browser, csrf } = await logIn();
    const headers = { origin: 'null', 'sec-fetch-site': 'same-origin' };
    expect((await change(browser, { form: { _csrf: csrf }, headers })).status).toBe(200);
  });

  test('is refused when an agent key comes along', async () => {
    const { browser, csrf } = await logIn();
    const headers = { 'x-csrf-token': csrf, authorization: 'Bearer csa_made-up' };
    expect((await change(browser, { headers })).status).toBe(401);
  });

  test('of logging out needs the token as well: nobody is logged out by another site', async () => {
    const { browser } = await logIn();
    expect((await browser.post(`${gateway.url}/logout`, { form: {} })).status).toBe(403);
    expect((await browser.get(`${gateway.url}/logout`)).status).toBe(404);
    expect((await whoami(browser)).status).toBe(200);
  });
});
