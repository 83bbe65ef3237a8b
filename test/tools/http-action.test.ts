/** The `http` tool in the whole pipeline: the service drops responses and lies, and the outcome states the truth. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Countersign } from '../../src/client/countersign.js';
import { ended, startStack, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';
import type { HttpOperation } from '../../src/tools/index.js';
import { OPERATIONS, openPayments, type Intercept, type Payments } from './http-payments.js';
import { toolOn } from './http-support.js';

let payments: Payments;
let stack: Stack;
let agent: Countersign;

beforeAll(async () => {
  payments = await openPayments();
  const hasty = () => toolOn(payments.url, { name: 'hasty', sends: { max: 3 } });
  // Nothing but the key says what became of a request.
  const blind = () =>
    toolOn(payments.url, {
      name: 'blind',
      operations: { refund: unseen('refund'), cancelRefund: unseen('cancelRefund') },
    });
  const forgetful = () =>
    toolOn(payments.url, { name: 'forgetful', operations: { refund: { ...unseen('refund'), keyLifetimeMs: 1 } } });
  const jobs = () => toolOn(payments.url, { name: 'jobs', operations: { later: LATER, followed: FOLLOWED } });
  const tools = () => [toolOn(payments.url), hasty(), blind(), forgetful(), jobs()];
  stack = await startStack({ schema: 'SELECT 1', tools });
  const permits = tools().map(
    ({ name }) => `@id("admins-call-${name}")
permit (
  principal in Countersign::Role::"admin_user",
  action in [Countersign::Action::"CALL_API", Countersign::Action::"DELETE"],
  resource == Countersign::Tool::"${name}"
);`,
  );
  await writeFile(path.join(stack.policies, 'payments.cedar'), permits.join('\n'));
  await stack.worker?.policy.reload();
  agent = await stack.agent();
});
afterAll(async () => {
  await stack?.stop();
  await payments?.stop();
});
beforeEach(() => {
  payments.before = undefined;
  payments.after = undefined;
  payments.journal.length = 0;
});

/** A refund that the service accepts with 202 and makes later. */
const { lookUp: _lookUp, compensate: _compensate, response: _response, ...REFUND } = OPERATIONS.refund;
const ACCEPTED_REFUND: HttpOperation = { ...REFUND, idempotency: 'none' };
const LATER: HttpOperation = { ...ACCEPTED_REFUND, settlesWithin: '20s' };
const FOLLOWED: HttpOperation = {
  ...ACCEPTED_REFUND,
  accepted: {
    poll: '/jobs/{result.body.id}',
    done: "result.status == 'done'",
    failed: "result.status == 'failed'",
    within: '2s',
  },
};

/** An operation with a native key and without a look-up. */
function unseen(name: 'refund' | 'cancelRefund'): HttpOperation {
  const { lookUp: _lookUp, ...declared } = { compensate: undefined, ...OPERATIONS[name] };
  const { compensate: _compensate, ...operation } = declared;
  return operation;
}

const refund = () => ({
  tool: 'payments',
  input: { op: 'refund', path: { id: payments.newOrder().id }, body: { amount: 5 } },
});
const replace = () => ({
  tool: 'payments',
  input: { op: 'replaceOrder', path: { id: payments.newOrder().id }, body: { status: 'held' } },
});
const note = () => ({
  tool: 'payments',
  input: { op: 'noteOrder', path: { id: payments.newOrder().id }, body: { note: 'x' } },
});

/** Drops the next response to a change. */
function losing(): Intercept {
  let over = false;
  return ({ method }, request) => {
    if (over || method === 'GET') return false;
    over = true;
    request.socket.resetAndDestroy();
    return true;
  };
}

test('an allowed refund is made once and verified', async () => {
  const outcome = await ended(agent, { ...refund(), expect: 'post.order.refunded == 5' });
  expect(outcome.checks.filter(({ ok }) => !ok)).toEqual([]);
  expect(outcome).toMatchObject({
    status: 'success',
    facts: { operation: 'refund', preview: { targets: ['payments.refunds'] } },
  });
  expect(payments.journal).toHaveLength(1);
  expect(payments.journal[0]?.key).toBe(`countersign:${outcome.tenant}/${outcome.actionId}`);
});

