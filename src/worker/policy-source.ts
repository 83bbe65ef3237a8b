/** Where a worker takes its policy from: the ledger, or a folder that it watches. */
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { Closing } from '../closing.js';
import { folderRefused, policySourceOf, type CountersignConfig } from '../config/config.js';
import type { PlacedPolicy } from '../action/policy-rollout.js';
import { workerName, type Ledger } from '../ledger/index.js';
import { activePolicy, ActivePolicy, RolledOutPolicy, type Policy, type Reload } from '../policy/index.js';
import { verifyPolicyChange, type Keyring } from '../trust/index.js';
import { ProvenChanges } from './proven-changes.js';
import { PolicyReporter } from './policy-reporter.js';

/** What the rest of the worker needs of it. */
export interface WorkerPolicy {
  /** @throws CountersignError POLICY_UNAVAILABLE */
  current(): Policy;
  /** The policy that is compared with the active one on live traffic, if there is any. */
  shadow(): Policy | undefined;
  /** The number of the latest change of the active policy that is known here. Absent where the policy is a folder's. */
  latestChange?(): number;
  /** Takes up what changed. Never rejects. */
  reload(): Promise<Reload>;
}

export interface PolicySourceOptions {
  readonly config: Pick<CountersignConfig, 'policies'>;
  readonly ledger: Ledger;
  readonly keyring: Keyring;
  readonly logger: Logger;
  readonly taskQueue: string;
  /** How often the folder or the ledger is looked at. Milliseconds. */
  readonly pollMs?: number | undefined;
  /** Whether nothing may be changed in place. */
  readonly production: boolean;
}

const FOLDER_POLL_MS = 1000;
/** With the time that a report takes, all workers have agreed and said so within a second. */
const LEDGER_POLL_MS = 400;

/**
 * Loads the policy and watches over it. A folder must be usable at the start; a ledger in which no policy is active yet is one that
 * the worker can help to change.
 *
 * @throws CountersignError CONFIG_INVALID, POLICY_INVALID, POLICY_UNAVAILABLE
 */
export async function openPolicy(options: PolicySourceOptions, closing: Closing): Promise<WorkerPolicy> {
  const { config, ledger, logger, taskQueue, pollMs } = options;
  const source = policySourceOf(config);
  if (options.production) folderRefused(source);
  const worker = `${workerName()}/${randomUUID().slice(0, 8)}`;
  const reporter = new PolicyReporter(ledger, { worker, taskQueue, source: source.from }, logger);
  closing.add(() => reporter.close());
  if (source.from === 'ledger') {
    const policy = rolledOut(options);
    await policy.reload();
    closing.add(policy.watch(pollMs ?? LEDGER_POLL_MS));
    reporter.watch(() => ({
      active: digestOf(policy),
      shadow: policy.shadow()?.digest,
      problem: policy.problem()?.message,
      latest: policy.proof(),
    }));
    return policy;
  }
  const policy = new ActivePolicy({
    folder: source.path,
    store: (bundle) => ledger.content.putPolicy(bundle.digest, bundle.files),
    logger,
  });
  await policy.reload();
  policy.current();
  closing.add(policy.watch(pollMs ?? FOLDER_POLL_MS));
  reporter.watch(() => ({ active: digestOf(policy), problem: policy.status().lastError?.message }));
  return { current: () => policy.current(), shadow: () => undefined, reload: () => policy.reload() };
}

/** The digest of the active policy, where there is one. */
export function digestOf(policy: Pick<WorkerPolicy, 'current'>): Policy['digest'] | undefined {
  return activePolicy(policy)?.digest;
}

function rolledOut({ ledger, keyring, logger }: PolicySourceOptions): RolledOutPolicy {
  const changes = new ProvenChanges(ledger.rollout, keyring);
  return new RolledOutPolicy(
    {
      async placed() {
        const { policies, shown } = await ledger.rollout.placed();
        return { policies, proven: await changes.latest(shown) };
      },
      files: (digest) => ledger.content.getPolicy(digest),
      verify: ({ digest, since, state, signed }: PlacedPolicy) =>
        verifyPolicyChange(keyring, signed, {
          seq: since,
          digest,
          kinds: state === 'active' ? ['promote', 'rollback'] : ['shadow'],
        }),
    },
    logger,
  );
}
