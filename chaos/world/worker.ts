/** A worker of the chaos run, assembled as an operator's would be: in the process of whoever calls this. */
import type { PoliciesConfig } from '../../src/config/config.js';
import type { TemporalSettings } from '../../src/environment.js';
import { parseKeyring } from '../../src/trust/index.js';
import { startWorker, type RunningWorker, type WorkerOptions } from '../../src/worker/worker.js';
import type { PolicySource } from '../plan.js';
import { toolbox } from './tools.js';

/** What a worker is told. It holds secrets. */
export interface WorkerPlaces {
  readonly temporal: TemporalSettings;
  readonly ledgerUrl: string;
  readonly shopUrl: string;
  readonly paymentsUrl: string;
  /** The policy folder: what workers watch, or what the first policy of the ledger is made of. */
  readonly policies: string;
  readonly policySource: PolicySource;
  /** The keyring file's text. */
  readonly keys: string;
}

/** Nobody looks at backtests here: what promotions do to actions under way is what is tried. */
const POLICIES: Readonly<Record<PolicySource, (places: WorkerPlaces) => PoliciesConfig | string>> = {
  folder: ({ policies }) => policies,
  ledger: () => ({ from: 'ledger', withoutEvidence: true }),
};

/** Returns once it polls. */
export async function startWorkerAt(
  places: WorkerPlaces,
  more: Pick<WorkerOptions, 'logger' | 'faults'>,
): Promise<RunningWorker> {
  return startWorker({
    config: { policies: POLICIES[places.policySource](places), tools: toolbox.make(places), grantTtlSeconds: 30 },
    temporal: places.temporal,
    ledgerUrl: places.ledgerUrl,
    keyring: await parseKeyring(places.keys, 'CHAOS_OPTIONS'),
    policyPollMs: 200,
    ...more,
  });
}
