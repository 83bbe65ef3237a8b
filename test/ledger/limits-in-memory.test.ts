/** The counters in memory, by which a backtest counts, against the ledger's own functions: whatever happens in whatever order, both read the same. */
import { deepStrictEqual } from 'node:assert';
import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { digestText } from '../../src/action/json.js';
import type { HoldRequest, LimitDemand, LimitReading } from '../../src/action/limits.js';
import { demandRows } from '../../src/ledger/limits/demands.js';
import { Counters, type HoldSpending } from '../../src/policy/backtest/counters.js';
import { microsecondsOf, slotBegins, slotOf } from '../../src/policy/backtest/windows.js';
import { createDatabase } from '../support/postgres.js';
import { runs } from '../support/properties.js';

const TENANT = 'acme';
const DAY = 86_400_000;

let database: Awaited<ReturnType<typeof createDatabase>>;
let client: pg.Client;

/** The ledger's own schema; of it, only the clock is one that the test sets. */
beforeAll(async () => {
  database = await createDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  const text = await readFile(new URL('../../src/ledger/database/schema.sql', import.meta.url), 'utf8');
  await client.query(`create schema counted;
    create function counted.at_time() returns timestamptz language sql stable as $$
      select timestamptz 'epoch' + interval '1 microsecond' * current_setting('counted.at')::bigint
    $$;
    select set_config('counted.at', '0', false)`);
  await client.query(
    text.replaceAll(/\bcountersign\./g, 'counted.').replaceAll('clock_timestamp()', 'counted.at_time()'),
  );
});
afterAll(async () => {
  await client.end();
  await database.drop();
});

const WINDOWS = [
  undefined,
  { kind: 'fixed', ms: DAY },
  { kind: 'fixed', ms: DAY, timezone: 'Europe/Berlin' },
  { kind: 'fixed', ms: 7 * DAY, timezone: 'America/New_York' },
  { kind: 'fixed', ms: 3_600_000 },
  { kind: 'sliding', ms: 3_600_000 },
  { kind: 'sliding', ms: DAY },
] as const;

/** Demands on six counters; of one counter, the window, the maximum and the amount vary. */
const demand: fc.Arbitrary<LimitDemand> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .record({
        limit: fc.constantFrom('budget-a', 'budget-b'),
        cents: fc.integer({ min: 0, max: 700 }),
        max: fc.constantFrom(5, 10),
        window: fc.constantFrom(...WINDOWS),
      })
      .map(({ limit, cents, max, window }): LimitDemand => {
        const budget = { limit, key: 'agent=x', kind: 'budget' as const, amount: cents / 100, max, unit: 'EUR' };
        return window === undefined ? budget : { ...budget, window };
      }),
  },
  fc.record({ max: fc.constantFrom(3, 6), window: fc.constantFrom(...WINDOWS) }).map(({ max, window }): LimitDemand => {
    const count = { limit: 'count', key: '', kind: 'count' as const, amount: 1, max, unit: 'actions' };
    return window === undefined ? count : { ...count, window };
  }),
  fc.constantFrom(2, 3).map((max): LimitDemand => ({ limit: 'lease', key: '', kind: 'concurrency', max })),
  fc.constant<LimitDemand>({ limit: 'rate', key: '', kind: 'rate', capacity: 4, refillMs: 900_000 }),
  {
    weight: 2,
    arbitrary: fc.constantFrom(1, 2).map((probes): LimitDemand => ({
      limit: 'breaker',
      key: 'target=db',
      kind: 'breaker',
      windowMs: DAY,
      minimum: 3,
      ratio: 0.5,
      openMs: 3_600_000,
      probes,
    })),
  },
);

const demands = fc.uniqueArray(demand, { selector: ({ limit }) => limit, minLength: 1, maxLength: 4 });

