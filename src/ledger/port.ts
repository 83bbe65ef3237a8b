/** What the rest of Countersign asks of the ledger. Activities are typed against this, not against Postgres. */
import type { Digest, Json } from '../action/json.js';
import type { HoldRequest, HoldSettlement, LimitDemand, LimitReading } from '../action/limits.js';
import type { Outcome, OutcomeStatus, ReceiptRef } from '../action/outcome.js';

/** An outcome before its receipt: exactly what a receipt's `outcomeDigest` is over. */
export type UnreceiptedOutcome = Omit<Outcome, 'receipt'>;

export const FREEZE_KINDS = ['all', 'tenant', 'agent', 'tool', 'target'] as const;
export type FreezeKind = (typeof FREEZE_KINDS)[number];

/** What a freeze stops, within its tenant (or in every tenant, when that is `*`). */
export interface FreezeScope {
  readonly kind: FreezeKind;
  /** The agent, tool, tenant or target. Absent for `all`. Targets compare without regard to case. */
  readonly value?: string;
}

export interface Freeze {
  readonly id: number;
  /** `*` for every tenant. */
  readonly tenant: string;
  readonly scope: FreezeScope;
  readonly reason: string;
  readonly by: string;
  /** RFC 3339 UTC, the database's time, as all times here. */
  readonly at: string;
  /** Set once it no longer stops anything. */
  readonly lifted?: { readonly at: string; readonly by: string; readonly reason?: string };
}

export interface FreezeRequest {
  readonly tenant: string;
  readonly scope: FreezeScope;
  readonly reason: string;
  /** Who freezes. */
  readonly by: string;
}

export interface LiftRequest {
  readonly by: string;
  readonly reason?: string;
}

export interface ActionRecord {
  /** The proposal that this action id stands for. */
  readonly digest: Digest;
  /** `open` until the action has an outcome. */
  readonly status: 'open' | OutcomeStatus;
  /** How many of its grants were used and not returned: 0 means that no effect was ever begun. */
  readonly uses: number;
  readonly outcome?: Outcome;
}

export interface AdmitRequest {
  readonly tenant: string;
  readonly actionId: string;
  /** Of the proposal. */
  readonly digest: Digest;
  readonly agent: string;
  readonly tool: string;
  readonly environment: string;
  /** What the action would write; a freeze may name one of them. */
  readonly targets: readonly string[];
  readonly grant: { readonly jti: string; readonly expiresAt: Date };
  /** Ids of the credentials the agent's authority rests on. Default none. */
  readonly credentials?: readonly string[];
  /**
   * What the action asks of its limits: placed with the grant, all of it or (when one does not fit) none of it and no grant. Repeating
   * it holds nothing twice; holds of the action that are not asked for any more are given back. Absent: holds are left as they are.
   */
  readonly holds?: readonly HoldRequest[];
}

export type Admission =
  /** `limits`: each counter as it was before the holds were placed; absent without `holds`. */
  | { readonly kind: 'admitted'; readonly limits?: readonly LimitReading[] }
  /** At least one demand does not fit: nothing was held and no grant issued, though the action id is taken. */
  | { readonly kind: 'limited'; readonly limits: readonly LimitReading[] }
  | { readonly kind: 'revoked'; readonly revocation: Revocation }
  /** The action id stands for another proposal, with this digest. */
  | { readonly kind: 'conflict'; readonly digest: Digest }
  | { readonly kind: 'ended'; readonly outcome: Outcome }
  | { readonly kind: 'frozen'; readonly freeze: Freeze };

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
}

/**
 * `otherUses`: how many other grants of the action were used and not returned. While it is more than 0, an effect of the action may have
 * been made, also when this grant is refused. Of a refusal it is the number from before the call; a use that runs at the same time
 * may be missing in it.
 */
export type GrantUse = { readonly otherUses: number } & GrantVerdict;

type GrantVerdict =
  /** The grant is this activity's from now on. */
  | { readonly kind: 'first' }
  /**
   * This activity used it before: on an earlier attempt, whose effect may have happened (or in this one, when the reply to the first
   * use was lost). A freeze or a revocation that came since does not hide that.
   */
  | {
      readonly kind: 'again';
      readonly freeze?: Freeze;
      readonly revocation?: Revocation;
    }
  /** This activity used it in vain, and returned it. */
  | { readonly kind: 'returned' }
  | { readonly kind: 'replayed'; readonly usedBy: string }
  /** There is no such grant for this action, agent and tool. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'expired' }
  | { readonly kind: 'frozen'; readonly freeze: Freeze }
  | { readonly kind: 'revoked'; readonly revocation: Revocation }
  /** The action has its outcome; nothing may be done in its name any more. */
  | { readonly kind: 'ended' };

/** That nothing was sent under a grant, by the activity that used it. */
export type ReturnGrantRequest = Pick<UseGrantRequest, 'jti' | 'tenant' | 'actionId' | 'usedBy'>;

/** The place of a receipt in its tenant's chain. */
export interface ChainLink {
  /** 1, 2, 3 … without a gap. */
  readonly seq: number;
  /** Hash of the receipt before; null for the first. */
  readonly prev: Digest | null;
}

