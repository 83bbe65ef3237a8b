import { request } from 'node:http';
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { GatewaySettings } from '../../../src/gateway/deps.js';
import { formOf, HttpBrowser, type Page } from '../../support/http-browser.js';
import { loginPort, startLogin, type LoginGateway } from '../../support/login-gateway.js';

const PEOPLE = [
  { id: 'ann@acme.example', name: 'Ann', tenant: 'acme', roles: ['dba'] },
  { id: 'bob', name: 'Bob <script>alert(1)</script>', tenant: 'globex', roles: [] },
];

let gateway: LoginGateway;

beforeAll(async () => {
  const { url } = await loginPort();
  gateway = await startLogin({ publicUrl: url, devPeople: PEOPLE });
});
afterAll(() => gateway.stop());

async function be(browser: HttpBrowser, person: number, path = '/login?return_to=/whoami'): Promise<Page> {
  const page = await browser.open(`${gateway.url}${path}`);
  return browser.submit(page, { person: String(person) });
}

function whoami(browser: HttpBrowser): Promise<Page> {
  return browser.get(`${gateway.url}/whoami`);
}

describe('the login for development', () => {
  test('says loudly what it is, and whom one can be', async () => {
    const page = await new HttpBrowser().open(`${gateway.url}/login`);
    expect(page.url).toBe(`${gateway.url}/dev-login`);
    expect(page.text).toContain('Not for production');
    expect(page.text).toContain('anyone on this machine can be anybody');
    expect(page.text).toContain('ann@acme.example');
    expect(page.text).not.toContain('<script>alert');
  });

  test('logs in as whoever is chosen, known as of the login for development', async () => {
    const browser = new HttpBrowser();
    const page = await be(browser, 0);
    expect(page.url).toBe(`${gateway.url}/whoami`);
    expect(JSON.parse(page.text)).toMatchObject({
      id: 'ann@acme.example',
      roles: ['dba'],
      auth: { method: 'dev', by: 'dev' },
    });
  });

  test('somebody without a role may look', async () => {
    const browser = new HttpBrowser();
    expect(JSON.parse((await be(browser, 1)).text)).toMatchObject({ id: 'bob', tenant: 'globex', roles: [] });
  });

  test.each([['2'], ['-1'], ['1.5'], ['__proto__'], [''], ['999999999999']])('nobody is number %j', async (person) => {
    const browser = new HttpBrowser();
    const form = formOf(await browser.open(`${gateway.url}/dev-login`));
    const page = await browser.post(form.action, { form: { ...form.fields, person } });
    expect(page.status).toBe(403);
    expect((await whoami(browser)).status).toBe(401);
  });

  test('another site cannot log a browser in: it lacks what the page holds', async () => {
    const browser = new HttpBrowser();
    const { action, fields } = formOf(await browser.open(`${gateway.url}/dev-login`));
    const attempts = [
      browser.post(action, {
        form: { ...fields },
        headers: { origin: 'http://evil.example', 'sec-fetch-site': 'cross-site' },
      }),
      browser.post(action, {
        form: { ...fields },
        headers: { origin: 'http://localhost:1', 'sec-fetch-site': 'same-site' },
      }),
      browser.post(action, { form: { ...fields }, headers: { origin: 'null', 'sec-fetch-site': 'cross-site' } }),
      browser.post(action, { form: { person: '0' } }),
      browser.post(action, { form: { person: '0', state: 'A'.repeat(43) } }),
      new HttpBrowser().post(action, { form: { ...fields, person: '0' } }),
    ];
    for (const page of await Promise.all(attempts)) expect([400, 403]).toContain(page.status);
    expect((await whoami(browser)).status).toBe(401);
    // The page itself still can, once.
    expect((await browser.post(action, { form: { ...fields, person: '0' } })).status).toBe(303);
    expect((await browser.post(action, { form: { ...fields, person: '1' } })).status).toBe(400);
    expect(JSON.parse((await whoami(browser)).text)).toMatchObject({ id: 'ann@acme.example' });
  });

  test('is not what one comes to under another name (DNS rebinding)', async () => {
    for (const host of ['evil.example', `evil.example:${new URL(gateway.url).port}`, '127.0.0.1.nip.io', '']) {
      expect(await statusFor(host, '/dev-login')).toBe(host === '' ? 400 : 421);
    }
    expect(await statusFor(new URL(gateway.url).host.toUpperCase(), '/dev-login')).toBe(200);
  });

  test('is for this machine only, also where the gateway can be reached from elsewhere', async () => {
    const { url, port } = await loginPort();
    const open = await startLogin({ publicUrl: url, devPeople: PEOPLE }, { on: gateway, host: '0.0.0.0' });
    try {
      const addresses = Object.values(networkInterfaces())
        .flatMap((addressesOf) => addressesOf ?? [])
        .filter(({ family }) => family === 'IPv4');
      for (const { address, internal } of addresses) {
        expect([address, await statusFor(`localhost:${port}`, '/dev-login', { address, port })]).toEqual([
          address,
          internal ? 200 : 403,
        ]);
      }
      expect(addresses.some(({ internal }) => internal)).toBe(true);
    } finally {
      await open.stop();
    }
  });
});

/** With a Host header of its own, which fetch does not let one set. */
function statusFor(
  host: string,
  path: string,
  { address, port } = { address: '127.0.0.1', port: Number(new URL(gateway.url).port) },
): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: address, port, path, setHost: false, headers: host === '' ? {} : { host } },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      },
    );
    sent.on('error', reject);
    sent.end();
  });
}

describe('a gateway that would let in whoever should not come', () => {
  const oidc = { issuer: 'https://id.example', clientId: 'countersign' };
  test.each<[string, Partial<GatewaySettings> & { publicUrl: string }]>([
    ['reached by others', { publicUrl: 'https://approvals.acme.example', devPeople: PEOPLE }],
    ['with a provider beside', { publicUrl: 'http://localhost:8787', devPeople: PEOPLE, oidc }],
    [
      'with a person who cannot be one',
      { publicUrl: 'http://localhost:8787', devPeople: [{ ...PEOPLE[0]!, id: 'a b' }] },
    ],
  ])('%s does not start', async (_what, settings) => {
    const { port } = await loginPort();
    await expect(startLogin(settings, { on: gateway, port })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  test('without any login says so, instead of letting anybody in', async () => {
    const { url } = await loginPort();
    const other = await startLogin({ publicUrl: url }, { on: gateway });
    try {
      for (const path of ['/login', '/dev-login', '/callback?state=x']) {
        expect((await new HttpBrowser().open(`${url}${path}`)).status).toBe(404);
      }
      expect((await new HttpBrowser().post(`${url}/dev-login`, { form: { person: '0' } })).status).toBe(404);
    } finally {
      await other.stop();
    }
  });

  test('a session of the login for development is worth nothing where a provider is configured', async () => {
    const browser = new HttpBrowser();
    await be(browser, 0);
    const { url } = await loginPort();
    const other = await startLogin({ publicUrl: url, oidc }, { on: gateway });
    try {
      expect((await browser.get(`${url}/whoami`)).status).toBe(401);
    } finally {
      await other.stop();
    }
  });
});
