/** `countersign policy history`: who changed what, when and why, and on what evidence. */
import type { Command } from 'commander';
import { STATE_AFTER, type PolicyChange } from '../../../action/policy-rollout.js';
import { sanitize } from '../../../presentation/sanitize.js';
import { examples, run } from '../../command.js';
import type { Context } from '../../context.js';
import { wholeNumber } from '../../whole-number.js';
import { findPolicy } from './find-policy.js';

interface HistoryOptions {
  readonly limit: number;
}

export function policyHistory(group: Command): void {
  group
    .command('history')
    .argument('[digest]', 'only changes of this policy; the first letters of its digest suffice')
    .description('show every change of state: who, when, why, and on what evidence; the latest first')
    .option('--limit <n>', 'how many at most', wholeNumber('--limit', 1, 1000), 20)
    .addHelpText('after', examples('countersign policy history', 'countersign policy history sha256:3f2a91 --json'))
    .action(run(history));
}

async function history(context: Context, name: string | undefined, { limit }: HistoryOptions): Promise<void> {
  const { rollout } = await context.ledger();
  const policy = name === undefined ? undefined : await findPolicy(rollout, name);
  const changes = await rollout.history({ limit, ...(policy === undefined ? {} : { digest: policy.digest }) });
  const { out } = context;
  out.result({ changes }, () =>
    changes.length === 0 ? 'no policy was published yet' : changes.map((change) => changeText(change)).join('\n'),
  );
}

function changeText({ seq, kind, digest, replaced, by, people, reason, evidence, at }: PolicyChange): string {
  const who = people.length > 1 ? people.map((person) => sanitize(person)).join(', ') : sanitize(by);
  return [
    `#${seq}  ${at}  ${kind} of ${digest} by ${who}: ${sanitize(reason)}`,
    `    it is ${STATE_AFTER[kind]} since${replaced === undefined ? '' : `, in place of ${replaced}`}`,
    ...(evidence === undefined ? [] : [`    on the evidence of the backtest ${evidence}`]),
  ].join('\n');
}
