/** What is reserved of limits, and what is in their counters, for people. */
import type { LimitReading } from './limits.js';

/** A counter with what is in it, for people. */
export interface LimitCounter {
  readonly tenant: string;
  readonly limit: string;
  readonly key: string;
  readonly kind: LimitReading['kind'];
  readonly used: number;
  readonly held: number;
  readonly state?: 'closed' | 'open' | 'half_open';
  readonly updatedAt: string;
}

/** What one action has reserved. */
export interface Hold {
  readonly tenant: string;
  readonly actionId: string;
  readonly limit: string;
  readonly key: string;
  readonly kind: LimitReading['kind'];
  /** What is reserved; once consumed, what was spent. A breaker's: 1 for a probe, else 0. */
  readonly amount: number;
  readonly status: 'held' | 'kept' | 'consumed' | 'released';
  readonly placedAt: string;
  readonly settledAt?: string;
}
