/** A shop, a worker, an identity provider and a gateway, all real, and a browser to look at its pages with. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import pino from 'pino';
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { freePort } from '../../src/dev/free-port.js';
import { startGateway, type RunningGateway } from '../../src/gateway/server/server.js';
import { ApiKeys } from '../../src/gateway/store/api-keys.js';
import { journalTool } from '../support/journal-tool.js';
import { launchBrowser } from '../support/browser.js';
import { startOidcProvider, type OidcPerson, type OidcProvider } from '../support/oidc.js';
import { shopTool, startStack, TENANT, type Stack } from '../support/stack.js';

const PASSWORD = 'a-password-of-the-tests';

/** Gina is of another tenant. */
export type PersonName = 'dora' | 'lena' | 'otto' | 'vera' | 'gina' | 'paula';

const PEOPLE: Readonly<
  Record<PersonName, { readonly name: string; readonly roles: readonly string[]; readonly tenant?: string }>
> = {
  dora: { name: 'Dora Baum', roles: ['dba'] },
  lena: { name: 'Lena Adler', roles: ['lead'] },
  otto: { name: 'Otto Prantl', roles: ['operator', 'dba'] },
  vera: { name: 'Vera Kohl', roles: [] },
  paula: { name: 'Paula Stern', roles: ['platform-operator'] },
  gina: { name: 'Gina Roth', roles: ['dba', 'operator'], tenant: 'globex' },
};

const SHOP = `
  CREATE TABLE users    (id int PRIMARY KEY, name text NOT NULL, email text NOT NULL, joined_on date NOT NULL);
  CREATE TABLE products (id int PRIMARY KEY, name text NOT NULL, price_cents int NOT NULL, stock int NOT NULL);
  CREATE TABLE orders   (id int PRIMARY KEY, user_id int NOT NULL, total_cents int NOT NULL, status text NOT NULL, note text);
  CREATE TABLE sessions (id int PRIMARY KEY, user_id int NOT NULL, last_seen date NOT NULL);
  INSERT INTO users SELECT n, 'Customer ' || n, 'customer' || n || '@example.com', date '2019-01-01' + 6 * n FROM generate_series(1, 300) n;
  INSERT INTO products VALUES (1, 'Teapot', 2900, 40), (2, 'Kettle', 4900, 25), (3, 'Mug', 900, 120);
  INSERT INTO orders SELECT 1000 + n, 1 + n % 300, 900 + 37 * n, CASE WHEN n <= 150 THEN 'unpaid' ELSE 'shipped' END, NULL FROM generate_series(1, 400) n;
  INSERT INTO sessions SELECT n, 1 + n % 300, date '2025-01-01' + CASE WHEN n <= 5000 THEN n % 90 ELSE 200 + n % 30 END FROM generate_series(1, 5200) n;
`;

/** Beside the starter's, which want a dba for over 100 rows in production. */
const POLICIES = `
@id("stock-by-passkey")
@reason("prices and stock in {environment} are changed by a person with a passkey")
@approval("dba|lead, passkey, ttl=8h")
forbid (principal, action == Countersign::Action::"WRITE", resource)
when { context.targets.contains("products") };

@id("two-for-customers")
@reason("changing {rows} customers needs two people")
@approval("dba|lead, quorum=2, ttl=4h, escalate=1h:operator")
forbid (principal, action == Countersign::Action::"WRITE", resource)
when { context.targets.contains("users") };
`;

/** Wide enough to stop nobody here. */
const LIMITS = `
limits:
  rows-deleted:
    kind: budget
    scope: tenant
    when: actionType == "DELETE"
    amount: preview.rows
    unit: rows
    max: 20000
    window: 1d
`;

const VIOLATIONS = `
  window.violations = [];
  document.addEventListener('securitypolicyviolation', (event) => window.violations.push(event.violatedDirective));
`;

export interface World {
  readonly stack: Stack;
  readonly url: string;
  readonly browser: Browser;
  /** What the gateway logged as warnings or worse. */
  readonly logged: readonly string[];
  gateway: RunningGateway;
  /** An agent's proposal over HTTP. Answers as soon as it waits for people or has ended. */
  propose(
    proposal: object,
    options?: { readonly agent?: string },
  ): Promise<{ status: number; body: Record<string, unknown> }>;
  /** A window of its own, whose pages tell in `window.violations` what their Content-Security-Policy stopped. */
  context(options?: BrowserContextOptions): Promise<BrowserContext>;
  /** A page of somebody who is logged in. With `anew` or options of a window it is in a window of its own. */
  logIn(who: PersonName, options?: BrowserContextOptions & LogIn): Promise<Page>;
  /** Closes every page; whoever is logged in stays so. */
  closePages(): Promise<void>;
  /** A value from the shop's database. */
  ask(query: string): Promise<unknown>;
  stop(): Promise<void>;
}

