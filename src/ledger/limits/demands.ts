/** What actions ask of limits, as the database's functions take it. */
import { CountersignError } from '../../action/errors.js';
import { assertJson } from '../../action/json.js';
import type { HoldRequest, LimitDemand, LimitReading } from '../../action/limits.js';

/** As the type `limit_demand` in the database has it: times in microseconds, windows as slots. */
interface DemandRow {
  readonly limit: string;
  readonly key: string;
  readonly kind: LimitReading['kind'];
  readonly max: number;
  readonly amount?: number;
  readonly width: number;
  readonly keep: number;
  readonly zone?: string;
  readonly minimum?: number;
  readonly ratio?: number;
  readonly open_for?: number;
  readonly over?: boolean;
}

/** A sliding window is this many slots, and one more that is partly over: so it forgets late, by less than a slot, and never early. */
const SLOTS = 32;

/** A hundred years: as long as `for good`, and no sum of such times leaves a bigint. */
const LONGEST_MS = 3_155_760_000_000;

/**
 * The demands as JSON for the database's functions.
 *
 * @throws CountersignError INVALID_INPUT when a number is none that can be counted, or two demands are on one counter
 */
export function demandRows(demands: readonly HoldRequest[]): string {
  assertJson(demands, 'holds');
  const seen = new Set<string>();
  const rows = demands.map((demand, index) => {
    const field = `holds[${index}]`;
    const id = counterId(demand);
    if (seen.has(id)) throw badDemand(field, `one demand on ${demand.limit} (${demand.key})`);
    seen.add(id);
    return demandRow(demand, field);
  });
  return JSON.stringify(rows);
}

function demandRow(demand: HoldRequest, field: string): DemandRow {
  const { limit, key, kind } = demand;
  const over = demand.over === true ? { over: true } : {};
  switch (demand.kind) {
    case 'budget':
    case 'count': {
      const { window } = demand;
      const keep = window?.kind === 'sliding' ? SLOTS : 0;
      const width = window === undefined ? 0 : microseconds(window.ms / (keep || 1), `${field}.window.ms`);
      const [max, amount] = [atLeast(0, demand.max, `${field}.max`), atLeast(0, demand.amount, `${field}.amount`)];
      const zone = window?.kind === 'fixed' && window.timezone !== undefined ? { zone: window.timezone } : {};
      return { limit, key, kind, max, amount, width, keep, ...zone, ...over };
    }
    case 'concurrency':
      return { limit, key, kind, max: atLeast(0, demand.max, `${field}.max`), amount: 1, width: 0, keep: 0, ...over };
    case 'rate': {
      const max = atLeast(0, demand.capacity, `${field}.capacity`);
      const width = microseconds(demand.refillMs, `${field}.refillMs`);
      return { limit, key, kind, max, width, keep: 0, ...over };
    }
    case 'breaker':
      return {
        limit,
        key,
        kind,
        max: atLeast(1, demand.probes, `${field}.probes`),
        width: microseconds(demand.windowMs / SLOTS, `${field}.windowMs`),
        keep: SLOTS,
        minimum: atLeast(0, demand.minimum, `${field}.minimum`),
        ratio: atLeast(Number.MIN_VALUE, demand.ratio, `${field}.ratio`),
        open_for: microseconds(demand.openMs, `${field}.openMs`),
        ...over,
      };
    default:
      throw badDemand(`${field}.kind`, 'budget, count, rate, concurrency or breaker');
  }
}

export function atLeast(least: number, value: number, field: string): number {
  if (Number.isFinite(value) && value >= least) return value;
  throw badDemand(field, `a finite number, at least ${least}`);
}

function microseconds(ms: number, field: string): number {
  if (ms > 0 && ms <= LONGEST_MS) return Math.ceil(ms * 1000);
  throw badDemand(field, 'milliseconds, more than 0 and at most a hundred years');
}

function badDemand(field: string, expected: string): CountersignError {
  return new CountersignError('INVALID_INPUT', `The ledger cannot count this: ${field} must be ${expected}.`, {
    field,
    expected,
    fix: 'Correct the limit, or what it computes the amount from.',
  });
}

function counterId({ limit, key, kind }: Pick<LimitReading, 'limit' | 'key' | 'kind'>): string {
  return JSON.stringify([limit, key, kind]);
}

/** A name for the set of counters that the demands are on. */
export function countersOf(tenant: string, demands: readonly LimitDemand[]): string {
  return JSON.stringify([tenant, demands.map(counterId).sort()]);
}

/** The readings in the order of the demands. */
export function inOrderOf(demands: readonly LimitDemand[], readings: readonly LimitReading[]): readonly LimitReading[] {
  const byId = new Map(readings.map((reading) => [counterId(reading), reading]));
  return demands.map((demand) => {
    const reading = byId.get(counterId(demand));
    if (reading === undefined)
      throw new CountersignError('INTERNAL', `The ledger gave no reading of the limit ${demand.limit}.`);
    return reading;
  });
}
