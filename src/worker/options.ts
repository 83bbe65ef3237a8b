/** What a worker is started with, and what is known of it while it runs. */
import type { WorkerDeploymentVersion } from '@temporalio/common';
import type { NativeConnection } from '@temporalio/worker';
import type { Logger } from 'pino';
import type { CountersignConfig, DeploymentConfig } from '../config/config.js';
import type { TemporalSettings } from '../environment.js';
import type { Keyring } from '../trust/index.js';
import type { Faults } from './faults.js';
import type { WorkerPolicy } from './policy-source.js';

/** What a worker is started with. */
export interface WorkerOptions {
  readonly config: CountersignConfig;
  readonly temporal: TemporalSettings;
  /** A connection of somebody else's, who closes it. Default: one of its own, to `temporal.address`. */
  readonly connection?: NativeConnection;
  /** Postgres URL of the ledger. */
  readonly ledgerUrl: string;
  /** Postgres schema of the ledger. Default `countersign`. */
  readonly ledgerSchema?: string;
  readonly keyring: Keyring;
  readonly logger: Logger;
  /** How often the policy folder is looked at for changes (milliseconds, default 1000), or the ledger (default 400). */
  readonly policyPollMs?: number;
  /** Whether a folder that can be edited in place is refused. Default: what COUNTERSIGN_ENV says. */
  readonly production?: boolean;
  /** How often actions are looked after whose workflow was ended from outside. Milliseconds, default 60 000; 0 leaves all rounds to others. */
  readonly reconcileEveryMs?: number;
  /** How often it is looked whether a ledger that was broken is whole again. Milliseconds, default 90 000. */
  readonly alarmLookEveryMs?: number;
  /** Where a test stops or fails the worker. Default: nowhere. */
  readonly faults?: Faults;
  /** Versions this worker. Default: the config's `deployment`, else it is not versioned. */
  readonly deployment?: DeploymentConfig;
  /** Most actions prepared or concluded at once. As many again may wait whose agents are refused again and again. Default 50. */
  readonly concurrency?: number;
}

/** A worker that polls. */
export interface RunningWorker {
  readonly policy: WorkerPolicy;
  /** Where it is versioned: its deployment and its build id. */
  readonly version?: WorkerDeploymentVersion;
  /** Settles when the worker has stopped; rejects when it died. */
  readonly done: Promise<void>;
  /** Finishes what runs, then closes every connection. */
  stop(): Promise<void>;
}
