/** `countersign policy`: what becomes of a policy bundle, from its draft to the day on which it is retired. */
import type { Command } from 'commander';
import { rolloutCommands } from './rollout.js';

export function policy(program: Command): void {
  const group = program.command('policy').description('policy bundles: publish, compare in shadow, promote, roll back');
  rolloutCommands(group);
}
