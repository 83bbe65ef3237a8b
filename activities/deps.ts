/** The dependencies of the activities. A worker assembles them; workflow code cannot reach any of them. */
import type { ActionRequest } from './contract.js';
import type { CanarySettings } from '../src/config/oversight.js';
import type { PasskeySettings } from '../src/action/passkey.js';
import type { Digest } from '../src/action/json.js';
import type { DivergenceKind } from '../src/action/policy-rollout.js';
import type { Ledger } from '../src/ledger/index.js';
import type { LimitDemand, LimitReading } from '../src/action/limits.js';
import type { Freeze } from '../src/action/freeze.js';
import type { Notifier } from '../src/notify/notifier.js';
import type { Policy } from '../src/policy/index.js';
import type { Anchor } from '../src/trail/anchors/anchor.js';
import type { Redaction } from '../src/privacy/redaction.js';
import type { Tool } from '../src/tools/tool.js';
import type { Keyring } from '../src/trust/index.js';
import type { ExpectationRunner, VerificationSettings } from '../src/verify/index.js';
import type { RefusalThrottle } from './refusal-throttle.js';

/** What the activities of one worker stand on. `startWorker` makes it of the config; a worker of one's own makes it itself. */
export interface Dependencies {
  readonly tools: ReadonlyMap<string, Tool>;
  /** The policy active now, and the one that is compared with it. */
  readonly policy: {
    /** @throws CountersignError POLICY_UNAVAILABLE */
    current(): Policy;
    /** The policy that is compared with the active one; undefined while none is in shadow. Without it, none ever is. */
    shadow?(): Policy | undefined;
    /** The number of the latest change of the active policy that this worker knows of, whatever the ledger says. */
    latestChange?(): number;
    /** A policy that the ledger keeps, ready to be activated. @throws CountersignError POLICY_INVALID, NOT_FOUND */
    prepare?(digest: Digest): Promise<Policy>;
  };
  /** Records where the policy in shadow decides otherwise. Absent where none can be in shadow. */
  readonly divergences?: Divergences;
  readonly ledger: Ledger;
  readonly keyring: Keyring;
  readonly expectations: ExpectationRunner;
  /** Invariants and the semantic check that the operator configured. */
  readonly verification?: VerificationSettings;
  readonly settings: Settings;
  /** What is redacted in everything that is recorded for good and shown to people. Absent where nothing is. */
  readonly redaction?: Redaction;
  /** The channels on which people are notified of approval requests. Absent when none is configured. */
  readonly notifier?: Notifier;
  /** Where checkpoints of the audit trail are put besides the ledger. */
  readonly anchors?: readonly Anchor[];
  /** The task queue that this worker serves. A tool with another task queue does not run here. */
  readonly taskQueue: string;
  readonly refusals: RefusalThrottle;
  /** Looks up the state of workflows that may have ended without an outcome. */
  readonly workflows: WorkflowStates;
  /** Stops running effects when a freeze that matches them is recorded. */
  readonly freezes: FreezeWatch;
  /** Named points where a test may stop the process. Does nothing unless a test switched one on. */
  readonly faults: {
    /** Is awaited at each point. What it throws, the step there fails with. */
    at(point: FaultPoint): Promise<void>;
  };
}

/** Which policies are compared. */
export interface ShadowPair {
  readonly candidate: Digest;
  readonly baseline: Digest;
}

interface ShadowSide {
  /** `queue` where the action may wait for room; `error` where there is no decision. */
  readonly effect: string;
  /** The policies that determined it, sorted. */
  readonly rules: readonly string[];
  readonly reason: string;
}

/** A decision that the policy in shadow makes otherwise. */
export interface ShadowResult {
  readonly tenant: string;
  readonly agent: string;
  readonly tool: string;
  readonly actionId: string;
  readonly kind: DivergenceKind;
  readonly live: ShadowSide;
  readonly shadow: ShadowSide;
}

export interface Divergences {
  /**
   * Has the comparison made when nothing else is to be done, and records its result; undefined: they agree. Never throws.
   *
   * @returns whether it will be made
   */
  later(pair: ShadowPair, compare: () => Promise<ShadowResult | undefined>): boolean;
  readonly limits: ShadowLimitReader;
}

/** The limits of the policy in shadow. Nothing is held of them in the ledger. */
export interface ShadowLimitReader {
  /** Does not count the action's record until the returned function is called: an action is not compared with itself. */
  expect(tenant: string, actionId: string): () => void;
  /** In the order of the demands. @throws CountersignError LEDGER_UNAVAILABLE */
  read(
    policies: { readonly candidate: Policy; readonly active: Policy },
    tenant: string,
    actionId: string,
    demands: readonly LimitDemand[],
  ): Promise<readonly LimitReading[]>;
  /** Counts an action that both policies let pass, until it has ended. */
  hold(tenant: string, actionId: string, demands: readonly LimitDemand[]): void;
}

