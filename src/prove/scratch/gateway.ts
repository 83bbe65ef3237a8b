/** A real gateway of the scratch world, on this machine: with what the operator's config says of ways in, and none of its addresses and secrets. */
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { withoutUndefined } from '../../action/json.js';
import type { GatewayConfig } from '../../config/gateway.js';
import type { DevPerson } from '../../gateway/deps.js';
import { startGateway } from '../../gateway/server/server.js';
import { ApiKeys, type ApiKeyOptions } from '../../gateway/store/api-keys.js';
import { setUpTables } from '../../gateway/store/set-up.js';
import { Database } from '../../ledger/index.js';
import type { World } from '../world.js';
import { startIssuer, type ScratchIssuer } from './issuer.js';

/** What the gateway answered. */
export interface GatewayAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** The body, where it is JSON; else an empty object. */
  readonly body: Readonly<Record<string, unknown>>;
  readonly text: string;
}

interface Sent {
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly form?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** A person's browser, once they have logged in. */
export interface PersonSession {
  readonly cookie: string;
  readonly csrf: string;
}

export interface ScratchGateway {
  readonly url: string;
  readonly bodyBytes: number;
  readonly issuers: readonly ScratchIssuer[];
  readonly apiKeys: ApiKeys;
  send(path: string, sent?: Sent): Promise<GatewayAnswer>;
  /** A request that names another host than it is sent to: the status that it is answered with. */
  asked(host: string, path: string): Promise<number>;
  /** The Authorization header of an agent with a new key. */
  agent(options?: Partial<ApiKeyOptions>): Promise<{ readonly authorization: string; readonly keyId: string }>;
  logIn(person: DevPerson): Promise<PersonSession>;
}

/** Largest body, where the operator's config says nothing. */
const BODY_BYTES = 1_048_576;
/** Prove asks more often than people and agents do. */
const REQUESTS_PER_MINUTE = 6_000;

/**
 * Every member is named: one that is added to configs later stays behind until somebody says that it leads nowhere. People log in by the login for
 * development, because their provider knows none who are made up.
 */
function scratchGatewayConfig(
  config: GatewayConfig,
  issuers: readonly ScratchIssuer[],
  requestsPerMinute: number,
): GatewayConfig {
  const { session, limits } = config;
  return {
    host: '127.0.0.1',
    port: 0,
    agents: issuers.map((issuer) => issuer.config),
    // How long requests may take is for the operator's machines, and this one may be slower.
    limits: { bodyBytes: limits?.bodyBytes ?? BODY_BYTES, requestsPerMinute },
    ...withoutUndefined({ session }),
  };
}

/** It goes with the world. @param people who may log in */
export async function openGateway(
  world: World,
  people: readonly DevPerson[],
  { requestsPerMinute = REQUESTS_PER_MINUTE }: { readonly requestsPerMinute?: number } = {},
): Promise<ScratchGateway> {
  const { config, operator, temporal, ledgerUrl, keyring, log, tenant } = world.parts;
  const own = operator.config.gateway ?? {};
  const database = new Database({ url: ledgerUrl, poolSize: 2 });
  world.keep(() => database.close());
  await setUpTables(database);
  const issuers: ScratchIssuer[] = [];
  for (const issuer of own.agents ?? []) {
    const agent = { id: 'countersign-prove-agent', tenant: issuer.tenant ?? tenant, roles: [], scopes: ['*'] };
    const started = await startIssuer(issuer, agent);
    world.keep(() => started.close());
    issuers.push(started);
  }
  const gateway = await startGateway({
    config: {
      gateway: scratchGatewayConfig(own, issuers, requestsPerMinute),
      ...withoutUndefined({ privacy: config.privacy, roles: config.roles }),
    },
    temporal,
    ledgerUrl,
    keyring,
    logger: log.logger,
    env: {},
    devPeople: people,
  });
  world.keep(() => gateway.stop());
  const { url, port } = gateway;
  const apiKeys = new ApiKeys(database);
  const send = (path: string, sent?: Sent): Promise<GatewayAnswer> => sentTo(`${url}${path}`, sent);
  return {
    url,
    bodyBytes: own.limits?.bodyBytes ?? BODY_BYTES,
    issuers,
    apiKeys,
    send,
    asked: (host, path) => askedAs(host, port, path),
    async agent(options) {
      const who = { agent: 'countersign-prove-agent', tenant, roles: [], scopes: ['*'], ...options };
      const { text: key, id } = await apiKeys.create(who);
      return { authorization: `Bearer ${key}`, keyId: id };
    },
    logIn: (person) => loggedIn(send, people.indexOf(person)),
  };
}

async function sentTo(
  url: string,
  { method = 'POST', headers = {}, json, form, body }: Sent = {},
): Promise<GatewayAnswer> {
  const answer = await fetch(url, {
    method,
    redirect: 'manual',
    headers: { ...(json === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    body: json === undefined ? (form === undefined ? (body ?? null) : new URLSearchParams(form)) : JSON.stringify(json),
  });
  const said = await answer.text();
  const isJson = /json/.test(answer.headers.get('content-type') ?? '');
  return {
    status: answer.status,
    headers: answer.headers,
    text: said,
    body: isJson ? (JSON.parse(said) as GatewayAnswer['body']) : {},
  };
}

/** `fetch` always names the host that it asks. */
function askedAs(host: string, port: number, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const asking = request({ host: '127.0.0.1', port, path, headers: { host, accept: 'text/html' } }, (answer) => {
      text(answer).then(() => resolve(answer.statusCode ?? 0), reject);
    });
    asking.once('error', reject);
    asking.end();
  });
}

/** As a browser does it: page, form, cookie. */
async function loggedIn(send: ScratchGateway['send'], person: number): Promise<PersonSession> {
  const page = await send('/dev-login?return_to=/healthz', { method: 'GET' });
  const state = /name="state" value="([^"]+)"/.exec(page.text)?.[1] ?? '';
  const form = { state, person: String(person) };
  const entered = await send('/dev-login', { form, headers: { cookie: cookiesOf(page) } });
  const cookie = cookiesOf(entered);
  const me = await send('/v1/me', { method: 'GET', headers: { cookie } });
  const { csrf } = me.body;
  if (typeof csrf === 'string') return { cookie, csrf };
  throw new Error(`Nobody could log in at the gateway of the scratch world (${entered.status}, ${me.status}).`);
}

function cookiesOf({ headers }: GatewayAnswer): string {
  return headers
    .getSetCookie()
    .map((one) => one.split(';')[0] ?? '')
    .filter((one) => !one.endsWith('='))
    .join('; ');
}