test('a lost response with a native key: the request is sent again, done once and verified', async () => {
  payments.after = losing();
  const outcome = await ended(agent, refund());
  expect(outcome.status).toBe('success');
  expect(payments.journal).toHaveLength(1);
  expect(payments.seen.filter(({ method }) => method === 'POST').length).toBeGreaterThan(1);
});

test('a lost response with a look-up: the look-up finds the effect, and it is verified', async () => {
  payments.after = losing();
  expect((await ended(agent, replace())).status).toBe('success');
  expect(payments.journal).toHaveLength(1);
});

test('a lost response without a look-up is unknown, and nothing is sent again', async () => {
  payments.after = losing();
  const outcome = await ended(agent, note());
  expect(outcome).toMatchObject({ status: 'unknown', error: { code: 'EFFECT_UNKNOWN' } });
  expect(payments.journal).toHaveLength(1);
});

test('a short refusal before the effect is not unknown, even without a look-up', async () => {
  let refusals = 2;
  payments.before = ({ method }, _request, response) => {
    if (method === 'GET' || refusals-- <= 0) return false;
    response.writeHead(429, { 'retry-after': '0' }).end();
    return true;
  };
  expect((await ended(agent, note())).status).toBe('success');
  expect(payments.journal).toHaveLength(1);
});

test('200 without an effect is a mismatch that names the difference', async () => {
  payments.before = ({ method }, _request, response) => {
    if (method === 'GET') return false;
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    return true;
  };
  const outcome = await ended(agent, replace());
  expect(outcome).toMatchObject({ status: 'mismatch', error: { code: 'EXPECTATION_UNMET' } });
  expect(outcome.reason).toContain('/order/status is "paid", expected "held"');
});

test('500 after the effect: the effect is found', async () => {
  payments.after = ({ method }, _request, response) => {
    if (method === 'GET') return false;
    response.writeHead(500).end();
    return true;
  };
  expect((await ended(agent, replace())).status).toBe('success');
  expect(payments.journal).toHaveLength(1);
});

test('a refusal is a failure, and a path that would escape is refused earlier', async () => {
  payments.before = ({ method }, _request, response) => {
    if (method === 'GET') return false;
    response.writeHead(403, { 'content-type': 'application/problem+json' }).end('{"title":"not yours"}');
    return true;
  };
  const refused = await ended(agent, refund());
  expect(refused).toMatchObject({ status: 'failed', error: { code: 'TOOL_FAILED' } });
  expect(refused.reason).toContain('not yours');
  const input = { op: 'refund', path: { id: '../keys' }, body: { amount: 5 } };
  expect(await ended(agent, { tool: 'payments', input })).toMatchObject({
    status: 'denied',
    error: { code: 'INVALID_INPUT' },
  });
  expect(payments.journal).toEqual([]);
});

test.each([
  ['none', note],
  ['lookup', replace],
  ['native', refund],
])('a service that always says 429 is sent the action three times (%s), then it has failed', async (_name, propose) => {
  let sent = 0;
  payments.before = ({ method }, _request, response) => {
    if (method === 'GET') return false;
    sent++;
    response.writeHead(429, { 'retry-after': '0' }).end();
    return true;
  };
  const outcome = await ended(agent, { ...propose(), tool: 'hasty' });
  expect(outcome).toMatchObject({ status: 'failed', error: { code: 'TOOL_UNAVAILABLE' } });
  expect(outcome.error?.retryAfterMs).toBeGreaterThan(0);
  expect(sent).toBe(3);
});

test('a service that never answers a native request is sent it three times over all attempts; the look-up rules it out', async () => {
  let sent = 0;
  payments.before = ({ method }, request) => {
    if (method === 'GET') return false;
    sent++;
    request.socket.resetAndDestroy();
    return true;
  };
  const outcome = await ended(agent, { ...refund(), tool: 'hasty' });
  expect(outcome).toMatchObject({ status: 'failed', error: { code: 'TOOL_FAILED' } });
  expect(sent).toBe(3);
});

test('a Retry-After of a day ends the action as failed, with the time, after one send', async () => {
  let sent = 0;
  payments.before = ({ method }, _request, response) => {
    if (method === 'GET') return false;
    sent++;
    response.writeHead(429, { 'retry-after': '86400' }).end();
    return true;
  };
  const outcome = await ended(agent, note());
  expect(outcome).toMatchObject({ status: 'failed', error: { code: 'TOOL_UNAVAILABLE', retryAfterMs: 86_400_000 } });
  expect(sent).toBe(1);
});

