/** Of the workers that could read a source, one does: who it is, what the others may record meanwhile, and how it gives the source up. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import pino from 'pino';
import type { JsonObject } from '../../src/action/json.js';
import type { Ledger } from '../../src/ledger/index.js';
import { Radar } from '../../src/radar/radar.js';
import { startLedger, type TestLedger } from '../ledger/support.js';
import { until } from '../support/until.js';
import { jsonService, toolOn, type JsonService } from '../tools/http-support.js';
import { unexplainedWrite } from '../support/radar-alerts.js';

type RadarRecords = Ledger['radar'];

let ledger: TestLedger;
let service: JsonService;

beforeAll(async () => {
  ledger = await startLedger();
  service = await jsonService(({ headers }) => {
    const reader = readers.get(String(headers['x-worker']));
    if (reader !== undefined) reader.asked++;
    return reader?.reached === true ? { body: { data: events } } : undefined;
  });
});
afterAll(async () => {
  await service?.stop();
  await ledger?.stop();
});

const found = (position: string) => ({
  system: 'test',
  position,
  memory: { position },
  alerts: [unexplainedWrite(position)],
});

test('what a reader found whose lease another took is not recorded, and that of the other is', async () => {
  const { radar, radarAlerts } = ledger.ledger;
  const source = 'taken-db';
  const lease = (reader: string, leaseMs: number) => radar.lease({ source, kind: 'postgres', reader, leaseMs });
  expect(await lease('slow', 0)).toBeDefined();
  expect(await lease('next', 60_000)).toBeDefined();
  expect(await lease('slow', 60_000)).toBeUndefined();
  expect(await radar.record(source, { reader: 'slow', term: 1, ...found('0/1') })).toBeUndefined();
  expect(await radarAlerts.list({ source })).toEqual([]);

  expect(await radar.record(source, { reader: 'next', term: 2, ...found('0/2') })).toMatchObject([{ position: '0/2' }]);
  // Found again, it is none, and the source is judged all the same.
  expect(await radar.record(source, { reader: 'next', term: 2, ...found('0/2') })).toEqual([]);
  expect(await radarAlerts.list({ source })).toHaveLength(1);
  expect(await lease('next', 60_000)).toMatchObject({ term: 2, memory: { position: '0/2' } });

  // Whoever has it again goes on from what was recorded meanwhile, and what was read before that is not recorded either.
  await radar.release(source, 'next');
  expect(await lease('slow', 60_000)).toMatchObject({ term: 3, memory: { position: '0/2' } });
  expect(await radar.record(source, { reader: 'slow', term: 1, ...found('0/1') })).toBeUndefined();
  expect(await radarAlerts.list({ source })).toHaveLength(1);
});

test('a lease is renewed in its own term alone, and not once it was given up or has run out', async () => {
  const { radar } = ledger.ledger;
  const source = 'renewed-db';
  const lease = (reader: string, leaseMs: number) => radar.lease({ source, kind: 'postgres', reader, leaseMs });
  const renew = (reader: string, term: number) => radar.renew({ source, reader, term, leaseMs: 60_000 });
  await lease('first', 60_000);
  expect([await renew('first', 1), await renew('first', 2), await renew('next', 1)]).toEqual([true, false, false]);
  expect(await lease('next', 60_000)).toBeUndefined();

  await radar.release(source, 'first');
  expect(await renew('first', 1)).toBe(false);
  expect(await lease('next', 0)).toMatchObject({ term: 2 });
  expect(await renew('next', 2)).toBe(false);
  expect(await lease('first', 60_000)).toMatchObject({ term: 3 });
  expect([await renew('first', 1), await renew('first', 3)]).toEqual([false, true]);
});

/** Reads one list of events, as a worker with credentials of its own does. */
interface Reading {
  readonly radar: Radar;
  /** How often it asked. */
  asked: number;
  /** Whether the service answers it. */
  reached: boolean;
  stop(): Promise<void>;
}

const SOURCE = 'payments';
const events: JsonObject[] = [];
const readers = new Map<string, Reading>();

function reading(worker: string, records: RadarRecords = ledger.ledger.radar): Reading {
  const tool = toolOn(service.url, {
    name: SOURCE,
    headers: { 'x-worker': worker },
    radar: { get: '/events?after={since}', at: '/data', id: '/id', key: '/key', time: '/time', everyMs: 1_000 },
  });
  if (tool.radar === undefined) throw new Error('the tool has no radar');
  const radar = new Radar({
    name: SOURCE,
    source: tool.radar,
    tools: new Set([SOURCE]),
    ledger: { radar: records, radarEffects: ledger.ledger.radarEffects },
    logger: pino({ level: 'silent' }),
    leaseMs: 1_000,
    found: () => {},
    tell: () => {},
  });
  const made: Reading = {
    radar,
    asked: 0,
    reached: true,
    async stop() {
      await radar.close();
      await tool.close();
    },
  };
  readers.set(worker, made);
  return made;
}

