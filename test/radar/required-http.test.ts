/** `required: true` of the `http` tool: nothing is changed at a service while its list cannot be read, or not to its end. */
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { JsonObject } from '../../src/action/json.js';
import type { RadarStanding } from '../../src/action/radar.js';
import type { Countersign } from '../../src/client/countersign.js';
import type { HttpOptions } from '../../src/tools/index.js';
import type { Tool } from '../../src/tools/tool.js';
import { ended, startStack, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';
import { jsonService, toolOn, type JsonService } from '../tools/http-support.js';

let service: JsonService;
let stack: Stack;
let bot: Countersign;
/** What was paid, each with the key of its request. */
const events: JsonObject[] = [];
/** How the service answers for its list: as it is, not at all, with an error, or with more pages than are read. */
let list: 'whole' | 'broken' | 'error' | 'endless' | 'no list' = 'whole';
let pages = 0;

const OPERATIONS: HttpOptions['operations'] = {
  pay: {
    method: 'POST',
    url: '/pay',
    input: { body: { type: 'object' } },
    probes: { balance: { get: '/balance' } },
    ensures: ['post.balance.paid > pre.balance.paid'],
    changes: ['/balance/paid'],
  },
  look: { method: 'GET', url: '/balance' },
};

function required(): Tool {
  return toolOn(service.url, {
    operations: OPERATIONS,
    radar: {
      get: '/events?after={since}',
      since: 'unix',
      at: '/data',
      pages: { next: '/next', max: 3 },
      id: '/id',
      key: '/key',
      time: '/created',
      everyMs: 1_000,
      required: true,
    },
  });
}

function listed(): { status?: number; body: JsonObject } | undefined {
  switch (list) {
    case 'whole':
      return { body: { data: events, next: null } };
    case 'broken':
      return undefined;
    case 'error':
      return { status: 503, body: {} };
    case 'endless':
      return { body: { data: [], next: `/events?after=0&page=${++pages}` } };
    case 'no list':
      return { body: { events: [] } };
  }
}

beforeAll(async () => {
  service = await jsonService(({ method, url, headers }) => {
    if (url.pathname === '/events') return listed();
    if (method === 'POST') {
      const key = String(headers['idempotency-key']);
      events.push({ id: randomUUID(), key, created: Math.ceil(Date.now() / 1000) });
    }
    return { body: { paid: events.length } };
  });
  stack = await startStack({ schema: '', tools: () => [required()], worker: false });
  await writeFile(
    path.join(stack.policies, 'payments.cedar'),
    `@id("admins-pay")
permit (principal in Countersign::Role::"admin_user", action == Countersign::Action::"CALL_API", resource == Countersign::Tool::"payments");`,
  );
  bot = await stack.agent();
});
afterAll(async () => {
  await stack?.stop();
  await service?.stop();
});
beforeEach(async () => {
  list = 'whole';
  if (stack.worker === undefined) await stack.startWorker();
  await standing('watching');
});

async function standing(state: RadarStanding['state']): Promise<RadarStanding> {
  const [one] = await until(
    () => stack.ledger.radar.sources(),
    ([found]) => found?.state === state,
  );
  return one as RadarStanding;
}

async function stopped(): Promise<void> {
  await stack.worker?.stop();
  stack.worker = undefined;
}

const pay = () => ({ tool: 'payments', input: { op: 'pay', body: {} } });
const look = () => ({ tool: 'payments', input: { op: 'look' } });
const OFF = { status: 'denied', error: { code: 'RADAR_OFF', field: 'proposal.tool' } };

test.each([
  ['does not answer', 'broken', /got no answer/],
  ['answers with an error', 'error', /503/],
  ['goes on for longer than is read of it', 'endless', /longer than what is read of it/],
] as const)(
  'while the list %s nothing is changed there, reads go on, and all goes on once it is read',
  async (_, how, problem) => {
    expect(await ended(bot, pay())).toMatchObject({ status: 'success' });
    const paid = events.length;
    list = how;
    expect((await standing('off')).problem).toMatch(problem);
    expect(await ended(bot, pay())).toMatchObject(OFF);
    expect(await ended(bot, look())).toMatchObject({ status: 'success' });
    expect(events).toHaveLength(paid);
    const gaps = await stack.ledger.radarAlerts.list({ kind: 'gap' });
    expect(gaps.length > 0).toBe(how === 'endless');

    list = 'whole';
    await standing('watching');
    expect(await ended(bot, pay())).toMatchObject({ status: 'success' });
    expect(events).toHaveLength(paid + 1);
    // What the tool did is explained all along.
    expect(await stack.ledger.radarAlerts.list({ kind: 'write' })).toEqual([]);
  },
);

test('a worker starts where the list does not answer and refuses until it does; where there is none, it does not start', async () => {
  await stopped();
  list = 'no list';
  await expect(stack.startWorker()).rejects.toMatchObject({ code: 'TOOL_FAILED', retryable: false });
  expect(stack.worker).toBeUndefined();
  list = 'broken';
  await stack.startWorker();
  await standing('off');
  expect(await ended(bot, pay())).toMatchObject(OFF);
  list = 'whole';
  await standing('watching');
  expect(await ended(bot, pay())).toMatchObject({ status: 'success' });
});
