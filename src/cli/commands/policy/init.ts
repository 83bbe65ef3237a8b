/** `countersign policy init`: the starter bundle with its tests, in a folder of one's own. */
import type { Command } from 'commander';
import { examples, run } from '../../command.js';
import type { Context } from '../../context.js';

export function initPolicy(policy: Command): void {
  policy
    .command('init')
    .argument('<folder>', 'where to put it; files that are there already are never replaced')
    .description('make a policy folder from the starter bundle, with its tests')
    .addHelpText('after', examples('countersign policy init ./policies'))
    .action(run(initFolder));
}

async function initFolder(context: Context, folder: string): Promise<void> {
  const [{ starterFiles }, { refuseExisting, Undoing, writeNewFile }] = await Promise.all([
    import('../../../policy/starter-files.js'),
    import('../../../init/new-files.js'),
  ]);
  const files = await starterFiles();
  const names = Object.keys(files);
  await refuseExisting(folder, names);
  const undoing = new Undoing();
  try {
    for (const name of names) await writeNewFile(folder, { name, text: files[name] ?? '' }, undoing);
  } catch (error) {
    await undoing.run();
    throw error;
  }
  const { out } = context;
  out.result(
    { folder, files: names },
    () =>
      `${out.paint.green('✓')} ${names.length} files made in ${folder}\n\n  countersign policy test ${folder}\n  countersign policy lint ${folder}`,
  );
}
