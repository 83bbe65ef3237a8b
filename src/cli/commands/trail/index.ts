/** `countersign trail …`: the audit trail, for whoever must be able to prove what was done without trusting whoever did it. */
import type { Command } from 'commander';
import { checkpointNow } from './checkpoint.js';
import { exportTrail } from './export.js';
import { proveTrail } from './prove.js';
import { verifyTrailCommand } from './verify.js';

export function trail(program: Command): void {
  const command = program.command('trail').description('export, sign, prove and verify the audit trail');
  exportTrail(command);
  verifyTrailCommand(command);
  checkpointNow(command);
  proveTrail(command);
}
