/** `countersign policy backtest`: what a candidate policy would have decided of recorded actions. */
import { writeFile } from 'node:fs/promises';
import { Option, type Command } from 'commander';
import { CountersignError } from '../../../action/errors.js';
import type { BacktestReport, ChangeKind } from '../../../policy/backtest/index.js';
import type { Credential } from '../../../trust/index.js';
import { examples, run } from '../../command.js';
import type { Context } from '../../context.js';
import type { Exit } from '../../exit-codes.js';
import { KEYS_OPTION, recordedDecisions, type RecordedOptions } from '../../recorded-decisions.js';
import { AS_OPTION } from '../../send-signed-command.js';
import { usageError } from '../../usage-error.js';

const FORMATS = ['text', 'json', 'markdown', 'html'] as const;
type Format = (typeof FORMATS)[number];

interface BacktestOptions extends RecordedOptions {
  readonly candidate: string;
  readonly failOn?: string;
  readonly maxNewlyAsked?: string;
  readonly format?: Format;
  readonly out?: string;
  readonly keep?: boolean;
  readonly as?: string;
}

export function policyBacktest(group: Command): void {
  group
    .command('backtest')
    .description('decide recorded actions again under a candidate, and show what changes')
    .requiredOption('--candidate <folder>', 'the policy folder to try')
    .option('--from <file>', 'decisions from `countersign record --decisions`; default: those of the ledger')
    .option(...KEYS_OPTION)
    .addOption(
      new Option(
        '--workflow-query <query>',
        "decisions from the histories of the actions that this query of Temporal's finds, instead",
      ).conflicts(['from', 'keep']),
    )
    .option('--since <time>', 'only what was decided since: 2030-01-31T12:00:00Z, 2030-01-31, or 30d ago')
    .option('--until <time>', 'only what was decided before')
    .option('--tenant <tenant>', "only of this tenant; default: the credential's, else all")
    .option('--tool <tool>', 'only of this tool')
    .option('--agent <agent>', 'only of this agent, and of those that it delegated to')
    .option(
      '--fail-on <kinds>',
      'fail when there are changes of these kinds, or undecided ones: newly-allowed,undecided',
    )
    .option('--max-newly-asked <share>', 'fail when more of the decisions than this newly need approval: 5%')
    .addOption(new Option('--format <format>', 'how to show it; default: text').choices(FORMATS))
    .option('--out <file>', 'write it to a file instead')
    .addOption(
      new Option(
        '--keep',
        'keep the result in the ledger: the evidence that `countersign policy promote` asks for',
      ).conflicts('from'),
    )
    .option('--as <credential>', `who signs what is kept: ${AS_OPTION}`)
    .addHelpText(
      'after',
      examples(
        'countersign policy backtest --candidate ./policies --since 30d',
        'countersign policy backtest --candidate ./policies --from march.jsonl.gz --fail-on newly-allowed,undecided --max-newly-asked 5%',
        `countersign policy backtest --candidate ./policies --workflow-query "CountersignTool = 'shop-db' AND ExecutionStatus = 'Completed'"`,
        'countersign policy backtest --candidate ./policies --since 30d --format html --out backtest.html',
        'countersign policy backtest --candidate ./policies --from march.jsonl.gz --keys public-keys.json',
        'countersign policy backtest --candidate ./policies --since 30d --keep --as ann.csk',
      ) +
        '\n\nKinds: newly-allowed, newly-askable, newly-denied, newly-asked, newly-queued, no-longer-asked, other-terms; undecided.\n' +
        'Exits with 1 and CHECK_FAILED when a threshold is exceeded. docs/policy-backtest.md says what is counted as what.',
    )
    .action(run(runBacktest));
}

