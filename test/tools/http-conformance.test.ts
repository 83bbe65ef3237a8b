import type { JsonObject } from '../../src/action/json.js';
import { http, type HttpOperation } from '../../src/tools/index.js';
import { describeTool } from './conformance.js';
import { OPERATIONS, openPayments, type Payments } from './http-payments.js';

async function scenario(
  names: readonly (keyof typeof OPERATIONS)[],
  write: (order: string) => JsonObject,
  effects: (payments: Payments, order: string) => number,
) {
  const payments = await openPayments();
  const readable = payments.newOrder();
  const operations: Record<string, HttpOperation> = { getOrder: OPERATIONS.getOrder };
  for (const name of names) operations[name] = OPERATIONS[name];
  const [first = 'refund'] = names;
  operations['listOrders'] = { method: 'GET', url: '/orders' };
  operations['existing'] = mustFind(OPERATIONS[first]);
  // Of the orders, only the first page is answered.
  payments.before = ({ url }, _request, response) => {
    if (url !== '/orders') return false;
    response.writeHead(200, { 'content-type': 'application/json', link: '</orders?page=2>; rel="next"' }).end('[]');
    return true;
  };
  const tool = http({
    name: 'payments',
    environment: 'test',
    baseUrl: payments.url,
    operations,
    allow: { loopback: true },
    sends: { max: 3 },
  });
  const orderIn = (input: JsonObject): string => (input['path'] as { id: string }).id;
  return {
    tool,
    read: { op: 'getOrder', path: { id: readable.id } },
    cut: { op: 'listOrders' },
    unmatched: { ...write('none'), op: 'existing' },
    invalid: { op: 'getOrder', path: { id: '../admin' } },
    write: async () => write(payments.newOrder().id),
    effects: async (input: JsonObject) => effects(payments, orderIn(input)),
    interfere: async (input: JsonObject) => {
      const order = payments.orders.get(orderIn(input));
      if (order !== undefined) order.status = 'disputed';
    },
    putOff: async (input: JsonObject) => {
      const of = `/orders/${orderIn(input)}`;
      let times = 0;
      const { before } = payments;
      payments.before = (seen, request, response) => {
        if (seen.method === 'GET' || !seen.url.startsWith(of)) return before?.(seen, request, response) ?? false;
        times++;
        response.writeHead(429).end();
        return true;
      };
      return { times: async () => times, perSend: 1 };
    },
    stop: async () => {
      await tool.close();
      await payments.stop();
    },
  };
}

function mustFind(operation: HttpOperation): HttpOperation {
  const { order, ...others } = operation.probes ?? {};
  return { ...operation, ...(order && { probes: { order: { ...order, mustFind: true }, ...others } }) };
}

const refundsOf = ({ refunds }: Payments, order: string): number =>
  [...refunds.values()].filter((one) => one.order === order).length;

describeTool('http, creating with an idempotency key', () =>
  scenario(['refund', 'cancelRefund'], (id) => ({ op: 'refund', path: { id }, body: { amount: 7 } }), refundsOf),
);

describeTool('http, replacing with a look-up', () =>
  scenario(
    ['replaceOrder'],
    (id) => ({ op: 'replaceOrder', path: { id }, body: { status: 'held' } }),
    ({ orders }, id) => (orders.get(id)?.status === 'held' ? 1 : 0),
  ),
);

describeTool('http, patching without either', () =>
  scenario(
    ['noteOrder'],
    (id) => ({ op: 'noteOrder', path: { id }, body: { note: 'call back' } }),
    ({ orders }, id) => (orders.get(id)?.note === 'call back' ? 1 : 0),
  ),
);
