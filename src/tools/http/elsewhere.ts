/** The `http` tool on a sandbox of this machine: the same operations, and none of its own address, credentials and certificates. */
import { withoutUndefined } from '../../action/json.js';
import type { Elsewhere, Place } from '../elsewhere.js';
import type { Tool } from '../tool.js';
import type { HeaderValue, HttpOperation, HttpOptions } from './options.js';

/** @param make makes the tool */
export function elsewhere(options: HttpOptions, make: (options: HttpOptions) => Tool): Elsewhere<Tool> {
  return {
    needs: 'address',
    isOwn: (url) => new URL(url).origin === new URL(options.baseUrl).origin,
    at: (place) => make(movedTo(place, options)),
  };
}

/** Every option is named: one that is added later stays behind until somebody says that it leads nowhere. */
function movedTo({ url, secret }: Place, options: HttpOptions): HttpOptions {
  const { headers = {}, oauth, operations } = options;
  const token = oauth === undefined ? {} : { authorization: { secret, prefix: 'Bearer ' } };
  return {
    name: options.name,
    environment: options.environment,
    baseUrl: url,
    operations: Object.fromEntries(
      Object.entries(operations).map(([name, operation]) => [name, withOwnSecrets(operation, secret)]),
    ),
    headers: { ...otherSecrets(headers, secret), ...token },
    allow: { loopback: true },
    ...withoutUndefined({
      idempotencyKey: options.idempotencyKey,
      lookUp: options.lookUp,
      limits: options.limits,
      sends: options.sends,
    }),
  };
}

function withOwnSecrets({ headers, ...operation }: HttpOperation, secret: Place['secret']): HttpOperation {
  return headers === undefined ? operation : { ...operation, headers: otherSecrets(headers, secret) };
}

/** The headers with another secret in the place of each. */
export function otherSecrets(
  headers: Readonly<Record<string, HeaderValue>>,
  secret: Place['secret'],
): Readonly<Record<string, HeaderValue>> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, typeof value === 'string' ? value : { ...value, secret }]),
  );
}
