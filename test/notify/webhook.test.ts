/** Tests the webhook channel against a real HTTP server, which verifies with the library that receivers use. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { NOTICE_KINDS, webhook, type WebhookOptions } from '../../src/notify/index.js';
import type { Channel } from '../../src/notify/channel.js';
import { problemsOf } from './cloudevents.js';
import { delivery, notice, openReceiver, status, type HttpReceiver } from './support.js';

const OLD = `whsec_${randomBytes(32).toString('base64')}`;
const NEW = `whsec_${randomBytes(32).toString('base64')}`;
let receiver: HttpReceiver;
const open: Channel[] = [];

beforeAll(async () => {
  Object.assign(process.env, {
    HOOK_OLD: OLD,
    HOOK_NEW: NEW,
    HOOK_SHORT: 'whsec_c2hvcnQ=',
    HOOK_ODD: 'hunter2-hunter2',
  });
  receiver = await openReceiver();
});
afterEach(async () => {
  receiver.seen.length = 0;
  receiver.answers.length = 0;
  for (const channel of open.splice(0)) await channel.close?.();
});
afterAll(() => receiver.stop());

function hook(more: Partial<WebhookOptions> = {}): Channel {
  const channel = webhook({
    url: receiver.url,
    secrets: ['env:HOOK_OLD'],
    allow: { loopback: true },
    timeoutMs: 20_000,
    ...more,
  });
  open.push(channel);
  return channel;
}

function verifiedBy(secret: string): unknown {
  const [last] = receiver.seen.slice(-1);
  return new Webhook(secret).verify(last?.body ?? '', (last?.headers ?? {}) as Record<string, string>);
}

describe('a delivery', () => {
  test('verifies with the receiver’s library and carries the delivery id', async () => {
    expect(await hook().deliver(notice(), delivery())).toEqual({ detail: 'HTTP 204' });
    expect(receiver.seen[0]?.headers).toMatchObject({ 'webhook-id': 'ntc_0123', 'content-type': 'application/json' });
    expect(verifiedBy(OLD)).toMatchObject({
      type: 'action.asked',
      timestamp: '2026-05-01T08:00:00.000Z',
      data: {
        tenant: 'acme',
        actionId: 'price-1',
        agent: 'pricing-bot',
        link: expect.stringContaining('/actions/price-1'),
      },
    });
    expect(() => verifiedBy(NEW)).toThrow(/signature/i);
  });

  test('is signed with every secret while one replaces another', async () => {
    await hook({ secrets: ['env:HOOK_NEW', 'env:HOOK_OLD'] }).deliver(notice(), delivery());
    expect(verifiedBy(OLD)).toEqual(verifiedBy(NEW));
  });

  test('that is tried again has the same id and a new timestamp that verifies', async () => {
    receiver.answers.push(status(503));
    const channel = hook();
    await expect(channel.deliver(notice(), delivery())).rejects.toMatchObject({
      code: 'DELIVERY_FAILED',
      retryable: true,
    });
    await channel.deliver(notice(), delivery());
    expect(receiver.seen.map(({ headers }) => headers['webhook-id'])).toEqual(['ntc_0123', 'ntc_0123']);
    expect(verifiedBy(OLD)).toMatchObject({ type: 'action.asked' });
  });
});

describe('a delivery as an event of CloudEvents', () => {
  const hookOfEvents = (): Channel => hook({ format: 'cloudevents' });

  /** The last one that was received. */
  function event(): object {
    const read = JSON.parse(receiver.seen.at(-1)?.body ?? '') as object;
    expect(problemsOf(read)).toEqual([]);
    return read;
  }

  test('is valid, names the gateway, the action and the delivery, and is signed like any other', async () => {
    await hookOfEvents().deliver(notice(), delivery());
    expect(receiver.seen[0]?.headers).toMatchObject({
      'webhook-id': 'ntc_0123',
      'content-type': 'application/cloudevents+json; charset=utf-8',
    });
    expect(verifiedBy(OLD)).toEqual(JSON.parse(receiver.seen[0]?.body ?? ''));
    const { at, kind, ...data } = notice();
    expect(event()).toEqual({
      specversion: '1.0',
      id: 'ntc_0123',
      source: 'https://approvals.example.com/',
      type: `io.countersign.action.${kind}`,
      subject: 'price-1',
      time: at,
      datacontenttype: 'application/json',
      data,
    });
  });

  test.each(NOTICE_KINDS)('is valid when it tells that an action was %s', async (kind) => {
    const link = 'https://example.com/countersign/actions/a%2Fb%3A1';
    await hookOfEvents().deliver(
      notice({ kind, link, actionId: 'a/b:1', ...(kind === 'ended' ? { status: 'success' } : {}) }),
      delivery(),
    );
    expect(event()).toMatchObject({
      type: `io.countersign.action.${kind}`,
      source: 'https://example.com/countersign/',
      subject: 'a/b:1',
    });
  });

  test('is checked by what refuses an event that is none', async () => {
    await hookOfEvents().deliver(notice(), delivery());
    const { source: _, ...without } = event() as { source: string };
    expect(problemsOf(without)).not.toEqual([]);
    for (const wrong of [
      { id: '' },
      { time: 'today' },
      { specversion: '0.3' },
      { source: ' ' },
      { actionId: 'a' },
      { data_base64: '' },
    ])
      expect({ wrong, problems: problemsOf({ ...event(), ...wrong }) }).not.toEqual({ wrong, problems: [] });
  });

  test('that is tried again is the same event', async () => {
    receiver.answers.push(status(503));
    const channel = hookOfEvents();
    await expect(channel.deliver(notice(), delivery())).rejects.toMatchObject({ retryable: true });
    const first = event();
    await channel.deliver(notice(), delivery());
    expect(event()).toEqual(first);
  });
});