type Step =
  | { readonly kind: 'pass'; readonly ms: number }
  | {
      readonly kind: 'place';
      readonly demands: readonly LimitDemand[];
      readonly over: boolean;
      readonly twice: boolean;
    }
  | {
      readonly kind: 'settle';
      readonly nth: number;
      readonly how: HoldSpending;
      readonly resolve: 'consume' | 'release';
    };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('pass' as const),
      ms: fc.constantFrom(1, 999, 60_000, 1_800_000, 3_600_000, 5 * 3_600_000, DAY, 8 * DAY, -600_000),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('place' as const),
      demands,
      over: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
      twice: fc.integer({ min: 0, max: 4 }).map((n) => n === 0),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('settle' as const),
      nth: fc.nat({ max: 5 }),
      how: fc.record({
        disposition: fc.constantFrom('consume' as const, 'release' as const, 'keep' as const),
        result: fc.constantFrom('good' as const, 'bad' as const, 'bad' as const, undefined),
        spent: fc.option(
          fc.integer({ min: 0, max: 600 }).map((cents) => cents / 100),
          { nil: undefined },
        ),
      }),
      resolve: fc.constantFrom('consume' as const, 'release' as const),
    }),
  },
);

/** Both sides, taken through the same steps. */
class Pair {
  static #runs = 0;
  readonly #tenant = `${TENANT}-${++Pair.#runs}`;
  readonly #counters = new Counters();
  readonly #open: { readonly id: string; readonly demands: readonly LimitDemand[] }[] = [];
  #at: number;
  #ids = 0;

  constructor(start: number) {
    this.#at = start;
  }

  async take(step: Step): Promise<void> {
    switch (step.kind) {
      case 'pass':
        this.#at += step.ms * 1000 + 137;
        return;
      case 'place': {
        const id = `a-${++this.#ids}`;
        await this.#compare(id, step.demands);
        await this.#place(id, step.demands, step.over);
        if (step.twice) await this.#place(id, step.demands.map(doubled), step.over);
        return;
      }
      case 'settle': {
        const [action] = this.#open.splice(step.nth % Math.max(1, this.#open.length), 1);
        if (action === undefined) return;
        await this.#settle(action, step.how);
        if (step.how.disposition === 'keep') {
          await this.#compare(action.id, action.demands);
          await this.#settle(action, { disposition: step.resolve });
        }
        return this.#compare('another', action.demands);
      }
    }
  }

  async #compare(id: string, demands: readonly LimitDemand[]): Promise<void> {
    const [row] = await this.#query<{ readings: LimitReading[] }>(
      'select counted.read_limits($1, $2, $3::jsonb) as readings',
      [this.#tenant, id, demandRows(demands)],
    );
    deepStrictEqual(
      demands.map((one) => this.#counters.read(this.#tenant, id, one, this.#at)),
      row?.readings,
    );
  }

  async #place(id: string, demands: readonly LimitDemand[], over: boolean): Promise<void> {
    await this.#query(
      `insert into counted.actions (tenant, action_id, digest, tool) values ($1, $2, $3, 'tool') on conflict do nothing`,
      [this.#tenant, id, digestText(id)],
    );
    const holds = demands.map((one): HoldRequest => (over ? { ...one, over } : one));
    const grant = `${this.#tenant}/${id}/${this.#at}/${Math.random()}`;
    const [row] = await this.#query<{ placed: { fits: boolean; limits: LimitReading[] } }>(
      `select counted.place_holds($1, $2, 'agent', 'tool', $3, '2100-01-01', $4::jsonb) as placed`,
      [this.#tenant, id, grant, demandRows(holds)],
    );
    // The readings of a placing come in the order of locking.
    const found = new Map(row?.placed.limits.map((reading) => [reading.limit, reading]));
    deepStrictEqual(
      demands.map((one) => this.#counters.read(this.#tenant, id, one, this.#at)),
      demands.map(({ limit }) => found.get(limit)),
    );
    if (row?.placed.fits !== true) return;
    for (const one of demands) this.#counters.place(this.#tenant, id, one, this.#at);
    const known = this.#open.findIndex((open) => open.id === id);
    if (known >= 0) this.#open.splice(known, 1);
    this.#open.push({ id, demands });
  }

