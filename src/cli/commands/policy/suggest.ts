/** `countersign policy suggest`: a draft of what people need not be asked about any more. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from 'commander';
import { sanitize } from '../../../presentation/sanitize.js';
import { examples, run } from '../../command.js';
import type { Context } from '../../context.js';
import { KEYS_OPTION, recordedDecisions, type RecordedOptions } from '../../recorded-decisions.js';
import { wholeNumber } from '../../whole-number.js';
import { usageError } from '../../usage-error.js';

interface SuggestOptions extends RecordedOptions {
  readonly policies: string;
  readonly atLeast: number;
  readonly out?: string;
}

export function policySuggest(group: Command): void {
  group
    .command('suggest')
    .description('propose exceptions and standing approvals from what people approved every time; writes a draft only')
    .requiredOption('--policies <folder>', 'the policy folder as it is')
    .option('--from <file>', 'decisions from `countersign record --decisions`; default: those of the ledger')
    .option(...KEYS_OPTION)
    .option('--since <time>', 'only what was decided since: 2030-01-31T12:00:00Z, 2030-01-31, or 30d ago')
    .option('--until <time>', 'only what was decided before')
    .option('--tenant <tenant>', "only of this tenant; default: the credential's, else all")
    .option('--at-least <n>', 'how often people must have approved it', wholeNumber('--at-least', 2, 1_000_000), 20)
    .option('--out <folder>', 'write the draft, a whole policy folder, to this new folder')
    .addHelpText(
      'after',
      examples(
        'countersign policy suggest --policies ./policies --since 90d',
        'countersign policy suggest --policies ./policies --from march.jsonl.gz --at-least 10 --out draft',
      ),
    )
    .action(run(propose));
}

async function propose(
  context: Context,
  { policies: folder, atLeast, out: target, ...recorded }: SuggestOptions,
): Promise<void> {
  const [{ suggest }, { bundleFromFiles, compilePolicy, loadBundle }] = await Promise.all([
    import('../../../policy/suggest.js'),
    import('../../../policy/index.js'),
  ]);
  const policy = compilePolicy(await loadBundle(folder));
  const { records, policies } = await recordedDecisions(context, recorded);
  const found = suggest(records, { policy, recordedUnder: policies, atLeast });
  if (target !== undefined && found.length > 0) {
    // Each was tried alone; a draft has the first of each file, so that it is exactly what was tried.
    const files = { ...policy.bundle.files };
    for (const { file, text } of found.toReversed()) files[file] = text;
    await writeNew(target, bundleFromFiles(files).files);
  }
  const { out } = context;
  out.result({ suggestions: found, ...(target === undefined || found.length === 0 ? {} : { draft: target }) }, () =>
    found.length === 0
      ? 'there is nothing that people approved every time'
      : [
          ...found.flatMap(({ sentence, rule, file, spared, standingApproval }) => [
            out.paint.bold(sanitize(sentence)),
            `    an exception to ${sanitize(rule)} in ${sanitize(file)} spares ${spared} approvals and allows nothing that was ever denied`,
            `    or in advance, for a while: ${out.paint.dim(sanitize(standingApproval))}`,
          ]),
          ...(target === undefined
            ? []
            : [`the draft is in ${sanitize(target)}: read it, and try it with policy backtest`]),
        ].join('\n'),
  );
}

/** A draft never takes the place of anything. */
async function writeNew(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  try {
    await mkdir(folder);
  } catch (cause) {
    throw usageError(`The folder ${folder} cannot be made: ${(cause as Error).message}`, {
      field: '--out',
      expected: 'a folder that is not there yet, in one that is',
      fix: 'Name another folder.',
    });
  }
  for (const [file, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, file)), { recursive: true });
    await writeFile(path.join(folder, file), text, { flag: 'wx' });
  }
}
