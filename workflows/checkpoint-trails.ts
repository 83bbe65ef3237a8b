/** The audit trails are signed as they grow. Started by a schedule. */
import type { CheckpointRound } from '../activities/contract.js';
import { rounds } from './steps.js';

export function checkpointTrails(): Promise<CheckpointRound> {
  return rounds.checkpointTrails();
}
