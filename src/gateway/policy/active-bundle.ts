/** Which bundle is in force for a tenant, and what is known of it: by promotion, from the folders of workers, or by what decisions name. */
import type { Digest } from '../../action/json.js';
import type { PolicyChange, PolicyWorker, StatedPolicy } from '../../action/policy-rollout.js';
import type { Ledger, NamedBundle } from '../../ledger/index.js';

export interface KnownBundle extends StatedPolicy {
  /** The change that gave it its state, where it is not too long ago. */
  readonly change?: PolicyChange;
}

export interface ActiveBundle {
  readonly digest: Digest;
  /** How it is known: it was promoted; workers have it from a folder; or the tenant's latest decisions name it. */
  readonly by: 'promotion' | 'folder' | 'decisions';
  /** The promotion. */
  readonly change?: PolicyChange;
}

export interface KnownPolicies {
  readonly active?: ActiveBundle;
  /** Bundles that have a state, the latest change first. */
  readonly bundles: readonly KnownBundle[];
  readonly workers: readonly PolicyWorker[];
  /** What the tenant's latest decisions name, the latest first. */
  readonly named: readonly NamedBundle[];
}

const MOST_CHANGES = 1000;

export async function knownPolicies({ rollout, archive }: Ledger, tenant: string): Promise<KnownPolicies> {
  const [states, changes, workers, named] = await Promise.all([
    rollout.states(),
    rollout.history({ limit: MOST_CHANGES }),
    rollout.workers(),
    archive.bundlesInUse(tenant),
  ]);
  const bySeq = new Map(changes.map((change) => [change.seq, change]));
  const bundles = states.map((policy): KnownBundle => {
    const change = bySeq.get(policy.since);
    return change === undefined ? policy : { ...policy, change };
  });
  const active = activeOf(bundles, workers, named);
  return { ...(active === undefined ? {} : { active }), bundles, workers, named };
}

function activeOf(
  bundles: readonly KnownBundle[],
  workers: readonly PolicyWorker[],
  named: readonly NamedBundle[],
): ActiveBundle | undefined {
  const alive = workers.filter(({ silent }) => !silent);
  const promoted = bundles.find(({ state }) => state === 'active');
  const folders = alive.filter(({ source }) => source === 'folder');
  const onlyFolders = folders.length > 0 && folders.length === alive.length;
  if (promoted !== undefined && !onlyFolders) {
    const { digest, change } = promoted;
    return { digest, by: 'promotion', ...(change === undefined ? {} : { change }) };
  }
  const reported = [...new Set(folders.flatMap(({ active }) => active ?? []))];
  // Where folders differ, the one that decided last for this tenant.
  const digest = named.find((one) => reported.includes(one.digest))?.digest ?? reported[0];
  if (digest !== undefined) return { digest, by: 'folder' };
  const [latest] = named;
  return latest === undefined ? undefined : { digest: latest.digest, by: 'decisions' };
}
