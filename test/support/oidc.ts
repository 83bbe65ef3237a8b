/** A real OpenID Connect provider on loopback, with a login form for browsers, that can also be made to lie. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWTPayload } from 'jose';
import { Provider, type KoaContextWithOIDC } from 'oidc-provider';
import type { HttpBrowser, Page } from './http-browser.js';

export interface OidcPerson {
  readonly user: string;
  readonly password: string;
  /** What the provider says of them besides `sub`: `email`, `email_verified`, `name`, `tenant`, `roles` … */
  readonly claims: Readonly<Record<string, unknown>>;
}

export interface OidcProviderOptions {
  readonly people: readonly OidcPerson[];
  /** The gateways' `/callback`s. */
  readonly clientRedirects: readonly string[];
  /** Whether claims are in the ID token as well; a provider that keeps to the letter leaves them to userinfo. Default true. */
  readonly claimsInIdToken?: boolean;
  /** Default one that is free. */
  readonly port?: number;
}

export interface OidcProvider {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** While set, what the token endpoint sends as the ID token is what this makes of it. */
  lie: ((idToken: JWTPayload, sign: Signer) => Promise<string> | string) | undefined;
  stop(): Promise<void>;
}

/** Signs with the provider's own key. */
export type Signer = (claims: JWTPayload) => Promise<string>;

const CLIENT = { clientId: 'countersign', clientSecret: 'a-secret-of-the-test-client' };
/** All the claims that tests use, given for the scope `profile` or `email`. */
const PROFILE = ['name', 'preferred_username', 'tenant', 'roles', 'realm_access', 'https://acme.example/tenant'];

export async function startOidcProvider(options: OidcProviderOptions): Promise<OidcProvider> {
  const server = createServer();
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  // By number, so that its cookies are not those of a gateway at localhost.
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  const running: OidcProvider = { issuer, ...CLIENT, lie: undefined, stop: () => close(server) };
  const provider = await createProvider(issuer, privateKey, options);
  provider.use(async (ctx, next) => {
    await next();
    const body = ctx.body as { id_token?: string } | undefined;
    if (running.lie === undefined || (ctx as KoaContextWithOIDC).oidc?.route !== 'token' || !body?.id_token) return;
    const claims = JSON.parse(Buffer.from(body.id_token.split('.')[1] ?? '', 'base64url').toString()) as JWTPayload;
    const sign: Signer = (said) => new SignJWT(said).setProtectedHeader({ alg: 'RS256', kid: 'test' }).sign(privateKey);
    ctx.body = { ...body, id_token: await running.lie(claims, sign) };
  });
  const handle = provider.callback();
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    if (request.url?.startsWith('/interaction/') !== true) return void handle(request, response);
    interact(provider, options.people, request, response).catch((error: unknown) => {
      response.writeHead(400, { 'content-type': 'text/plain' }).end(String(error));
    });
  });
  return running;
}

/** Logs in at the gateway as a browser would, by way of the provider's form; answers with where it ends. */
export async function logInByOidc(
  browser: HttpBrowser,
  gatewayUrl: string,
  { user, password }: Pick<OidcPerson, 'user' | 'password'>,
  path = '/login',
): Promise<Page> {
  const form = await browser.open(`${gatewayUrl}${path}`);
  return browser.submit(form, { user, password });
}

async function createProvider(issuer: string, key: CryptoKey, options: OidcProviderOptions): Promise<Provider> {
  const { people, clientRedirects, claimsInIdToken = true } = options;
  return new Provider(issuer, {
    clients: [
      {
        client_id: CLIENT.clientId,
        client_secret: CLIENT.clientSecret,
        redirect_uris: [...clientRedirects],
        post_logout_redirect_uris: clientRedirects.map((redirect) => new URL('/logged-out', redirect).href),
      },
    ],
    jwks: { keys: [{ ...(await exportJWK(key)), kid: 'test', use: 'sig', alg: 'RS256' }] },
    cookies: { keys: ['a-key-of-the-test-provider'] },
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: PROFILE },
    conformIdTokenClaims: !claimsInIdToken,
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: {
        logoutSource: (ctx, form) => {
          ctx.body = `<!doctype html><html lang="en"><head><title>Log out</title></head><body><main><h1>Log out of Example?</h1>
            ${form}<button form="op.logoutForm" name="logout" value="yes">Log out</button></main></body></html>`;
        },
      },
    },
    interactions: { url: (_ctx, { uid }) => `/interaction/${uid}` },
    findAccount: (_ctx, sub) => {
      const person = people.find(({ user }) => user === sub);
      return person && { accountId: sub, claims: () => Promise.resolve({ ...person.claims, sub }) };
    },
    // The client is the operator's own: nobody is asked whether it may know who they are.
    loadExistingGrant: async ({ oidc }) => {
      const grant = new oidc.provider.Grant({
        clientId: oidc.client?.clientId as string,
        accountId: oidc.session?.accountId as string,
      });
      grant.addOIDCScope([...oidc.requestParamScopes].join(' '));
      await grant.save();
      return grant;
    },
    ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 3600, IdToken: 600, Interaction: 600, Session: 3600 },
  });
}

/** The form, and what comes of it. */
async function interact(
  provider: Provider,
  people: readonly OidcPerson[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  await provider.interactionDetails(request, response);
  let wrong = '';
  if (request.method === 'POST') {
    const fields = new URLSearchParams(await textOf(request));
    const person = people.find(
      ({ user, password }) => user === fields.get('user') && password === fields.get('password'),
    );
    if (person !== undefined) {
      return provider.interactionFinished(request, response, { login: { accountId: person.user } });
    }
    wrong = '<p role="alert">Wrong user or password</p>';
  }
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(`<!doctype html>
<html lang="en"><head><title>Example provider</title></head><body><main>
<h1>Log in to Example</h1>${wrong}
<form method="post">
<label>User <input name="user" autocomplete="username" value=""></label>
<label>Password <input name="password" type="password" autocomplete="current-password" value=""></label>
<button type="submit">Log in</button>
</form></main></body></html>`);
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

async function close(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
