/** The interface of a channel: a way to notify people. */
import { CountersignError } from '../action/errors.js';
import type { Alert } from './alert.js';
import type { Notice } from './notice.js';

/** A way to notify people. `webhook()`, `slack()` and `email()` make one; an operator's own implements it. */
export interface Channel {
  /** The name, unique in the config. It is part of the delivery ids. */
  readonly name: string;
  /** Whether it also gets the decisions and the end of actions about which it asked people, so that it can update what they see. */
  readonly follows?: boolean;
  /**
   * Delivers a notice. It is called again with the same delivery id until it succeeds, so that receivers can recognize a repeat by it.
   *
   * @throws CountersignError DELIVERY_FAILED: retryable, or for good
   */
  deliver(notice: Notice, delivery: DeliveryContext): Promise<Delivered>;
  /**
   * Tells that something is wrong, once, as `deliver` does. A channel without it tells neither what the radar found nor of the ledger. Who
   * sends it differs: what the radar found is kept in the ledger until it is told, and of a ledger that is broken a workflow tells.
   *
   * @throws CountersignError DELIVERY_FAILED: retryable, or for good
   */
  alert?(alert: Alert, delivery: Omit<DeliveryContext, 'earlier'>): Promise<Delivered>;
  /** Ends its connections. The worker calls it when it stops. */
  close?(): Promise<void>;
}

export interface DeliveryContext {
  readonly deliveryId: string;
  /** Aborts when the attempt is cancelled. */
  readonly signal: AbortSignal;
  /** What the channel returned when it delivered earlier notices of the action, oldest first. */
  readonly earlier: readonly Delivered[];
}

export interface Delivered {
  /** The provider's response, for the ledger: at most 500 characters, no secret. It also lets a channel find what it delivered. */
  readonly detail: string;
}

/** The longest retry delay that is accepted from a receiver. Milliseconds. */
export const MAX_RETRY_AFTER_MS = 60 * 60_000;

/** A DELIVERY_FAILED error. It has no cause, because causes end up in Temporal's history and may contain a token. */
export function undelivered(
  message: string,
  { retryable, retryAfterMs }: { readonly retryable: boolean; readonly retryAfterMs?: number | undefined },
): CountersignError {
  return new CountersignError('DELIVERY_FAILED', message, {
    retryable,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs: Math.min(retryAfterMs, MAX_RETRY_AFTER_MS) }),
  });
}
