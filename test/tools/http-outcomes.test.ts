import { createHash, randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { digest, type JsonObject } from '../../src/action/json.js';
import type { HttpOptions } from '../../src/tools/index.js';
import { instant, Sends } from '../../src/tools/sends.js';
import type { Execution } from '../../src/tools/tool.js';
import { act, expectCode, never } from './conformance.js';
import { OPERATIONS, type Intercept } from './http-payments.js';
import { execute, openDesk, type Desk } from './http-support.js';

let desk: Desk;
beforeEach(async () => {
  desk = await openDesk();
});
afterEach(async () => {
  await desk.stop();
});

const order = () => desk.payments.newOrder().id;
/** An operation with a native key, which makes one effect. */
const refund = (id = order()) => ({ op: 'refund', path: { id }, body: { amount: 5 } });
/** An operation that is looked up by its key. */
const replace = (id = order()) => ({ op: 'replaceOrder', path: { id }, body: { status: 'held' } });

/** Responds to changes in this way, before or after the service acts. */
const replying =
  (status: number, headers: Record<string, string> = {}, body: unknown = {}): Intercept =>
  ({ method }, _request, response) => {
    if (method === 'GET') return false;
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
    return true;
  };
const dropping: Intercept = ({ method }, request) => {
  if (method === 'GET') return false;
  request.socket.resetAndDestroy();
  return true;
};
/** Intercepts once; afterwards the service behaves normally. */
function once(intercept: Intercept): Intercept {
  let over = false;
  return (seen, request, response) => {
    if (over || seen.method === 'GET') return false;
    over = true;
    return intercept(seen, request, response);
  };
}
const without = (operation: keyof typeof OPERATIONS, more: object): Partial<HttpOptions> => ({
  operations: { ...OPERATIONS, [operation]: { ...OPERATIONS[operation], ...more } },
});

describe('what a response says about an effect', () => {
  test.each([
    [400, 'TOOL_FAILED'],
    [401, 'TOOL_FAILED'],
    [403, 'TOOL_FAILED'],
    [404, 'TOOL_FAILED'],
    [409, 'TOOL_FAILED'],
    [412, 'TOOL_FAILED'],
    [418, 'TOOL_FAILED'],
    [422, 'TOOL_FAILED'],
    [307, 'TOOL_FAILED'],
    [308, 'TOOL_FAILED'],
    [408, 'TOOL_UNAVAILABLE'],
    [425, 'TOOL_UNAVAILABLE'],
    [429, 'TOOL_UNAVAILABLE'],
    [301, 'EFFECT_UNKNOWN'],
    [303, 'EFFECT_UNKNOWN'],
    [304, 'EFFECT_UNKNOWN'],
    [500, 'EFFECT_UNKNOWN'],
    [502, 'EFFECT_UNKNOWN'],
    [503, 'EFFECT_UNKNOWN'],
    [504, 'EFFECT_UNKNOWN'],
  ] as const)('%i is %s', async (status, code) => {
    desk.payments.before = replying(status, { location: '/orders/1' });
    await expectCode(execute(desk.tool({ sends: { max: 1 } }), replace()), code);
    expect(desk.payments.seen.filter(({ method, url }) => method === 'GET' && url === '/orders/1')).toEqual([]);
  });

  test('5xx means that nothing was done when the config says so', async () => {
    desk.payments.before = replying(500);
    const tool = desk.tool(without('replaceOrder', { meansNotDone: [500] }));
    expect((await expectCode(execute(tool, replace()), 'TOOL_FAILED')).message).toContain('refused with 500');
  });

  test('2xx whose body does not fit the schema is unknown, because another system may have responded', async () => {
    desk.payments.after = replying(201, {}, { ok: true });
    const error = await expectCode(execute(desk.tool(), refund()), 'EFFECT_UNKNOWN');
    expect(error.message).toContain('response schema');
  });

  test('2xx of a read whose body does not fit the schema is a failure', async () => {
    desk.payments.before = (_seen, _request, response) => {
      response.setHeader('content-type', 'application/json').end('{"id":"1"}');
      return true;
    };
    const error = await expectCode(execute(desk.tool(), { op: 'getOrder', path: { id: '1' } }), 'TOOL_FAILED');
    expect(error.message).toContain('status');
  });

  test("the service's error message is passed on, on one line", async () => {
    desk.payments.before = replying(403, {}, { title: 'not\nyours\u202e', detail: 'ask ann' });
    const error = await expectCode(execute(desk.tool(), refund()), 'TOOL_FAILED');
    expect(error.message).toContain('(not yours ; ask ann)');
  });
});

describe('Retry-After', () => {
  const READ = { op: 'getOrder', path: { id: '1' } };
  const later =
    (value: string, status = 503): Intercept =>
    (_seen, _request, response) => {
      response.writeHead(status, { 'retry-after': value }).end();
      return true;
    };

  test.each([
    ['7', 7_000],
    ['100000', 100_000_000],
    ['0', undefined],
    ['soon', undefined],
    ['-5', undefined],
    ['1.5', undefined],
    [new Date(0).toUTCString(), undefined],
    [new Date(4e12).toUTCString(), 366 * 86_400_000],
  ])('%s is %s ms', async (value, expected) => {
    desk.payments.before = later(value);
    const error = await expectCode(execute(desk.tool(), READ), 'TOOL_UNAVAILABLE');
    expect(error).toMatchObject({ retryable: (expected ?? 0) <= 60_000, retryAfterMs: expected });
  });

  test("as a date is compared with the service's own clock", async () => {
    const now = Date.now() - 3_600_000;
    desk.payments.before = (_seen, _request, response) => {
      response.sendDate = false;
      const dates = { date: new Date(now).toUTCString(), 'retry-after': new Date(now + 20_000).toUTCString() };
      response.writeHead(503, dates).end();
      return true;
    };
    expect((await expectCode(execute(desk.tool(), READ), 'TOOL_UNAVAILABLE')).retryAfterMs).toBe(20_000);
  });

  test('with 503 to an effect means that nothing was done', async () => {
    desk.payments.before = replying(503, { 'retry-after': '61' });
    const error = await expectCode(execute(desk.tool(), refund()), 'TOOL_UNAVAILABLE');
    expect(error.retryAfterMs).toBe(61_000);
  });

  test('that fits into the time is waited for, and the effect is made once', async () => {
    desk.payments.before = once(replying(429, { 'retry-after': '1' }));
    const input = replace();
    expect((await execute(desk.tool(), input)).result).toMatchObject({ status: 200 });
    expect(desk.payments.journal).toHaveLength(1);
  });
});

describe('a service that always puts off is sent each action a few times only', () => {
  const sent = () => desk.payments.seen.filter(({ method }) => method !== 'GET').length;
  const FEW = { sends: { max: 3 } };

  test.each([
    ['with a native key', refund, '0'],
    ['with a look-up', replace, 'soon'],
    [
      'with neither',
      () => ({ op: 'noteOrder', path: { id: order() }, body: { note: 'x' } }),
      new Date(0).toUTCString(),
    ],
  ])('%s', async (_name, input, retryAfter) => {
    desk.payments.before = replying(429, { 'retry-after': retryAfter });
    const error = await expectCode(execute(desk.tool(FEW), input()), 'TOOL_UNAVAILABLE');
    expect(sent()).toBe(3);
    expect(error).toMatchObject({ retryable: false, expected: 'at most 3 sends of an action within 60000 ms' });
    expect(error.retryAfterMs).toBeGreaterThan(0);
  });

  test('a long wait is not begun: the action ends at once, and says when to come again', async () => {
    desk.payments.before = replying(429, { 'retry-after': '86400' });
    const error = await expectCode(execute(desk.tool(FEW), replace()), 'TOOL_UNAVAILABLE');
    expect(sent()).toBe(1);
    expect(error).toMatchObject({ retryable: false, retryAfterMs: 86_400_000 });
  });

  test('a request in progress (409) is asked for a few times only', async () => {
    desk.payments.before = replying(409);
    const error = await expectCode(execute(desk.tool(FEW), refund()), 'EFFECT_UNKNOWN');
    expect(error.message).toContain('in progress');
    expect(sent()).toBe(3);
  });
});

describe('the idempotency key', () => {
  test('is a structured field string, the same for every attempt, and is not sent with reads', async () => {
    const key = 'countersign:acme/a"b\\c';
    desk.payments.before = replying(400);
    await expectCode(execute(desk.tool(), refund(), { idempotencyKey: key }), 'TOOL_FAILED');
    const keys = desk.payments.seen.map(({ method, headers }) => [method, headers['idempotency-key']]);
    expect(new Set(keys.map(String))).toEqual(new Set(['GET,', 'POST,"countersign:acme/a\\"b\\\\c"']));
  });

  const KEY = 'countersign:acme/refund-41-1';
  test.each([
    [{ format: 'plain' }, 'idempotency-key', KEY],
    [{ format: 'uuid' }, 'idempotency-key', 'f91e4d1e-480f-524a-87a1-e1256e1cc10b'],
    [{ header: 'X-Request-Id', format: 'uuid' }, 'x-request-id', 'f91e4d1e-480f-524a-87a1-e1256e1cc10b'],
    [{ header: 'X-Razorpay-Idempotency' }, 'x-razorpay-idempotency', `"${KEY}"`],
    [{ format: 'sha256' }, 'idempotency-key', createHash('sha256').update(KEY).digest('hex')],
  ] as const)('goes where the config says, in the format that it says: %o', async (idempotencyKey, header, value) => {
    desk.payments.before = replying(400);
    await expectCode(execute(desk.tool({ idempotencyKey }), refund(), { idempotencyKey: KEY }), 'TOOL_FAILED');
    const sent = desk.payments.seen.find(({ method }) => method === 'POST');
    expect(sent?.headers[header]).toBe(value);
    const others = header === 'idempotency-key' ? [] : [sent?.headers['idempotency-key']];
    expect(others.filter((other) => other !== undefined)).toEqual([]);
  });

  test('as a UUID fits what services take that refuse quotes, colons and slashes', async () => {
    desk.payments.before = ({ method, headers }, _request, response) => {
      if (method === 'GET' || /^[A-Za-z0-9-]{1,64}$/.test(String(headers['idempotency-key']))) return false;
      response.writeHead(422).end();
      return true;
    };
    const tool = desk.tool({ idempotencyKey: { format: 'uuid' } });
    const key = `countersign:acme/${'x'.repeat(128)}`;
    expect((await execute(tool, refund(), { idempotencyKey: key })).result).toMatchObject({ status: 201 });
    // A look-up asks for the key as the service knows it.
    expect(await tool.lookUp?.(key, { signal: never() }, tool.input.parse(refund('1')))).toMatchObject({
      happened: 'yes',
    });
  });

  test('goes into the body where the config says so, and the agent cannot set it', async () => {
    const body = { type: 'object', properties: { amount: { type: 'integer' }, meta: { type: 'object' } } };
    const { compensate: _compensate, ...declared } = OPERATIONS.refund;
    const tool = desk.tool({
      idempotencyKey: { body: '/meta/key', format: 'sha256' },
      operations: { refund: { ...declared, input: { body } } },
    });
    desk.payments.before = replying(400);
    const input = { op: 'refund', path: { id: order() }, body: { amount: 5, meta: { by: 'ann' } } };
    await expectCode(execute(tool, input, { idempotencyKey: KEY }), 'TOOL_FAILED');
    const sent = desk.payments.seen.find(({ method }) => method === 'POST');
    const key = createHash('sha256').update(KEY).digest('hex');
    expect(JSON.parse(sent?.body ?? '')).toEqual({ amount: 5, meta: { by: 'ann', key } });
    expect(sent?.headers['idempotency-key']).toBeUndefined();
    const own = { ...input, body: { amount: 5, meta: { key: 'mine' } } };
    expect(tool.input.safeParse(own).error?.issues[0]?.message).toBe('sets the idempotency key');
  });

  test('in progress (409) is waited for', async () => {
    let busy = 2;
    desk.payments.before = (seen, request, response) =>
      seen.method === 'POST' && busy-- > 0 ? replying(409)(seen, request, response) : false;
    expect((await execute(desk.tool(), refund())).result).toMatchObject({ status: 201 });
    expect(desk.payments.journal).toHaveLength(1);
  });

  test('that stays in progress is unknown', async () => {
    desk.payments.before = replying(409);
    const error = await expectCode(execute(desk.tool({ sends: { max: 2 } }), refund()), 'EFFECT_UNKNOWN');
    expect(error.message).toContain('in progress');
  });

  test('409 is a refusal when the config says so', async () => {
    desk.payments.before = replying(409);
    await expectCode(execute(desk.tool(without('refund', { meansNotDone: [409] })), refund()), 'TOOL_FAILED');
    expect(desk.payments.seen.filter(({ method }) => method === 'POST')).toHaveLength(1);
  });

  test('used for another payload (422) is unknown: there was an earlier request', async () => {
    desk.payments.before = replying(422, {}, { title: 'Idempotency-Key is already used' });
    const error = await expectCode(execute(desk.tool(), refund()), 'EFFECT_UNKNOWN');
    expect(error.message).toContain('the key stands for');
  });

  test('returns the lost response when it is sent again, and there is one effect', async () => {
    desk.payments.after = once(dropping);
    const [tool, input, key] = [desk.tool(), refund(), randomUUID()];
    const pre = digest(await tool.capture(tool.input.parse(input), {}, { signal: never() }));
    const attempt = (retried: boolean) => execute(tool, input, { idempotencyKey: key, preDigest: pre, retried });
    await expectCode(attempt(false), 'EFFECT_UNKNOWN');
    expect((await attempt(true)).result).toMatchObject({ status: 201 });
    expect(desk.payments.journal).toHaveLength(1);
  });
});

describe('after an attempt that may have had an effect, another failure proves nothing', () => {
  test.each([
    ['the service refuses', replying(403)],
    ['the service is busy', replying(429)],
    ['the service cannot be reached', dropping],
  ])('%s', async (_name, intercept) => {
    desk.payments.before = intercept;
    const error = await expectCode(execute(desk.tool(), refund(), { retried: true }), 'EFFECT_UNKNOWN');
    expect(error.retryable).toBe(false);
  });

  test('the state has changed, and a look-up rules out that we changed it', async () => {
    const [tool, input] = [desk.tool(), refund()];
    const pre = digest(await tool.capture(tool.input.parse(input), {}, { signal: never() }));
    const found = desk.payments.orders.get(input.path.id);
    if (found !== undefined) found.status = 'disputed';
    await expectCode(execute(tool, input, { retried: true, preDigest: pre }), 'EFFECT_UNKNOWN');
    expect(desk.payments.journal).toEqual([]);
  });
});

describe('a repeated native request, whose first answer was lost', () => {
  const alone = (operation: 'refund' | 'cancelRefund', more: object = {}) =>
    desk.tool(without(operation, { lookUp: undefined, ...more }));

  async function attempts(tool: ReturnType<Desk['tool']>, input: JsonObject, key = randomUUID()) {
    const parsed = tool.input.parse(input);
    const pre = await tool.capture(parsed, {}, { signal: never() });
    const attempt = (retried: boolean, sends?: Sends) =>
      execute(tool, input, {
        idempotencyKey: key,
        preDigest: digest(pre),
        retried,
        ...(sends === undefined ? {} : { sends }),
      });
    await expectCode(attempt(false), 'EFFECT_UNKNOWN');
    const checks = async (execution: Execution) => {
      const post = await tool.capture(parsed, { after: { pre, execution } }, { signal: never() });
      const preview = await tool.preview(parsed, { signal: never() });
      const delta = { patch: [], operations: 0, latencyMs: 0 };
      return tool.verify({ input: parsed, preview, pre, post, delta, execution }).filter(({ ok }) => !ok);
    };
    return { attempt, checks };
  }

  test('is sent again although its own effect moved the state, and the probes verify it', async () => {
    desk.payments.after = once(dropping);
    const { attempt, checks } = await attempts(alone('refund'), refund());
    const execution = await attempt(true);
    expect(execution.result).toMatchObject({ status: 201 });
    expect(await checks(execution)).toEqual([]);
    expect(desk.payments.journal).toHaveLength(1);
  });

  test('that finds a state that another changed is a mismatch', async () => {
    desk.payments.before = once(dropping);
    const input = refund();
    const { attempt, checks } = await attempts(alone('refund'), input);
    const found = desk.payments.orders.get(input.path.id);
    if (found !== undefined) found.status = 'disputed';
    expect((await checks(await attempt(true))).map(({ detail }) => detail)).toEqual([
      '/order/status: became "disputed"',
    ]);
  });

  test('of a DELETE whose object is gone is verified, whether the service repeats its answer or says 404', async () => {
    for (const again of [undefined, replying(404)]) {
      desk.payments.refunds.set('r1', { id: 'r1', order: order(), amount: 1 });
      desk.payments.before = undefined;
      desk.payments.after = once(dropping);
      const { attempt, checks } = await attempts(alone('cancelRefund'), { op: 'cancelRefund', path: { id: 'r1' } });
      desk.payments.before = again;
      const execution = await attempt(true);
      expect(execution.result).toMatchObject(again === undefined ? { status: 204 } : { status: 404, gone: true });
      expect(await checks(execution)).toEqual([]);
    }
  });

  test('of a DELETE that says 404 is a mismatch where the object is still there', async () => {
    desk.payments.refunds.set('r1', { id: 'r1', order: order(), amount: 1 });
    desk.payments.before = once(dropping);
    const { attempt, checks } = await attempts(alone('cancelRefund'), { op: 'cancelRefund', path: { id: 'r1' } });
    desk.payments.before = replying(404);
    expect((await checks(await attempt(true)))[0]?.detail).toBe('/refund is there, expected to be gone');
  });

  test('is not sent when the service may have forgotten the key: it is looked up, or unknown', async () => {
    const past = () => {
      const sent = { sends: 2, sendingMs: 3_000, sinceFirstMs: 3_000 };
      return new Sends(
        { max: 5, withinMs: 60_000 },
        { count: async () => sent, confirm: async () => {} },
        { ...sent, since: instant() },
      );
    };
    desk.payments.after = once(dropping);
    const blind = await attempts(alone('refund', { keyLifetimeMs: 1_000 }), refund());
    const error = await expectCode(blind.attempt(true, past()), 'EFFECT_UNKNOWN');
    expect(error.message).toContain('may have forgotten the idempotency key');
    desk.payments.after = once(dropping);
    const seeing = await attempts(desk.tool(without('refund', { keyLifetimeMs: 1_000 })), refund());
    const execution = await seeing.attempt(true, past());
    expect(await seeing.checks(execution)).toEqual([]);
    expect(desk.payments.seen.filter(({ method }) => method === 'POST')).toHaveLength(2);
    expect(desk.payments.journal).toHaveLength(2);
  });
});

describe('a look-up', () => {
  const lookUp = async (options: Partial<HttpOptions>, key: string = randomUUID()) => {
    const tool = desk.tool(options);
    return await tool.lookUp?.(key, { signal: never() }, tool.input.parse(replace('1')));
  };

  test('finds an effect whose response was lost', async () => {
    desk.payments.after = dropping;
    const [tool, input, key] = [desk.tool(), replace(), randomUUID()];
    await expectCode(execute(tool, input, { idempotencyKey: key }), 'EFFECT_UNKNOWN');
    const found = await tool.lookUp?.(key, { signal: never() }, tool.input.parse(input));
    expect(found).toMatchObject({ happened: 'yes', execution: { result: { status: 200, body: { status: 'held' } } } });
  });

  test('that finds nothing returns unknown, because the request may still be on its way', async () => {
    expect(await lookUp({})).toMatchObject({ happened: 'unknown' });
  });

  test('returns no when the effect was absent for as long as the service may take', async () => {
    const start = performance.now();
    const options = without('replaceOrder', { lookUp: { get: '/keys?key={key}', finalAfterMs: 350 } });
    expect(await lookUp(options)).toEqual({ happened: 'no' });
    expect(performance.now() - start).toBeGreaterThanOrEqual(350);
    expect(desk.payments.seen.length).toBeGreaterThan(1);
  });

  test('finds what appears while it waits', async () => {
    let lookUps = 0;
    desk.payments.before = (_seen, _request, response) => {
      response.writeHead(++lookUps < 3 ? 404 : 200, { 'content-type': 'application/json' }).end('{"id":1}');
      return true;
    };
    const options = without('replaceOrder', { lookUp: { get: '/keys?key={key}', finalAfterMs: 30_000 } });
    expect(await lookUp(options)).toMatchObject({ happened: 'yes' });
  });

  test.each([
    ['fails', replyingToAll(500), {}],
    ['refuses', replyingToAll(403), {}],
    ['answers what is no JSON', replyingToAll(200, '<html>'), {}],
    ['redirects away', replyingToAll(302), {}],
    ['answers with an empty list', replyingToAll(200, '{"data":[]}'), { at: '/data' }],
    ['answers with null', replyingToAll(200, 'null'), {}],
  ])('of a service that %s returns unknown', async (_name, intercept, more) => {
    desk.payments.before = intercept;
    const options = without('replaceOrder', { lookUp: { get: '/keys?key={key}', ...more } });
    expect(await lookUp(options)).toMatchObject({ happened: 'unknown' });
  });

  test('that cannot determine the operation returns unknown', async () => {
    expect(await desk.tool().lookUp?.(randomUUID(), { signal: never() })).toMatchObject({ happened: 'unknown' });
  });
});

function replyingToAll(status: number, body = ''): Intercept {
  return (_seen, _request, response) => {
    response.writeHead(status, { 'content-type': 'application/json', location: 'http://169.254.169.254/' }).end(body);
    return true;
  };
}

describe('If-Match', () => {
  test('prevents the effect when the state changed after the last read', async () => {
    const input = { op: 'noteOrder', path: { id: order() }, body: { note: 'late' } };
    desk.payments.before = ({ method }) => {
      const found = desk.payments.orders.get(input.path.id);
      if (method === 'PATCH' && found !== undefined) found.status = 'disputed';
      return false;
    };
    await expectCode(execute(desk.tool(), input), 'STATE_CHANGED');
    expect(desk.payments.journal).toEqual([]);
  });

  test('is not left out when the service gives no entity tag', async () => {
    desk.payments.before = ({ method }, _request, response) => {
      if (method !== 'GET') return false;
      response.setHeader('content-type', 'application/json').end('{"id":"1"}');
      return true;
    };
    await expectCode(
      execute(desk.tool(), { op: 'noteOrder', path: { id: order() }, body: { note: 'x' } }),
      'TOOL_FAILED',
    );
    expect(desk.payments.journal).toEqual([]);
  });
});

describe('operations differ in what may be repeated', () => {
  test('the tool has the idempotency of the least safe operation, and each input its own', () => {
    const tool = desk.tool();
    expect(tool.idempotency).toBe('none');
    const of = (raw: object) => tool.idempotencyOf?.(tool.input.parse(raw));
    expect(
      [
        refund('1'),
        replace('1'),
        { op: 'noteOrder', path: { id: '1' }, body: {} },
        { op: 'getOrder', path: { id: '1' } },
      ].map(of),
    ).toEqual(['native', 'lookup', 'none', 'native']);
  });
});

describe('verification reads the state of the service, not its claims', () => {
  /** What the service really does, although it responds 201 as if it had made the effect. */
  const falseSuccesses: Record<string, (id: string) => void> = {
    'nothing at all': (id) => revise(id, (one) => void (one.refunded -= 5), true),
    'the refund, but not the order': (id) => revise(id, (one) => void (one.refunded -= 5)),
    'the order, but no refund': (id) => revise(id, () => {}, true),
    'another amount': (id) => revise(id, (one) => void (one.refunded += 1)),
    'the effect twice': (id) => revise(id, (one) => void (one.refunded += 5)),
    'the effect, and something else with it': (id) => revise(id, (one) => void (one.status = 'closed')),
    'the effect, and a note beside it': (id) => revise(id, (one) => void (one.note = 'by the service')),
    'the effect on another total': (id) => revise(id, (one) => void (one.total -= 5)),
    'two refunds': (id) => void desk.payments.refunds.set('rX', { id: 'rX', order: id, amount: 5 }),
    'the removal of the order': (id) => void desk.payments.orders.delete(id),
    'a text where a number was': (id) => revise(id, (one) => void (one.refunded = '5' as unknown as number)),
    'nothing where a number was': (id) => revise(id, (one) => void (one.refunded = null as unknown as number)),
    'another order under this id': (id) => revise(id, (one) => void Object.assign(one, { id: 'other' })),
  };

  function revise(
    id: string,
    change: (one: { status: string; total: number; refunded: number; note: string | null }) => void,
    noRefund = false,
  ) {
    const found = desk.payments.orders.get(id);
    if (found !== undefined) change(found);
    if (noRefund) desk.payments.refunds.clear();
  }

  test.each(Object.entries(falseSuccesses))('201, and what was done is %s', async (_name, lie) => {
    const input = refund();
    desk.payments.after = ({ method }) => {
      if (method === 'POST') lie(input.path.id);
      return false;
    };
    const performed = await act(desk.tool(), input);
    expect(performed.execution.result).toMatchObject({ status: 201 });
    const broken = performed.checks.filter(({ ok }) => !ok);
    expect(broken.length).toBeGreaterThan(0);
    for (const { detail } of broken) expect(detail).toMatch(/\S/);
  });

  test('a true 201 is verified', async () => {
    expect((await act(desk.tool(), refund())).checks.filter(({ ok }) => !ok)).toEqual([]);
  });

  test('a DELETE that deleted nothing, and a PUT that kept a value, are found', async () => {
    desk.payments.before = replying(200);
    const tool = desk.tool();
    desk.payments.refunds.set('r1', { id: 'r1', order: order(), amount: 1 });
    const deleted = await act(tool, { op: 'cancelRefund', path: { id: 'r1' } });
    expect(deleted.checks.find(({ ok }) => !ok)?.detail).toBe('/refund is there, expected to be gone');
    const replaced = await act(tool, replace());
    expect(replaced.checks.find(({ ok }) => !ok)?.detail).toBe('/order/status is "paid", expected "held"');
  });

  test('an id in the result that would lead a probe elsewhere is not used: the effect is not verified', async () => {
    const probes = { ...OPERATIONS.refund.probes, made: { get: '/refunds/{result.body.id}' } };
    const changes = [...OPERATIONS.refund.changes, '/made'];
    const tool = desk.tool(without('refund', { probes, changes, ensures: ['post.made != null'] }));
    expect((await act(tool, refund())).checks.filter(({ ok }) => !ok)).toEqual([]);
    for (const id of ['../orders', 'r1?x=1', '..', 'a/b']) {
      desk.payments.seen.length = 0;
      desk.payments.after = replying(201, {}, { id, amount: 5 });
      const { post, checks } = await act(tool, refund());
      expect(post['made']).toBeNull();
      expect(checks.some(({ ok }) => !ok)).toBe(true);
      expect(
        desk.payments.seen.filter(({ url }) => !/^\/(orders\/\d+(\/refunds)?|refunds\?order=\d+)$/.test(url)),
      ).toEqual([]);
    }
  });

  test('a value of the body that would lead a probe elsewhere is refused before anything is sent', async () => {
    const probes = { note: { get: '/notes/{body.note}' } };
    const tool = desk.tool(without('noteOrder', { probes, ifMatch: false, ensures: ['true'], changes: ['/note'] }));
    const input = tool.input.parse({ op: 'noteOrder', path: { id: '1' }, body: { note: '../orders/1' } });
    await expectCode(tool.preview(input, { signal: never() }), 'INVALID_INPUT');
    await expectCode(tool.capture(input, {}, { signal: never() }), 'INVALID_INPUT');
    expect(desk.payments.seen).toEqual([]);
  });

  test('a PATCH may change what it names and no more', async () => {
    desk.payments.after = ({ method }) => {
      for (const one of desk.payments.orders.values()) if (method === 'PATCH') one.total = 0;
      return false;
    };
    const { checks } = await act(desk.tool(), { op: 'noteOrder', path: { id: order() }, body: { note: 'x' } });
    expect(checks.filter(({ ok }) => !ok)).toEqual([
      { name: 'frame.state', ok: false, detail: '/order/total: became 0' },
    ]);
  });
});
