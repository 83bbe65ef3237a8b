/** The policy bundle that workers of a config run: the folder's, or the active one of the ledger. */
import { CountersignError } from '../action/errors.js';
import { policySourceOf, type CountersignConfig } from '../config/config.js';
import type { PolicyBundle } from '../policy/index.js';
import type { Context } from './context.js';

export interface ConfiguredBundle {
  readonly bundle: PolicyBundle;
  /** The folder, or `the ledger`. */
  readonly from: string;
}

/** @throws CountersignError POLICY_INVALID; POLICY_UNAVAILABLE when none is active in the ledger */
export async function configuredBundle(
  context: Context,
  config: Pick<CountersignConfig, 'policies'>,
): Promise<ConfiguredBundle> {
  const source = policySourceOf(config);
  const { loadBundle, storedBundle } = await import('../policy/index.js');
  if (source.from === 'folder') return { bundle: await loadBundle(source.path), from: source.path };
  const { rollout, content } = await context.ledger();
  const active = await rollout.active();
  if (active === undefined) {
    throw new CountersignError('POLICY_UNAVAILABLE', 'No policy is active in the ledger: workers deny everything.', {
      field: 'policies',
      expected: 'an active policy',
      fix: 'Publish one and promote it: countersign policy publish, then countersign policy promote.',
    });
  }
  return { bundle: await storedBundle(active, (digest) => content.getPolicy(digest)), from: 'the ledger' };
}