export interface SignedReceipt {
  readonly jws: string;
  /** SHA-256 of the compact JWS; the ledger checks it. */
  readonly hash: Digest;
}

/**
 * Signs a receipt for its place in the chain. The tenant's chain may be locked while it runs: no network in it. It may be called
 * more than once for one receipt, with another link, when somebody else was first at that place or a connection was lost; only the
 * last one counts.
 */
export type SignReceipt = (link: ChainLink) => Promise<SignedReceipt>;

export interface SettleRequest {
  readonly tenant: string;
  readonly actionId: string;
  readonly proposalDigest: Digest;
  readonly outcome: UnreceiptedOutcome;
  readonly sign: SignReceipt;
  /** The Temporal run that settles. The grants that its own activities used (`usedBy` is `<run>/<activity>`) do not stand against it. */
  readonly run?: string;
  /**
   * That the caller looked, and no grant of the action has had an effect: only then may an outcome that says "not done" be recorded
   * where another run used a grant. Default false.
   */
  readonly effectRuledOut?: boolean;
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

/** An id of a credential or delegation that is good for nothing any more. */
export interface Revocation {
  readonly tenant: string;
  readonly jti: string;
  readonly reason: string;
  readonly by: string;
  readonly at: string;
}

export interface RevokeRequest {
  readonly tenant: string;
  readonly jti: string;
  readonly reason: string;
  readonly by: string;
}

/** How many open actions one page of them has. */
export const OPEN_ACTIONS_PAGE = 100;

/** An action without an outcome. Its workflow may be at it, or gone. */
export interface OpenAction {
  readonly tenant: string;
  readonly actionId: string;
  readonly digest: Digest;
  readonly agent: string | null;
  readonly tool: string;
  readonly environment: string | null;
  /** How many of its grants were used and not returned: 0 means that no effect was ever begun. */
  readonly uses: number;
  /** Whether a grant of it could still be used. */
  readonly liveGrant: boolean;
  /** With microseconds, so that pages join exactly. */
  readonly admittedAt: string;
}

/** A counter with what is in it, for people. */
export interface LimitCounter {
  readonly tenant: string;
  readonly limit: string;
  readonly key: string;
  readonly kind: LimitReading['kind'];
  readonly used: number;
  readonly held: number;
  readonly state?: 'closed' | 'open' | 'half_open';
  readonly updatedAt: string;
}

/** What one action has reserved. */
export interface Hold {
  readonly tenant: string;
  readonly actionId: string;
  readonly limit: string;
  readonly key: string;
  readonly kind: LimitReading['kind'];
  /** What is reserved; once consumed, what was spent. A breaker's: 1 for a probe, else 0. */
  readonly amount: number;
  readonly status: 'held' | 'kept' | 'consumed' | 'released';
  readonly placedAt: string;
  readonly settledAt?: string;
}

export interface AppendReceiptRequest {
  readonly tenant: string;
  readonly actionId: string;
  readonly sign: SignReceipt;
}

export interface StoredReceipt {
  readonly seq: number;
  readonly hash: Digest;
  readonly jws: string;
  readonly actionId: string;
  readonly at: string;
}

/** The last receipt of a chain; `seq` 0 and no hash before the first. */
export interface ChainHead {
  readonly seq: number;
  readonly hash: Digest | null;
}

export interface EndedAction {
  readonly actionId: string;
  readonly outcome: UnreceiptedOutcome;
  readonly receiptSeq: number;
  readonly receiptHash: Digest;
}

export interface LedgerHealth {
  /** Of the database server: `18.4`. */
  readonly version: string;
  readonly schema: string;
  /** Migrations that `countersign setup` would run. */
  readonly pending: readonly string[];
  /** False on a standby, where nothing can be admitted or settled. */
  readonly writable: boolean;
  /** One round trip, milliseconds. */
  readonly latencyMs: number;
}

/** Every method may throw CountersignError LEDGER_UNAVAILABLE (retryable). Further errors are named with each. */
export interface LedgerPort {
  findAction(tenant: string, actionId: string): Promise<ActionRecord | undefined>;

  /**
   * Registers the action unless it is there, and records the grant unless the action conflicts, has ended, is frozen, rests on a
   * revoked credential or does not fit its limits. One round trip. Repeating it, with the same grant or a new one, is fine.
   *
   * @throws CountersignError GRANT_INVALID when the grant's id was issued before for something else; INVALID_INPUT, INVALID_NUMBER or
   *   INVALID_TEXT when a hold cannot be counted
   */
  admit(request: AdmitRequest): Promise<Admission>;

  /** Uses a grant, once: of any number of callers that race, one gets `first`. One round trip. */
  useGrant(request: UseGrantRequest): Promise<GrantUse>;

  /**
   * Records that nothing was sent under a used grant: it counts no more among those whose effect may have been made, and stays used. To
   * be called only by an attempt that was the first, of a tool whose effect no later attempt of the same activity can have made.
   *
   * @returns whether it was recorded; not, when it was before or the action has ended
   */
  returnGrant(request: ReturnGrantRequest): Promise<boolean>;