/** Until the list is read, or is not, by the one of these whose turn it is. */
async function standing(state: 'watching' | 'off'): Promise<void> {
  await until(
    () => ledger.ledger.radar.sources(),
    (sources) => sources.find(({ source }) => source === SOURCE)?.state === state,
  );
}

async function asks(reader: Reading, more: number): Promise<void> {
  const before = reader.asked;
  await until(
    async () => reader.asked,
    (count) => count >= before + more,
  );
}

async function find(id: string): Promise<void> {
  events.push({ id, time: new Date().toISOString() });
  await until(
    () => ledger.ledger.radarAlerts.list({ source: SOURCE }),
    (alerts) => alerts.some(({ position }) => position.startsWith(`${id}@`)),
  );
}

test('a reader that cannot look leaves the source to one that can, which keeps it', async () => {
  const blind = reading('blind');
  const other = reading('other');
  try {
    blind.radar.start();
    await standing('watching');
    await find('one');
    other.radar.start();
    await asks(blind, 3);
    expect(other.asked).toBe(0);

    blind.reached = false;
    await asks(other, 1);
    await standing('watching');
    await find('two');
    // The first comes back, and has to wait for its turn.
    blind.reached = true;
    const before = blind.asked;
    await asks(other, 4);
    expect(blind.asked).toBe(before);
    await find('three');

    other.reached = false;
    await asks(blind, 1);
    await standing('watching');
    await find('four');
    const alerts = await ledger.ledger.radarAlerts.list({ source: SOURCE });
    expect(alerts.map(({ position }) => position.split('@')[0])).toEqual(['four', 'three', 'two', 'one']);
  } finally {
    await blind.stop();
    await other.stop();
  }
});

test('one that is alone looks again by itself', async () => {
  const alone = reading('alone');
  try {
    alone.radar.start();
    await standing('watching');
    alone.reached = false;
    await standing('off');
    const before = alone.asked;
    alone.reached = true;
    await standing('watching');
    expect(alone.asked).toBeGreaterThan(before);
  } finally {
    await alone.stop();
  }
});

/** Records whose renewals, from `hold` on, are under way until their reader gives the source up, and arrive just before that or just after. */
function withSlowRenewals(records: RadarRecords, arrive: 'before' | 'after') {
  const renewals: Promise<boolean>[] = [];
  let [arrived, gone, isHeld] = [() => {}, () => {}, false];
  const arriving = new Promise<void>((resolve) => (arrived = resolve));
  const left = new Promise<void>((resolve) => (gone = resolve));
  const renew: RadarRecords['renew'] = (report) => {
    if (!isHeld) return records.renew(report);
    const renewal = arriving.then(() => records.renew(report));
    renewals.push(renewal);
    return renewal;
  };
  const release: RadarRecords['release'] = async (source, reader) => {
    const allArrive = async () => {
      arrived();
      await Promise.all(renewals);
    };
    if (arrive === 'before') await allArrive();
    await records.release(source, reader);
    if (arrive === 'after') await allArrive();
    gone();
  };
  return {
    records: {
      renew,
      release,
      lease: records.lease.bind(records),
      record: records.record.bind(records),
    } as RadarRecords,
    renewals,
    left,
    async hold() {
      isHeld = true;
      await until(
        async () => renewals.length,
        (count) => count > 0,
      );
    },
  };
}

test.each([
  ['before', true],
  ['after', false],
] as const)(
  'a renewal that arrives just %s its reader gives the source up neither takes it back nor says that it is looked at',
  async (arrive, prolongs) => {
    const { radar } = ledger.ledger;
    const slow = withSlowRenewals(radar, arrive);
    const blind = reading('blind', slow.records);
    try {
      blind.radar.start();
      await asks(blind, 2);
      await slow.hold();
      blind.reached = false;
      await slow.left;
      const next = { source: SOURCE, kind: 'http', reader: 'next', leaseMs: 0 };
      expect(await radar.lease(next)).toBeDefined();
      expect(new Set(await Promise.all(slow.renewals))).toEqual(new Set([prolongs]));
      expect((await radar.sources()).find(({ source }) => source === SOURCE)?.state).toBe('off');
    } finally {
      await blind.stop();
    }
  },
);
