/** `countersign role-delegation`: roles that people have others exercise for a while, such as whoever is on call. */
import type { Command } from 'commander';
import { examples, run } from '../command.js';
import type { Context } from '../context.js';
import { endOption } from '../duration-options.js';
import { roleDelegationText } from '../standing-approval-text.js';
import { sanitize } from '../../presentation/sanitize.js';
import { AS_OPTION, sendSignedCommand } from '../send-signed-command.js';
import { requireTenant } from './standing-approval.js';

export function roleDelegation(program: Command): void {
  const group = program
    .command('role-delegation')
    .description('role delegations: one person exercises a role of another for a while');
  group
    .command('list')
    .description('list role delegations: who exercises which role for whom; needs the ledger')
    .option('--tenant <tenant>', "whose; default: the credential's")
    .option('--ended', 'include those that have ended')
    .addHelpText(
      'after',
      examples('countersign role-delegation list --tenant acme', 'countersign role-delegation list --ended --json'),
    )
    .action(run(list));
  group
    .command('give')
    .argument('<person>', 'who is to exercise the role')
    .description('delegate a role of yours; your approval and theirs count once')
    .requiredOption('--role <role>', 'a role of your own credential')
    .option('--from <time>', 'from when: 2030-01-31T08:00:00Z, or 2d from now; default: now')
    .requiredOption('--until <time>', 'until when: 2030-02-07T08:00:00Z, or 12h from now')
    .requiredOption('--reason <text>', 'why; kept with it')
    .option('--as <credential>', AS_OPTION)
    .addHelpText(
      'after',
      examples(
        'countersign role-delegation give bob@example.com --role dba --until 12h --reason "on call tonight" --as ann.csk',
        'countersign role-delegation give bob@example.com --role dba --from 2030-02-01T08:00:00Z --until 2030-02-08T08:00:00Z --reason "week 5"',
      ),
    )
    .action(run(give));
  group
    .command('end')
    .argument('<id>', 'the delegation, as `role-delegation list` names it')
    .description(
      "end a role delegation now: one that you gave or have; ending another person's needs a role that may revoke",
    )
    .requiredOption('--reason <text>', 'why; kept with it')
    .option('--as <credential>', AS_OPTION)
    .addHelpText(
      'after',
      examples(
        'countersign role-delegation end 0b6c8e0e-6c53-4b0f-9a55-0d8f1a3c2e11 --reason "back at my desk" --as ann.csk',
      ),
    )
    .action(run(end));
}

async function list(context: Context, options: { tenant?: string; ended?: boolean }): Promise<void> {
  const tenant = await requireTenant(context, options.tenant);
  const ledger = await context.ledger();
  const found = await ledger.roleDelegations.list({ tenant, activeOnly: options.ended !== true });
  const { out } = context;
  out.result({ tenant, roleDelegations: found }, () =>
    found.length === 0
      ? out.paint.dim('there are no role delegations')
      : found.map((one) => roleDelegationText(one, out.paint)).join('\n'),
  );
}

interface GiveOptions {
  readonly role: string;
  readonly from?: string;
  readonly until: string;
  readonly reason: string;
  readonly as?: string;
}

async function give(context: Context, person: string, options: GiveOptions): Promise<void> {
  const { role, reason, from } = options;
  const at = (ms: number): string => new Date(Date.now() + ms).toISOString();
  const since = at(from === undefined ? 0 : endOption(from, '--from'));
  const until = at(endOption(options.until, '--until'));
  const { credential, holder } = await context.approver(options.as);
  const { tenant } = holder;
  const done = await sendSignedCommand(context, credential, {
    kind: 'delegate_role',
    tenant,
    subject: person,
    role,
    from: since,
    until,
    reason,
  });
  if (done.kind !== 'delegate_role') return;
  const { out } = context;
  const { roleDelegation: given, receipt } = done;
  out.result(
    { ...given, receipt },
    () =>
      `${out.paint.green('✓ role delegated')}\n${roleDelegationText(given, out.paint)}\n  receipt #${receipt.seq} of ${sanitize(tenant)}\n\nEnd it:  countersign role-delegation end ${sanitize(given.id)} --reason "…"`,
  );
}

async function end(context: Context, subject: string, { reason, as }: { reason: string; as?: string }): Promise<void> {
  const { credential, holder } = await context.approver(as);
  const { tenant } = holder;
  const done = await sendSignedCommand(context, credential, { kind: 'end_role_delegation', tenant, subject, reason });
  if (done.kind !== 'end_role_delegation') return;
  const { out } = context;
  const { roleDelegation: ended, receipt } = done;
  out.result(
    { ...ended, receipt },
    () =>
      `${out.paint.green('✓ ended')}\n${roleDelegationText(ended, out.paint)}\n  receipt #${receipt.seq} of ${sanitize(tenant)}`,
  );
}
