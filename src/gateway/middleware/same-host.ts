/** Takes requests for the gateway's own name only, so that no other name can be pointed at it (DNS rebinding). */
import type { Context, MiddlewareHandler } from 'hono';
import type { GatewaySettings } from '../deps.js';
import type { GatewayEnv } from '../auth/identity.js';

/** Machines ask these by address; they hold no secrets. */
const FOR_MACHINES: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/metrics']);

/**
 * Refuses (421) what names another host than `publicUrl`. Behind trusted proxies the name is what the last of them was asked for
 * (`X-Forwarded-Host`), where it says so.
 */
export function sameHost(settings: Pick<GatewaySettings, 'publicUrl' | 'trustedProxies'>): MiddlewareHandler {
  const { protocol, host: own } = new URL(settings.publicUrl);
  return async (c, next) => {
    const forwarded = settings.trustedProxies > 0 ? c.req.header('x-forwarded-host') : undefined;
    const named = forwarded ?? c.req.header('host') ?? '';
    if (FOR_MACHINES.has(c.req.path) || hostOf(protocol, named) === own) return next();
    return c.text(`This is not the address of this Countersign gateway. It is ${settings.publicUrl}\n`, 421);
  };
}

/** As URLs write it: lower case, without the protocol's own port. Empty for what is no host. */
function hostOf(protocol: string, named: string): string {
  if (!/^[A-Za-z0-9.:[\]-]+$/.test(named)) return '';
  const url = `${protocol}//${named}`;
  return URL.canParse(url) ? new URL(url).host : '';
}

/** Whether whoever sends the request is on this machine, as the connection itself says. */
export function isFromLoopback(c: Context<GatewayEnv>): boolean {
  const address = c.env.incoming.socket.remoteAddress ?? '';
  return address === '::1' || /^(?:::ffff:)?127\./.test(address);
}
