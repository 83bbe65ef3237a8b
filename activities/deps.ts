/** What the activities stand on. A worker assembles it; nothing here is reachable from workflow code. */
import type { Ledger } from '../src/ledger/index.js';
import type { Policy } from '../src/policy/index.js';
import type { Tool } from '../src/tools/tool.js';
import type { Keyring } from '../src/trust/index.js';
import type { ExpectationRunner } from '../src/verify/index.js';
import type { Recent } from './recent.js';

export interface Dependencies {
  readonly tools: ReadonlyMap<string, Tool>;
  /** The policy active now. @throws CountersignError POLICY_UNAVAILABLE */
  readonly policy: { current(): Policy };
  readonly ledger: Ledger;
  readonly keyring: Keyring;
  readonly expectations: ExpectationRunner;
  readonly settings: Settings;
  /** The task queue this worker serves: a tool with another one is not run here. */
  readonly taskQueue: string;
  readonly recent: Recent;
  /** Named points where a test may stop the process. Does nothing unless a test switched one on. */
  readonly faults: { at(point: FaultPoint): Promise<void> };
}

export interface Settings {
  /** How long a grant may wait for its execution. Seconds, default 60. */
  readonly grantTtlSeconds: number;
  /** Whether the person who answers for an agent may approve its actions. Default false. */
  readonly selfApproval: boolean;
}

export type FaultPoint =
  | 'prepare.before-admit'
  | 'execute.before-effect'
  | 'execute.after-effect'
  | 'conclude.before-settle'
  | 'conclude.after-settle';
