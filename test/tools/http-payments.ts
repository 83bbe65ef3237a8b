/** A payment service with a journal, for the tests of the `http` tool. It speaks plain HTTP on loopback. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { HttpOperation } from '../../src/tools/index.js';

export interface Order {
  readonly id: string;
  status: string;
  total: number;
  refunded: number;
  note: string | null;
}

export interface Refund {
  readonly id: string;
  readonly order: string;
  readonly amount: number;
}

export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** Responds instead of the service and returns true, or returns false to let the service respond. */
export type Intercept = (seen: Seen, request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;

export interface Payments {
  readonly url: string;
  readonly orders: Map<string, Order>;
  readonly refunds: Map<string, Refund>;
  /** One entry for each effect, whatever the response was. */
  readonly journal: { readonly key: string | undefined; readonly what: string }[];
  readonly seen: Seen[];
  /** Called with every request before the service acts on it. True means that it responded. */
  before: Intercept | undefined;
  /** Called after the service has acted, before it responds. True means that it responded. */
  after: Intercept | undefined;
  newOrder(): Order;
  stop(): Promise<void>;
}

interface Reply {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export async function openPayments(): Promise<Payments> {
  const orders = new Map<string, Order>();
  const refunds = new Map<string, Refund>();
  const journal: Payments['journal'] = [];
  const seen: Seen[] = [];
  const replies = new Map<string, Reply | 'busy'>();
  const closedKeys = new Set<string>();
  const effectsByKey = new Map<string, unknown>();
  let next = 40;

  const keyed = async (key: string | undefined, act: () => Reply): Promise<Reply> => {
    if (key === undefined) return { status: 400, body: { title: 'Idempotency-Key is missing' } };
    if (closedKeys.has(key)) return { status: 410, body: { title: 'this key was looked up in vain and is closed' } };
    const earlier = replies.get(key);
    if (earlier === 'busy')
      return { status: 409, body: { title: 'a request with this Idempotency-Key is outstanding' } };
    if (earlier !== undefined) return earlier;
    replies.set(key, 'busy');
    await new Promise((resolve) => setImmediate(resolve));
    const reply = act();
    replies.set(key, reply);
    if (reply.status < 300) {
      journal.push({ key, what: JSON.stringify(reply.body ?? null) });
      effectsByKey.set(key, reply.body ?? { done: true });
    }
    return reply;
  };

  const route = async ({ method, url, headers, body }: Seen): Promise<Reply> => {
    const { pathname, searchParams } = new URL(url, 'http://service');
    const [, kind = '', id = '', below] = pathname.split('/').map(decodeURIComponent);
    const key = (headers['idempotency-key'] as string | undefined)?.replace(/^"(.*)"$/, '$1');
    const order = orders.get(kind === 'orders' ? id : '');
    if (method === 'GET' && kind === 'orders' && id === '') return { status: 200, body: [...orders.values()] };
    if (method === 'GET' && order !== undefined && below === undefined) {
      const body = { ...order, readAt: seen.length };
      return { status: 200, body, headers: { etag: etagOf(order) } };
    }
    if (method === 'GET' && kind === 'refunds' && id !== '') {
      const refund = refunds.get(id);
      return refund === undefined ? { status: 404 } : { status: 200, body: refund };
    }
    if (method === 'GET' && kind === 'refunds') {
      const all = [...refunds.values()].filter((one) => one.order === searchParams.get('order'));
      return { status: 200, body: { data: all } };
    }
    if (method === 'GET' && kind === 'keys') {
      const found = effectsByKey.get(searchParams.get('key') ?? '');
      if (found !== undefined) return { status: 200, body: found };
      if (searchParams.has('close')) closedKeys.add(searchParams.get('key') ?? '');
      return { status: 404 };
    }
    if (method === 'POST' && order !== undefined && below === 'refunds') {
      return await keyed(key, () => {
        const { amount } = JSON.parse(body) as { amount: number };
        if (order.refunded + amount > order.total) return { status: 422, body: { title: 'more than was paid' } };
        order.refunded += amount;
        const refund: Refund = { id: `r${next++}`, order: order.id, amount };
        refunds.set(refund.id, refund);
        return { status: 201, body: refund };
      });
    }
    if (method === 'DELETE' && kind === 'refunds') {
      return await keyed(key, () => {
        const refund = refunds.get(id);
        const of = orders.get(refund?.order ?? '');
        if (refund === undefined || of === undefined) return { status: 404 };
        refunds.delete(id);
        of.refunded -= refund.amount;
        return { status: 204 };
      });
    }
    if ((method === 'PUT' || method === 'PATCH') && order !== undefined) {
      const expectedTag = headers['if-match'];
      if (expectedTag !== undefined && expectedTag !== etagOf(order)) return { status: 412 };
      Object.assign(order, JSON.parse(body));
      journal.push({ key, what: body });
      if (key !== undefined) effectsByKey.set(key, { ...order });
      return { status: 200, body: order };
    }
    return { status: 404 };
  };

  const payments: Omit<Payments, 'url' | 'stop'> = {
    orders,
    refunds,
    journal,
    seen,
    before: undefined,
    after: undefined,
    newOrder() {
      const order: Order = { id: String(next++), status: 'paid', total: 100, refunded: 0, note: null };
      orders.set(order.id, order);
      return order;
    },
  };
  const server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const { method = '', url = '', headers } = request;
      const one: Seen = { method, url, headers, body: Buffer.concat(chunks).toString() };
      seen.push(one);
      if ((await payments.before?.(one, request, response)) === true) return;
      const { status, body, headers: more } = await route(one);
      if ((await payments.after?.(one, request, response)) === true) return;
      response.writeHead(status, { 'content-type': 'application/json', ...more });
      response.end(body === undefined ? undefined : JSON.stringify(body));
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return Object.assign(payments, {
    url,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

function etagOf(order: Order): string {
  return `"${Buffer.from(JSON.stringify(order)).toString('base64url')}"`;
}

const ORDER = { get: '/orders/{id}', without: ['/readAt'] };

/** The operations that the tests use. */
export const OPERATIONS = {
  getOrder: { method: 'GET', url: '/orders/{id}', response: { type: 'object', required: ['id', 'status'] } },
  refund: {
    method: 'POST',
    url: '/orders/{id}/refunds',
    input: {
      body: {
        type: 'object',
        properties: { amount: { type: 'integer', minimum: 1 } },
        required: ['amount'],
        additionalProperties: false,
      },
    },
    response: { type: 'object', required: ['id', 'amount'] },
    target: 'refunds',
    probes: { order: ORDER, refunds: { get: '/refunds?order={id}', at: '/data' } },
    ensures: [
      'post.order.refunded == pre.order.refunded + input.body.amount',
      'size(post.refunds) == size(pre.refunds) + 1',
    ],
    changes: ['/order/refunded', '/refunds'],
    idempotency: 'native',
    lookUp: { get: '/keys?close=1&key={key}', finalAfterMs: 0 },
    compensate: { op: 'cancelRefund', path: { id: '{post.refunds.0.id}' } },
  },
  cancelRefund: {
    method: 'DELETE',
    url: '/refunds/{id}',
    probes: { refund: { get: '/refunds/{id}' } },
    idempotency: 'native',
    lookUp: { get: '/keys?close=1&key={key}', finalAfterMs: 0 },
  },
  replaceOrder: {
    method: 'PUT',
    url: '/orders/{id}',
    input: {
      body: {
        type: 'object',
        properties: {
          id: { type: 'string' },
          status: { type: 'string' },
          note: { type: ['string', 'null'] },
          total: { type: 'number' },
          refunded: { type: 'number' },
        },
        required: ['status'],
        additionalProperties: false,
      },
    },
    probes: { order: ORDER },
    idempotency: 'lookup',
    lookUp: { get: '/keys?key={key}' },
    compensate: { op: 'replaceOrder', path: { id: '{path.id}' }, body: '{pre.order}' },
  },
  noteOrder: {
    method: 'PATCH',
    url: '/orders/{id}',
    input: { body: { type: 'object', properties: { note: { type: 'string' } }, additionalProperties: false } },
    probes: { order: ORDER },
    ifMatch: true,
  },
} as const satisfies Record<string, HttpOperation>;
