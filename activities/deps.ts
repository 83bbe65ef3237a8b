/** What the activities stand on. A worker assembles it; nothing here is reachable from workflow code. */
import type { PasskeySettings } from '../src/action/passkey.js';
import type { Ledger } from '../src/ledger/index.js';
import type { Freeze } from '../src/action/freeze.js';
import type { Notifier } from '../src/notify/notifier.js';
import type { Policy } from '../src/policy/index.js';
import type { Tool } from '../src/tools/tool.js';
import type { Keyring } from '../src/trust/index.js';
import type { ExpectationRunner, VerificationSettings } from '../src/verify/index.js';
import type { RefusalThrottle } from './refusal-throttle.js';

export interface Dependencies {
  readonly tools: ReadonlyMap<string, Tool>;
  /** The policy active now. @throws CountersignError POLICY_UNAVAILABLE */
  readonly policy: { current(): Policy };
  readonly ledger: Ledger;
  readonly keyring: Keyring;
  readonly expectations: ExpectationRunner;
  /** What the operator adds to verification. */
  readonly verification?: VerificationSettings;
  readonly settings: Settings;
  /** The channels on which people are told of what waits for them. Absent without any. */
  readonly notifier?: Notifier;
  /** The task queue this worker serves: a tool with another one is not run here. */
  readonly taskQueue: string;
  readonly refusals: RefusalThrottle;
  /** Asked about workflows that may have ended without an outcome. */
  readonly workflows: WorkflowStates;
  /** Tells running effects that a freeze has come. */
  readonly freezes: FreezeWatch;
  /** Named points where a test may stop the process. Does nothing unless a test switched one on. */
  readonly faults: { at(point: FaultPoint): Promise<void> };
}

export interface Settings {
  /** How long a grant may wait for its execution. Seconds, default 60. */
  readonly grantTtlSeconds: number;
  /** Whether the person who answers for an agent may approve its actions. Default false. */
  readonly selfApproval: boolean;
  /** How long a tool that cannot tell yet whether an effect happened is asked again. Milliseconds, default 30 000. */
  readonly lookUpMaxWaitMs: number;
  /** Who may make which signed commands, by role. */
  readonly roles: CommandRoles;
  /** Where people's passkeys are made and used. Absent: none verifies, and what policy wants one for cannot be approved. */
  readonly passkeys?: PasskeySettings;
  /** When a person says yes too often in too short a time. */
  readonly approvalRateLimit: ApprovalRateLimit;
}

/** From the next yes after `yeses` within the window on, each counts only beside one more person's; after twice as many, none is taken. */
export interface ApprovalRateLimit {
  /** Default 10. */
  readonly approvals: number;
  /** Default 60. */
  readonly withinSeconds: number;
}

export interface CommandRoles {
  /** Lifts freezes of the person's own tenant. */
  readonly unfreeze: readonly string[];
  /** Lifts freezes that stop every tenant. */
  readonly unfreezeAll: readonly string[];
  /** Says whether an effect happened that could not be known. */
  readonly resolve: readonly string[];
  /** Revokes credentials and delegations, and what others gave: their passkeys, standing approvals and role delegations. */
  readonly revoke: readonly string[];
  /** Decides what becomes of an action that could not be undone. */
  readonly recover: readonly string[];
  /** Freezes, through the gateway. */
  readonly freeze: readonly string[];
}

/** `ended`: without saying how; `gone`: Temporal does not know it (any more). */
export type WorkflowState = 'running' | 'ended' | 'gone';

export interface WorkflowStates {
  /** @throws when Temporal cannot be reached */
  state(workflowId: string): Promise<WorkflowState>;
}

/** What a freeze may stop. */
export interface Watched {
  readonly tenant: string;
  readonly agent: string;
  readonly tool: string;
  readonly targets: readonly string[];
}

export interface Watch {
  /** Aborts when a freeze stops what is watched. */
  readonly signal: AbortSignal;
  /** The one that did. */
  readonly freeze: Freeze | undefined;
  /** To be called when the effect is over. */
  end(): void;
}

export interface FreezeWatch {
  begin(watched: Watched): Watch;
}

/**
 * `<activity>.begin` is before anything was done, `<activity>.end` after all was and before Temporal hears of it; the others are on both
 * sides of what cannot be taken back. docs/recovery.md tells of each.
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
  'checkApproval.begin',
  'checkApproval.end',
  'executeCommand.begin',
  'command.after-nonce',
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
  'ledger.before-settle',
  'ledger.after-settle',
  'http.before-send',
  'http.after-send',
  'http.before-reading',
] as const;
export type FaultPoint = (typeof FAULT_POINTS)[number];