  /**
   * Records the outcome of an action with its receipt, at the end of the tenant's chain, and ends its holds, in one transaction. The
   * first outcome is the outcome: settling again returns it. One round trip where no other worker writes to the chain.
   *
   * An outcome `denied`, `failed`, `cancelled` or `expired` is not recorded while a grant of the action was used by another run, unless
   * `effectRuledOut`. This is decided under the lock that `useGrant` takes: of a use and a settling at once, the later sees the earlier.
   *
   * @throws CountersignError ACTION_CONFLICT when the action id stands for another proposal; whatever `sign` throws
   */
  settle(request: SettleRequest): Promise<Settlement>;

  /** Where the counters stand for these demands, placing nothing. One round trip. In the order of the demands. */
  readLimits(tenant: string, actionId: string, demands: readonly LimitDemand[]): Promise<readonly LimitReading[]>;
  /** Every counter that was ever used, by limit and key. */
  limitCounters(options?: { readonly tenant?: string }): Promise<readonly LimitCounter[]>;
  /** The holds of one action, or of every action that still has some. */
  holds(options: { readonly tenant: string; readonly actionId?: string }): Promise<readonly Hold[]>;

  /**
   * Replaces the outcome `unknown` by what a person says, with a receipt of its own and the end of the holds that were kept, in one
   * transaction. Resolving again returns what is recorded.
   *
   * @throws CountersignError NOT_FOUND, NOT_UNKNOWN, INVALID_INPUT when the new status is none that a resolution can have; whatever
   *   `sign` throws
   */
  resolve(request: ResolveRequest): Promise<Settled>;

  /** Actions without an outcome, admitted at least `olderThanMs` ago, oldest first, at most OPEN_ACTIONS_PAGE; `after` takes the last of the page before. */
  openActions(options: {
    readonly olderThanMs: number;
    readonly after?: Pick<OpenAction, 'tenant' | 'actionId' | 'admittedAt'>;
  }): Promise<readonly OpenAction[]>;
  /** Makes every grant of the action that was not used void. @returns how many */
  voidGrants(tenant: string, actionId: string): Promise<number>;

  /**
   * Takes a nonce, for good: of all callers who ever use it, one gets true. It is forgotten a day after `expiresAt` at the earliest, and
   * one that is over by the database's clock is never taken, so forgetting opens nothing. `by` names a taker that may come again, the
   * same on each of its attempts: it gets true again. Default: every call is a taker of its own.
   */
  useNonce(request: {
    readonly scope: string;
    readonly nonce: string;
    readonly expiresAt: Date;
    readonly by?: string;
  }): Promise<boolean>;

  /** From the next admission and the next use of a grant on. Idempotent. */
  revoke(request: RevokeRequest): Promise<Revocation>;
  revocations(tenant?: string): Promise<readonly Revocation[]>;
  /** The first revocation that one of these credentials met; undefined when all of them stand. */
  revoked(authority: {
    readonly tenant: string;
    readonly credentials: readonly string[];
  }): Promise<Revocation | undefined>;

  /**
   * Appends a receipt that settles no action, such as the refusal of a conflicting proposal. Not idempotent: a retry after a lost
   * reply can leave two receipts that say the same.
   */
  appendReceipt(request: AppendReceiptRequest): Promise<ReceiptRef>;

  /** Keeps a captured state under its digest. Idempotent. @throws CountersignError INVALID_JSON when the digest is not the body's */
  putSnapshot(tenant: string, digest: Digest, body: Json): Promise<void>;
  getSnapshot(tenant: string, digest: Digest): Promise<Json | undefined>;

  /** Keeps a policy bundle, file name to text, under its digest. Idempotent. @throws CountersignError POLICY_INVALID when other files are kept under it */
  putPolicy(digest: Digest, files: Readonly<Record<string, string>>): Promise<void>;
  getPolicy(digest: Digest): Promise<Readonly<Record<string, string>> | undefined>;

  /** Stops what the scope names, from the next admission and the next use of a grant on. @throws CountersignError INVALID_INPUT, INVALID_TEXT */
  freeze(request: FreezeRequest): Promise<Freeze>;
  /** Lifts a freeze and keeps its record. Lifting it again changes nothing. @throws CountersignError NOT_FOUND */
  unfreeze(id: number, request: LiftRequest): Promise<Freeze>;
  /** By id. Default: lifted ones too. */
  freezes(options?: { readonly activeOnly?: boolean }): Promise<readonly Freeze[]>;

  /** A tenant's receipts in order, read in pages: what is appended meanwhile may be among them. */
  receipts(tenant: string, options?: { readonly after?: number }): AsyncIterable<StoredReceipt>;
  head(tenant: string): Promise<ChainHead>;
  /** Those that have a chain, sorted. */
  tenants(): Promise<readonly string[]>;
  /**
   * Settled actions in the order of their receipts, to be checked against them. An action that was resolved comes twice: as it was
   * when it was unknown, and as it is.
   */
  endedActions(tenant: string): AsyncIterable<EndedAction>;

  health(): Promise<LedgerHealth>;
  close(): Promise<void>;
}
