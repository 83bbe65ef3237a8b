/** `countersign record`: writes recorded decisions to a file, scrubbed of personal data by rule. */
import { readFile, writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { sanitize } from '../../presentation/sanitize.js';
import { examples, run } from '../command.js';
import type { Context } from '../context.js';
import { fromLedger, type DecisionOptions } from '../recorded-decisions.js';

interface RecordOptions extends DecisionOptions {
  readonly decisions: string;
  readonly scrub?: string;
}

export function record(program: Command): void {
  program
    .command('record')
    .description('export decisions, so that they can be decided again elsewhere')
    .requiredOption('--decisions <file>', 'the file to write, JSON Lines; compressed when its name ends in .gz')
    .option('--since <time>', 'only what was decided since: 2030-01-31T12:00:00Z, 2030-01-31, or 30d ago')
    .option('--until <time>', 'only what was decided before')
    .option('--tenant <tenant>', "only of this tenant; default: the credential's, else all")
    .option('--tool <tool>', 'only of this tool')
    .option('--agent <agent>', 'only of this agent, and of those that it delegated to')
    .option('--scrub <file>', 'rules in YAML that replace or remove personal data')
    .addHelpText(
      'after',
      examples(
        'countersign record --decisions march.jsonl.gz --since 2030-03-01 --until 2030-04-01',
        'countersign record --decisions fixture.jsonl --scrub scrub.yaml',
      ) +
        '\n\nNeeds the ledger and the public receipt keys: each outcome is compared with its receipt. Sampled rows are left out, secret columns\n' +
        'and texts that look like credentials struck out. docs/policy-backtest.md describes the file and the rules.',
    )
    .action(run(recordDecisions));
}

async function recordDecisions(context: Context, { decisions: file, scrub, ...options }: RecordOptions): Promise<void> {
  const [{ packRecording, writeRecording }, { scrubRecord }, { parseScrubRules }] = await Promise.all([
    import('../../decisions/file.js'),
    import('../../decisions/scrub.js'),
    import('../../decisions/scrub-rules.js'),
  ]);
  const rules = scrub === undefined ? undefined : parseScrubRules(await readFile(scrub, 'utf8'), scrub);
  const { records, policies } = await fromLedger(context, options);
  const scrubbed = rules === undefined ? records : records.map((one) => scrubRecord(one, rules));
  const { since, until, tenant, tool, agent } = options;
  const about = Object.fromEntries(
    Object.entries({ since, until, tenant, tool, agent }).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    ),
  );
  const { text, digest } = writeRecording({ records: scrubbed, policies }, about);
  await writeFile(file, packRecording(text, file));
  const changed = scrubbed.filter((one) => one.scrubbed !== undefined).length;
  context.out.result({ file, decisions: records.length, policies: policies.length, scrubbed: changed, digest }, () =>
    [
      `${records.length} decisions under ${policies.length} policies in ${sanitize(file)}, ${changed} of them scrubbed`,
      context.out.paint.dim(digest),
    ].join('\n'),
  );
}
