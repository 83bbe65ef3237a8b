/** A role delegation: a role that one person has another exercise for a while, such as whoever is on call. */
import type { PersonAuthorization } from './person-authorization.js';

export interface RoleDelegation extends PersonAuthorization {
  /** Who exercises the role. */
  readonly person: string;
  /** One that the giver (`by`) has by a credential of their own. */
  readonly role: string;
  /** From when, RFC 3339 UTC. */
  readonly since: string;
}
