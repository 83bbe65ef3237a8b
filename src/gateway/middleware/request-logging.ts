/** Gives each request an id, writes a log line without any secret, and counts it. */
import { randomUUID } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import { matchedRoutes } from 'hono/route';
import type { Context } from 'hono';
import type { Logger } from 'pino';
import { loggedWith } from '../../telemetry/log-lines.js';
import { addressOf } from './client-address.js';
import type { GatewayDependencies } from '../deps.js';
import { nameOf, type GatewayEnv } from '../auth/identity.js';
import type { Metrics } from '../server/metrics.js';

/** Machines poll these: their lines would bury the others. */
export const QUIET: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/metrics']);

/** Must come first. Of the query, the headers and the body nothing is logged: tokens, codes and people's words are there. */
export function requestLogging(
  { settings, logger }: Pick<GatewayDependencies, 'settings' | 'logger'>,
  metrics: Metrics,
): MiddlewareHandler<GatewayEnv> {
  return async (c, next) => {
    const requestId = randomUUID();
    c.set('requestId', requestId);
    c.header('X-Request-Id', requestId);
    await loggedWith(requestId, async () => {
      const began = performance.now();
      await next();
      answered(c, performance.now() - began);
    });
  };

  function answered(c: Context<GatewayEnv>, ms: number): void {
    const { method, path } = c.req;
    const { status } = c.res;
    metrics.answered({ method, route: routeOf(c), status, ms });
    const principal = c.get('principal');
    const line = {
      requestId: c.get('requestId'),
      method,
      path: path.slice(0, 300),
      status,
      ms: Math.round(ms),
      address: addressOf(c, settings.trustedProxies),
      ...(principal === undefined ? {} : { principal: nameOf(principal), jti: principal.jti }),
    };
    log(logger, QUIET.has(path) ? 'debug' : status >= 500 ? 'warn' : 'info', line);
  }
}

function log(logger: Logger, level: 'debug' | 'info' | 'warn', line: object): void {
  logger[level](line, 'request');
}

/** The pattern of the route that answers, never the path itself: figures must not grow with what is asked for. */
export function routeOf(c: Context): string {
  const route = matchedRoutes(c).findLast(({ method, path }) => method !== 'ALL' && !path.endsWith('*'));
  return route?.path ?? 'none';
}