describe('a response', () => {
  test.each([
    [429, { 'retry-after': '7' }, { retryable: true, retryAfterMs: 7000 }],
    [503, { 'retry-after': '999999' }, { retryable: true, retryAfterMs: 3_600_000 }],
    [500, {}, { retryable: true, retryAfterMs: undefined }],
    [404, {}, { retryable: true, retryAfterMs: undefined }],
    [410, {}, { retryable: false, message: expect.stringContaining('410') }],
  ])('of %i determines whether and when the delivery is tried again', async (code, headers, error) => {
    receiver.answers.push(status(code, headers));
    await expect(hook().deliver(notice(), delivery())).rejects.toMatchObject({ code: 'DELIVERY_FAILED', ...error });
  });

  test('that redirects is not followed: the other server gets nothing', async () => {
    const other = await openReceiver();
    receiver.answers.push(status(307, { location: other.url }));
    await expect(hook().deliver(notice(), delivery())).rejects.toMatchObject({ retryable: true, message: 'HTTP 307' });
    expect(other.seen).toEqual([]);
    await other.stop();
  });

  test('is not quoted, because it may echo what was sent', async () => {
    receiver.answers.push(status(500, {}, OLD));
    const failed = await hook()
      .deliver(notice(), delivery())
      .catch((error: unknown) => error);
    expect(failed).toMatchObject({ message: 'HTTP 500' });
  });

  test('of 2xx with an endless body is a delivery', async () => {
    receiver.answers.push(status(200, {}, 'x'.repeat(200_000)));
    expect(await hook().deliver(notice(), delivery())).toEqual({ detail: 'HTTP 200' });
  });

  test('that never comes ends the attempt in time', async () => {
    const silent = createServer(() => {});
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as { port: number };
    const began = Date.now();
    const late = hook({ url: `http://127.0.0.1:${port}/`, timeoutMs: 300 }).deliver(notice(), delivery());
    await expect(late).rejects.toMatchObject({ code: 'DELIVERY_FAILED', retryable: true });
    expect(Date.now() - began).toBeLessThan(30_000);
    silent.close();
  });

  test('that never comes because the connection is refused: the delivery is tried again', async () => {
    const gone = await openReceiver();
    await gone.stop();
    await expect(hook({ url: gone.url }).deliver(notice(), delivery())).rejects.toMatchObject({ retryable: true });
  });
});

describe('the config', () => {
  test.each([
    ['a loopback address that is not allowed', { url: 'https://127.0.0.1:1/', allow: {} }],
    [
      'the clouds’ metadata service',
      { url: 'https://169.254.169.254/latest', allow: { networks: ['169.254.0.0/16'] } },
    ],
  ])('%s: nothing is sent, for good', async (_name, options) => {
    await expect(hook(options).deliver(notice(), delivery())).rejects.toMatchObject({
      code: 'DELIVERY_FAILED',
      retryable: false,
    });
  });

  test.each([
    ['http to another machine', { url: 'http://example.com/hook' }],
    ['credentials in the URL', { url: 'https://ann:hunter2@example.com/' }],
    ['no secret', { secrets: [] }],
    ['a secret that is not set', { secrets: ['env:HOOK_NOWHERE'] }],
    ['a secret in the config itself', { secrets: [OLD as 'env:X'] }],
    ['a secret that is too short', { secrets: ['env:HOOK_SHORT'] }],
    ['a secret of another form', { secrets: ['env:HOOK_ODD'] }],
    ['a name that means something elsewhere', { name: 'a/b' }],
    ['a format that there is not', { format: 'xml' as 'cloudevents' }],
  ] as [string, Partial<WebhookOptions>][])('%s is refused, and no secret is quoted', (_name, options) => {
    let refused: unknown;
    try {
      hook(options);
    } catch (error) {
      refused = error;
    }
    expect(refused).toMatchObject({ code: 'CONFIG_INVALID' });
    expect(`${String(refused)}${JSON.stringify(refused)}`).not.toMatch(/hunter2|c2hvcnQ|whsec_[A-Za-z0-9]/);
  });
});
