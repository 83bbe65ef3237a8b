/** `countersign trail checkpoint`: signs what the trails have now, and anchors it. */
import type { Command } from 'commander';
import type { CountersignError } from '../../../action/errors.js';
import { sanitize } from '../../../presentation/sanitize.js';
import { examples, run } from '../../command.js';
import type { Context } from '../../context.js';
import type { Exit } from '../../exit-codes.js';
import { optionalConfig } from '../../optional-config.js';

interface CheckpointOptions {
  readonly tenant?: string;
  readonly config?: string;
}

export function checkpointNow(command: Command): void {
  command
    .command('checkpoint')
    .description('sign what the trails have now, and put it to the anchors of the config; workers do so on a schedule')
    .option('--tenant <tenant>', 'only this tenant; default: all')
    .option('--config <file>', 'the config; default: COUNTERSIGN_CONFIG, else countersign.config.mjs, else no anchors')
    .addHelpText(
      'after',
      examples('countersign trail checkpoint', 'countersign trail checkpoint --tenant acme --json') +
        '\n\nNeeds the ledger and the private receipt key. What does not follow the last checkpoint is not signed: TRAIL_BROKEN.',
    )
    .action(run(checkpoint));
}

async function checkpoint(context: Context, { tenant, config: file }: CheckpointOptions): Promise<Exit | void> {
  const { checkpointRound } = await import('../../../trail/round.js');
  const [config, ledger, keyring] = [
    await optionalConfig(context, file),
    await context.ledger(),
    await context.keyring(),
  ];
  const { entered, checkpoints, problems } = await checkpointRound({
    ledger,
    keyring,
    anchors: config?.trail?.anchors ?? [],
    ...(tenant === undefined ? {} : { tenants: [tenant] }),
    signal: new AbortController().signal,
  });
  const { out } = context;
  const [first]: readonly { readonly error: CountersignError }[] = problems;
  const told = problems.map((one) => ({ tenant: one.tenant, ...one.error.toJSON() }));
  const document = {
    entered,
    checkpoints,
    problems: told,
    ...(first === undefined ? {} : { error: first.error.toJSON() }),
  };
  out.result(document, () =>
    checkpoints
      .map(
        ({ tenant, size, root, made }) =>
          `${out.paint.green('✓')} ${out.paint.bold(sanitize(tenant))}  ${size} entries  ${out.paint.dim(root)}${made ? '' : '  (signed before)'}`,
      )
      .join('\n'),
  );
  if (first === undefined) return;
  for (const { error } of problems) out.complain(error);
  return 'fault';
}