export interface LogIn {
  /** The page that they came for, and are led back to. Default the inbox. */
  readonly at?: string;
  /** Whether they log in at the identity provider now, instead of once for all of their pages. */
  readonly anew?: boolean;
}

export async function startWorld({
  agents = ['cleaner'],
}: { readonly agents?: readonly string[] } = {}): Promise<World> {
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const passkeys = { rpId: 'localhost', origins: [url] };
  const stack = await startStack({ schema: SHOP, worker: false });
  const folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-journal-'));
  const production = path.join(stack.policies, 'production.cedar');
  await writeFile(production, `${await readFile(production, 'utf8')}\n${POLICIES}`);
  await writeFile(path.join(stack.policies, 'limits.yaml'), LIMITS);
  await stack.startWorker({
    config: {
      policies: stack.policies,
      tools: [
        shopTool(stack.shopUrl),
        shopTool(stack.shopUrl, { name: 'staging-db', environment: 'staging' }),
        journalTool({ name: 'journal', file: path.join(folder, 'journal'), idempotency: 'none', canLookUp: false }),
      ],
      passkeys,
    },
  });
  const oidc: OidcProvider = await startOidcProvider({
    people: Object.entries(PEOPLE).map(([user, { name, roles, tenant = TENANT }]): OidcPerson => {
      const email = `${user}@example.com`;
      return { user, password: PASSWORD, claims: { email, email_verified: true, name, tenant, roles } };
    }),
    clientRedirects: [`${url}/callback`],
  });
  const logged: string[] = [];
  const startOne = (): Promise<RunningGateway> =>
    startGateway({
      config: {
        passkeys,
        gateway: {
          port,
          publicUrl: url,
          temporalUiUrl: 'http://localhost:8233',
          oidc: { issuer: oidc.issuer, clientId: oidc.clientId },
        },
      },
      temporal: stack.temporal,
      ledgerUrl: stack.ledgerUrl,
      keyring: stack.keyring,
      logger: pino({ level: 'warn' }, { write: (line: string) => logged.push(line) }),
      env: { COUNTERSIGN_OIDC_CLIENT_SECRET: oidc.clientSecret },
    });
  const gateway = await startOne();
  const browser = await launchBrowser();
  const keys = new ApiKeys(stack.database);
  const tokens = new Map<string, string>();
  for (const agent of agents) {
    const { text } = await keys.create({
      agent,
      tenant: TENANT,
      roles: ['admin_user'],
      scopes: ['*'],
      owner: 'owen@example.com',
      ttlSeconds: 3600,
    });
    tokens.set(agent, text);
  }
  /** Of everybody who has logged in, with what their pages have loaded. */
  const windows = new Map<PersonName, BrowserContext>();
  const throughLogin = async (window: BrowserContext, who: PersonName, at: string): Promise<Page> => {
    const page = await window.newPage();
    await page.goto(at);
    await page.getByLabel('User').fill(who);
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Log in' }).click();
    const { origin, pathname } = new URL(at, url);
    await page.waitForURL((now) => now.origin === origin && now.pathname === pathname);
    return page;
  };
  const world: World = {
    stack,
    url,
    browser,
    logged,
    gateway,
    async propose(proposal, { agent = agents[0] as string } = {}) {
      const answer = await fetch(`${url}/v1/actions?wait=30`, {
        method: 'POST',
        headers: { authorization: `Bearer ${tokens.get(agent)}`, 'content-type': 'application/json' },
        body: JSON.stringify(proposal),
      });
      return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
    },
    async context(options) {
      const window = await browser.newContext({ baseURL: url, ...options });
      await window.addInitScript(VIOLATIONS);
      return window;
    },
    async logIn(who, { at = '/', anew = false, ...options } = {}) {
      if (anew) return throughLogin(await world.context(options), who, at);
      let window = windows.get(who);
      if (window === undefined) {
        window = await world.context();
        windows.set(who, window);
        await (await throughLogin(window, who, at)).close();
      }
      if (Object.keys(options).length > 0)
        window = await world.context({ ...options, storageState: await window.storageState() });
      const page = await window.newPage();
      await page.goto(at);
      return page;
    },
    async closePages() {
      const kept = new Set(windows.values());
      await Promise.all(
        browser.contexts().map((window) => {
          return kept.has(window) ? Promise.all(window.pages().map((page) => page.close())) : window.close();
        }),
      );
    },
    async ask(query) {
      const { rows } = await stack.shop.query<unknown[]>({ text: query, rowMode: 'array' });
      return rows[0]?.[0];
    },
    async stop() {
      await browser.close();
      await world.gateway.stop();
      await oidc.stop();
      await stack.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return world;
}
