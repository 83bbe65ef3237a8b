/** `countersign policy diff`: what differs between two policies, in plain words. */
import type { Command } from 'commander';
import { sanitize } from '../../../presentation/sanitize.js';
import type { PolicyDifference } from '../../../policy/diff.js';
import { examples, run } from '../../command.js';
import type { Context } from '../../context.js';
import type { Paint } from '../../output.js';

export function policyDiff(group: Command): void {
  group
    .command('diff')
    .argument('<from>', 'the policy folder as it is')
    .argument('<to>', 'the policy folder as it would be')
    .description('tell in words what differs between two policies: rules, limits, schema')
    .addHelpText(
      'after',
      examples('countersign policy diff ./policies ./candidate', 'countersign policy diff a b --json'),
    )
    .action(run(diff));
}

async function diff(context: Context, from: string, to: string): Promise<void> {
  const [{ diffPolicies }, { compilePolicy, loadBundle }] = await Promise.all([
    import('../../../policy/diff.js'),
    import('../../../policy/index.js'),
  ]);
  const [before, after] = await Promise.all([loadBundle(from), loadBundle(to)]);
  const found = diffPolicies(compilePolicy(before), compilePolicy(after));
  const { out } = context;
  out.result(found, () =>
    found.differences.length === 0
      ? 'both say the same'
      : found.differences.map((difference) => differenceText(difference, out.paint)).join('\n'),
  );
}

function differenceText({ part, what, name, sentences }: PolicyDifference, paint: Paint): string {
  const mark = { added: paint.green('+'), removed: paint.red('-'), changed: paint.yellow('~') }[what];
  const lines = sentences.map((sentence) => `    ${sanitize(sentence)}`);
  return [`${mark} ${part} ${paint.bold(sanitize(name))} ${what}`, ...lines].join('\n');
}
