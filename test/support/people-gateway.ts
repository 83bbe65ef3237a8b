/** The whole gateway over a stack, with a provider where people log in and keys with which agents propose. */
import pino from 'pino';
import { freePort } from '../../src/dev/free-port.js';
import { startGateway, type GatewayOptions, type RunningGateway } from '../../src/gateway/server/server.js';
import { ApiKeys, type ApiKeyOptions } from '../../src/gateway/store/api-keys.js';
import { HttpBrowser, type Page } from './http-browser.js';
import { logInByOidc, startOidcProvider, type OidcPerson, type OidcProvider } from './oidc.js';
import { shopTool, TENANT, type Stack } from './stack.js';

export interface PeopleGateway {
  readonly url: string;
  readonly provider: OidcProvider;
  readonly passkeys: { readonly rpId: string; readonly origins: readonly string[] };
  /** A browser in which this person has logged in. */
  logIn(user: string, browser?: HttpBrowser): Promise<PersonBrowser>;
  /** The Authorization header of an agent with a new key. */
  agent(options?: Partial<ApiKeyOptions>): Promise<string>;
  stop(): Promise<void>;
}

/** Speaks for the page: sends the session's token with everything. */
export interface PersonBrowser {
  readonly browser: HttpBrowser;
  readonly csrf: string;
  get(path: string): Promise<Page>;
  post(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<Page>;
}

/** Everybody's password is `secret`. Starts the stack's worker with the gateway's passkeys. */
export async function startPeopleGateway(
  stack: Stack,
  people: readonly Omit<OidcPerson, 'password'>[],
  options: Partial<GatewayOptions> = {},
): Promise<PeopleGateway> {
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const passkeys = { rpId: 'localhost', origins: [url] };
  await stack.startWorker({ config: { policies: stack.policies, tools: [shopTool(stack.shopUrl)], passkeys } });
  const provider = await startOidcProvider({
    people: people.map((person) => ({ ...person, password: 'secret' })),
    clientRedirects: [`${url}/callback`],
  });
  const { issuer, clientId, clientSecret } = provider;
  let gateway: RunningGateway;
  try {
    gateway = await startGateway({
      config: { gateway: { port, publicUrl: url, oidc: { issuer, clientId } }, passkeys },
      temporal: stack.temporal,
      ledgerUrl: stack.ledgerUrl,
      keyring: stack.keyring,
      logger: pino({ level: process.env['TEST_LOG'] ?? 'silent' }),
      env: { COUNTERSIGN_OIDC_CLIENT_SECRET: clientSecret },
      ...options,
    });
  } catch (error) {
    await provider.stop();
    throw error;
  }
  return {
    url,
    provider,
    passkeys,
    async logIn(user, browser = new HttpBrowser()) {
      await logInByOidc(browser, url, { user, password: 'secret' }, '/login?again=1&return_to=/healthz');
      const me = await browser.get(`${url}/v1/me`);
      if (me.status !== 200) throw new Error(`${user} could not log in`);
      const { csrf } = JSON.parse(me.text) as { csrf: string };
      return {
        browser,
        csrf,
        get: (path) => browser.get(`${url}${path}`),
        post: (path, json, headers) =>
          browser.post(`${url}${path}`, { json, headers: { 'x-csrf-token': csrf, ...headers } }),
      };
    },
    async agent(agentOptions) {
      const keys = new ApiKeys(stack.database);
      const key = await keys.create({
        agent: 'agent-1',
        tenant: TENANT,
        roles: ['admin_user'],
        scopes: ['*'],
        ...agentOptions,
      });
      return `Bearer ${key.text}`;
    },
    async stop() {
      await gateway.stop();
      await provider.stop();
    },
  };
}
