/** The list of a service's own is compared with the ledger: what no action caused is found, whatever form the key has. */
import { randomUUID } from 'node:crypto';
import pino from 'pino';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { idempotencyKey } from '../../src/action/idempotency-key.js';
import type { JsonObject } from '../../src/action/json.js';
import { Closing } from '../../src/closing.js';
import { Radar } from '../../src/radar/radar.js';
import { startRadars } from '../../src/worker/radars.js';
import type { HttpRadarOptions } from '../../src/tools/index.js';
import { keyValue } from '../../src/tools/http/idempotency-key.js';
import { admission, newTenant, startLedger, useOf, type TestLedger } from '../ledger/support.js';
import { until } from '../support/until.js';
import { jsonService, toolOn, type JsonService } from '../tools/http-support.js';

let ledger: TestLedger;
let service: JsonService;
const events: JsonObject[] = [];

beforeAll(async () => {
  ledger = await startLedger();
  service = await jsonService(({ url }) => {
    const since = Number(url.searchParams.get('after'));
    const from = Number(url.searchParams.get('from') ?? 0);
    const found = events.filter(({ created }) => Number(created) >= since);
    const next = from + 2 < found.length ? `/events?after=${since}&from=${from + 2}` : null;
    return { body: { data: found.slice(from, from + 2), next } };
  });
});
afterAll(async () => {
  await service?.stop();
  await ledger?.stop();
});

const RADAR: HttpRadarOptions = {
  get: '/events?after={since}',
  since: 'unix',
  at: '/data',
  pages: { next: '/next' },
  id: '/id',
  key: '/key',
  time: '/created',
  kind: '/type',
  kinds: ['refund.created'],
  user: '/by',
  writers: { roles: ['console'] },
  everyMs: 1_000,
};

/** An action that used its grant, as its key. */
async function granted(tool: string): Promise<string> {
  const names = { tenant: newTenant(), actionId: randomUUID() };
  const request = admission(names, { tool });
  await ledger.ledger.actions.admit(request);
  await ledger.ledger.grants.use(useOf(request));
  return idempotencyKey(names);
}

test.each(['quoted', 'uuid'] as const)(
  'an event with the key of an action is explained, in the form %s',
  async (format) => {
    const name = `payments-${format}`;
    const tool = toolOn(service.url, {
      name,
      operations: { list: { method: 'GET', url: '/refunds' } },
      radar: RADAR,
      idempotencyKey: { format },
    });
    // After the radar begins, which is some moments from now.
    const created = Math.floor(Date.now() / 1000) + 60;
    const event = (id: string, more: JsonObject): JsonObject => ({
      id: `${format}-${id}`,
      created,
      type: 'refund.created',
      ...more,
    });
    const place = { header: 'idempotency-key', body: undefined, format };
    const form = (key: string): string => (format === 'quoted' ? `"${key}"` : keyValue(key, place));
    const known = form(await granted(name));
    events.splice(0);
    events.push(
      event('long-ago', { created: created - 1_000, key: null }),
      event('ours', { key: known }),
      event('ours-again', { key: known }),
      event('other-kind', { type: 'login', key: null }),
      event('no-key', { key: null }),
      event('forged', { key: form('countersign:acme/none') }),
      event('other-tool', { key: form(await granted('another')) }),
      event('declared', { key: null, by: 'console' }),
      event('undeclared', { key: null, by: 'intern' }),
    );
    if (tool.radar === undefined) throw new Error('the tool has no radar');
    const radar = new Radar({
      name,
      source: tool.radar,
      tools: new Set([name]),
      ledger: ledger.ledger,
      logger: pino({ level: 'silent' }),
      found: () => {},
      tell: () => {},
    });
    radar.start();
    try {
      const found = await until(
        () => ledger.ledger.radarAlerts.list({ source: name }),
        (alerts) => alerts.length > 0,
      );
      expect(
        found.map(({ position, reason }) => [position.slice(format.length + 1).split('@')[0], reason]).toReversed(),
      ).toEqual([
        ['no-key', 'no_effect'],
        ['forged', 'unknown_effect'],
        ['other-tool', 'unknown_effect'],
        ['undeclared', 'no_effect'],
      ]);
      expect(found[0]?.writers).toEqual([{ user: 'intern', application: '' }]);
      // The list is read again, with what it had before.
      events.push(event('later', { key: null }));
      expect(
        await until(
          () => ledger.ledger.radarAlerts.list({ source: name }),
          (alerts) => alerts.length > 4,
        ),
      ).toHaveLength(5);
    } finally {
      await radar.close();
      await tool.close();
    }
  },
);

