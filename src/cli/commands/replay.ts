/** `countersign replay`: whether today's workflow code still does what recorded histories did. */
import { existsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Command } from 'commander';
import { sanitize } from '../../presentation/sanitize.js';
import type { Replayed } from '../../replay/replay.js';
import type { HistorySource } from '../../replay/sources.js';
import { WORKFLOWS } from '../../temporal.js';
import { examples, run } from '../command.js';
import type { Context } from '../context.js';
import type { Exit } from '../exit-codes.js';
import type { Paint } from '../output.js';
import { Progress } from '../progress.js';
import { usageError } from '../usage-error.js';
import { wholeNumber } from '../whole-number.js';

interface ReplayOptions {
  readonly query?: string;
  readonly last?: number;
  readonly concurrency: number;
  readonly bundle?: string;
}

/** What was replayed, and what does not replay. */
interface Report {
  /** The workflow code: what its workers call it. */
  readonly build: string;
  readonly histories: number;
  readonly replayed: number;
  readonly byWorkflowType: Readonly<Record<string, number>>;
  readonly problems: readonly Replayed[];
}

export function replay(program: Command): void {
  program
    .command('replay')
    .argument('[paths...]', 'files of histories, and folders of such files')
    .description('check that the workflow code still does what recorded histories did; files need no server')
    .option('--query <query>', "histories that a visibility query finds on the server, such as 'CloseTime IS NULL'")
    .option('--last <n>', 'the newest n of each workflow type on the server', wholeNumber('--last', 1, 100_000))
    .option(
      '--concurrency <n>',
      'how many are replayed at once; default: one for each processor',
      wholeNumber('--concurrency', 1, 64),
      os.availableParallelism(),
    )
    .option('--bundle <file>', 'other workflow code, as the build bundles it; default: that of this version')
    .addHelpText(
      'after',
      examples(
        'countersign replay test/histories',
        'countersign replay --last 200',
        `countersign replay --query "CountersignStatus = 'pending'" --json | jq .problems`,
      ) + '\n\nExit codes: 0, all replay; 1, some do not; 2, there was nothing to replay, or it cannot be read.',
    )
    .action(run(runReplay));
}

async function runReplay(context: Context, paths: readonly string[], options: ReplayOptions): Promise<Exit> {
  const { query, last, concurrency } = options;
  if (paths.length === 0 && query === undefined && last === undefined) {
    throw usageError('Nothing says which histories to replay.', {
      field: 'paths',
      expected: 'files or folders, --query or --last',
      fix: 'Name a folder of histories, or add --last 100 for those on the server.',
    });
  }
  const [{ replayHistories }, sources, { buildIdOf, workflowBundlePath }] = await Promise.all([
    import('../../replay/replay.js'),
    import('../../replay/sources.js'),
    import('../../worker/bundle.js'),
    quietly(),
  ]);
  const files = await sources.historyFiles(paths);
  const fromServer = query !== undefined || last !== undefined;
  const client = fromServer ? await context.temporal() : undefined;
  const bundle = options.bundle === undefined ? await workflowBundlePath() : path.resolve(options.bundle);
  if (!existsSync(bundle)) {
    throw usageError(`There is no file ${bundle}.`, {
      field: '--bundle',
      expected: 'workflow code, as the build bundles it',
    });
  }
  async function* every(): AsyncGenerator<HistorySource> {
    yield* files;
    if (client === undefined) return;
    yield* last === undefined
      ? sources.queriedHistories(client, query)
      : sources.lastHistories(client, Object.keys(WORKFLOWS), last, query);
  }
  const progress = new Progress(context.terminal, 'histories', fromServer ? undefined : files.length);
  const problems: Replayed[] = [];
  const counts = new Map<string, number>();
  try {
    await replayHistories(every(), {
      bundle,
      encryption: await context.encryption(),
      concurrency: fromServer ? concurrency : Math.min(concurrency, files.length),
      told: (result) => {
        progress.advance();
        const type = result.workflowType ?? 'unreadable';
        counts.set(type, (counts.get(type) ?? 0) + 1);
        if (result.problem !== undefined) problems.push(result);
      },
    });
  } finally {
    progress.end();
  }
  const histories = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const report: Report = {
    build: await buildIdOf(bundle),
    histories,
    replayed: histories - problems.length,
    byWorkflowType: Object.fromEntries([...counts].toSorted(([one], [other]) => (one < other ? -1 : 1))),
    problems: problems.toSorted((one, other) => (one.source < other.source ? -1 : 1)),
  };
  context.out.result(report, () => reportText(report, context.out.paint));
  return exitOf(report);
}

/** A replay of what must not replay is no incident: the SDK's own log of it would tell everything twice. */
async function quietly(): Promise<void> {
  const { DefaultLogger, Runtime } = await import('@temporalio/worker');
  const logger = new DefaultLogger('ERROR', () => {});
  Runtime.install({ logger, telemetryOptions: { logging: { filter: 'ERROR', forward: {} } }, shutdownSignals: [] });
}

function exitOf({ histories, problems }: Report): Exit {
  if (problems.some(({ problem }) => problem?.code === 'NONDETERMINISTIC')) return 'fault';
  return problems.length > 0 || histories === 0 ? 'usage' : 'success';
}

function reportText({ build, histories, replayed, problems }: Report, paint: Paint): string {
  const blocks = problems.map((one) => problemText(one, paint));
  const code = paint.dim(`(${build})`);
  if (histories === 0) return paint.yellow('there were no histories to replay');
  if (problems.length === 0)
    return `${paint.green('✓')} all ${histories} histories replay on this workflow code ${code}`;
  return [...blocks, `${replayed} of ${histories} histories replay on this workflow code ${code}`].join('\n\n');
}

function problemText({ source, workflowId, workflowType, problem }: Replayed, paint: Paint): string {
  const { message = '', fix = '', event, step, code, cause } = problem ?? {};
  const fact = (label: string, text: string): string => `  ${paint.dim(label.padEnd(9))} ${sanitize(text)}`;
  const place = [
    ...(event === undefined ? [] : [`event ${event.id} (${event.type})`]),
    ...(step === undefined ? [] : [`step ${step}`]),
  ];
  return [
    `${paint.red('✗')} ${paint.bold(sanitize(workflowId ?? source))}  ${paint.dim(sanitize([workflowType, code, cause].filter(Boolean).join(', ')))}`,
    ...(workflowId === undefined || workflowId === source ? [] : [fact('file', source)]),
    ...(place.length === 0 ? [] : [fact('where', place.join(', '))]),
    fact('what', message),
    fact('fix', fix),
  ].join('\n');
}
