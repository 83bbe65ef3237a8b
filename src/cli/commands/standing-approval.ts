/** `countersign standing-approval`: what people approve in advance, for one agent, within bounds and for a while. */
import type { Command } from 'commander';
import { spendingCaps, type CapOptions } from '../spending-caps.js';
import { collect, examples, run } from '../command.js';
import type { Context } from '../context.js';
import { endOption } from '../duration-options.js';
import { standingApprovalText } from '../standing-approval-text.js';
import { sanitize } from '../../presentation/sanitize.js';
import { wholeNumber } from '../whole-number.js';
import { AS_OPTION, sendSignedCommand } from '../send-signed-command.js';
import { usageError } from '../usage-error.js';

export function standingApproval(program: Command): void {
  const group = program
    .command('standing-approval')
    .description('standing approvals: what people approve in advance, within bounds');
  group
    .command('list')
    .description('list standing approvals, and what remains of each; needs the ledger')
    .option('--tenant <tenant>', "whose; default: the credential's")
    .option('--ended', 'include those that have ended')
    .addHelpText(
      'after',
      examples('countersign standing-approval list --tenant acme', 'countersign standing-approval list --ended --json'),
    )
    .action(run(list));
  group
    .command('grant')
    .argument('<agent>', 'the agent, and those below it')
    .description('approve future actions of an agent: it counts as your approval of each action within the bounds')
    .requiredOption('--tool <tool>', 'the tool that it covers')
    .option('--operation <operation>', 'only this operation; * matches any characters')
    .option('--environment <environment>', 'only in this environment')
    .option('--max-rows <n>', 'only actions on at most this many rows', wholeNumber('--max-rows', 0, 999_999_999_999))
    .option(
      '--max-actions <n>',
      'the number of actions that it covers in total',
      wholeNumber('--max-actions', 1, 999_999_999_999),
    )
    .option(
      '--max-amount <unit=amount>',
      'the amount that it covers in total, as a budget of the policy measures it; repeat for more',
      collect,
    )
    .requiredOption('--expires <time>', 'how long it is valid (2h), or until when; at most 31 days')
    .requiredOption('--reason <text>', 'why; kept with it and on every receipt')
    .option('--as <credential>', AS_OPTION)
    .addHelpText(
      'after',
      examples(
        'countersign standing-approval grant billing-bot --tool payments --operation refund --max-amount EUR=50 --expires 2h --reason "sale day" --as ann.csk',
        'countersign standing-approval grant cleaner --tool shop-db --environment staging --max-rows 500 --expires 7d --reason "migration 12"',
      ),
    )
    .action(run(grant));
  group
    .command('withdraw')
    .argument('<id>', 'the standing approval, as `standing-approval list` names it')
    .description(
      "end a standing approval at once; another's takes a role that revokes (operator, unless the config says otherwise)",
    )
    .requiredOption('--reason <text>', 'why; kept with it')
    .option('--as <credential>', AS_OPTION)
    .addHelpText(
      'after',
      examples(
        'countersign standing-approval withdraw 0b6c8e0e-6c53-4b0f-9a55-0d8f1a3c2e11 --reason "sale is over" --as ann.csk',
      ),
    )
    .action(run(withdraw));
}

async function list(context: Context, options: { tenant?: string; ended?: boolean }): Promise<void> {
  const tenant = await requireTenant(context, options.tenant);
  const ledger = await context.ledger();
  const found = await ledger.standingApprovals.list({ tenant, activeOnly: options.ended !== true });
  const { out } = context;
  out.result({ tenant, standingApprovals: found }, () =>
    found.length === 0
      ? out.paint.dim('there are no standing approvals')
      : found.map((one) => standingApprovalText(one, out.paint)).join('\n'),
  );
}

interface GrantOptions extends CapOptions {
  readonly tool: string;
  readonly operation?: string;
  readonly environment?: string;
  readonly maxRows?: number;
  readonly expires: string;
  readonly reason: string;
  readonly as?: string;
}

async function grant(context: Context, agent: string, options: GrantOptions): Promise<void> {
  const { tool, operation, environment, maxRows, reason } = options;
  const caps = spendingCaps(options);
  const until = new Date(Date.now() + endOption(options.expires, '--expires')).toISOString();
  const { credential, holder } = await context.approver(options.as);
  const { tenant } = holder;
  const done = await sendSignedCommand(context, credential, {
    kind: 'create_standing_approval',
    tenant,
    subject: agent,
    tool,
    ...(operation === undefined ? {} : { operation }),
    ...(environment === undefined ? {} : { environment }),
    ...(maxRows === undefined ? {} : { maxRows }),
    ...caps,
    until,
    reason,
  });
  if (done.kind !== 'create_standing_approval') return;
  const { out } = context;
  const { standingApproval: standing, receipt } = done;
  out.result(
    { ...standing, receipt },
    () =>
      `${out.paint.green('✓ standing approval granted')}\n${standingApprovalText(standing, out.paint)}\n  receipt #${receipt.seq} of ${sanitize(tenant)}\n\nEnd it:  countersign standing-approval withdraw ${sanitize(standing.id)} --reason "…"`,
  );
}

async function withdraw(
  context: Context,
  subject: string,
  { reason, as }: { reason: string; as?: string },
): Promise<void> {
  const { credential, holder } = await context.approver(as);
  const { tenant } = holder;
  const done = await sendSignedCommand(context, credential, {
    kind: 'withdraw_standing_approval',
    tenant,
    subject,
    reason,
  });
  if (done.kind !== 'withdraw_standing_approval') return;
  const { out } = context;
  const { standingApproval: standing, receipt } = done;
  out.result(
    { ...standing, receipt },
    () =>
      `${out.paint.green('✓ withdrawn')}\n${standingApprovalText(standing, out.paint)}\n  receipt #${receipt.seq} of ${sanitize(tenant)}`,
  );
}

/** @throws CountersignError USAGE */
export async function requireTenant(context: Context, named: string | undefined): Promise<string> {
  const tenant = await context.tenant(named);
  if (tenant !== undefined) return tenant;
  throw usageError('The tenant is not known.', {
    field: '--tenant',
    expected: 'a tenant',
    fix: 'Write --tenant T, or set COUNTERSIGN_APPROVER.',
  });
}
