/** `countersign policy fmt`: one layout for Cedar files, by Cedar's own formatter. */
import path from 'node:path';
import type { Command } from 'commander';
import { sanitize } from '../../../presentation/sanitize.js';
import { examples, run } from '../../command.js';
import type { Context } from '../../context.js';
import type { Exit } from '../../exit-codes.js';
import { bundleSource, CONFIG_OPTION, FOLDER_ARGUMENT, type SourceOptions } from './bundle-source.js';

interface FormatOptions extends SourceOptions {
  readonly check?: boolean;
}

export function formatPolicy(policy: Command): void {
  policy
    .command('fmt')
    .argument(...FOLDER_ARGUMENT)
    .description('format the *.cedar files of a policy folder; comments stay')
    .option(...CONFIG_OPTION)
    .option('--check', 'change nothing; fail when a file is not formatted')
    .addHelpText('after', examples('countersign policy fmt', 'countersign policy fmt ./policies --check'))
    .action(run(formatFolder));
}

async function formatFolder(
  context: Context,
  given: string | undefined,
  { check, ...options }: FormatOptions,
): Promise<Exit> {
  const { folder } = await bundleSource(context, given, options);
  const [{ readFile, readdir, writeFile }, { formatCedar }] = await Promise.all([
    import('node:fs/promises'),
    import('../../../policy/authoring/format.js'),
  ]);
  const names = (await readdir(folder)).filter((name) => name.endsWith('.cedar') && !name.startsWith('.')).sort();
  // All are formatted before one is written: a file that cannot be read leaves the others as they are.
  const formatted = await Promise.all(
    names.map(async (name) => {
      const before = await readFile(path.join(folder, name), 'utf8');
      return { name, before, after: formatCedar(name, before) };
    }),
  );
  const changed = formatted.filter(({ before, after }) => before !== after);
  if (check !== true) for (const { name, after } of changed) await writeFile(path.join(folder, name), after);
  const ok = check !== true || changed.length === 0;
  const { out } = context;
  out.result({ ok, folder, files: names, changed: changed.map(({ name }) => name) }, () => {
    if (changed.length === 0) return `${out.paint.green('✓')} ${names.length} files are formatted`;
    const word = check === true ? out.paint.red('not formatted') : 'formatted';
    return changed.map(({ name }) => `${word} ${sanitize(name)}`).join('\n');
  });
  return ok ? 'success' : 'fault';
}
