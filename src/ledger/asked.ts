/** The shapes of what people are asked and of what they said. */
import type { ActionType, Decision, Requirement } from '../action/decision.js';
import type { Digest } from '../action/json.js';
import type { ApprovalRecord, Duty, Shown, Verdict } from '../action/outcome.js';
import type { Auth } from '../action/principal.js';

export interface OpenAsk {
  readonly tenant: string;
  readonly actionId: string;
  readonly shown: Shown;
  /** Of `shown`. */
  readonly shownDigest: Digest;
  readonly decision: Decision;
  /** How long it waits from now. Default: the shortest that a requirement says. */
  readonly ttlSeconds?: number;
  /** What counts so far and does not suffice: given in advance, or decided and still good. Default none. */
  readonly given?: readonly ApprovalRecord[];
  /** All was looked at anew: of what was decided before, only `given` counts. Default false. */
  readonly renewed?: boolean;
  /** The agents that delegated to the one that asks. Default none. */
  readonly via?: readonly string[];
}

/** By the ledger's clock, RFC 3339 UTC. */
export interface AskedTimes {
  /** Kept when the action is shown anew: escalations go by it. */
  readonly firstAskedAt: string;
  /** When this was shown. */
  readonly askedAt: string;
  readonly expiresAt: string;
}

/** Somebody who may decide: at once, or from some time after it was first asked. */
export interface AskedRole {
  readonly role: string;
  /** Absent: at once. */
  readonly afterSeconds?: number;
}

/** An ask as lists show it. */
export interface ListedAsk extends AskedTimes {
  readonly tenant: string;
  readonly actionId: string;
  readonly shownDigest: Digest;
  readonly policyDigest: Digest;
  readonly environment: string;
  readonly tool: string;
  readonly operation: string;
  readonly actionType: ActionType;
  readonly agent: string;
  readonly via: readonly string[];
  /** All that may decide, each once with its earliest time. */
  readonly roles: readonly AskedRole[];
  /** What `progress` needs beside the decisions. */
  readonly requirements: readonly Requirement[];
  /** The preview's. */
  readonly summary: string;
  /** Of the decision that asks for people. */
  readonly reason: string;
  /** The action that this one is proposed instead of. */
  readonly revises?: string;
  /** What was given when it was asked, then what was said since of exactly this (`shownDigest`), oldest first, once for each person and verdict. */
  readonly decisions: readonly ApprovalRecord[];
}

/** An ask with everything that is shown. */
export interface Ask extends ListedAsk {
  readonly shown: Shown;
  readonly decision: Decision;
  /** When it was answered or its action ended. Absent while it waits. */
  readonly closedAt?: string;
}

export interface AskFilter {
  readonly environment?: string;
  readonly tool?: string;
  readonly agent?: string;
  /** What anybody with one of these roles may decide by now. */
  readonly roles?: readonly string[];
  /** In the action's id, agent, tool, operation, summary or reason; without regard to case. */
  readonly text?: string;
}

export interface AskPage {
  /** Soonest to expire first. */
  readonly asks: readonly ListedAsk[];
  /** For the page after this one. Absent on the last. */
  readonly next?: string;
}

export interface AskCount {
  readonly count: number;
  /** There are more than `count`. */
  readonly more: boolean;
}

export interface DecidedRequest {
  readonly tenant: string;
  readonly actionId: string;
  /** What the person was shown. */
  readonly shownDigest: Digest;
  readonly person: string;
  readonly verdict: Verdict;
  /** Of the signed decision: its identity here. */
  readonly digest: Digest;
  /** How far back yeses are counted. */
  readonly windowSeconds: number;
  /** From so many yeses before it in the window on, a yes is hurried; and refused. Default never. */
  readonly hurriedFrom?: number;
  readonly refusedFrom?: number;
  /** The rest of the `ApprovalRecord`, for lists and the archive. */
  readonly roles?: readonly string[];
  readonly reason?: string;
  /** When it was signed, RFC 3339 UTC. Default now. */
  readonly at?: string;
  readonly auth?: Auth;
  readonly passkey?: string;
  readonly duties?: readonly Duty[];
  readonly self?: boolean;
}

/** What the first record of a decision found; the same whenever it is asked again. */
export interface Decided {
  /** Since the action was first asked about; 0 when it never was. */
  readonly waitedSeconds: number;
  /** Other actions of the tenant that this person said yes to in the window before. Refused yeses do not count. */
  readonly yesesBefore: number;
  readonly hurried: boolean;
  /** It is kept for the archive, and on no list of decisions. */
  readonly refused: boolean;
}