  async #settle(
    action: { readonly id: string; readonly demands: readonly LimitDemand[] },
    how: HoldSpending,
  ): Promise<void> {
    const amounts = how.spent === undefined ? {} : { 'budget-a': how.spent, 'budget-b': how.spent };
    await this.#query('select counted.settle_holds($1, $2, $3, $4, $5::jsonb)', [
      this.#tenant,
      action.id,
      how.disposition,
      how.result ?? null,
      JSON.stringify(amounts),
    ]);
    for (const one of action.demands) this.#counters.settle(this.#tenant, action.id, one, how, this.#at);
  }

  async #query<Row extends pg.QueryResultRow>(text: string, values: readonly unknown[]): Promise<readonly Row[]> {
    await client.query('select set_config($1, $2, false)', ['counted.at', String(this.#at)]);
    return (await client.query<Row>(text, [...values])).rows;
  }
}

function doubled(demand: LimitDemand): LimitDemand {
  return demand.kind === 'budget' ? { ...demand, amount: demand.amount / 2 } : demand;
}

/** Among them two changes of the clock in Berlin. */
const STARTS = ['2025-03-29T20:15:00Z', '2025-10-25T21:40:00.000250Z', '2025-06-01T12:00:00Z'].map(microsecondsOf);

const BREAKER: LimitDemand = {
  limit: 'breaker',
  key: 'target=db',
  kind: 'breaker',
  windowMs: 86_400_000,
  minimum: 3,
  ratio: 0.5,
  openMs: 3_600_000,
  probes: 1,
};

/** The clock is set back between a hold on a breaker and its first result. */
const SET_BACK: [number, Step[]] = [
  STARTS[0] ?? 0,
  [
    { kind: 'place', demands: [BREAKER], over: true, twice: true },
    { kind: 'pass', ms: -600_000 },
    { kind: 'settle', nth: 0, how: { disposition: 'consume', result: 'bad' }, resolve: 'consume' },
    { kind: 'pass', ms: 1_800_000 },
    { kind: 'pass', ms: 86_400_000 },
    { kind: 'place', demands: [BREAKER], over: true, twice: true },
  ],
];

describe('counters in memory', () => {
  test('read what the ledger reads, through any placing, settling and passing of time', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...STARTS),
        fc.array(step, { minLength: 1, maxLength: 30, size: 'max' }),
        async (start, steps) => {
          const pair = new Pair(start);
          for (const one of steps) await pair.take(one);
        },
      ),
      { numRuns: runs(40), examples: [SET_BACK] },
    );
  }, 240_000);

  test('divide time into the same slots, also where clocks change', async () => {
    const zones = ['', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'America/Havana', 'Asia/Kolkata'];
    const hour = 3_600_000_000;
    for (const zone of zones) {
      for (const width of zone === '' ? [hour, 24 * hour] : [24 * hour, 7 * 24 * hour]) {
        const instants = Array.from({ length: 400 }, (_, n) => STARTS[0]! + n * 22 * hour + 1);
        const { rows } = await client.query<{ slot: string; begins: string }>(
          `select slot, counted.slot_begins(slot, $2, $3) as begins
           from unnest($1::bigint[]) with ordinality as t(at, n), lateral (select counted.slot_of(at, $2, $3) as slot) s order by n`,
          [instants, width, zone],
        );
        const counted = instants.map((at) => slotOf(at, width, zone));
        expect(counted, `${zone} ${width}`).toEqual(rows.map(({ slot }) => Number(slot)));
        expect(
          counted.map((slot) => slotBegins(slot, width, zone)),
          `${zone} ${width}`,
        ).toEqual(rows.map(({ begins }) => Number(begins)));
      }
    }
  });
});
