/** `countersign duty`: roles that people have others exercise for a while, such as whoever is on call. */
import type { Command } from 'commander';
import { examples, run } from '../command.js';
import type { Context } from '../context.js';
import { parseEnd } from '../durations.js';
import { dutyText } from '../given-text.js';
import { sanitize } from '../../presentation/sanitize.js';
import { AS, said } from '../person-says.js';
import { whose } from './standing.js';

export function duty(program: Command): void {
  const group = program
    .command('duty')
    .description('roles that people exercise for others, such as whoever is on call');
  group
    .command('list')
    .description('show who exercises which role for whom; needs the ledger')
    .option('--tenant <tenant>', "whose; default: the credential's")
    .option('--ended', 'also those that are over')
    .addHelpText('after', examples('countersign duty list --tenant acme', 'countersign duty list --ended --json'))
    .action(run(list));
  group
    .command('give')
    .argument('<person>', 'who exercises it')
    .description('have somebody else exercise a role of yours; your yes and theirs count once')
    .requiredOption('--role <role>', 'one that your own credential gives you')
    .option('--from <time>', 'from when: 2030-01-31T08:00:00Z, or 2d from now; default: now')
    .requiredOption('--until <time>', 'until when: 2030-02-07T08:00:00Z, or 12h from now')
    .requiredOption('--reason <text>', 'why; kept with it')
    .option('--as <credential>', AS)
    .addHelpText(
      'after',
      examples(
        'countersign duty give bob@example.com --role dba --until 12h --reason "on call tonight" --as ann.csk',
        'countersign duty give bob@example.com --role dba --from 2030-02-01T08:00:00Z --until 2030-02-08T08:00:00Z --reason "week 5"',
      ),
    )
    .action(run(give));
  group
    .command('end')
    .argument('<id>', 'the duty, as `duty list` names it')
    .description("end a duty at once: one you gave, or one you have; another's takes a role that revokes")
    .requiredOption('--reason <text>', 'why; kept with it')
    .option('--as <credential>', AS)
    .addHelpText(
      'after',
      examples('countersign duty end 0b6c8e0e-6c53-4b0f-9a55-0d8f1a3c2e11 --reason "back at my desk" --as ann.csk'),
    )
    .action(run(end));
}

async function list(context: Context, options: { tenant?: string; ended?: boolean }): Promise<void> {
  const tenant = await whose(context, options.tenant);
  const ledger = await context.ledger();
  const found = await ledger.roleDelegations.list({ tenant, activeOnly: options.ended !== true });
  const { out } = context;
  out.result({ tenant, duties: found }, () =>
    found.length === 0 ? out.paint.dim('nobody is on duty') : found.map((one) => dutyText(one, out.paint)).join('\n'),
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
  const since = at(from === undefined ? 0 : parseEnd(from, '--from'));
  const until = at(parseEnd(options.until, '--until'));
  const { credential, holder } = await context.approver(options.as);
  const { tenant } = holder;
  const done = await said(context, credential, {
    kind: 'duty',
    tenant,
    subject: person,
    role,
    from: since,
    until,
    reason,
  });
  if (done.kind !== 'duty') return;
  const { out } = context;
  const { duty: given, receipt } = done;
  out.result(
    { ...given, receipt },
    () =>
      `${out.paint.green('✓ on duty')}\n${dutyText(given, out.paint)}\n  receipt #${receipt.seq} of ${sanitize(tenant)}\n\nEnd it:  countersign duty end ${sanitize(given.id)} --reason "…"`,
  );
}

async function end(context: Context, subject: string, { reason, as }: { reason: string; as?: string }): Promise<void> {
  const { credential, holder } = await context.approver(as);
  const { tenant } = holder;
  const done = await said(context, credential, { kind: 'relieve', tenant, subject, reason });
  if (done.kind !== 'relieve') return;
  const { out } = context;
  const { duty: ended, receipt } = done;
  out.result(
    { ...ended, receipt },
    () =>
      `${out.paint.green('✓ ended')}\n${dutyText(ended, out.paint)}\n  receipt #${receipt.seq} of ${sanitize(tenant)}`,
  );
}
