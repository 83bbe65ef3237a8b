/** `countersign standing`: what people approve in advance, for one agent, within bounds and for a while. */
import type { Command } from 'commander';
import { capsOf, type CapOptions } from '../caps.js';
import { collect, examples, run } from '../command.js';
import type { Context } from '../context.js';
import { parseEnd } from '../durations.js';
import { standingText } from '../given-text.js';
import { sanitize } from '../../presentation/sanitize.js';
import { wholeNumber } from '../numbers.js';
import { AS, said } from '../person-says.js';
import { usage } from '../usage.js';

export function standing(program: Command): void {
  const group = program.command('standing').description('approvals that people give in advance');
  group
    .command('list')
    .description('show who approved what in advance, and what is left of it; needs the ledger')
    .option('--tenant <tenant>', "whose; default: the credential's")
    .option('--ended', 'also those that are over')
    .addHelpText(
      'after',
      examples('countersign standing list --tenant acme', 'countersign standing list --ended --json'),
    )
    .action(run(list));
  group
    .command('grant')
    .argument('<agent>', 'the agent, and those below it')
    .description('approve in advance what an agent will do: it counts as your yes to each action within the bounds')
    .requiredOption('--tool <tool>', 'on this tool')
    .option('--operation <operation>', 'only this; * stands for any characters')
    .option('--environment <environment>', 'only there')
    .option('--max-rows <n>', 'only actions of at most so many rows', wholeNumber('--max-rows', 0, 999_999_999_999))
    .option('--max-actions <n>', 'so many actions in all', wholeNumber('--max-actions', 1, 999_999_999_999))
    .option(
      '--max-amount <unit=amount>',
      'so much in all, as a budget of the policy measures it; repeat for more',
      collect,
    )
    .requiredOption('--expires <time>', 'how long it stands (2h), or until when; at most 31 days')
    .requiredOption('--reason <text>', 'why; kept with it and on every receipt')
    .option('--as <credential>', AS)
    .addHelpText(
      'after',
      examples(
        'countersign standing grant billing-bot --tool payments --operation refund --max-amount EUR=50 --expires 2h --reason "sale day" --as ann.csk',
        'countersign standing grant cleaner --tool shop-db --environment staging --max-rows 500 --expires 7d --reason "migration 12"',
      ),
    )
    .action(run(grant));
  group
    .command('withdraw')
    .argument('<id>', 'the standing approval, as `standing list` names it')
    .description(
      "end a standing approval at once; another's takes a role that revokes (operator, unless the config says otherwise)",
    )
    .requiredOption('--reason <text>', 'why; kept with it')
    .option('--as <credential>', AS)
    .addHelpText(
      'after',
      examples(
        'countersign standing withdraw 0b6c8e0e-6c53-4b0f-9a55-0d8f1a3c2e11 --reason "sale is over" --as ann.csk',
      ),
    )
    .action(run(withdraw));
}

async function list(context: Context, options: { tenant?: string; ended?: boolean }): Promise<void> {
  const tenant = await whose(context, options.tenant);
  const ledger = await context.ledger();
  const found = await ledger.standingApprovals.list({ tenant, activeOnly: options.ended !== true });
  const { out } = context;
  out.result({ tenant, standing: found }, () =>
    found.length === 0
      ? out.paint.dim('nothing is approved in advance')
      : found.map((one) => standingText(one, out.paint)).join('\n'),
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
  const caps = capsOf(options);
  const until = new Date(Date.now() + parseEnd(options.expires, '--expires')).toISOString();
  const { credential, holder } = await context.approver(options.as);
  const { tenant } = holder;
  const done = await said(context, credential, {
    kind: 'stand',
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
  if (done.kind !== 'stand') return;
  const { out } = context;
  const { standing, receipt } = done;
  out.result(
    { ...standing, receipt },
    () =>
      `${out.paint.green('✓ approved in advance')}\n${standingText(standing, out.paint)}\n  receipt #${receipt.seq} of ${sanitize(tenant)}\n\nEnd it:  countersign standing withdraw ${sanitize(standing.id)} --reason "…"`,
  );
}

async function withdraw(
  context: Context,
  subject: string,
  { reason, as }: { reason: string; as?: string },
): Promise<void> {
  const { credential, holder } = await context.approver(as);
  const { tenant } = holder;
  const done = await said(context, credential, { kind: 'withdraw', tenant, subject, reason });
  if (done.kind !== 'withdraw') return;
  const { out } = context;
  const { standing, receipt } = done;
  out.result(
    { ...standing, receipt },
    () =>
      `${out.paint.green('✓ withdrawn')}\n${standingText(standing, out.paint)}\n  receipt #${receipt.seq} of ${sanitize(tenant)}`,
  );
}

/** @throws CountersignError USAGE */
export async function whose(context: Context, named: string | undefined): Promise<string> {
  const tenant = await context.tenant(named);
  if (tenant !== undefined) return tenant;
  throw usage('It is not said whose are meant.', {
    field: '--tenant',
    expected: 'a tenant',
    fix: 'Write --tenant T, or set COUNTERSIGN_APPROVER.',
  });
}