export interface Settings {
  /** How long a grant may wait for its execution. Seconds, default 60. */
  readonly grantTtlSeconds: number;
  /** Whether the owner of an agent may approve its actions. Default false. */
  readonly selfApproval: boolean;
  /** For how long a look-up is repeated while the tool cannot tell yet whether an effect happened. Milliseconds, default 30 000. */
  readonly lookUpMaxWaitMs: number;
  /** The roles that may give each signed command. */
  readonly roles: CommandRoles;
  /** Where people create and use passkeys. When absent, none verifies, and nothing can be approved for which policy demands one. */
  readonly passkeys?: PasskeySettings;
  /** How many approvals of one person count in a short time. */
  readonly approvalRateLimit: ApprovalRateLimit;
  /** What a promotion of a policy needs. */
  readonly promotion: PromotionSettings;
  /** Which canaries are sent by themselves, and how many at most. */
  readonly canaries: CanarySettings;
}

/**
 * Within the window, the first `approvals` approvals of a person count in full. Each later one counts only if one person more than required
 * approves, and after twice as many, further ones are refused.
 */
export interface ApprovalRateLimit {
  /** Number of approvals. Default 10. */
  readonly approvals: number;
  /** Length of the window, in seconds. Default 60. */
  readonly withinSeconds: number;
}

export interface PromotionSettings {
  /** How many people have to sign it. Default 1. */
  readonly quorum: number;
  /** Whether one without evidence is carried out. Default false. */
  readonly withoutEvidence: boolean;
}

export interface CommandRoles {
  /** Lifts freezes of the person's own tenant. */
  readonly unfreeze: readonly string[];
  /** Lifts freezes that stop every tenant. */
  readonly unfreezeAll: readonly string[];
  /** States whether an effect happened, where the outcome is `unknown`. */
  readonly resolve: readonly string[];
  /** Revokes credentials and delegations, and what others gave: their passkeys, standing approvals and role delegations. */
  readonly revoke: readonly string[];
  /** Decides how to continue with an action that could not be undone. */
  readonly recover: readonly string[];
  /** Freezes, through the gateway. */
  readonly freeze: readonly string[];
  /** Changes which policy is active or in shadow, for every tenant. */
  readonly policy: readonly string[];
  /** Accepts the definitions of MCP servers' tools, for every tenant. */
  readonly pins: readonly string[];
  /** Sends canaries to the people of the person's own tenant. */
  readonly canary: readonly string[];
  /** Sees how others of their tenant decide, through the gateway. */
  readonly oversight: readonly string[];
}

/** `ended`: the workflow has ended, in whatever way; `gone`: Temporal does not know it, or no longer. */
export type WorkflowState = 'running' | 'ended' | 'gone';

export interface WorkflowStates {
  /** @throws when Temporal cannot be reached */
  state(workflowId: string): Promise<WorkflowState>;
  /** Begins an action, unless one of its id was ever begun. @throws when Temporal cannot be reached */
  begin(tenant: string, request: ActionRequest): Promise<void>;
}

/** The attributes of a running effect that freezes are matched against. */
export interface Watched {
  readonly tenant: string;
  readonly agent: string;
  readonly tool: string;
  readonly targets: readonly string[];
}

export interface Watch {
  /** Aborts when a freeze matches the effect. */
  readonly signal: AbortSignal;
  /** The freeze that aborted the signal. */
  readonly freeze: Freeze | undefined;
  /** Stops watching. It must be called when the effect is over. */
  end(): void;
}

export interface FreezeWatch {
  begin(watched: Watched): Watch;
}

/**
 * `<activity>.begin` lies before the activity does anything, `<activity>.end` after it did everything and before Temporal gets the result.
 * The others lie before and after each step that cannot be taken back. docs/recovery.md describes each.
 */
export const FAULT_POINTS = [
  'propose.begin',
  'propose.end',
  'enforce.begin',
  'enforce.end',
  'capturePreState.begin',
  'capturePreState.end',
  'requestApproval.begin',
  'requestApproval.end',
  'authorize.begin',
  'authorize.end',
  'execute.begin',
  'execute.before-effect',
  'execute.after-effect',
  'execute.end',
  'capturePostState.begin',
  'capturePostState.end',
  'verify.begin',
  'verify.end',
  'settle.begin',
  'settle.end',
  'decideBatch.begin',
  'decideBatch.end',
  'checkApproval.begin',
  'checkApproval.end',
  'drawCanaries.begin',
  'drawCanaries.end',
  'previewCanary.begin',
  'previewCanary.end',
  'openCanary.begin',
  'openCanary.end',
  'decideCanary.begin',
  'decideCanary.end',
  'endCanary.begin',
  'endCanary.end',
  'executeCommand.begin',
  'command.after-nonce',
  'policy.after-change',
  'executeCommand.end',
  'reconcile.begin',
  'reconcile.before-settle',
  'reconcile.after-settle',
  'reconcile.end',
  'compensate.begin',
  'compensate.end',
  'ledger.before-admit',
  'ledger.after-admit',
  'ledger.before-use-grant',
  'ledger.after-use-grant',
  'ledger.before-count-send',
  'ledger.after-count-send',
  'ledger.before-settle',
  'ledger.after-settle',
  'http.before-send',
  'http.after-send',
  'http.before-reading',
] as const;
export type FaultPoint = (typeof FAULT_POINTS)[number];
