/** What the activities stand on. A worker assembles it; nothing here is reachable from workflow code. */
import type { Freeze, Ledger } from '../src/ledger/index.js';
import type { Policy } from '../src/policy/index.js';
import type { Tool } from '../src/tools/tool.js';
import type { Keyring } from '../src/trust/index.js';
import type { ExpectationRunner, VerificationSettings } from '../src/verify/index.js';
import type { Recent } from './recent.js';

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
  /** The task queue this worker serves: a tool with another one is not run here. */
  readonly taskQueue: string;
  readonly recent: Recent;
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
  /** Who may make which statements, by role. */
  readonly roles: StatementRoles;
}

export interface StatementRoles {
  /** Lifts freezes of the person's own tenant. */
  readonly unfreeze: readonly string[];
  /** Lifts freezes that stop every tenant. */
  readonly unfreezeAll: readonly string[];
  /** Says whether an effect happened that could not be known. */
  readonly resolve: readonly string[];
  /** Revokes credentials and delegations. */
  readonly revoke: readonly string[];
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

export type FaultPoint =
  | 'prepare.before-admit'
  | 'prepare.after-admit'
  | 'execute.before-effect'
  | 'execute.after-effect'
  | 'conclude.before-settle'
  | 'conclude.after-settle'
  | 'statement.after-nonce';
