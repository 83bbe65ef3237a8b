/** `countersign policy shadow` and `retire`: a policy is compared with the active one on live traffic, or no more. */
import type { Command } from 'commander';
import { examples, run } from '../../command.js';
import type { Context } from '../../context.js';
import type { Exit } from '../../exit-codes.js';
import { AS_OPTION } from '../../send-signed-command.js';
import { findPolicy } from './find-policy.js';
import { order, ordering, type OrderOptions, type PolicyCommand } from './order.js';

export function shadowPolicy(group: Command): void {
  group
    .command('shadow')
    .argument('<digest>', 'the policy; the first letters of its digest suffice')
    .description('evaluate a policy beside the active one, without any effect, and record where it decides otherwise')
    .requiredOption('--reason <text>', 'why; kept with the change')
    .option('--as <credential>', AS_OPTION)
    .addHelpText('after', examples('countersign policy shadow sha256:3f2a91 --reason "a week beside the active one"'))
    .action(run((context, name: string, options: OrderOptions) => place(context, name, 'shadow_policy', options)));
  group
    .command('retire')
    .argument('<digest>', 'the policy; the first letters of its digest suffice')
    .description('end the comparison in shadow, or put a draft away; the active policy cannot be retired')
    .requiredOption('--reason <text>', 'why; kept with the change')
    .option('--as <credential>', AS_OPTION)
    .addHelpText('after', examples('countersign policy retire sha256:3f2a91 --reason "it asks for too much"'))
    .action(run((context, name: string, options: OrderOptions) => place(context, name, 'retire_policy', options)));
}

async function place(
  context: Context,
  name: string,
  kind: Extract<PolicyCommand['kind'], 'shadow_policy' | 'retire_policy'>,
  { reason, as }: OrderOptions,
): Promise<Exit | void> {
  const now = await ordering(context, as);
  const { digest } = await findPolicy(now.ledger.rollout, name);
  return order(context, now, { kind, subject: digest, reason });
}
