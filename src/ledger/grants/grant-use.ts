/** What a use of a grant asks for, and what it comes to. */
import type { Freeze } from '../../action/freeze.js';
import type { Revocation } from '../../action/revocation.js';

export interface UseGrantRequest {
  readonly jti: string;
  readonly tenant: string;
  readonly actionId: string;
  readonly agent: string;
  readonly tool: string;
  readonly targets: readonly string[];
  /** As in AdmitRequest. */
  readonly credentials?: readonly string[];
  /** Names the one activity that may use the grant, the same on each of its attempts. */
  readonly usedBy: string;
  /** Which attempt of that activity it is. Once a later one has come, it is refused. Default 1. */
  readonly attempt?: number;
  /** As in WatchClaim. */
  readonly watchedWithinMs?: number | undefined;
  /** A send later than this after the one before begins a new stretch. Milliseconds, default 60,000. */
  readonly stretchMs?: number;
}

/** How often an action was sent to its system, over all of its grants and runs. */
export interface SendCount {
  readonly sends: number;
  /** Milliseconds since the first send of the present stretch. */
  readonly sendingMs: number;
  /** Milliseconds since the first send of all. */
  readonly sinceFirstMs: number;
}

/**
 * `otherUses`: how many other grants of the action were used and not returned. While it is more than 0, an effect of the action may have
 * been made, also when this grant is refused. Of a refusal it is the number from before the call; a use that runs at the same time
 * may be missing in it.
 */
export type GrantUse = { readonly otherUses: number } & GrantVerdict;

type GrantVerdict =
  /**
   * The grant is this activity's from now on. `sent`: the sends of the action, with the one that this use is for. `usedAt`: when that was, by the
   * database's clock, seconds since the epoch.
   */
  | { readonly kind: 'first'; readonly sent: SendCount; readonly usedAt: number }
  /**
   * This activity used it before: on an earlier attempt, whose effect may have happened (or in this one, when the reply to the first
   * use was lost). What came since and stands against it does not hide that.
   */
  | {
      readonly kind: 'again';
      readonly freeze?: Freeze;
      readonly revocation?: Revocation;
      readonly unwatched?: true;
    }
  /** This activity used it in vain, and returned it. */
  | { readonly kind: 'returned' }
  /** A later attempt of this activity used it, or its effect is being looked up: this attempt may send nothing. */
  | { readonly kind: 'overtaken' }
  | { readonly kind: 'replayed'; readonly usedBy: string }
  /** There is no such grant for this action, agent and tool. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'expired' }
  | { readonly kind: 'frozen'; readonly freeze: Freeze }
  | { readonly kind: 'revoked'; readonly revocation: Revocation }
  /** The tool's system must be watched, and is not. */
  | { readonly kind: 'unwatched' }
  /** The action has its outcome; nothing may be done in its name any more. */
  | { readonly kind: 'ended' };

/** An attempt that used a grant. */
export type GrantHolder = Pick<UseGrantRequest, 'jti' | 'tenant' | 'actionId' | 'usedBy' | 'attempt'>;

/** Another send of an action. */
export type CountSendRequest = GrantHolder & Pick<UseGrantRequest, 'stretchMs'>;

/** Why an attempt may send nothing under its grant any more, as GrantUse says it. */
export type SendRefusal = 'ended' | 'overtaken' | 'returned';
