/** Checks that what a person is shown is what their decision would be bound to, whoever keeps it. */
import { CountersignError } from '../action/errors.js';
import { digest } from '../action/json.js';
import type { PendingView } from '../action/outcome.js';
import { proposalDigest } from '../action/proposal.js';
import { sanitize } from '../presentation/sanitize.js';

/** The digest is computed here, over what is displayed here: no server's word for it is taken. @throws CountersignError APPROVAL_INVALID */
export function assertShownMatches(
  { shown, shownDigest }: PendingView,
  { tenant, actionId }: { readonly tenant: string; readonly actionId: string },
): void {
  const { proposal } = shown;
  const matches =
    digest(shown) === shownDigest &&
    shown.tenant === tenant &&
    shown.actionId === actionId &&
    proposal.actionId === actionId &&
    proposal.tool === shown.tool.name &&
    // Of what is redacted, the worker alone can tell: it makes the same of the proposal before it counts a decision.
    (shown.redacted === true || proposalDigest(proposal) === shown.proposalDigest);
  if (matches) return;
  throw new CountersignError('APPROVAL_INVALID', 'What is shown is not what the decision would be bound to.', {
    field: 'pending.shown',
    expected: `the action ${tenant}/${actionId}, under the digest ${sanitize(shownDigest)}`,
    fix: 'Do not decide. Find out who runs this Temporal server: what it shows was tampered with.',
  });
}
