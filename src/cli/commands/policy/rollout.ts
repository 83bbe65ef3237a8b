/** The subcommands of `countersign policy` that are about the roll-out. */
import type { Command } from 'commander';
import { policyHistory } from './history.js';
import { publishPolicy } from './publish.js';
import { policyStatus } from './status.js';

export function rolloutCommands(group: Command): void {
  for (const add of [publishPolicy, policyStatus, policyHistory]) add(group);
}
