/** Describes a ledger's counters for people, together with the limits that policy declares. */
import type { LimitKind, LimitWindow } from '../../action/limits.js';
import { formatDuration } from '../../action/duration.js';
import { amountText, usageText } from './figures.js';
import type { Limit } from './limit.js';
import type { AtLimit } from './resolved.js';

/** A counter as a ledger lists it. */
export interface Counter {
  readonly limit: string;
  readonly key: string;
  readonly kind: LimitKind;
  readonly used: number;
  readonly held: number;
  readonly state?: 'closed' | 'open' | 'half_open';
}

export interface CounterFigure {
  /** Absent when the given policy does not declare the limit, or no longer with this kind. */
  readonly max?: number;
  readonly unit?: string;
  readonly left?: number;
  /** `refunds-per-day agent=billing-bot: 380 of 500 EUR left`, or only what is counted when the maximum is not known. */
  readonly text: string;
}

/** How full a counter is, by the limit of the same id and kind among those that policy declares. */
export function counterFigure(counter: Counter, limits: readonly Limit[]): CounterFigure {
  const { limit: id, key, kind, used, held, state } = counter;
  const name = key === '' ? id : `${id} ${key}`;
  const limit = limits.find((limit) => limit.id === id && limit.kind === kind);
  if (limit === undefined || limit.kind === 'depth') {
    const stands = kind === 'breaker' ? usageText({ kind, left: 0, max: 0, ...(state && { state }) }) : undefined;
    return { text: `${name}: ${stands ?? `${amountText(used)} used, ${amountText(held)} held`}` };
  }
  if (limit.kind === 'breaker') {
    return { text: `${name}: ${usageText({ kind, left: 0, max: 0, ...(state && { state }) })}` };
  }
  const max = limit.kind === 'rate' ? limit.capacity : limit.max;
  const unit = unitOf(limit);
  const left = Math.max(0, max - used - held);
  const figure = { max, left, ...(unit === undefined ? {} : { unit }) };
  return { ...figure, text: `${name}: ${usageText({ kind, ...figure })}` };
}

function unitOf(limit: Limit): string | undefined {
  if (limit.kind === 'budget') return limit.unit;
  return limit.kind === 'count' || limit.kind === 'rate' ? 'actions' : undefined;
}

/** Describes a limit in a sentence: `500 EUR in 1d for each agent; at the limit: deny`. */
export function limitText(limit: Limit): string {
  if (limit.kind === 'depth') return `at most ${limit.max} delegations deep`;
  const apart = limit.scope.filter((scope) => scope !== 'tenant');
  const each = apart.length === 0 ? 'for the tenant' : `for each ${apart.join(', ')}`;
  return `${most(limit)} ${each}; at the limit: ${atLimitText(limit.atLimit)}`;
}

function during(window: LimitWindow | undefined): string {
  if (window === undefined) return 'for good';
  const length = formatDuration(window.ms);
  if (window.kind === 'sliding') return `in any ${length}`;
  return window.timezone === undefined ? `in ${length}` : `in ${length} by the clock of ${window.timezone}`;
}

function most(limit: Exclude<Limit, { kind: 'depth' }>): string {
  switch (limit.kind) {
    case 'budget':
    case 'count': {
      return `${amountText(limit.max)} ${unitOf(limit) ?? ''} ${during(limit.window)}`;
    }
    case 'rate':
      return `${limit.capacity} actions at once and ${amountText(60_000 / limit.refillMs)} a minute`;
    case 'concurrency':
      return `${limit.max} at once`;
    case 'breaker': {
      const { ratio, minimum, windowMs, openMs } = limit;
      const share = `${amountText(ratio * 100)} % of at least ${minimum} results in ${formatDuration(windowMs)} are bad`;
      return `opens for ${formatDuration(openMs)} when ${share},`;
    }
  }
}

function atLimitText(atLimit: AtLimit): string {
  switch (atLimit.kind) {
    case 'deny':
      return 'deny';
    case 'queue':
      return `queue for ${formatDuration(atLimit.maxWaitMs)}`;
    case 'approve': {
      const who = atLimit.approvals.map(
        ({ roles, quorum }) => `${roles.join('|')}${quorum === 1 ? '' : `, quorum=${quorum}`}`,
      );
      return `approve by ${who.join(' and ')}`;
    }
  }
}
