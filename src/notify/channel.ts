/** The port of a channel: a way to tell people. */
import { CountersignError } from '../action/errors.js';
import type { Notice } from './notice.js';

export interface Channel {
  /** Which no other channel of the config has; part of the delivery ids. */
  readonly name: string;
  /** Whether it also wants to hear that something was decided or has ended which it told people of, so that what they see stays true. */
  readonly follows?: boolean;
  /**
   * Delivers once, and is called again with the same delivery id until it has: whoever receives must be able to tell a repeat by it.
   *
   * @throws CountersignError DELIVERY_FAILED: retryable, or for good
   */
  deliver(notice: Notice, delivery: DeliveryContext): Promise<Delivered>;
  close?(): Promise<void>;
}

export interface DeliveryContext {
  readonly deliveryId: string;
  /** Aborts when the attempt is not wanted any more. */
  readonly signal: AbortSignal;
  /** What the channel answered when it delivered earlier notices of the action, oldest first. */
  readonly earlier: readonly Delivered[];
}

export interface Delivered {
  /** The provider's answer, for the trail: at most 500 characters, no secret. By it a channel also finds again what it delivered. */
  readonly detail: string;
}

/** The longest that somebody who says when to come again is obeyed. Milliseconds. */
export const MAX_RETRY_AFTER_MS = 60 * 60_000;

/** It carries no cause: causes end up in Temporal's history, and those of others' code may hold a token. */
export function undelivered(
  message: string,
  { retryable, retryAfterMs }: { readonly retryable: boolean; readonly retryAfterMs?: number | undefined },
): CountersignError {
  return new CountersignError('DELIVERY_FAILED', message, {
    retryable,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs: Math.min(retryAfterMs, MAX_RETRY_AFTER_MS) }),
  });
}
