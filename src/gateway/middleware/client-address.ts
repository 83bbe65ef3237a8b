/** Where a request comes from, for limits and logs. */
import type { Context } from 'hono';
import { isIPv6 } from 'node:net';
import type { GatewayEnv } from '../auth/identity.js';

/** The address beyond the proxies that are trusted: each of them adds one to `X-Forwarded-For`, and whatever stands before was written by the client. */
export function addressOf(c: Context<GatewayEnv>, trustedProxies: number): string {
  const remote = c.env.incoming.socket.remoteAddress ?? '';
  if (trustedProxies === 0) return plain(remote);
  const hops = (c.req.header('x-forwarded-for') ?? '')
    .split(',')
    .map((hop) => hop.trim())
    .filter((hop) => hop !== '');
  return plain(hops.at(-trustedProxies) ?? hops[0] ?? remote);
}

/** What one site has to itself: an IPv4 address, or the first 64 bits of an IPv6 one. */
export function siteOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = '', tail] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const middle = tail === undefined ? [] : Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0');
  const groups = [...left, ...middle, ...right].slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${groups.join(':')}::/64`;
}

function plain(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '').slice(0, 64);
}
