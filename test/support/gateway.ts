/** A gateway over a stack, on a real socket, with agents' keys and people's sessions made directly. */
import pino from 'pino';
import type { DevPerson } from '../../src/gateway/deps.js';
import { derived, hashOf, newSecret } from '../../src/gateway/auth/secrets.js';
import { SessionStore } from '../../src/gateway/store/sessions.js';
import { jtiOf } from '../../src/gateway/auth/login/index.js';
import { startGateway, type GatewayOptions } from '../../src/gateway/server/server.js';
import type { GatewayConfig } from '../../src/config/gateway.js';
import type { PrivacyConfig } from '../../src/config/privacy.js';
import { ApiKeys, type ApiKeyOptions } from '../../src/gateway/store/api-keys.js';
import type { Stack } from './stack.js';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; of nothing, an empty object. */
  readonly body: Readonly<Record<string, unknown>>;
}

export interface Sending {
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is. */
  readonly body?: string | Uint8Array;
}

/** Somebody who sends requests. */
export interface Sender {
  readonly headers: Readonly<Record<string, string>>;
  send(method: string, path: string, sending?: Sending): Promise<Answer>;
  get(path: string, sending?: Sending): Promise<Answer>;
  post(path: string, json?: unknown): Promise<Answer>;
}

export interface TestGateway {
  readonly url: string;
  readonly port: number;
  readonly nobody: Sender;
  sender(headers: Readonly<Record<string, string>>): Sender;
  /** Known by an API key. */
  agent(options?: Partial<ApiKeyOptions>): Promise<Sender>;
  /** Known by a session; sends its token with everything. */
  person(person?: Partial<DevPerson>): Promise<Sender & { end(): Promise<void> }>;
  stop(): Promise<void>;
}

export interface TestGatewayOptions extends Partial<Omit<GatewayOptions, 'config'>> {
  readonly gateway?: GatewayConfig;
  readonly privacy?: PrivacyConfig;
  readonly roles?: GatewayOptions['config']['roles'];
}

const DANA: DevPerson = { id: 'dana', name: 'Dana', tenant: 'acme', roles: ['dba', 'operator'] };

export async function startTestGateway(stack: Stack, options: TestGatewayOptions = {}): Promise<TestGateway> {
  const { gateway: config, privacy, roles, ...rest } = options;
  const running = await startGateway({
    config: {
      gateway: { port: 0, ...config },
      ...(privacy === undefined ? {} : { privacy }),
      ...(roles === undefined ? {} : { roles }),
    },
    temporal: stack.temporal,
    ledgerUrl: stack.ledgerUrl,
    keyring: stack.keyring,
    logger: pino({ level: process.env['TEST_LOG'] ?? 'silent' }),
    env: {},
    devPeople: [DANA],
    ...rest,
  });
  const keys = new ApiKeys(stack.database);
  const sessions = new SessionStore(stack.database);

  const sender = (headers: Readonly<Record<string, string>>): Sender => {
    const send: Sender['send'] = async (method, path, { headers: more = {}, json, body } = {}) => {
      const response = await fetch(`${running.url}${path}`, {
        method,
        redirect: 'manual',
        headers: { ...headers, ...(json === undefined ? {} : { 'content-type': 'application/json' }), ...more },
        body: json === undefined ? (body ?? null) : JSON.stringify(json),
      });
      const text = await response.text();
      const isJson = /json/.test(response.headers.get('content-type') ?? '');
      return {
        status: response.status,
        headers: response.headers,
        text,
        body: isJson ? (JSON.parse(text) as Answer['body']) : {},
      };
    };
    return {
      headers,
      send,
      get: (path, sending) => send('GET', path, sending),
      post: (path, json) => send('POST', path, json === undefined ? {} : { json }),
    };
  };

  return {
    url: running.url,
    port: running.port,
    nobody: sender({}),
    sender,
    async agent(wanted) {
      const { text } = await keys.create({
        agent: 'agent-1',
        tenant: 'acme',
        roles: ['admin_user'],
        scopes: ['*'],
        ...wanted,
      });
      return sender({ authorization: `Bearer ${text}` });
    },
    async person(wanted) {
      const { id, name, tenant, roles } = { ...DANA, ...wanted };
      const secret = newSecret();
      await sessions.begin({
        idHash: hashOf(secret),
        person: { id, name, tenant, roles, auth: { method: 'dev', by: 'dev' } },
        jti: jtiOf(id),
        maxSeconds: 3600,
      });
      const headers = { cookie: `countersign=${secret}`, 'x-csrf-token': derived(secret, 'countersign csrf') };
      return { ...sender(headers), end: () => sessions.end(hashOf(secret)) };
    },
    stop: () => running.stop(),
  };
}
