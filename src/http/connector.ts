/** Makes connections for undici: the address is judged where the connection is made, so no name can change its meaning in between. */
import { lookup as systemLookup, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { buildConnector } from 'undici';
import type { IsAllowed } from './addresses.js';
import type { TlsOptions } from './options.js';
import type { Secrets } from './secrets.js';

/** No connection was tried: the name leads where the tool may not go. */
class ForbiddenAddress extends Error {
  override readonly name = 'ForbiddenAddress';
  readonly code = 'FORBIDDEN_ADDRESS';
}

export interface ConnectorOptions {
  readonly isAllowed: IsAllowed;
  readonly connectMs: number;
  readonly lookup?: LookupFunction | undefined;
  readonly tls?: TlsOptions | undefined;
  readonly secrets: Secrets;
}

/**
 * A connection is opened only to an address that was judged, by passing that address itself on: a second resolution, which could answer
 * otherwise, does not take place. What the socket says it is connected to is judged once more before a byte of a request is written.
 */
export function guardedConnector(options: ConnectorOptions): buildConnector.connector {
  const { isAllowed, connectMs, secrets, tls = {} } = options;
  const lookup = judgedLookup(options.lookup ?? systemLookup, isAllowed);
  let made: { readonly material: string; readonly connect: buildConnector.connector } | undefined;
  const connector = (): buildConnector.connector => {
    const material = {
      ...(tls.ca === undefined ? {} : { ca: secrets.readSync(tls.ca) }),
      ...(tls.cert === undefined ? {} : { cert: secrets.readSync(tls.cert) }),
      ...(tls.key === undefined ? {} : { key: secrets.readSync(tls.key) }),
      ...(tls.passphrase === undefined ? {} : { passphrase: secrets.readSync(tls.passphrase) }),
    };
    const text = JSON.stringify(material);
    if (made?.material !== text) {
      // A resumed session would skip the check of a certificate that has expired since.
      const built = buildConnector({ ...material, lookup, timeout: connectMs, maxCachedSessions: 0 });
      made = { material: text, connect: built };
    }
    return made.connect;
  };
  return (target, callback) => {
    const host = target.hostname.replace(/^\[|\]$/g, '');
    if (isIP(host) !== 0 && !isAllowed(host)) return callback(forbidden(host, host), null);
    let connect: buildConnector.connector;
    try {
      connect = connector();
    } catch (error) {
      return callback(error as Error, null);
    }
    connect({ ...target, hostname: host }, (...[error, socket]) => {
      if (error !== null) return callback(error, null);
      const address = socket.remoteAddress ?? '';
      if (isAllowed(address)) return callback(null, socket);
      socket.destroy();
      return callback(forbidden(host, address), null);
    });
  };
}

function judgedLookup(lookup: LookupFunction, isAllowed: IsAllowed): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, options, (error, found, family) => {
      if (error !== null) return callback(error, '', family);
      const addresses: LookupAddress[] = typeof found === 'string' ? [{ address: found, family: family ?? 4 }] : found;
      // One forbidden address among good ones is how a name is used to reach inside: nothing of such an answer is used.
      const bad = addresses.find(({ address }) => !isAllowed(address));
      if (bad !== undefined) return callback(forbidden(hostname, bad.address), '', family);
      return callback(null, found, family);
    });
  };
}

function forbidden(host: string, address: string): ForbiddenAddress {
  return new ForbiddenAddress(`${host} leads to ${address || 'no address'}, which the tool may not connect to`);
}
