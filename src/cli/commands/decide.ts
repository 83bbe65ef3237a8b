/** `countersign approve` and `countersign deny`: a person's signed decision on exactly what is shown. */
import type { Command } from 'commander';
import { CountersignError } from '../../action/errors.js';
import type { ActionView } from '../../action/outcome.js';
import { examples, run } from '../command.js';
import type { Context } from '../context.js';
import type { Exit } from '../exit-codes.js';
import { inert } from '../inert.js';
import type { Story } from '../story.js';
import { timeline } from '../timeline.js';
import { usage } from '../usage.js';

interface DecideOptions {
  readonly reason?: string;
  readonly yes?: boolean;
  readonly print?: boolean;
  readonly as?: string;
}

type Verdict = 'approve' | 'deny';

const PRINT = 'print the signed decision instead of handing it in, for `temporal workflow signal --name decide`';
const AS = "the approver's credential or its file; default: COUNTERSIGN_APPROVER";

export function decideAction(program: Command): void {
  program
    .command('approve')
    .argument('<actionId>', 'the action that waits')
    .description('look at what would be done, and sign for it')
    .option('--reason <text>', 'why; kept with the decision')
    .option('--yes', 'do not ask; needed where nobody can be asked')
    .option('--print', PRINT)
    .option('--as <credential>', AS)
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
    .description('say no: one no is enough')
    .requiredOption('--reason <text>', 'why; kept with the decision, and told to the agent')
    .option('--print', PRINT)
    .option('--as <credential>', AS)
    .addHelpText('after', examples('countersign deny refund-1001 --reason "wrong customer"'))
    .action(run((context, actionId: string, options: DecideOptions) => decide(context, actionId, 'deny', options)));
}

async function decide(context: Context, name: string, verdict: Verdict, options: DecideOptions): Promise<Exit | void> {
  const { out } = context;
  const { credential, holder } = await context.approver(options.as);
  const action = await context.action(name, holder.tenant);
  if (action.tenant !== holder.tenant) {
    throw usage(`You decide on actions of ${holder.tenant}, and this one is of ${action.tenant}.`, {
      field: 'actionId',
      expected: `an action of ${holder.tenant}`,
    });
  }
  const countersign = await context.countersign(credential);
  const view = await context.answered(countersign, () => countersign.view(action.actionId, action.tenant));
  const { secondsLeft, whatIsShown } = await import('../what-is-shown.js');
  const pending = whatIsShown(view, action);

  if (verdict === 'approve') await confirm(context, view, options);
  const { signApproval } = await import('../../trust/index.js');
  const token = await signApproval(credential, {
    ...action,
    shownDigest: pending.shownDigest,
    verdict,
    reason: options.reason,
    // Looked at once more: people take their time.
    ttlSeconds: secondsLeft(whatIsShown(view, action)),
  });
  if (options.print === true) {
    out.note(
      `hand it in: temporal workflow signal --workflow-id ${action.tenant}/${action.actionId} --name decide --input '"<decision>"'`,
    );
    out.result({ ...action, verdict, decision: token }, () => token);
    return;
  }
  const reply = await context.answered(countersign, () => countersign.decide(action.actionId, token, action.tenant));
  out.result({ ...action, verdict, ...reply }, () => {
    const state = { waiting: 'more people are needed', approved: 'it goes on', denied: 'it is denied' }[reply.state];
    const mark = verdict === 'approve' ? out.paint.green('✓ approved') : out.paint.red('✗ denied');
    return `${mark} by ${inert(reply.recorded.approver)}; ${state}.  See: countersign show ${action.tenant}/${action.actionId}`;
  });
}

/** Shows all of it and asks. Where nobody can be asked, --yes must have been given. */
async function confirm(
  { out }: Context,
  view: ActionView,
  { yes = false, print = false }: DecideOptions,
): Promise<void> {
  const story: Story = { view, keptBy: 'temporal', warnings: [] };
  out.present((paint) => timeline(story, { paint, width: out.width, full: true }), { script: out.json || print });
  if (yes) return;
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw usage('Nobody can be asked here.', {
      field: '--yes',
      expected: 'a terminal, or --yes',
      fix: 'Read what is shown above, then call it again with --yes.',
    });
  }
  const { confirm, isCancel } = await import('@clack/prompts');
  const answer = await confirm({
    message: `Sign for exactly this? (${view.pending?.shownDigest.slice(0, 19) ?? ''}…)`,
    active: 'Approve',
    inactive: 'Leave it',
    initialValue: false,
    output: process.stderr,
  });
  if (isCancel(answer) || !answer) {
    throw new CountersignError('CANCELLED', 'Nothing was signed.', {
      fix: 'The action waits on; deny it with `countersign deny`.',
    });
  }
}
