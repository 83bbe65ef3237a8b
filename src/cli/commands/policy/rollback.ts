/** `countersign policy rollback`: the policy before is the active one again, at once and without evidence. */
import type { Command } from 'commander';
import { CountersignError } from '../../../action/errors.js';
import type { Digest } from '../../../action/json.js';
import type { Rollout } from '../../../ledger/index.js';
import { examples, run } from '../../command.js';
import type { Context } from '../../context.js';
import type { Exit } from '../../exit-codes.js';
import { AS_OPTION } from '../../send-signed-command.js';
import { findPolicy } from './find-policy.js';
import { order, ordering, type OrderOptions } from './order.js';

export function rollBackPolicy(group: Command): void {
  group
    .command('rollback')
    .description('make the policy before the active one again, at once: without evidence, and by one person')
    .option('--to <digest>', 'another policy that was active before; default: the one that the active policy replaced')
    .requiredOption('--reason <text>', 'why; kept with the change')
    .option('--as <credential>', AS_OPTION)
    .addHelpText(
      'after',
      examples(
        'countersign policy rollback --reason "refunds are stuck" --as ann.csk',
        'countersign policy rollback --to sha256:3f2a91 --reason "the last one that worked"',
      ),
    )
    .action(run(rollBack));
}

async function rollBack(context: Context, { to, reason, as }: OrderOptions & { to?: string }): Promise<Exit | void> {
  const now = await ordering(context, as);
  const { rollout } = now.ledger;
  const subject = to === undefined ? await policyBefore(rollout, now.active) : (await findPolicy(rollout, to)).digest;
  return order(context, now, { kind: 'roll_back_policy', subject, reason });
}

/** What the active policy replaced when it was promoted: rolling back twice goes two policies back. @throws CountersignError NOT_FOUND */
async function policyBefore(rollout: Rollout, active: Digest | undefined): Promise<Digest> {
  const changes = active === undefined ? [] : await rollout.history({ digest: active, limit: 1000 });
  const before = changes.find(
    ({ kind, digest, replaced }) => kind === 'promote' && digest === active && replaced !== undefined,
  )?.replaced;
  if (before !== undefined) return before;
  throw new CountersignError('NOT_FOUND', 'There is no policy before the active one.', {
    field: '--to',
    expected: 'a policy that was active before',
    fix: 'Look at countersign policy history; to stop everything, use countersign freeze --all.',
  });
}
