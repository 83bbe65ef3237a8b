/** Streams of events: they tell what changed, end when they must, and are few. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestGateway, type Sender, type TestGateway } from '../support/gateway.js';
import { startStack, type Stack } from '../support/stack.js';

let stack: Stack;
let gateway: TestGateway;
let bot: Sender;
let dana: Sender;

beforeAll(async () => {
  stack = await startStack({
    schema:
      "CREATE TABLE sessions (id int PRIMARY KEY, note text NOT NULL); INSERT INTO sessions SELECT n, 'stale' FROM generate_series(1, 150) n",
  });
  gateway = await startTestGateway(stack, { gateway: { limits: { streams: 3 } } });
  bot = await gateway.agent();
  dana = await gateway.person();
});
afterAll(async () => {
  await gateway?.stop();
  await stack?.stop();
});

interface Event {
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly id?: string;
}

class Stream {
  readonly response: Response;
  readonly #controller: AbortController;
  readonly #events: AsyncGenerator<Event>;

  constructor(response: Response, controller: AbortController) {
    this.response = response;
    this.#controller = controller;
    this.#events = eventsOf(response);
  }

  static async open(sender: Sender, path: string, headers: Readonly<Record<string, string>> = {}, url = gateway.url) {
    const controller = new AbortController();
    const response = await fetch(`${url}${path}`, {
      headers: { ...sender.headers, ...headers },
      signal: controller.signal,
    });
    return new Stream(response, controller);
  }

  /** Undefined when the stream has ended. */
  async next(): Promise<Event | undefined> {
    const { value, done } = await this.#events.next();
    return done === true ? undefined : value;
  }

  close(): void {
    this.#controller.abort();
  }
}

async function* eventsOf(response: Response): AsyncGenerator<Event> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const part of response.body ?? []) {
    text += decoder.decode(part, { stream: true });
    for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
      const lines = text.slice(0, end).split('\n');
      text = text.slice(end + 2);
      const field = (name: string): string | undefined =>
        lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const [event, data, id] = [field('event'), field('data'), field('id')];
      if (event === undefined || data === undefined) continue;
      yield { event, data: JSON.parse(data) as Event['data'], ...(id === undefined ? {} : { id }) };
    }
  }
}

async function waiting(): Promise<{ actionId: string; shownDigest: string }> {
  const actionId = randomUUID();
  const input = { op: 'delete', table: 'sessions', where: { note: 'stale' } };
  expect((await bot.post('/v1/actions?wait=30', { actionId, tool: 'shop-db', input })).status).toBe(202);
  const { body } = await dana.get(`/v1/actions/${actionId}`);
  return { actionId, shownDigest: (body['pending'] as { shownDigest: string }).shownDigest };
}

describe('the stream of an action', () => {
  test('tells how it stands, what changes, and how it ends; then it ends', async () => {
    const { actionId, shownDigest } = await waiting();
    const stream = await Stream.open(bot, `/v1/actions/${actionId}/events`);
    expect(stream.response.headers.get('content-type')).toContain('text/event-stream');
    expect(await stream.next()).toMatchObject({ event: 'status', data: { status: 'pending', actionId } });
    await dana.post(`/v1/actions/${actionId}/decision`, { shownDigest, verdict: 'deny', reason: 'no' });
    const seen: Event[] = [];
    for (let next = await stream.next(); next !== undefined; next = await stream.next()) seen.push(next);
    expect(seen.at(-1)).toMatchObject({ event: 'outcome', data: { status: 'denied', actionId } });
  });

  test('of one that has ended tells that at once', async () => {
    const { actionId } = await waiting();
    await bot.post(`/v1/actions/${actionId}/cancel`);
    await bot.get(`/v1/actions/${actionId}/outcome?wait=30`);
    const stream = await Stream.open(dana, `/v1/actions/${actionId}/events`);
    expect(await stream.next()).toMatchObject({ event: 'status', data: { status: 'cancelled' } });
    expect(await stream.next()).toMatchObject({ event: 'outcome', data: { status: 'cancelled' } });
    expect(await stream.next()).toBeUndefined();
  });
});

