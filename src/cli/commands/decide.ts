/** `countersign approve`, `deny` and `request-changes`: a person's signed decision on exactly what is shown. */
import type { Command } from 'commander';
import { CountersignError } from '../../action/errors.js';
import type { ActionView, ApprovalRecord, DecisionState, PendingView, Verdict } from '../../action/outcome.js';
import { rolesOf } from '../../action/quorum.js';
import { examples, run } from '../command.js';
import type { Countersign } from '../../client/countersign.js';
import type { Credential, CredentialView } from '../../trust/index.js';
import type { ActionName, Context } from '../context.js';
import type { Exit } from '../exit-codes.js';
import { sanitize } from '../../presentation/sanitize.js';
import type { Paint } from '../output.js';
import type { ActionRecord } from '../../action-records/action-record.js';
import { confirmSigning } from '../confirm-signing.js';
import { AS_OPTION } from '../send-signed-command.js';
import { timeline, waitedSeconds } from '../timeline.js';
import { usageError } from '../usage-error.js';

interface DecideOptions {
  readonly reason?: string;
  readonly yes?: boolean;
  readonly print?: boolean;
  readonly as?: string;
}

const PRINT = 'print the signed decision instead of sending it, for `temporal workflow signal --name decide`';

export function decideAction(program: Command): void {
  program
    .command('approve')
    .argument('<actionId>', 'the action that waits')
    .description('show what would be done, and sign an approval of exactly that')
    .option('--reason <text>', 'why; kept with the decision')
    .option('--yes', 'sign without asking; required where there is no terminal')
    .option('--print', PRINT)
    .option('--as <credential>', AS_OPTION)
    .addHelpText(
      'after',
      examples(
        'countersign approve refund-1001',
        'countersign approve refund-1001 --as ann.csk --reason "checked with Bob" --yes',
      ),
    )
    .action(run((context, actionId: string, options: DecideOptions) => decide(context, actionId, 'approve', options)));
  program
    .command('deny')
    .argument('<actionId>', 'the action that waits')
    .description('deny the action; one denial is enough, unless policy asks for more')
    .requiredOption('--reason <text>', 'why; kept with the decision and shown to the agent')
    .option('--print', PRINT)
    .option('--as <credential>', AS_OPTION)
    .addHelpText('after', examples('countersign deny refund-1001 --reason "wrong customer"'))
    .action(run((context, actionId: string, options: DecideOptions) => decide(context, actionId, 'deny', options)));
  program
    .command('request-changes')
    .argument('<actionId>', 'the action that waits')
    .description('end the action and ask the agent for a changed proposal')
    .requiredOption('--reason <text>', 'what to change; kept with the decision and shown to the agent')
    .option('--print', PRINT)
    .option('--as <credential>', AS_OPTION)
    .addHelpText('after', examples('countersign request-changes refund-1001 --reason "only the unpaid orders, please"'))
    .action(
      run((context, actionId: string, options: DecideOptions) => decide(context, actionId, 'request_changes', options)),
    );
}

/** What waits for a person's decision, and what the decision needs. */
interface Waiting {
  readonly credential: Credential;
  readonly holder: CredentialView;
  readonly countersign: Countersign;
  readonly action: ActionName;
  readonly view: ActionView;
  readonly pending: PendingView;
  /** As of the call. @throws CountersignError APPROVAL_EXPIRED */
  readonly secondsLeft: () => number;
}

/** @throws CountersignError NOT_PENDING, NOT_FOUND, APPROVAL_INVALID, APPROVAL_EXPIRED */
export async function whatWaits(context: Context, name: string, as: string | undefined): Promise<Waiting> {
  const { credential, holder } = await context.approver(as);
  const action = await context.action(name, holder.tenant);
  if (action.tenant !== holder.tenant) {
    throw usageError(
      `Your credential is for tenant ${holder.tenant}, but the action belongs to tenant ${action.tenant}.`,
      {
        field: 'actionId',
        expected: `an action of ${holder.tenant}`,
      },
    );
  }
  const countersign = await context.countersign(credential);
  const view = await context.answered(countersign, () => countersign.view(action.actionId, action.tenant));
  const { secondsLeft, verifiedPending } = await import('../approval-request.js');
  const pending = verifiedPending(view, action);
  return {
    credential,
    holder,
    countersign,
    action,
    view,
    pending,
    secondsLeft: () => secondsLeft(verifiedPending(view, action)),
  };
}

