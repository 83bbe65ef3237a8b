/** Finds the policy that somebody means by the first letters of its digest. */
import type { StatedPolicy } from '../../../action/policy-rollout.js';
import type { Rollout } from '../../../ledger/index.js';
import { usageError } from '../../usage-error.js';

const PREFIX = /^(?:sha256:)?([0-9a-f]{4,64})$/;

/** @throws CountersignError USAGE when it is no digest, or several policies are meant; NOT_FOUND */
export async function findPolicy(rollout: Rollout, name: string): Promise<StatedPolicy> {
  const [, letters] = PREFIX.exec(name) ?? [];
  if (letters === undefined) {
    throw usageError(`${JSON.stringify(name.slice(0, 80))} is not the digest of a policy.`, {
      field: 'digest',
      expected: 'sha256:… or at least four of the letters after it',
      fix: 'Look at countersign policy status --all.',
    });
  }
  const found = (await rollout.states()).filter(({ digest }) => digest.startsWith(`sha256:${letters}`));
  const [first, second] = found;
  if (first !== undefined && second === undefined) return first;
  const { CountersignError } = await import('../../../action/errors.js');
  if (first === undefined) {
    throw new CountersignError('NOT_FOUND', `No policy ${name} was published.`, {
      field: 'digest',
      fix: 'Publish it with countersign policy publish, or look at countersign policy status --all.',
    });
  }
  throw usageError(`${found.length} policies begin with ${name}.`, {
    field: 'digest',
    expected: 'more letters of the digest',
  });
}
