/** What a person is about to sign: checked against the digest that their signature will be over. */
import { CountersignError } from '../action/errors.js';
import type { ActionView, PendingView } from '../action/outcome.js';
import { assertShownMatches } from '../action-records/shown.js';
import type { ActionName } from './context.js';
import { sanitize } from '../presentation/sanitize.js';

/**
 * What waits for this decision. The digest that is signed is computed here, over what is displayed here: no server's word for it
 * is taken.
 *
 * @throws CountersignError NOT_PENDING, APPROVAL_INVALID, APPROVAL_EXPIRED
 */
export function verifiedPending({ phase, pending }: ActionView, { tenant, actionId }: ActionName): PendingView {
  if (pending === undefined) {
    throw new CountersignError('NOT_PENDING', `Action ${actionId} is ${phase}: it is not waiting for a person.`, {
      field: 'actionId',
      expected: 'an action that waits for approval',
      fix: `See its state: countersign show ${tenant}/${actionId}`,
    });
  }
  assertShownMatches(pending, { tenant, actionId });
  if (secondsLeft(pending) > 0) return pending;
  throw new CountersignError('APPROVAL_EXPIRED', `Action ${actionId} waited until ${sanitize(pending.expiresAt)}.`, {
    fix: 'It must be proposed again.',
  });
}

/** A signed decision is good for as long as the action waits, at most 30 days. */
export function secondsLeft({ expiresAt }: PendingView): number {
  const left = Math.ceil((Date.parse(expiresAt) - Date.now()) / 1000);
  return Number.isFinite(left) ? Math.min(left, 30 * 86_400) : 0;
}
