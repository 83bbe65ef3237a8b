/** What standing approvals and role delegations have in common: a person gave them in a signed command, and they end. */
import type { Digest } from './json.js';

export interface PersonAuthorization {
  readonly tenant: string;
  /** The `jti` of the signed command that gave it. Once that is revoked, it is over. */
  readonly id: string;
  /** Who gave it. */
  readonly by: string;
  /** Ids of the credentials that the giver's authority rested on. Once one is revoked, it is over. */
  readonly credentials: readonly string[];
  /** Why, in the giver's words. */
  readonly reason: string;
  /** Digest of the signed command. */
  readonly digest: Digest;
  /** RFC 3339 UTC, by the database's clock. */
  readonly at: string;
  /** From then on it is over, RFC 3339 UTC. */
  readonly until: string;
  /** Set when it was taken back, or a credential of the giver was revoked. */
  readonly ended?: { readonly at: string; readonly by: string; readonly reason: string };
}

/** What is added: as the signed command says it. */
export type NewAuthorization<T extends PersonAuthorization> = Omit<T, 'at' | 'ended'> & {
  /** The signed command itself. */
  readonly statement: string;
};

/** With the signed command itself: whoever acts on it verifies that it says what the row does. */
export type SignedAuthorization<T extends PersonAuthorization> = T & { readonly statement: string };
