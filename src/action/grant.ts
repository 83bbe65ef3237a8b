/** The signed, expiring, single-use authorization that `execute` demands. */
import type { ActionType, Constraint, Decision, Facts } from './decision.js';
import type { Digest } from './json.js';
import type { LimitFigure } from './limits.js';
import type { ApprovalRecord } from './outcome.js';
import type { Snapshot } from './snapshot.js';

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
  /** Over the whole plan (facts, decision, approvals, pre-state), so that what is concluded later is what was granted. */
  readonly planDigest: Digest;
  /** Digests of the approvals it rests on, sorted. */
  readonly approvals: readonly Digest[];
  readonly constraints: readonly Constraint[];
  /** What it would write: checked against freezes once more at the effect. */
  readonly targets: readonly string[];
  /** Ids of the credential and the delegations it rests on: one revoked, and it is void. Absent in grants from before there were any. */
  readonly credentials?: readonly string[];
  /** Rows or objects the preview promised. */
  readonly rows: number;
  /** Digest of what the change did when it was rehearsed. Absent when it was not. */
  readonly rehearsal?: Digest;
  /** Seconds since the epoch. */
  readonly iat: number;
  readonly exp: number;
}

/** Everything that was settled before the effect: recorded in history, and bound by digest in the grant. */
export interface Plan {
  readonly facts: Facts;
  readonly decision: Decision;
  readonly approvals: readonly ApprovalRecord[];
  readonly pre: Snapshot;
}

/** What the steps before the effect found, as one plan: with what was left of the budgets of standing approvals among the figures. */
export function planOf(
  { facts, decision }: Pick<Plan, 'facts' | 'decision'>,
  pre: Snapshot,
  approved?: { readonly approvals: readonly ApprovalRecord[]; readonly figures: readonly LimitFigure[] },
): Plan {
  const { approvals = [], figures = [] } = approved ?? {};
  return {
    facts: figures.length === 0 ? facts : { ...facts, limits: [...(facts.limits ?? []), ...figures] },
    decision,
    approvals,
    pre,
  };
}
