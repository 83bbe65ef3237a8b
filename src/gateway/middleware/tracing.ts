/** Each request as a span, below the trace that its sender is in. */
import { SpanKind } from '@opentelemetry/api';
import type { MiddlewareHandler } from 'hono';
import { ATTRIBUTE } from '../../telemetry/attributes.js';
import { contextIn, inSpan, markFailed } from '../../telemetry/tracing.js';
import type { GatewayEnv } from '../auth/identity.js';
import { QUIET, routeOf } from './request-logging.js';

/** Must come first, so that log lines are within. Of the address, the headers and the body nothing is told but the route. */
export function tracing(): MiddlewareHandler<GatewayEnv> {
  return async (c, next) => {
    const { method, path } = c.req;
    if (QUIET.has(path) || path.startsWith('/assets/')) return next();
    const headers = { traceparent: c.req.header('traceparent'), tracestate: c.req.header('tracestate') };
    const attributes = { 'http.request.method': method.slice(0, 16) };
    const options = { kind: SpanKind.SERVER, parent: contextIn(headers), attributes };
    await inSpan(method.slice(0, 16), options, async (span) => {
      await next();
      const route = routeOf(c);
      const { status } = c.res;
      span.updateName(`${method.slice(0, 16)} ${route}`);
      span.setAttributes({
        'http.route': route,
        'http.response.status_code': status,
        [ATTRIBUTE.requestId]: c.get('requestId'),
      });
      const principal = c.get('principal');
      if (principal !== undefined) span.setAttribute(ATTRIBUTE.tenant, principal.tenant);
      if (principal?.kind === 'agent') span.setAttribute(ATTRIBUTE.agent, principal.id);
      if (status >= 500) markFailed(span, String(status));
    });
  };
}
