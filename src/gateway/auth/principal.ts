/** Who sends a request to the gateway, as far as it could be verified. */
import type { Agent, Approver, Auth } from '../../action/principal.js';

/** An agent known by a token or an API key. It may propose, and read and cancel what is its own; it never decides. */
export interface AgentPrincipal extends Agent {
  readonly kind: 'agent';
  readonly auth: Auth;
  /** By which its authority can be revoked: stable for the token's subject, or the API key. At most 64 of `!` to `~`. */
  readonly jti: string;
}

/** A person with a session. Never an agent. */
export interface PersonPrincipal extends Approver {
  readonly kind: 'person';
  /** For people: from the verified claims, else the id. */
  readonly name: string;
  readonly auth: Auth;
  /** By which the person's authority can be revoked. */
  readonly jti: string;
  readonly session: {
    /** To be sent back with everything that changes something: in the field `_csrf` or the header `x-csrf-token`. */
    readonly csrf: string;
    /** When the person logged in, RFC 3339 UTC. */
    readonly authenticatedAt: string;
  };
}

/** Somebody whom the gateway has authenticated: an agent, or a person. */
export type Principal = AgentPrincipal | PersonPrincipal;
