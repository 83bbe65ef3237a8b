/** How policies are rolled out: the states of a bundle, the changes between them, and what a change rests on. */
import type { Digest, JsonObject } from './json.js';

export const POLICY_STATES = ['draft', 'shadow', 'active', 'retired'] as const;
export type PolicyState = (typeof POLICY_STATES)[number];

export const POLICY_CHANGES = ['publish', 'shadow', 'promote', 'rollback', 'retire'] as const;
/** `publish` makes a draft; the others are ordered by people. */
export type PolicyChangeKind = (typeof POLICY_CHANGES)[number];
export type OrderedPolicyChange = Exclude<PolicyChangeKind, 'publish'>;

/** The state that a bundle has after a change of it. */
export const STATE_AFTER: Readonly<Record<PolicyChangeKind, PolicyState>> = {
  publish: 'draft',
  shadow: 'shadow',
  promote: 'active',
  rollback: 'active',
  retire: 'retired',
};

/** One entry of the history. */
export interface PolicyChange {
  /** Its number: changes are numbered from 1. There is a gap only where a history that had been cut back goes on. */
  readonly seq: number;
  readonly kind: PolicyChangeKind;
  readonly digest: Digest;
  /** The bundle whose place it took, and which is retired since. */
  readonly replaced?: Digest;
  /** Who ordered it, or published the bundle. */
  readonly by: string;
  /** Everybody who signed it, in order; nobody signs a `publish`. */
  readonly people: readonly string[];
  readonly reason: string;
  /** Digest of the backtest's report that it rests on. */
  readonly evidence?: Digest;
  /** RFC 3339 UTC, by the database's clock. */
  readonly at: string;
}

/** A bundle that the ledger has a state of. */
export interface StatedPolicy {
  readonly digest: Digest;
  readonly state: PolicyState;
  /** Number of the change that gave it the state. */
  readonly since: number;
}

/** A bundle in a state that workers act on, with the workers' signature over the change that gave it that state. */
export interface PlacedPolicy extends StatedPolicy {
  readonly state: 'active' | 'shadow';
  readonly signed: string;
}

/** A change that made a policy the active one, as it was really made: whoever can write to the ledger can hide it, but nobody can make one up. */
export interface ProvenChange {
  readonly seq: number;
  /** Who shows it: `worker 7@host`, `receipt 12 of acme`, `the history`. */
  readonly shownBy: string;
  /** The workers' signature over it, where that is what proves it. */
  readonly signed?: string;
}

/** A worker's or the history's word of a change, with the workers' signature over it: it proves nothing until that is verified. */
export interface ShownChange extends ProvenChange {
  readonly signed: string;
}

/** What a backtest found, as far as a promotion rests on it. */
export interface PolicyEvidence {
  /** The bundle that would become active. */
  readonly candidate: Digest;
  /** The bundle that the backtest compared it with. */
  readonly baseline: Digest;
  /** Digest of the whole report. */
  readonly report: Digest;
  /** How many recorded decisions were made again. */
  readonly decisions: number;
  /** At most 16 KiB of canonical JSON. */
  readonly summary: JsonObject;
  readonly by: string;
  /** The signature of the one who found it over all of this. */
  readonly signed: string;
  /** RFC 3339 UTC, by the database's clock. */
  readonly at: string;
}

/** What a worker runs, as it last said. */
export interface PolicyWorker {
  readonly worker: string;
  readonly taskQueue: string;
  /** Where it takes its policy from. */
  readonly source: 'folder' | 'ledger';
  readonly active?: Digest;
  readonly shadow?: Digest;
  /** Why it does not run what it should. */
  readonly problem?: string;
  /** How far the clock of its machine is ahead of the ledger's; negative where it is behind. Milliseconds. */
  readonly clockAheadMs?: number;
  /** RFC 3339 UTC, by the database's clock. */
  readonly seenAt: string;
  /** Whether it has been silent for longer than a running worker ever is. */
  readonly silent: boolean;
}

export const DIVERGENCE_KINDS = ['effect', 'requirements', 'constraints', 'error'] as const;
/** Where a shadow decided otherwise: on the effect, on what it asks of people, on the constraints; or it could not decide. */
export type DivergenceKind = (typeof DIVERGENCE_KINDS)[number];

/** A kind of decision that the policy in shadow made otherwise, counted. */
export interface PolicyDivergence {
  readonly candidate: Digest;
  readonly baseline: Digest;
  readonly tenant: string;
  readonly kind: DivergenceKind;
  readonly tool: string;
  readonly agent: string;
  /** What was decided, by which rules; and what the policy in shadow would have decided: `error` where it could not. */
  readonly live: DivergentSide;
  readonly shadow: DivergentSide;
  readonly count: number;
  /** At most five. */
  readonly examples: readonly DivergenceExample[];
  /** RFC 3339 UTC, by the database's clock. */
  readonly firstAt: string;
  readonly lastAt: string;
}

export interface DivergentSide {
  readonly effect: string;
  readonly rules: readonly string[];
}

export interface DivergenceExample {
  readonly actionId: string;
  readonly liveReason: string;
  readonly shadowReason: string;
}

/** How often the policy in shadow was evaluated beside which active one, and how often it decided otherwise. */
export interface ShadowCounts {
  readonly candidate: Digest;
  readonly baseline: Digest;
  readonly evaluated: number;
  readonly diverged: number;
  /** Of those that diverged: where it could not decide. */
  readonly errors: number;
  /** Of those that diverged: not in the list, which was full. */
  readonly unlisted: number;
  /** Not evaluated, because the worker had too much to do. */
  readonly dropped: number;
  readonly meanMs: number;
  readonly maxMs: number;
}
