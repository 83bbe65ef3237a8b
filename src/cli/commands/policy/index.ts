/** `countersign policy`: writing policies, and knowing what they do. */
import type { Command } from 'commander';
import { explainPolicy } from './explain.js';
import { formatPolicy } from './fmt.js';
import { initPolicy } from './init.js';
import { lintPolicy } from './lint.js';
import { policySchema } from './schema.js';
import { testPolicy } from './test.js';

/** One line for each subcommand, in the order of `--help`. */
const SUBCOMMANDS: readonly ((policy: Command) => void)[] = [
  initPolicy,
  lintPolicy,
  formatPolicy,
  policySchema,
  testPolicy,
  explainPolicy,
];

export function policy(program: Command): void {
  const command = program.command('policy').description('write policies, and know what they do');
  for (const add of SUBCOMMANDS) add(command);
}