async function runBacktest(context: Context, options: BacktestOptions): Promise<Exit | void> {
  const {
    candidate: folder,
    failOn,
    maxNewlyAsked,
    format = 'text',
    out: file,
    keep = false,
    as,
    ...recorded
  } = options;
  const { backtest, CHANGE_KINDS } = await import('../../../policy/backtest/index.js');
  const { compilePolicy, loadBundle } = await import('../../../policy/index.js');
  const thresholds = { kinds: kindsOf(failOn, CHANGE_KINDS), share: shareOf(maxNewlyAsked) };
  const signer = keep ? await context.approver(as) : undefined;
  const candidate = compilePolicy(await loadBundle(folder));
  const { records, policies, unread } = await recordedDecisions(context, recorded, candidate.bundle);
  const report = backtest(records, { candidate, recordedUnder: policies, ...(unread === undefined ? {} : { unread }) });
  if (signer !== undefined) await keepEvidence(context, report, signer.credential);
  const text = await rendered(report, format);
  const error = exceeded(report, thresholds);
  if (file !== undefined) {
    await writeFile(file, text);
    context.out.result(
      { file, summary: report.summary, ...(error && { error: error.toJSON() }) },
      () => `written to ${file}`,
    );
  } else if (context.out.json) context.out.result({ ...report, ...(error && { error: error.toJSON() }) }, () => '');
  else context.out.present(() => text, { script: false });
  if (error === undefined) return;
  context.out.complain(error);
  return 'fault';
}

/** Of the candidate against the policy that is active now, also where this exceeds a threshold: people see it when they promote. */
async function keepEvidence(context: Context, { summary }: BacktestReport, credential: Credential): Promise<void> {
  const [{ signedEvidence }, { rollout }] = await Promise.all([import('../../../trust/index.js'), context.ledger()]);
  const baseline = await rollout.active();
  if (baseline === undefined) {
    throw new CountersignError('NOT_FOUND', 'No policy is active in the ledger, so nothing can be promoted over it.', {
      field: '--keep',
      expected: 'a policy that was promoted',
      fix: 'Leave --keep out: the first policy is promoted without evidence.',
    });
  }
  const { candidate, report, decisions } = summary;
  const found = { candidate, baseline, report, decisions, summary: { ...summary } };
  const evidence = await signedEvidence(credential, found);
  await rollout.addEvidence(evidence);
  context.out.note(`kept as evidence against ${baseline}, signed by ${evidence.by}`);
}

async function rendered(report: BacktestReport, format: Format): Promise<string> {
  switch (format) {
    case 'text':
      return `${(await import('../../../presentation/backtest/text.js')).backtestText(report)}\n`;
    case 'json':
      return `${JSON.stringify(report, null, 2)}\n`;
    case 'markdown':
      return (await import('../../../presentation/backtest/markdown.js')).backtestMarkdown(report);
    case 'html':
      return (await import('../../../presentation/backtest/html.js')).backtestHtml(report);
  }
}

type Counted = ChangeKind | 'undecided';

function kindsOf(text: string | undefined, kinds: readonly ChangeKind[]): readonly Counted[] {
  if (text === undefined) return [];
  const known: readonly string[] = [...kinds, 'undecided'];
  return text.split(',').map((part) => {
    const kind = part.trim();
    if (known.includes(kind)) return kind as Counted;
    throw usageError(`${JSON.stringify(kind.slice(0, 40))} is no kind of change.`, {
      field: '--fail-on',
      expected: `some of ${known.join(', ')}, with commas between`,
    });
  });
}

function shareOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const percent = /^(\d{1,3}(?:\.\d+)?)\s*%$/.exec(text.trim())?.[1];
  if (percent !== undefined && Number(percent) <= 100) return Number(percent) / 100;
  throw usageError(`${JSON.stringify(text.slice(0, 40))} is no share.`, {
    field: '--max-newly-asked',
    expected: 'a percentage from 0% to 100%',
    fix: 'Write for instance --max-newly-asked 5%.',
  });
}

function exceeded(
  { summary }: BacktestReport,
  { kinds, share }: { readonly kinds: readonly Counted[]; readonly share: number | undefined },
): CountersignError | undefined {
  const counted = (kind: Counted): number => (kind === 'undecided' ? summary.undecided : summary.changes[kind]);
  const found = kinds.filter((kind) => counted(kind) > 0).map((kind) => `${counted(kind)} ${kind}`);
  const asked = summary.changes['newly-asked'];
  if (share !== undefined && asked > share * summary.redecided) {
    found.push(`${asked} of ${summary.redecided} newly asked, more than ${share * 100} %`);
  }
  if (found.length === 0) return undefined;
  return new CountersignError('CHECK_FAILED', `The backtest exceeds what was set: ${found.join('; ')}.`, {
    field: '--fail-on',
    expected: 'no more changes than the thresholds let pass',
    fix: 'Change the candidate, or set other thresholds where the changes are wanted.',
  });
}
