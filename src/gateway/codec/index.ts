/** The codec server of the gateway: for people who are logged in and have a role for it. */
import type { Hono } from 'hono';
import { CountersignError } from '../../action/errors.js';
import { nameOf, requirePerson, type GatewayEnv } from '../auth/identity.js';
import { rolesOfPerson } from '../auth/roles.js';
import type { CodecServer, GatewayDependencies } from '../deps.js';
import { codecRoutes } from './routes.js';

/**
 * What passes through Temporal names no tenant that could be trusted, so whoever may decrypt may decrypt what is of any tenant. A session is
 * enough, without its token: a page of another origin is refused, and nothing is changed.
 */
export function codecServer(deps: GatewayDependencies, { codec, origins, roles }: CodecServer): Hono<GatewayEnv> {
  const { identity, ledger, logger } = deps;
  return codecRoutes<GatewayEnv>({
    codec,
    origins,
    async authorize(c) {
      const person = requirePerson(await identity.principal(c));
      const own = await rolesOfPerson(ledger, person);
      if (own.some((role) => roles.includes(role))) return nameOf(person);
      throw new CountersignError('ROLE_REQUIRED', 'You may not read what is encrypted in Temporal.', {
        field: 'roles',
        expected: `one of: ${roles.join(', ')}`,
        fix: 'Ask somebody who has one of the roles; which they are is in the config (privacy.codecServer.roles).',
      });
    },
    record: (c, { did, ...record }) =>
      logger.info({ requestId: c.get('requestId'), ...record }, `codec server: ${did}`),
  });
}
