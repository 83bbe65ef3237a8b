/** `countersign policy …`: the life of a policy before it is live. */
import type { Command } from 'commander';
import { policyBacktest } from './backtest.js';
import { policyDiff } from './diff.js';
import { policySuggest } from './suggest.js';

export function policy(program: Command): void {
  const group = program.command('policy').description('compare policies, and see what a changed one would have done');
  for (const add of [policyDiff, policyBacktest, policySuggest]) add(group);
}