test('the key of a tool of another service explains nothing', async () => {
  const listed: JsonObject[] = [];
  const served = await jsonService(() => ({ body: { data: listed, next: null } }));
  const operations = { list: { method: 'GET' as const, url: '/refunds' } };
  const tool = toolOn(served.url, { name: 'origin', operations, radar: RADAR });
  const others = [
    toolOn(served.url, { name: 'same-origin', operations }),
    toolOn(service.url, { name: 'other-origin', operations }),
  ];
  const closing = new Closing();
  try {
    for (const name of ['origin', 'same-origin', 'other-origin']) {
      const created = Math.floor(Date.now() / 1000) + 60;
      listed.push({ id: name, created, type: 'refund.created', key: await granted(name) });
    }
    const config = { policies: '', tools: [tool, ...others] };
    const options = { config, own: [tool], ledger: ledger.ledger, notifier: undefined, roles: [] };
    await startRadars({ ...options, logger: pino({ level: 'silent' }) }, closing);
    const found = await until(
      () => ledger.ledger.radarAlerts.list({ source: 'origin' }),
      (alerts) => alerts.length > 0,
    );
    expect(found.map(({ position }) => position.split('@')[0])).toEqual(['other-origin']);
  } finally {
    await closing.close();
    for (const one of [tool, ...others]) await one.close();
    await served.stop();
  }
});

test('what an event says of its time, and a clock of ours that is ahead, pass nothing over', async () => {
  const asked: string[] = [];
  const listed: JsonObject[] = [];
  const served = await jsonService(({ url }) => {
    asked.push(url.searchParams.get('after') ?? '');
    return { body: { data: listed, next: null } };
  });
  const tool = toolOn(served.url, {
    name: 'clocks',
    operations: { list: { method: 'GET', url: '/refunds' } },
    radar: RADAR,
  });
  const { signal } = new AbortController();
  const now = Math.floor(Date.now() / 1000);
  const reader = tool.radar?.open({ memory: undefined, catalog: undefined });
  try {
    listed.push({ id: 'far', created: now + 10 * 86_400, type: 'refund.created' });
    const first = await reader?.read(signal);
    await reader?.confirm(first as NonNullable<typeof first>, signal);
    expect(first?.writes).toHaveLength(1);
    // The service's clock counts where ours is ahead.
    vi.setSystemTime(Date.now() + 3_600_000);
    const second = await reader?.read(signal);
    await reader?.confirm(second as NonNullable<typeof second>, signal);
    await reader?.read(signal);
    // The same name at another time is another write.
    listed.push({ id: 'far', created: now + 60, type: 'refund.created' });
    const last = await reader?.read(signal);
    expect(new Set(last?.writes.map(({ position }) => position)).size).toBe(2);
  } finally {
    vi.useRealTimers();
    await reader?.close();
    await tool.close();
    await served.stop();
  }
  for (const after of asked) expect(Number(after)).toBeLessThan(now);
});

test.each<[string, Partial<HttpRadarOptions>]>([
  ['radar.get', { get: '/events' }],
  ['radar.id', { id: 'id' }],
  ['radar.kinds', { kinds: [''] }],
  ['radar.everyMs', { everyMs: 10 }],
  ['radar.required', { required: 'yes' as never }],
  ['radar.poll', { poll: 1 } as never],
])('a config that could not work is refused: %s', (field, wrong) => {
  expect(() => toolOn(service.url, { radar: { ...RADAR, ...wrong } })).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', field }),
  );
});