async function decide(context: Context, name: string, verdict: Verdict, options: DecideOptions): Promise<Exit | void> {
  const { out } = context;
  const waiting = await whatWaits(context, name, options.as);
  const { credential, holder, countersign, action, view, pending, secondsLeft } = waiting;

  if (verdict === 'approve') {
    assertWithoutPasskey(pending, holder.roles);
    await confirm(context, view, options);
  }
  const { signApproval } = await import('../../trust/index.js');
  const token = await signApproval(credential, {
    ...action,
    shownDigest: pending.shownDigest,
    verdict,
    reason: options.reason,
    // Looked at once more: people take their time.
    ttlSeconds: secondsLeft(),
  });
  if (options.print === true) {
    out.note(
      `send it: temporal workflow signal --workflow-id ${action.tenant}/${action.actionId} --name decide --input '"<decision>"'`,
    );
    out.result({ ...action, verdict, decision: token }, () => token);
    return;
  }
  const reply = await context.answered(countersign, () => countersign.decide(action.actionId, token, action.tenant));
  out.result({ ...action, verdict, ...reply }, () => {
    const { approver, overRateLimit = false } = reply.recorded;
    if (reply.canary !== undefined)
      return `${markOf(reply.recorded, out.paint)}.  ${sanitize(reply.canary, { max: 3000 })}`;
    const pause = overRateLimit ? '; it exceeded the approval rate limit, so one more person is needed' : '';
    return `${markOf(reply.recorded, out.paint)} by ${sanitize(approver)}; ${becomes(verdict, reply.state)}${pause}.  See: countersign show ${action.tenant}/${action.actionId}`;
  });
}

function markOf({ verdict }: ApprovalRecord, paint: Paint): string {
  switch (verdict) {
    case 'approve':
      return paint.green('✓ approved');
    case 'deny':
      return paint.red('✗ denied');
    case 'request_changes':
      return paint.yellow('↻ changes requested');
  }
}

function becomes(verdict: Verdict, state: DecisionState): string {
  switch (state) {
    case 'waiting':
      return verdict === 'deny' ? 'more denials are needed' : 'more approvals are needed';
    case 'approved':
      return 'the action continues';
    case 'denied':
      return 'the action is denied';
    case 'changes_requested':
      return 'the action ends, and the agent is told what to change';
  }
}

/** A passkey is used in a browser: better said before anything is read and signed in vain. */
function assertWithoutPasskey(pending: PendingView, roles: readonly string[]): void {
  const { shown } = pending;
  const waited = waitedSeconds(pending);
  const wanting = shown.requirements.find(
    (wanted) => wanted.passkey === true && rolesOf(wanted, waited).some((role) => roles.includes(role)),
  );
  if (wanting === undefined) return;
  throw new CountersignError(
    'PASSKEY_REQUIRED',
    `Policy ${sanitize(wanting.policy)} takes a yes only with a passkey.`,
    {
      field: 'approval.assertion',
      expected: 'the assertion of a passkey, which a browser makes',
      fix: `Approve it in the inbox of your gateway, on the page /actions/${encodeURIComponent(shown.actionId)}; \`countersign deny\` and \`request-changes\` need none.`,
    },
  );
}

/** Shows all of it and asks. */
async function confirm(
  { out, terminal }: Context,
  view: ActionView,
  { yes = false, print = false }: DecideOptions,
): Promise<void> {
  const record: ActionRecord = { view, keptBy: 'temporal', warnings: [] };
  out.present((paint) => timeline(record, { paint, width: out.width, full: true }), { script: out.json || print });
  await confirmSigning(terminal, {
    yes,
    question: `Sign for exactly this? (${view.pending?.shownDigest.slice(0, 19) ?? ''}…)`,
    active: 'Approve',
    otherwise: 'The action is still waiting; deny it with `countersign deny`.',
  });
}
