/** The payment service as an HTTP server on loopback. Run directly it is that process; imported it starts one, or serves in this one. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { startChild, type Child } from '../world/child.js';
import { Bank, type Answer } from './bank.js';
import { COLLECTIONS, Journal, type Collection, type Order } from './journal.js';
import { Mischief, type MischiefOptions } from './mischief.js';

export interface ServiceOptions {
  readonly port: number;
  /** Path of the journal. */
  readonly journal: string;
  readonly mischief: MischiefOptions;
}

/** As whoever started it holds it. */
export type PaymentService = Pick<Child, 'say' | 'kill'>;

const MAX_BODY_BYTES = 64 * 1024;

const orderSchema = z.strictObject({ account: z.string(), amount: z.number().positive(), reference: z.string() });

/** Returns once it answers. The message `calm` ends its misbehaviour. */
export function startService(options: ServiceOptions): Promise<Child> {
  return startChild({ name: 'payments', module: fileURLToPath(import.meta.url), options });
}

/** In this process. Returns once it answers. */
export async function serve({
  port,
  journal: file,
  mischief: mischiefOptions,
}: ServiceOptions): Promise<PaymentService> {
  const { journal, entries } = await Journal.open(file);
  const bank = new Bank(journal, entries);
  const mischief = new Mischief(mischiefOptions);
  const server = createServer((request, response) => {
    handle(request, response, bank, mischief).catch(() => response.destroy());
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    say: (message) => {
      if (message === 'calm') mischief.calm();
    },
    async kill() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
      journal.close();
    },
  };
}

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  bank: Bank,
  mischief: Mischief,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const [, name = '', id] = url.pathname.split('/');
  const collection = COLLECTIONS.find((known) => known === name);
  if (collection === undefined) return answer(response, { status: 404, body: { error: 'no such thing' } });
  if (request.method === 'POST') return await take(request, response, collection, bank, mischief);

  const key = url.searchParams.get('key');
  const reference = url.searchParams.get('reference');
  const trouble = mischief.read(url.href, key === null);
  if (trouble !== undefined) bank.misbehaved(trouble.what, url.pathname + url.search);
  if (trouble?.what === 'lost-read') return void response.destroy();
  if (trouble?.what === 'slow-read') await delay(trouble.ms);
  const asOf = new Date(Date.now() - (trouble?.what === 'stale-read' ? trouble.ms : 0));
  if (key !== null) return answer(response, { status: 200, body: { items: bank.lookUp(collection, key) } });
  if (reference !== null)
    return answer(response, { status: 200, body: { items: bank.find(collection, { reference }, asOf) } });
  const [found] = bank.find(collection, { id: id ?? '' }, asOf);
  answer(response, found === undefined ? { status: 404, body: { error: 'no such id' } } : { status: 200, body: found });
}

async function take(
  request: IncomingMessage,
  response: ServerResponse,
  collection: Collection,
  bank: Bank,
  mischief: Mischief,
): Promise<void> {
  const receivedAt = new Date();
  const order = orderSchema.safeParse(JSON.parse(await bodyOf(request)));
  if (!order.success) return answer(response, { status: 400, body: { error: 'not an order' } });
  bank.received(collection, order.data.reference);
  const header = request.headers['idempotency-key'];
  const key = typeof header === 'string' ? header.replace(/^"(.*)"$/, '$1') : undefined;
  const book = (): Answer => bank.order(collection, order.data, key, receivedAt);

  const trouble = mischief.order(collection, order.data.reference);
  if (trouble === undefined) return answer(response, book());
  bank.misbehaved(trouble.what, `${collection} ${order.data.reference}`);
  switch (trouble.what) {
    case 'lost-request':
      response.destroy();
      return;
    case 'lost-reply':
      book();
      response.destroy();
      return;
    case 'late-request':
      response.destroy();
      await delay(trouble.ms);
      book();
      return;
    case 'slow-reply': {
      const done = book();
      await delay(trouble.ms);
      return answer(response, done);
    }
    case 'delivered-twice':
      book();
      return answer(response, book());
    case 'lie-not-done':
      return answer(response, { status: 201, body: madeUp(order.data) });
    case 'lie-failed':
      book();
      return answer(response, { status: 500, body: { error: 'something went wrong' } });
    case 'busy':
      return answer(response, { status: 503, body: { error: 'busy' }, headers: { 'retry-after': '1' } });
  }
}

function madeUp(order: Order): object {
  return { id: '00000000-0000-4000-8000-000000000000', ...order };
}

function answer(response: ServerResponse, { status, body, headers }: Answer): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > MAX_BODY_BYTES) throw new Error('too large');
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const service = await serve(JSON.parse(process.env['CHAOS_OPTIONS'] ?? '{}') as ServiceOptions);
  process.on('message', (message) => service.say(String(message)));
  process.on('disconnect', () => process.exit(0));
  process.send?.('ready');
}
