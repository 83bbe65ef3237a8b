/** `countersign policy …`: writing policies, knowing what they do, and what a changed one would have done. */
import type { Command } from 'commander';
import { policyBacktest } from './backtest.js';
import { policyDiff } from './diff.js';
import { explainPolicy } from './explain.js';
import { formatPolicy } from './fmt.js';
import { initPolicy } from './init.js';
import { lintPolicy } from './lint.js';
import { rolloutCommands } from './rollout.js';
import { policySchema } from './schema.js';
import { policySuggest } from './suggest.js';
import { testPolicy } from './test.js';

/** One line for each subcommand, in the order of `--help`. */
const SUBCOMMANDS: readonly ((policy: Command) => void)[] = [
  initPolicy,
  lintPolicy,
  formatPolicy,
  policySchema,
  testPolicy,
  explainPolicy,
  policyDiff,
  policyBacktest,
  policySuggest,
  rolloutCommands,
];

export function policy(program: Command): void {
  const command = program.command('policy').description('write policies, and know what they do');
  for (const add of SUBCOMMANDS) add(command);
}
