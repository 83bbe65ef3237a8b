/** The two tools of the chaos run, as an operator would declare them. */
import { http } from '../../src/tools/http/index.js';
import { postgres } from '../../src/tools/index.js';
import type { HttpOperation } from '../../src/tools/http/options.js';
import type { Tool } from '../../src/tools/tool.js';
import { SIDE_EFFECT_TABLES } from './shop.js';

export interface ToolPlaces {
  readonly paymentsUrl: string;
  readonly shopUrl: string;
}

const ORDER = {
  type: 'object',
  properties: {
    account: { type: 'string', minLength: 1 },
    amount: { type: 'number', exclusiveMinimum: 0 },
    reference: { type: 'string', minLength: 1 },
  },
  required: ['account', 'amount', 'reference'],
  additionalProperties: false,
};

const LOOK_UP = { at: '/items' };

/** All three move money; they differ in what the service promises about repeated keys. */
function movesMoney(collection: string, more: Partial<HttpOperation>): HttpOperation {
  return {
    method: 'POST',
    url: `/${collection}`,
    target: collection,
    input: { body: ORDER },
    probes: { made: { get: `/${collection}?reference={body.reference}`, at: '/items' } },
    ensures: [
      'size(post.made) == 1',
      'post.made[0].amount == input.body.amount',
      'post.made[0].account == input.body.account',
    ],
    changes: ['/made'],
    ...more,
  };
}

const OPERATIONS: Readonly<Record<string, HttpOperation>> = {
  pay: movesMoney('payments', { idempotency: 'native', lookUp: { get: '/payments?key={key}', ...LOOK_UP } }),
  // The service refuses a key that was looked up in vain.
  refund: movesMoney('refunds', {
    idempotency: 'lookup',
    lookUp: { get: '/refunds?key={key}', ...LOOK_UP, finalAfterMs: 0 },
  }),
  payout: movesMoney('payouts', { idempotency: 'none' }),
  find: {
    method: 'GET',
    url: '/payments',
    input: {
      query: {
        type: 'object',
        properties: { reference: { type: 'string' } },
        required: ['reference'],
        additionalProperties: false,
      },
    },
  },
};

/** What workers take their tools from. The planted defects of `defects/` put something else in its place. */
export const toolbox: { make: (places: ToolPlaces) => readonly Tool[] } = { make: chaosTools };

function chaosTools({ paymentsUrl, shopUrl }: ToolPlaces): readonly Tool[] {
  return [
    http({
      name: 'payments',
      environment: 'production',
      baseUrl: paymentsUrl,
      operations: OPERATIONS,
      allow: { loopback: true },
      limits: { connectMs: 2_000, headersMs: 800, bodyMs: 800, totalMs: 10_000 },
    }),
    postgres({
      name: 'shop-db',
      environment: 'production',
      url: shopUrl,
      sideEffectTables: SIDE_EFFECT_TABLES,
      maxConnections: 8,
    }),
  ];
}
