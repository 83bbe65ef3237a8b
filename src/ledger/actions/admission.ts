/** What an admission asks for, and what it comes to. */
import type { Digest } from '../../action/json.js';
import type { Freeze } from '../../action/freeze.js';
import type { HistoryClaim } from '../../action/history.js';
import type { HoldRequest, LimitReading } from '../../action/limits.js';
import type { Outcome } from '../../action/outcome.js';
import type { Revocation } from '../../action/revocation.js';

export interface AdmitRequest {
  readonly tenant: string;
  readonly actionId: string;
  /** Of the proposal. */
  readonly digest: Digest;
  readonly agent: string;
  /** The person who answers for the agent. Default nobody. */
  readonly owner?: string | undefined;
  readonly tool: string;
  readonly environment: string;
  /** What the action would write; a freeze may name one of them. */
  readonly targets: readonly string[];
  /** Whether it changes nothing. Default false. */
  readonly reads?: boolean;
  /** It is valid from now for so long, by the database's clock and to the second. */
  readonly grant: { readonly jti: string; readonly ttlSeconds: number };
  /** Ids of the credentials the agent's authority rests on. Default none. */
  readonly credentials?: readonly string[];
  /**
   * What the action asks of its limits: placed with the grant, all of it or (when one does not fit) none of it and no grant. Repeating
   * it holds nothing twice; holds of the action that are not asked for any more are given back. Absent: holds are left as they are.
   */
  readonly holds?: readonly HoldRequest[];
  /** What the decision relied on of earlier actions: checked once more with the grant. And the marks that the action leaves for later ones. */
  readonly history?: HistoryClaim;
}

export type Admission =
  /** `limits`: each counter as it was before the holds were placed; absent without `holds`. */
  | {
      readonly kind: 'admitted';
      readonly limits?: readonly LimitReading[];
      /** When the grant was issued, by the database's clock. Seconds since the epoch. */
      readonly issuedAt: number;
      readonly expiresAt: number;
    }
  /** At least one demand does not fit: nothing was held and no grant issued, though the action id is taken. */
  | { readonly kind: 'limited'; readonly limits: readonly LimitReading[] }
  /** Earlier actions have come to something else than the decision relied on: nothing was held or left and no grant issued, though the action id is taken. */
  | { readonly kind: 'changed' }
  | { readonly kind: 'revoked'; readonly revocation: Revocation }
  /** The action id stands for another proposal, with this digest. */
  | { readonly kind: 'conflict'; readonly digest: Digest }
  | { readonly kind: 'ended'; readonly outcome: Outcome }
  | { readonly kind: 'frozen'; readonly freeze: Freeze };
