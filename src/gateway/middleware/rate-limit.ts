/** Limits how many requests one principal, or one address without any, may send in a minute. Of this process alone: several gateways allow several times as much. */
import type { MiddlewareHandler } from 'hono';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { CountersignError } from '../../action/errors.js';
import { addressOf, siteOf } from './client-address.js';
import type { GatewayDependencies } from '../deps.js';
import { nameOf, type GatewayEnv } from '../auth/identity.js';
import type { Principal } from '../auth/principal.js';

const WINDOW_SECONDS = 60;

/**
 * Authenticates the sender and counts the request. A request whose credential is refused counts for its address, so that nobody tries keys
 * without end.
 */
export function rateLimit({
  identity,
  settings,
}: Pick<GatewayDependencies, 'identity' | 'settings'>): MiddlewareHandler<GatewayEnv> {
  const limiter = new RateLimiterMemory({ points: settings.limits.requestsPerMinute, duration: WINDOW_SECONDS });
  return async (c, next) => {
    const address = (): string => `address ${siteOf(addressOf(c, settings.trustedProxies))}`;
    let principal: Principal | undefined;
    try {
      principal = await identity.principal(c);
    } catch (error) {
      await count(limiter, address());
      throw error;
    }
    const sender = principal === undefined ? address() : nameOf(principal);
    await count(limiter, sender);
    c.set('principal', principal);
    c.set('countMore', (requests) => count(limiter, sender, requests));
    await next();
  };
}

/** @throws CountersignError RATE_LIMITED */
async function count(limiter: RateLimiterMemory, key: string, requests = 1): Promise<void> {
  try {
    await limiter.consume(key, requests);
  } catch (full) {
    if (!(full instanceof RateLimiterRes)) throw full;
    throw new CountersignError('RATE_LIMITED', 'You have sent too many requests.', {
      expected: `at most ${limiter.points} requests in ${WINDOW_SECONDS} seconds`,
      fix: 'Wait for as long as Retry-After says. To follow an action, wait for its outcome or listen to its events.',
      retryable: true,
      retryAfterMs: full.msBeforeNext,
    });
  }
}
