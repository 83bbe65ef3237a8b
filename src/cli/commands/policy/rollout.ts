/** The subcommands of `countersign policy` that are about the roll-out. */
import type { Command } from 'commander';
import { policyDivergences } from './divergences.js';
import { policyHistory } from './history.js';
import { promotePolicy } from './promote.js';
import { publishPolicy } from './publish.js';
import { rollBackPolicy } from './rollback.js';
import { shadowPolicy } from './shadow.js';
import { policyStatus } from './status.js';

export function rolloutCommands(group: Command): void {
  for (const add of [
    publishPolicy,
    shadowPolicy,
    promotePolicy,
    rollBackPolicy,
    policyStatus,
    policyHistory,
    policyDivergences,
  ])
    add(group);
}