test('a lost response of a native request without a look-up: it is sent again, done once and verified', async () => {
  payments.after = losing();
  const outcome = await ended(agent, { ...refund(), tool: 'blind' });
  expect(outcome.reason).toContain('Done and verified');
  expect(payments.journal).toHaveLength(1);
});

test.each([204, 404])(
  'a lost response of a native DELETE, and the second says %i: the probe decides',
  async (status) => {
    const id = `d${status}`;
    payments.refunds.set(id, { id, order: payments.newOrder().id, amount: 0 });
    payments.after = losing();
    let sent = 0;
    payments.before = ({ method }, _request, response) => {
      if (method !== 'DELETE' || ++sent === 1 || status === 204) return false;
      response.writeHead(404).end();
      return true;
    };
    const outcome = await ended(agent, { tool: 'blind', input: { op: 'cancelRefund', path: { id } } });
    expect(outcome.reason).toContain('Done and verified');
    expect(sent).toBe(2);
    expect(payments.journal).toHaveLength(1);
  },
);

test('a lost response of a service that may have forgotten the key: unknown, and nothing is sent again', async () => {
  payments.after = losing();
  const outcome = await ended(agent, { ...refund(), tool: 'forgetful' });
  expect(outcome).toMatchObject({ status: 'unknown', error: { code: 'EFFECT_UNKNOWN' } });
  expect(payments.journal).toHaveLength(1);
});

/** Accepts a refund with 202 and says of its job what it is told to; `make` makes the refund. */
function accepting(status: 'running' | 'done' | 'failed') {
  const made: { make?: () => void; reads: number } = { reads: 0 };
  payments.before = ({ method, url, body }, _request, response) => {
    const answer = (code: number, content: object): true => {
      response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(content));
      return true;
    };
    if (url.startsWith('/jobs/')) return answer(200, { id: 'j1', status, detail: 'the bank is closed' });
    if (method === 'GET') {
      // Those before the request say nothing of the effect.
      if (made.make !== undefined) made.reads++;
      return false;
    }
    const order = payments.orders.get(url.split('/')[2] ?? '');
    const { amount } = JSON.parse(body) as { amount: number };
    made.make = () => {
      if (order === undefined) return;
      order.refunded += amount;
      payments.refunds.set(`later-${order.id}`, { id: `later-${order.id}`, order: order.id, amount });
    };
    return answer(202, { id: 'j1' });
  };
  return made;
}
const later = (op: 'later' | 'followed') => ({
  tool: 'jobs',
  input: { op, path: { id: payments.newOrder().id }, body: { amount: 5 } },
});

test('202 whose job is not followed: the effect is awaited before a mismatch is said', async () => {
  const accepted = accepting('running');
  const action = ended(agent, later('later'));
  // It is made once the system was read in vain.
  await until(
    async () => accepted.reads,
    (reads) => reads > 2,
  );
  accepted.make?.();
  const outcome = await action;
  expect(outcome.reason).toContain('Done and verified');
});

test("202 whose job fails is a mismatch with the job's words", async () => {
  accepting('failed');
  const outcome = await ended(agent, later('followed'));
  expect(outcome).toMatchObject({ status: 'mismatch', error: { code: 'EXPECTATION_UNMET' } });
  expect(outcome.checks.find(({ name }) => name === 'parts')?.detail).toContain('the bank is closed');
});

test('202 whose job never ends is unknown, although the service may do it yet', async () => {
  accepting('running');
  const outcome = await ended(agent, later('followed'));
  expect(outcome).toMatchObject({ status: 'unknown', error: { code: 'EFFECT_UNKNOWN' } });
  expect(outcome.reason).toContain('has not ended within 2000 ms');
});

test('before an effect each probe is read twice: for the preview and the state, and right before the request', async () => {
  const proposal = refund();
  payments.seen.length = 0;
  expect((await ended(agent, proposal)).status).toBe('success');
  const sent = payments.seen.findIndex(({ method }) => method === 'POST');
  const reads = payments.seen.slice(0, sent).map(({ url }) => url);
  expect(reads.filter((url) => url === `/orders/${proposal.input.path.id}`)).toHaveLength(2);
});
