/** `countersign trail prove`: that an entry is in the signed trail, or that one signed trail is the beginning of another. */
import type { Command } from 'commander';
import { trailNotFound } from '../../../action/errors-not-found.js';
import { examples, run } from '../../command.js';
import type { Context } from '../../context.js';
import { usageError } from '../../usage-error.js';
import { wholeNumber } from '../../whole-number.js';

interface ProveOptions {
  readonly tenant: string;
  readonly entry?: number;
  readonly action?: string;
  readonly from?: number;
  readonly to?: number;
}

const MOST = 999_999_999_999;

export function proveTrail(command: Command): void {
  command
    .command('prove')
    .description('print a proof that stands alone: of an entry, or that the trail only grew')
    .requiredOption('--tenant <tenant>', 'whose trail')
    .option('--entry <n>', 'that this entry is in it', wholeNumber('--entry', 1, MOST))
    .option('--action <id>', "that the last entry about this action is in it: its receipt's")
    .option('--from <size>', 'that the checkpoint over so many entries …', wholeNumber('--from', 1, MOST))
    .option('--to <size>', '… is the beginning of this one; default: of the last', wholeNumber('--to', 1, MOST))
    .addHelpText(
      'after',
      examples(
        'countersign trail prove --tenant acme --action refund-17 > proof.json',
        'countersign trail prove --tenant acme --from 4096 > growth.json',
      ) + '\n\nProofs are of RFC 6962. `countersign trail verify <file>` checks one with the public keys alone.',
    )
    .action(run(prove));
}

async function prove(context: Context, { tenant, entry, action, from, to }: ProveOptions): Promise<void> {
  if ([entry, action, from].filter((one) => one !== undefined).length !== 1) {
    throw usageError('It is not clear what is to be proven.', {
      field: '--entry',
      expected: 'one of --entry, --action and --from',
    });
  }
  const { proveEntry, proveGrowth } = await import('../../../trail/proofs.js');
  const ledger = await context.ledger();
  if (from !== undefined) return print(context, await proveGrowth(ledger, tenant, from, to));
  const seq = entry ?? (await ledger.trail.about(tenant, action ?? '')).at(-1);
  if (seq === undefined) {
    throw trailNotFound(`The trail of ${tenant} has nothing about ${action}.`, 'Look for it: countersign list');
  }
  return print(context, await proveEntry(ledger, tenant, seq));
}

function print({ out }: Context, proof: object): void {
  out.result(proof, () => JSON.stringify(proof, null, 2));
}
