/** `countersign radar`: what went past Countersign, how the radar stands, and the signed note that somebody has looked. Reading needs the ledger alone. */
import type { Command } from 'commander';
import type { RadarAlert, RadarStanding } from '../../action/radar.js';
import { sanitize } from '../../presentation/sanitize.js';
import { examples, run } from '../command.js';
import type { Context } from '../context.js';
import type { Exit } from '../exit-codes.js';
import { AS_OPTION, sendSignedCommand } from '../send-signed-command.js';
import { usageError } from '../usage-error.js';
import { wholeNumber } from '../whole-number.js';

/** More than there will be alerts. */
const MOST = 999_999_999_999;

export function radar(program: Command): void {
  const command = program
    .command('radar')
    .description('writes that went past Countersign: list them, acknowledge them, see how the radar stands');
  command
    .command('list')
    .description('list unexplained writes and gaps; exits with 1 where one is not acknowledged')
    .option('--all', 'those that were acknowledged too')
    .option('--tool <tool>', 'only of this tool')
    .option('--before <id>', 'older ones than this alert', wholeNumber('--before', 1, MOST))
    .option('--limit <n>', 'at most so many', wholeNumber('--limit', 1, 1000), 100)
    .addHelpText('after', examples('countersign radar list', 'countersign radar list --all --json'))
    .action(run(list));
  command
    .command('status')
    .description('how far each system is judged and what is not seen; exits with 1 where a radar does not look')
    .addHelpText('after', examples('countersign radar status'))
    .action(run(status));
  command
    .command('ack <ids...>')
    .description(
      'note that you have looked into these alerts; needs a role (platform-operator, unless the config names others) and a running worker',
    )
    .requiredOption('--note <text>', 'what it was; kept with the alert')
    .option('--as <credential>', AS_OPTION)
    .addHelpText(
      'after',
      examples('countersign radar ack 17 18 --note "the nightly import, now declared" --as ann.csk'),
    )
    .action(run(acknowledge));
}

interface ListOptions {
  readonly all?: boolean;
  readonly tool?: string;
  readonly before?: number;
  readonly limit: number;
}

async function list(context: Context, options: ListOptions): Promise<Exit> {
  const ledger = await context.ledger();
  const alerts = await ledger.radarAlerts.list({
    acknowledged: options.all === true ? undefined : false,
    source: options.tool,
    before: options.before,
    limit: options.limit,
  });
  const { out } = context;
  out.result({ alerts }, () =>
    alerts.length === 0
      ? out.paint.dim('nothing is unexplained')
      : alerts.map((alert) => alertText(alert, out.paint)).join('\n'),
  );
  return alerts.some(({ acknowledged }) => acknowledged === undefined) ? 'fault' : 'success';
}

async function status(context: Context): Promise<Exit> {
  const sources = await (await context.ledger()).radar.sources();
  const { out } = context;
  out.result({ sources }, () =>
    sources.length === 0
      ? out.paint.dim('no tool is watched: see the option radar of its config')
      : sources.map((one) => standingText(one, out.paint)).join('\n'),
  );
  return sources.every(({ state }) => state === 'watching') ? 'success' : 'fault';
}

async function acknowledge(
  context: Context,
  ids: readonly string[],
  { note, as }: { readonly note: string; readonly as?: string },
): Promise<void> {
  if (note.trim() === '') throw usageError('The note is empty.', { field: '--note', expected: 'a text' });
  const numbers = ids.map(wholeNumber('id', 1, MOST));
  const { credential, holder } = await context.approver(as);
  const { tenant } = holder;
  const subject = numbers.join(',');
  const done = await sendSignedCommand(context, credential, {
    kind: 'acknowledge_alerts',
    tenant,
    subject,
    reason: note,
  });
  if (done.kind !== 'acknowledge_alerts') return;
  const { out } = context;
  const { alerts, receipt } = done;
  out.result({ alerts, receipt }, () =>
    [...alerts.map((alert) => alertText(alert, out.paint)), `receipt #${receipt.seq} of ${sanitize(tenant)}`].join(
      '\n',
    ),
  );
}

type Paint = Context['out']['paint'];

function alertText({ id, source, at, detail, writers, transaction, acknowledged }: RadarAlert, paint: Paint): string {
  const who = writers
    .map(({ user, application }) => `${user}${application === '' ? '' : ` (${application})`}`)
    .join(', ');
  const facts = [
    ...(who === '' ? [] : [`by ${who}`]),
    ...(transaction === undefined ? [] : [`transaction ${transaction}`]),
    ...(acknowledged === undefined ? [] : [`acknowledged by ${acknowledged.by}: ${acknowledged.note}`]),
  ];
  const mark = acknowledged === undefined ? paint.red('✗') : paint.dim('·');
  return `${mark} ${id}  ${at}  ${sanitize(source)}  ${sanitize(detail)}\n    ${paint.dim(sanitize(facts.join('; ')))}`.trimEnd();
}

function standingText(standing: RadarStanding, paint: Paint): string {
  const { source, kind, state, problem, position, lagBytes, watched, unseen, open, seenAt } = standing;
  const mark = state === 'watching' ? paint.green('✓') : paint.red('✗');
  const facts = [
    `judged up to ${position || 'nothing yet'}`,
    ...(lagBytes === undefined ? [] : [`${lagBytes} bytes of log held back`]),
    `${watched.length} watched`,
    `${open} not acknowledged`,
    `seen ${seenAt}`,
  ];
  return [
    `${mark} ${sanitize(source)} (${kind})  ${state}  ${paint.dim(facts.join(', '))}`,
    ...(problem === undefined ? [] : [`    ${sanitize(problem)}`]),
    ...unseen.map((one) => `    ${paint.yellow('not seen')} ${sanitize(one)}`),
  ].join('\n');
}
