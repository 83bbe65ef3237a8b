/** Checks the state in which a compensation may act. */
import { CountersignError } from '../src/action/errors.js';
import { signedProposalDigest } from '../src/action/proposal.js';
import type { Snapshot } from '../src/action/snapshot.js';
import { isCompensationAuthorization, verifyCompensationAuthorization } from '../src/trust/index.js';
import type { ActionRequest } from './contract.js';
import type { Dependencies } from './deps.js';

/**
 * A compensation acts only on the state that the compensated action left, so that it never overwrites a later change. Other actions always
 * pass this check.
 *
 * @throws CountersignError STATE_CHANGED
 */
export async function assertAsLeft(
  { signature, proposal }: ActionRequest,
  pre: Pick<Snapshot, 'digest'>,
  { keyring, ledger }: Pick<Dependencies, 'keyring' | 'ledger'>,
): Promise<void> {
  if (!isCompensationAuthorization(signature)) return;
  const { claims } = await verifyCompensationAuthorization(keyring, signature, {
    digest: signedProposalDigest(proposal),
    now: await ledger.clock.read(),
  });
  if (pre.digest === claims.preDigest) return;
  throw new CountersignError(
    'STATE_CHANGED',
    `The system has changed since the undoing of ${claims.cause.actionId} was prepared.`,
    {
      field: 'preDigest',
      fix: 'Look at what changed; then try again, or accept that it is not undone.',
    },
  );
}
