/** `countersign oversight`: how people use their authority, by approver, role and rule, beside the period before. */
import type { Command } from 'commander';
import { oversightReport } from '../../action-records/oversight-report.js';
import type { CanaryFigures, CanaryOversight } from '../../action/canary-figures.js';
import type { Oversight, OversightGroup } from '../../action/oversight.js';
import { examples, run } from '../command.js';
import type { Context } from '../context.js';
import { durationOption } from '../duration-options.js';
import { table, type Pen } from '../layout.js';
import { FINDING_TEXTS, secondsText, yesText } from '../../presentation/oversight-text.js';
import { sanitize } from '../../presentation/sanitize.js';
import { usageError } from '../usage-error.js';
import { requireTenant } from './standing-approval.js';

interface OversightOptions {
  readonly tenant?: string;
  readonly since: string;
}

export function oversight(program: Command): void {
  program
    .command('oversight')
    .description(
      'show how people use their authority: yes rates and times to decide by approver, role and rule; needs the ledger',
    )
    .option('--tenant <tenant>', "whose; default: the credential's")
    .option('--since <duration>', 'how far back; the same length of time before it is the baseline', '30d')
    .addHelpText(
      'after',
      examples(
        'countersign oversight --tenant acme',
        'countersign oversight --since 90d',
        `countersign oversight --json | jq '.approvers[] | select(.findings != [])'`,
      ),
    )
    .action(run(showOversight));
}

async function showOversight(context: Context, options: OversightOptions): Promise<void> {
  const { out } = context;
  const period = periodOf(options.since);
  const tenant = await requireTenant(context, options.tenant);
  const report = await oversightReport(await context.ledger(), { tenant, period });
  const pen = { paint: out.paint, width: out.width, full: true };
  out.result(report, () => [told(report, pen), ...toldOfCanaries(report.canaries, pen)].join('\n'));
  if (report.more) out.note('There is more in this period: only the latest was counted.');
}

const DAY_MS = 24 * 60 * 60 * 1000;
const MOST_DAYS = 3660;

function periodOf(since: string): number {
  const period = durationOption(since, '--since');
  if (period > 0 && period <= MOST_DAYS * DAY_MS) return period;
  throw usageError('The period is too short or too long.', {
    field: '--since',
    expected: `more than nothing, and at most ${MOST_DAYS}d`,
    fix: 'Write for instance --since 90d.',
  });
}

function told({ total, approvers, roles, rules }: Oversight, pen: Pen): string {
  if (total.decisions === 0) return pen.paint.dim('nobody decided anything in this period');
  const groups = [
    ['approver', approvers],
    ['role', roles],
    ['rule', rules],
  ] as const;
  const tables = groups.flatMap(([what, named]) =>
    named.length === 0
      ? []
      : [
          '',
          ...table(
            [...named, ...(what === 'approver' ? [total] : [])].map((one) => row(what, one)),
            pen,
          ),
        ],
  );
  const findings = groups.flatMap(([what, named]) =>
    named.flatMap((one) =>
      one.findings.map((finding) => `  ${what} ${sanitize(one.name)} ${FINDING_TEXTS[finding](one)}`),
    ),
  );
  return [
    ...tables.slice(1),
    ...(findings.length === 0 ? [] : ['', pen.paint.yellow('worth a look:'), ...findings]),
  ].join('\n');
}

function toldOfCanaries({ total, approvers, roles, rules }: CanaryOversight, pen: Pen): string[] {
  if (total.shown === 0) return [];
  const groups = [['approver', approvers] as const, ['role', roles] as const, ['rule', rules] as const];
  const figures = ({ shown, refused, approved, ignored, medianSeconds }: CanaryFigures): Record<string, unknown> => ({
    shown,
    refused,
    approved,
    ignored,
    median: secondsText(medianSeconds),
  });
  return [
    '',
    pen.paint.bold('canaries, which should be refused:'),
    ...table([{ canaries: 'all', ...figures(total) }], pen),
    ...groups.flatMap(([what, named]) =>
      named.length === 0
        ? []
        : [
            '',
            ...table(
              named.map(({ name, ...own }) => ({ [what]: name, ...figures(own) })),
              pen,
            ),
          ],
    ),
  ];
}

function row(what: string, { name, before, ...own }: OversightGroup): Record<string, unknown> {
  return {
    [what]: name,
    decisions: own.decisions,
    yes: withBefore(yesText(own), yesText(before)),
    median: withBefore(secondsText(own.medianSeconds), secondsText(before.medianSeconds)),
    fastest: secondsText(own.p10Seconds),
    'too fast': own.tooFast,
  };
}

/** The baseline stands in brackets. */
function withBefore(now: string, before: string): string {
  return before === '-' ? now : `${now} (${before})`;
}
