/** What the workflow and its activities say to each other. Types only: the workflow sandbox loads no value from here. */
import type { ErrorView } from '../src/action/errors.js';
import type { Plan } from '../src/action/grant.js';
import type { Digest } from '../src/action/json.js';
import type { ApprovalRecord, Outcome, Shown, StepTimings } from '../src/action/outcome.js';
import type { Requirement } from '../src/action/decision.js';
import type { Proposal } from '../src/action/proposal.js';
import type { Execution } from '../src/tools/tool.js';

/** The workflow's input. It carries no secret: the proof is the agent's signature over the digest, good for this proposal only. */
export interface ActionRequest {
  readonly proposal: Proposal;
  readonly digest: Digest;
  readonly proof: string;
}

/** How the effect is to be run. */
export interface EffectOptions {
  readonly timeoutMs: number;
}

/** What `prepare` (propose, enforce, capture, authorize) comes to. */
export type Prepared =
  | {
      readonly kind: 'granted';
      readonly plan: Plan;
      readonly grant: string;
      readonly effect: EffectOptions;
      readonly steps: StepTimings;
    }
  | {
      readonly kind: 'pending';
      readonly plan: Plan;
      readonly shown: Shown;
      readonly shownDigest: Digest;
      /** Tokens given that still count. */
      readonly standing: readonly string[];
      /** Why the others do not. */
      readonly dropped: readonly ErrorView[];
    }
  /** Refused, or recorded earlier. The receipt is written. */
  | { readonly kind: 'ended'; readonly outcome: Outcome }
  /** The tool's steps belong on another task queue. */
  | { readonly kind: 'elsewhere'; readonly taskQueue: string };

/** The effect was made. */
export interface Done {
  readonly kind: 'done';
  readonly execution: Execution;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly tookMs: number;
}

/** What is known after trying to make the effect. */
export type Truth =
  | Done
  /** Nothing happened, and trying again is no use. */
  | { readonly kind: 'not_done'; readonly error: ErrorView }
  /** Nothing happened, because the grant no longer holds (expired, or the state moved): a new one may be asked for. */
  | { readonly kind: 'void'; readonly error: ErrorView }
  /** It may have happened. */
  | { readonly kind: 'unknown'; readonly error: ErrorView }
  /** The effect was never tried. */
  | { readonly kind: 'stopped'; readonly status: 'cancelled' | 'expired' | 'denied'; readonly error: ErrorView };

/** What `execute` answers: what is known, or already how it ended. */
export type Report = Truth | { readonly kind: 'concluded'; readonly concluded: Concluded };

export interface Conclusion {
  readonly request: ActionRequest;
  readonly report: Truth;
  readonly plan?: Plan;
  readonly grant?: string;
  /** How long the steps before the effect took. */
  readonly steps?: StepTimings;
  /** The decisions people signed, where the action was stopped by or after one. */
  readonly approvals?: readonly string[];
  /** The tool's system has been out of reach for too long: settle with what is known. */
  readonly withoutReading?: boolean;
}

/** What an outcome says beyond the request and the plan. */
export type Ending = Omit<Outcome, keyof Plan | 'tenant' | 'actionId' | 'proposalDigest' | 'tool'>;

/** An outcome as it travels back to the workflow: what it knows already is not said twice in history. */
export type Concluded =
  { readonly kind: 'planned'; readonly ending: Ending } | { readonly kind: 'whole'; readonly outcome: Outcome };

/** What a signed decision is checked against. */
export interface ApprovalCheck {
  readonly token: string;
  readonly shown: Pick<Shown, 'tenant' | 'actionId' | 'agent'>;
  readonly shownDigest: Digest;
  readonly requirements: readonly Requirement[];
}

/** The activities, as the workflow calls them. */
export interface Steps {
  /** Propose, enforce, capture, authorize: everything before the effect. Has no effect on the tool's system. */
  readonly prepare: (request: ActionRequest, approvals: readonly string[]) => Promise<Prepared>;
  /** Verifies a person's signed decision. @throws ApplicationFailure with the code APPROVAL_* */
  readonly checkApproval: (check: ApprovalCheck) => Promise<ApprovalRecord>;
  /** Makes the effect, once, under the grant; and concludes at once, where that is safe and can be done here. */
  readonly execute: (proposal: Proposal, grant: string) => Promise<Report>;
  /** Look up (if unknown), capture again, verify, settle: everything after the effect. */
  readonly conclude: (conclusion: Conclusion) => Promise<Concluded>;
}
