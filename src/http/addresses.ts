/** Which addresses may be connected to. It judges the address itself, never a name: names can be made to mean anything. */
import { BlockList, isIP } from 'node:net';
import { CountersignError } from '../action/errors.js';
import type { Allow } from './options.js';

/** What is not public in IPv4: the IANA special-purpose registry (RFC 6890), multicast and the reserved class E. */
const NOT_PUBLIC_V4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
];

/** Within 2000::/3, what is no public host, or leads to an IPv4 address that would have to be judged instead. */
const NOT_PUBLIC_V6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'];

/** Clouds answer with credentials there: no configuration opens these. */
const NEVER = listOf(['169.254.0.0/16', 'fe80::/10', '0.0.0.0/8', 'fd00:ec2::/32']);
const LOOPBACK = listOf(['127.0.0.0/8', '::1/128']);
const NOT_PUBLIC = listOf([...NOT_PUBLIC_V4, ...NOT_PUBLIC_V6]);
const GLOBAL_V6 = listOf(['2000::/3']);

/** Addresses in IPv6 that carry an IPv4 address in their last 32 bits: mapped, and NAT64 (RFC 6052). */
const CARRIES_V4 = listOf(['::ffff:0:0/96', '64:ff9b::/96']);

export type IsAllowed = (address: string) => boolean;

/** @throws CountersignError CONFIG_INVALID */
export function addressGuard({ loopback = false, networks = [] }: Allow): IsAllowed {
  const opened = listOf(networks);
  return (address) => {
    const plain = embeddedV4(address.replace(/%.*$/, ''));
    const family = isIP(plain);
    if (family === 0) return false;
    const within = (list: BlockList): boolean => list.check(plain, family === 4 ? 'ipv4' : 'ipv6');
    if (within(NEVER)) return false;
    if (within(LOOPBACK)) return loopback;
    if (within(opened)) return true;
    return !within(NOT_PUBLIC) && (family === 4 || within(GLOBAL_V6));
  };
}

function isLoopback(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && LOOPBACK.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

/** Whether a host is this machine, by what is written: `localhost`, or an address of loopback, in brackets or not. */
export function isThisMachine(host: string): boolean {
  const plain = host.replace(/^\[|\]$/g, '');
  return plain === 'localhost' || isLoopback(plain);
}

function embeddedV4(address: string): string {
  if (isIP(address) !== 6 || !CARRIES_V4.check(address, 'ipv6')) return address;
  // WHATWG URLs write IPv6 in one way only: hexadecimal and compressed.
  const groups = new URL(`http://[${address}]`).hostname.slice(1, -1).split(':');
  const [high = 0, low = 0] = groups.slice(-2).map((group) => Number.parseInt(group || '0', 16));
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', bits] = network.split('/');
    const family = isIP(address);
    const prefix = bits === undefined ? (family === 4 ? 32 : 128) : Number(bits);
    if (family === 0 || !Number.isInteger(prefix) || prefix < 0 || prefix > (family === 4 ? 32 : 128)) {
      throw new CountersignError('CONFIG_INVALID', `${network} is not a network.`, {
        field: 'allow.networks',
        expected: 'addresses with a prefix length: 10.2.0.0/16, fd12:3456::/48',
        fix: 'Correct the network.',
      });
    }
    list.addSubnet(address, prefix, family === 4 ? 'ipv4' : 'ipv6');
  }
  return list;
}
