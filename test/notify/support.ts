/** Test servers for notifications, which speak HTTP, Slack's Web API and SMTP, and a sample notice. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { callbackify } from 'node:util';
import PostalMime, { type Email } from 'postal-mime';
import { SMTPServer, type SMTPServerDataStream, type SMTPServerOptions, type SMTPServerSession } from 'smtp-server';
import type { RadarAlert } from '../../src/action/radar.js';
import type { Alert } from '../../src/notify/alert.js';
import { alertOfRadar } from '../../src/notify/radar-alert.js';
import type { DeliveryContext } from '../../src/notify/channel.js';
import type { Notice } from '../../src/notify/notice.js';

export const TLS = new URL('../tools/fixtures/tls/', import.meta.url).pathname;

export interface Seen {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** When the request arrived. Milliseconds since the epoch. */
  readonly at: number;
}

type Answer = (response: ServerResponse, request: Seen) => void | Promise<void>;

export interface HttpReceiver {
  readonly url: string;
  readonly port: number;
  readonly seen: Seen[];
  /** The next responses, each used once; afterwards `otherwise`. */
  readonly answers: Answer[];
  otherwise: Answer;
  stop(): Promise<void>;
}

export function status(code: number, headers: Record<string, string> = {}, body = ''): Answer {
  return (response) => void response.writeHead(code, headers).end(body);
}

export async function openReceiver(port = 0): Promise<HttpReceiver> {
  const server = createServer((request, response) => void handle(request, response));
  await listen(server, port);
  const receiver: HttpReceiver = {
    port: (server.address() as AddressInfo).port,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    seen: [],
    answers: [],
    otherwise: status(204),
    stop: () => end(server),
  };
  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const seen: Seen = {
      path: request.url ?? '',
      headers: request.headers,
      body: Buffer.concat(chunks).toString('utf8'),
      at: Date.now(),
    };
    receiver.seen.push(seen);
    await (receiver.answers.shift() ?? receiver.otherwise)(response, seen);
  }
  return receiver;
}

async function listen(server: Server, port: number): Promise<void> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
}

async function end(server: Server): Promise<void> {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
}

export interface SlackCall {
  readonly method: string;
  readonly authorization: string | undefined;
  readonly fields: Readonly<Record<string, string>>;
}

export interface SlackServer {
  readonly apiUrl: string;
  readonly calls: SlackCall[];
  /** The current messages by `ts`. */
  readonly messages: Map<string, Readonly<Record<string, string>>>;
  readonly answers: Answer[];
  /** Promises for which the next calls wait before they are carried out, one each. */
  readonly gates: Promise<void>[];
  stop(): Promise<void>;
}

/** The part of Slack's Web API that a bot with `chat:write` needs: form-encoded calls, and responses with `ok`. */
export async function openSlack(token: string): Promise<SlackServer> {
  const receiver = await openReceiver();
  const messages = new Map<string, Readonly<Record<string, string>>>();
  const calls: SlackCall[] = [];
  let posted = 0;
  const reply = (body: object): Answer => status(200, { 'content-type': 'application/json' }, JSON.stringify(body));
  const answers: Answer[] = [];
  const gates: Promise<void>[] = [];
  receiver.otherwise = async (response, seen) => {
    const method = seen.path.replace('/api/', '');
    const fields = Object.fromEntries(new URLSearchParams(seen.body));
    calls.push({ method, authorization: seen.headers.authorization, fields });
    const scripted = answers.shift();
    if (scripted !== undefined) return scripted(response, seen);
    await gates.shift();
    if (seen.headers.authorization !== `Bearer ${token}`)
      return reply({ ok: false, error: 'invalid_auth' })(response, seen);
    const { channel = '', ts = '' } = fields;
    if (method === 'chat.postMessage') {
      const made = `1700000000.${String(++posted).padStart(6, '0')}`;
      messages.set(made, fields);
      return reply({ ok: true, channel, ts: made })(response, seen);
    }
    if (method !== 'chat.update') return reply({ ok: false, error: 'unknown_method' })(response, seen);
    if (!messages.has(ts)) return reply({ ok: false, error: 'message_not_found' })(response, seen);
    messages.set(ts, fields);
    return reply({ ok: true, channel, ts })(response, seen);
  };
  return {
    apiUrl: `http://127.0.0.1:${receiver.port}/api/`,
    calls,
    messages,
    answers,
    gates,
    stop: () => receiver.stop(),
  };
}

export interface MailServer {
  readonly port: number;
  readonly mails: (Email & { readonly secure: boolean; readonly recipients: readonly string[] })[];
  stop(): Promise<void>;
}

/** Accepts all mail, unless the options say otherwise. */
export async function openMail(options: SMTPServerOptions = {}): Promise<MailServer> {
  const mails: MailServer['mails'] = [];
  const server = new SMTPServer({
    key: readFileSync(`${TLS}server.key`),
    cert: readFileSync(`${TLS}server.pem`),
    authOptional: true,
    disableReverseLookup: true,
    onData: callbackify(async (stream: SMTPServerDataStream, { envelope, secure }: SMTPServerSession) => {
      const recipients = envelope.rcptTo.map(({ address }) => address);
      mails.push({ ...(await PostalMime.parse(await buffer(stream))), secure, recipients });
      return 'queued as 4Zx1';
    }),
    ...options,
  });
  // A client that disconnects because it does not trust the certificate must not fail the server.
  server.on('error', () => {});
  server.listen(0, '127.0.0.1');
  await once(server.server, 'listening');
  return {
    port: (server.server.address() as AddressInfo).port,
    mails,
    stop: () => new Promise((resolve) => server.close(resolve)),
  };
}

export function notice(more: Partial<Notice> = {}): Notice {
  return {
    kind: 'asked',
    n: 0,
    tenant: 'acme',
    actionId: 'price-1',
    summary: 'update, 3 rows of prices',
    tool: 'shop-db',
    environment: 'production',
    agent: 'pricing-bot',
    reasoning: 'The season is over.',
    requirements: [{ reason: 'Production needs a second pair of eyes.', roles: ['dba', 'lead'], quorum: 1 }],
    roles: ['dba', 'lead'],
    expiresAt: '2026-05-01T12:00:00.000Z',
    decisions: [],
    link: 'https://approvals.example.com/actions/price-1',
    at: '2026-05-01T08:00:00.000Z',
    ...more,
  };
}

/** A source that the agent says it does not trust. */
export function untrusted(source: string): NonNullable<Notice['from']> {
  return [{ source, trust: 'untrusted' }];
}

export function delivery(more: Partial<DeliveryContext> = {}): DeliveryContext {
  return { deliveryId: 'ntc_0123', signal: new AbortController().signal, earlier: [], ...more };
}

/** What the radar found: names that others chose. */
export function radarAlert(more: Partial<RadarAlert> = {}): RadarAlert {
  return {
    id: 7,
    source: 'shop-db',
    kind: 'write',
    system: '1/shop',
    position: '0/1',
    at: '2026-05-01T12:00:00.000Z',
    reason: 'no_effect',
    detail: 'update of 3 rows of public.orders: no action made it.',
    changes: [{ table: 'public.orders', operation: 'update', rows: 3 }],
    writers: [{ user: 'app', application: '<!channel>\r\nBcc: x' }],
    foundAt: '2026-05-01T12:00:01.000Z',
    ...more,
  };
}

export function alertNotice(...alerts: readonly RadarAlert[]): Alert {
  const about = { tool: 'shop-db', environment: 'production', gatewayUrl: 'https://approvals.example.com' };
  return alertOfRadar(alerts.length === 0 ? [radarAlert()] : alerts, about);
}
