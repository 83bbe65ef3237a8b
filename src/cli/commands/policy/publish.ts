/** `countersign policy publish`: a folder becomes a draft in the ledger. */
import type { Command } from 'commander';
import { examples, run } from '../../command.js';
import type { Context } from '../../context.js';
import { operatorName } from '../../operator-name.js';

interface PublishOptions {
  readonly reason: string;
  readonly by?: string;
}

export function publishPolicy(group: Command): void {
  group
    .command('publish')
    .argument('<folder>', 'the folder of the policy bundle')
    .description('check a bundle and keep it in the ledger as a draft; it takes no effect by this')
    .requiredOption('--reason <text>', 'what it changes, and why; kept with it')
    .option('--by <name>', 'who publishes it; default: your login name')
    .addHelpText('after', examples('countersign policy publish ./policies --reason "refunds need two people"'))
    .action(run(publish));
}

async function publish(context: Context, folder: string, { reason, by }: PublishOptions): Promise<void> {
  const { compilePolicy, loadBundle } = await import('../../../policy/index.js');
  const bundle = await loadBundle(folder);
  const { rules } = compilePolicy(bundle);
  const ledger = await context.ledger();
  const { digest, files } = bundle;
  await ledger.content.putPolicy(digest, files);
  const { policy, made } = await ledger.rollout.publish({ digest, by: await operatorName(by), reason });
  const { out } = context;
  out.result({ ...policy, made, rules: rules.length }, () =>
    made
      ? `${out.paint.green('✓ published')} ${digest} as a draft: ${rules.length} rules\nNext:  countersign policy shadow ${digest.slice(0, 19)} --reason "…"`
      : `${digest} was published before; it is ${policy.state}`,
  );
}
