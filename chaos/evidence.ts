/** What the judge is given: what was proposed, what really happened, what the ledger says, what the agents were told. */
import type { JsonObject } from '../src/action/json.js';
import type { OutcomeStatus } from '../src/action/outcome.js';
import type { Budget } from './limits.js';
import type { Intent } from './plan.js';

/** One change of the real world, from the journal of the system that was changed. */
export interface Effect {
  readonly system: string;
  /** `pay`, `order` …; anything else is a change that no proposal can mean. */
  readonly what: string;
  /** The action whose name the change bears. */
  readonly actionId: string;
  readonly content: JsonObject;
  readonly amount: number;
  /** When it came in, by the clock of that system, RFC 3339 UTC. */
  readonly at: string;
  /** Where it stands in its journal. */
  readonly where: string;
}

/** One request that a system received in the name of an action, whatever became of it. */
export interface Send {
  readonly actionId: string;
  /** Where it stands in its journal. */
  readonly where: string;
}

export interface Proposed {
  readonly actionId: string;
  readonly digest: string;
  readonly agent: string;
  /** What it would change; absent when nothing may come of it. */
  readonly intent?: Intent;
}

/** An action as the ledger has it. */
export interface Recorded {
  readonly actionId: string;
  readonly digest: string;
  readonly status: 'open' | OutcomeStatus;
  /** How many of its grants were used. */
  readonly uses: number;
  /** Whether a person settled it. */
  readonly resolved: boolean;
}

/** What a caller was told at the end of an action: a status, or the code of an error. */
export interface Told {
  readonly actionId: string;
  readonly digest: string;
  readonly answer: string;
}

export interface HeldAmount {
  readonly actionId: string;
  readonly limit: string;
  readonly key: string;
  readonly kind: string;
  readonly amount: number;
  readonly status: string;
  readonly placedAt: string;
}

export interface CounterState {
  readonly limit: string;
  readonly key: string;
  readonly kind: string;
  readonly used: number;
  readonly held: number;
}

/** When somebody stopped everything that the scope names, and when that was lifted. */
export interface FreezeSpan {
  readonly scope: string;
  /** Whose actions, on which system, and which kind of effects it stops; absent: all. */
  readonly agent?: string;
  readonly system?: string;
  readonly what?: string;
  readonly from: string;
  /** Absent: never lifted. */
  readonly until?: string;
}

export interface ReceiptEvidence {
  readonly valid: boolean;
  readonly problems: readonly string[];
  /** Every receipt, by what it claims. */
  readonly claims: readonly {
    readonly actionId: string;
    readonly status: string;
    readonly tenant: string;
    readonly code?: string;
    /** Digest of the policy that decided. */
    readonly policy?: string;
  }[];
}

export interface Evidence {
  readonly proposed: readonly Proposed[];
  readonly effects: readonly Effect[];
  readonly sends: readonly Send[];
  readonly recorded: readonly Recorded[];
  readonly told: readonly Told[];
  readonly holds: readonly HeldAmount[];
  readonly counters: readonly CounterState[];
  readonly budgets: readonly Budget[];
  readonly freezes: readonly FreezeSpan[];
  readonly receipts: ReceiptEvidence;
  /** Digests of the policies that people ever put in force. Absent where workers take theirs from a folder. */
  readonly inForce?: readonly string[];
  /** Actions whose workflow the run itself ended from outside. */
  readonly terminated: readonly string[];
}
