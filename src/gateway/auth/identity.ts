/** Who sends a request: an agent by what its Authorization header holds, or a person by a session. Never both, and nobody twice. */
import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';
import { CountersignError } from '../../action/errors.js';
import type { Identity } from '../deps.js';
import type { AgentPrincipal, PersonPrincipal, Principal } from './principal.js';

export interface GatewayEnv {
  Bindings: HttpBindings;
  Variables: {
    /** A UUID of this request, in its logs, its answer and its errors. */
    requestId: string;
    /** Set for routes that know whoever sends a request; undefined for nobody. */
    principal: Principal | undefined;
    /** Roles of the people who see how others decide: for the navigation of pages. */
    oversightRoles: readonly string[] | undefined;
    /** Counts a request as so many more. @throws CountersignError RATE_LIMITED */
    countMore: (requests: number) => Promise<void>;
  };
}

/** Knows agents by the Authorization header. @throws CountersignError UNAUTHENTICATED */
export interface AgentSource {
  authenticate(authorization: string): Promise<AgentPrincipal>;
}

/** Knows people by their sessions. */
interface PersonSource {
  /** Undefined without a session that is good. `touch: false` looks without counting as use. */
  person(c: Context, options?: { readonly touch?: boolean }): Promise<PersonPrincipal | undefined>;
  /** That the person's own page sent this. @throws CountersignError CSRF */
  csrf(c: Context, person: PersonPrincipal): Promise<void> | void;
}

/** Methods that change nothing, and that a link from elsewhere may lead to. */
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD']);

export function createIdentity({ agents, people }: { agents: AgentSource; people: PersonSource }): Identity {
  const known = new WeakMap<Context, Promise<Principal | undefined>>();

  const look = async (c: Context, touch: boolean): Promise<Principal | undefined> => {
    const authorization = c.req.header('authorization');
    if (authorization === undefined) return people.person(c, { touch });
    const agent = await agents.authenticate(authorization);
    if ((await people.person(c, { touch: false })) === undefined) return agent;
    throw new CountersignError(
      'UNAUTHENTICATED',
      "The request carries both an agent's credentials and a person's session.",
      {
        field: 'authorization',
        expected: 'an Authorization header, or the cookie of a session',
        fix: 'Send one of the two.',
      },
    );
  };
  const principal = (c: Context): Promise<Principal | undefined> => {
    let found = known.get(c);
    if (found === undefined) known.set(c, (found = look(c, true)));
    return found;
  };

  return {
    principal,
    again: (c) => look(c, false),
    async agent(c) {
      return requireAgent(await principal(c));
    },
    async person(c) {
      const person = requirePerson(await principal(c));
      if (!SAFE.has(c.req.method)) await people.csrf(c, person);
      return person;
    },
  };
}

/** Names whoever it is, for limits and logs: `agent acme/bot`. */
export function nameOf({ kind, tenant, id }: Principal): string {
  return `${kind} ${tenant}/${id}`;
}

/** @throws CountersignError UNAUTHENTICATED */
export function requirePrincipal(principal: Principal | undefined): Principal {
  if (principal !== undefined) return principal;
  throw new CountersignError('UNAUTHENTICATED', 'The request carries no credentials.', {
    field: 'authorization',
    expected: "an agent's `Authorization: Bearer …`, or a person's session",
    fix: 'Agents: send a token or an API key. People: log in.',
  });
}

function requireAgent(principal: Principal | undefined): AgentPrincipal {
  const found = requirePrincipal(principal);
  if (found.kind === 'agent') return found;
  throw new CountersignError('FORBIDDEN', 'Only agents may do this; the request was sent by a person.', {
    field: 'authorization',
    expected: "an agent's token or API key",
  });
}

/** @throws CountersignError UNAUTHENTICATED, FORBIDDEN for an agent */
export function requirePerson(principal: Principal | undefined): PersonPrincipal {
  const found = requirePrincipal(principal);
  if (found.kind === 'person') return found;
  throw new CountersignError('FORBIDDEN', 'Only people may do this; the request was sent by an agent.', {
    field: 'authorization',
    expected: 'the session of a person who is logged in',
  });
}
