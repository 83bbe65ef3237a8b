/** `countersign record`: writes recorded decisions and histories to files, scrubbed of personal data by rule. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from 'commander';
import type { Json } from '../../action/json.js';
import type { ScrubRules } from '../../decisions/scrub-rules.js';
import { sanitize } from '../../presentation/sanitize.js';
import { examples, run } from '../command.js';
import type { Context } from '../context.js';
import { fromLedger, type DecisionOptions } from '../recorded-decisions.js';
import { AS_OPTION } from '../send-signed-command.js';
import { usageError } from '../usage-error.js';
import { wholeNumber } from '../whole-number.js';

interface RecordOptions extends DecisionOptions {
  readonly decisions?: string;
  readonly histories?: string;
  readonly workflowQuery?: string;
  readonly limit: number;
  readonly scrub?: string;
  readonly as?: string;
}

export function record(program: Command): void {
  program
    .command('record')
    .description('export decisions and histories, so that they can be decided again or replayed elsewhere')
    .option('--decisions <file>', 'the file to write, JSON Lines; compressed when its name ends in .gz')
    .option('--since <time>', 'only what was decided since: 2030-01-31T12:00:00Z, 2030-01-31, or 30d ago')
    .option('--until <time>', 'only what was decided before')
    .option('--tenant <tenant>', "only of this tenant; default: the credential's, else all")
    .option('--tool <tool>', 'only of this tool')
    .option('--agent <agent>', 'only of this agent, and of those that it delegated to')
    .option('--histories <folder>', 'the folder to write histories of workflows to, one JSON file each')
    .option(
      '--workflow-query <query>',
      "which workflows; default: every trustedAction, as Temporal's visibility knows it",
    )
    .option('--limit <n>', 'at most so many histories', wholeNumber('--limit', 1, 1_000_000), 1000)
    .option(
      '--scrub <file>',
      'rules in YAML that replace or remove personal data; in histories, those that name columns',
    )
    .option('--as <credential>', `who signs the decisions: ${AS_OPTION}`)
    .addHelpText(
      'after',
      examples(
        'countersign record --decisions march.jsonl.gz --since 2030-03-01 --until 2030-04-01',
        'countersign record --decisions march.jsonl.gz --as ann.csk',
        'countersign record --decisions fixture.jsonl --scrub scrub.yaml',
        `countersign record --histories ./histories --workflow-query 'WorkflowType = "trustedAction"' --limit 200 --scrub scrub.yaml`,
      ) +
        '\n\nDecisions need the ledger and the public receipt keys: each outcome is compared with its receipt. Sampled rows are left out, secret columns\n' +
        'and texts that look like credentials struck out. docs/policy-backtest.md describes the file and the rules.',
    )
    .action(run(recordAll));
}

async function recordAll(context: Context, options: RecordOptions): Promise<void> {
  const { decisions, histories, scrub } = options;
  if (decisions === undefined && histories === undefined) {
    throw usageError('Nothing was named to record.', {
      field: '--decisions',
      expected: '--decisions FILE, --histories FOLDER, or both',
    });
  }
  const { parseScrubRules } = await import('../../decisions/scrub-rules.js');
  const rules = scrub === undefined ? undefined : parseScrubRules(await readFile(scrub, 'utf8'), scrub);
  const decided = decisions === undefined ? undefined : await recordDecisions(context, decisions, options, rules);
  const written = histories === undefined ? undefined : await recordHistories(context, histories, options, rules);
  const { out } = context;
  out.result(
    { ...decided, ...(written === undefined ? {} : { histories: { folder: histories, count: written } }) },
    () =>
      [
        ...(decided === undefined
          ? []
          : [
              `${decided.decisions} decisions under ${decided.policies} policies in ${sanitize(decided.file)}, ${decided.scrubbed} of them scrubbed`,
              out.paint.dim(
                `${decided.digest}, ${decided.by === undefined ? 'signed by nobody' : `signed by ${sanitize(decided.by)}`}`,
              ),
            ]),
        ...(written === undefined ? [] : [`${written} histories in ${sanitize(histories ?? '')}`]),
      ].join('\n'),
  );
}

async function recordDecisions(
  context: Context,
  file: string,
  { since, until, tenant, tool, agent, as }: RecordOptions,
  rules: ScrubRules | undefined,
): Promise<{ file: string; decisions: number; policies: number; scrubbed: number; digest: string; by?: string }> {
  const [{ packRecording, withSignature, writeRecording }, { scrubRecord }, { signFinding }] = await Promise.all([
    import('../../decisions/file.js'),
    import('../../decisions/scrub.js'),
    import('../../trust/index.js'),
  ]);
  const signer = await context.approverIfAny(as);
  const named = Object.entries({ since, until, tenant, tool, agent });
  const filter = Object.fromEntries(named.filter((entry): entry is [string, string] => entry[1] !== undefined));
  const { records, policies } = await fromLedger(context, filter);
  const scrubbed = rules === undefined ? records : records.map((one) => scrubRecord(one, rules));
  const written = writeRecording({ records: scrubbed, policies }, filter);
  const { digest } = written;
  const finding = { kind: 'export', digest, decisions: records.length } as const;
  const text = signer && withSignature(written, await signFinding(signer.credential, finding));
  await writeFile(file, packRecording(text ?? written.text, file));
  const changed = scrubbed.filter((one) => one.scrubbed !== undefined).length;
  const counts = { decisions: records.length, policies: policies.length, scrubbed: changed };
  return { file, ...counts, digest, ...(signer === undefined ? {} : { by: signer.holder.id }) };
}

async function recordHistories(
  context: Context,
  folder: string,
  { workflowQuery = `WorkflowType = 'trustedAction'`, limit }: RecordOptions,
  rules: ScrubRules | undefined,
): Promise<number> {
  const [{ historyToJSON }, { scrubHistory }] = await Promise.all([
    import('@temporalio/common/lib/proto-utils.js'),
    import('../../decisions/scrub-history.js'),
  ]);
  const temporal = await context.temporal();
  await mkdir(folder, { recursive: true });
  let count = 0;
  for await (const { workflowId, runId } of temporal.workflow.list({ query: workflowQuery })) {
    const history = await temporal.workflow.getHandle(workflowId, runId).fetchHistory();
    const whole = JSON.parse(historyToJSON(history)) as Json;
    const shown = rules === undefined ? whole : scrubHistory(whole, rules);
    const name = `${workflowId.replaceAll(/[^A-Za-z0-9._-]/g, '_')}.${runId}.json`;
    await writeFile(path.join(folder, name), `${JSON.stringify(shown)}\n`);
    count++;
    if (count >= limit) break;
  }
  return count;
}
