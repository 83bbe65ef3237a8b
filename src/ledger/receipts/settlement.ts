/** What settling and resolving ask for, and what they come to. */
import type { HoldSettlement } from '../../action/limits.js';
import type { Digest, Json } from '../../action/json.js';
import type { Proposal } from '../../action/proposal.js';
import type { Outcome, UnreceiptedOutcome } from '../../action/outcome.js';
import type { SignReceipt } from './receipt.js';

export interface SettleRequest {
  readonly tenant: string;
  readonly actionId: string;
  readonly proposalDigest: Digest;
  readonly outcome: UnreceiptedOutcome;
  /** What was proposed, kept beside the outcome. Absent: nothing is kept. One whose digest is another is refused. */
  readonly proposal?: Proposal;
  /** What is to be begun instead, where a person edited the action: kept until `Edits.begun` says that it was. */
  readonly edit?: { readonly taskQueue: string; readonly request: Json };
  readonly sign: SignReceipt;
  /** The activities (`usedBy`) that used a grant and are known to have had no effect: these uses do not stand against it. */
  readonly withoutEffect?: readonly string[];
  /**
   * That the caller looked, and no grant of the action has had an effect: only then may an outcome that says "not done" be recorded
   * where a grant was used otherwise. Default false.
   */
  readonly effectRuledOut?: boolean;
  /**
   * Of how many uses the caller knew when it looked, returned ones included: one that came since is not ruled out. To be given where another run of the
   * action may begin meanwhile.
   */
  readonly usesRuledOut?: number;
  /**
   * What becomes of the action's holds, in the same transaction. Default: what the status says (`success` and `mismatch` consume,
   * `unknown` keeps, the others release), and breakers are told nothing. An action without holds needs none.
   */
  readonly holds?: HoldSettlement;
}

export type Settlement =
  | Settled
  /**
   * Nothing was recorded and no hold was touched: the outcome says that nothing was done, and `uses` grants of the action were used by
   * others, so that an effect may have been made. Find out first; then settle with `effectRuledOut`, or as what was found.
   */
  | { readonly kind: 'effect_possible'; readonly uses: number };

export interface Settled {
  readonly kind: 'settled';
  readonly outcome: Outcome;
  /** True when the action had this outcome before: it came back, and nothing was written or signed for good. */
  readonly recorded: boolean;
}

/** A person settles what could not be known. */
export interface ResolveRequest {
  readonly tenant: string;
  readonly actionId: string;
  /** The recorded outcome with its new status (`success`, `mismatch` or `failed`), reason and `resolution`; without its receipt. */
  readonly outcome: UnreceiptedOutcome;
  readonly sign: SignReceipt;
  /** Of the holds that were kept. Default: what the new status says. */
  readonly holds?: HoldSettlement;
}
