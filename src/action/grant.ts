/** The signed, expiring, single-use authorization that `execute` demands. */
import type { ActionType, Constraint } from './decision.js';
import type { Digest } from './json.js';

/** The claims of the grant's JWS. Every field is checked by `execute`. */
export interface GrantClaims {
  /** Unique; the ledger lets it be used once. */
  readonly jti: string;
  readonly tenant: string;
  readonly actionId: string;
  readonly agent: string;
  readonly tool: string;
  readonly environment: string;
  readonly actionType: ActionType;
  readonly proposalDigest: Digest;
  readonly policyDigest: Digest;
  readonly preDigest: Digest;
  /** Digests of the approvals it rests on, sorted. */
  readonly approvals: readonly Digest[];
  readonly constraints: readonly Constraint[];
  /** Rows or objects the preview promised. */
  readonly rows: number;
  /** Seconds since the epoch. */
  readonly iat: number;
  readonly exp: number;
}