describe('the stream of the inbox', () => {
  test('tells everybody of the tenant that the list has changed, and nobody else', async () => {
    const gil = await gateway.person({ id: 'gil', tenant: 'globex' });
    const [one, two, other] = await Promise.all([
      Stream.open(dana, '/v1/events'),
      Stream.open(await gateway.person({ id: 'ann' }), '/v1/events'),
      Stream.open(gil, '/v1/events'),
    ]);
    const first = await one.next();
    expect([first?.event, (await two.next())?.event]).toEqual(['inbox', 'inbox']);
    const theirs = await other.next();
    await waiting();
    expect((await one.next())?.data).not.toEqual(first?.data);
    expect((await two.next())?.data).not.toEqual(first?.data);
    const again = await Stream.open(gil, '/v1/events');
    expect((await again.next())?.data).toEqual(theirs?.data);
    for (const stream of [one, two, other, again]) stream.close();
  });

  test('tells nothing that was told before', async () => {
    const before = await Stream.open(dana, '/v1/events');
    const known = (await before.next())?.id as string;
    before.close();
    const stream = await Stream.open(dana, '/v1/events', { 'last-event-id': known });
    const { actionId } = await waiting();
    const next = await stream.next();
    expect(next?.id).not.toBe(known);
    stream.close();
    await bot.post(`/v1/actions/${actionId}/cancel`);
  });
});

describe('streams', () => {
  test('are few for each, and count no more once they are closed', async () => {
    const eve = await gateway.person({ id: 'eve' });
    const open = await Promise.all([1, 2, 3].map(() => Stream.open(eve, '/v1/events')));
    const beyond = await eve.get('/v1/events');
    expect([beyond.status, beyond.body['code']]).toEqual([429, 'RATE_LIMITED']);
    open[0]?.close();
    await expect
      .poll(async () => {
        const stream = await Stream.open(eve, '/v1/events');
        stream.close();
        return stream.response.status;
      })
      .toBe(200);
    for (const stream of open) stream.close();
    await expect
      .poll(async () => (await gateway.nobody.get('/metrics')).text.match(/event_streams\{stream="inbox"\} (\d+)/)?.[1])
      .toBe('0');
  });

  test('that nobody reads are not begun', async () => {
    const answer = await dana.send('HEAD', '/v1/events');
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
    expect((await gateway.nobody.get('/metrics')).text).toContain('event_streams{stream="inbox"} 0');
  });

  test('and waits end when the gateway stops, with what is known then', async () => {
    const second = await startTestGateway(stack);
    const { actionId } = await waiting();
    const person = await second.person();
    const inbox = await Stream.open(person, '/v1/events', {}, second.url);
    const action = await Stream.open(person, `/v1/actions/${actionId}/events`, {}, second.url);
    expect((await inbox.next())?.event).toBe('inbox');
    expect((await action.next())?.event).toBe('status');
    const wait = person.get(`/v1/actions/${actionId}/outcome?wait=60`);
    // It is waiting, not about to arrive.
    await expect.poll(() => second.nobody.get('/healthz').then(({ status }) => status)).toBe(200);
    const began = performance.now();
    await second.stop();
    expect(performance.now() - began).toBeLessThan(30_000);
    expect(await inbox.next()).toBeUndefined();
    expect(await action.next()).toBeUndefined();
    expect([(await wait).status, (await wait).body['status']]).toEqual([202, 'pending']);
  });

  test('end with the session', { timeout: 60_000 }, async () => {
    const eve = await gateway.person({ id: 'eve' });
    const stream = await Stream.open(eve, '/v1/events');
    await stream.next();
    await eve.end();
    // The list may change meanwhile; what counts is that it ends.
    let next = await stream.next();
    while (next !== undefined) next = await stream.next();
    expect((await eve.get('/v1/me')).status).toBe(401);
  });
});
