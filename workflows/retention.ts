/** What nothing needs any more is forgotten. Started by a schedule. */
import type { Purged, PurgeOptions } from '../activities/contract.js';
import { rounds } from './steps.js';

export function retention(options: PurgeOptions): Promise<Purged> {
  return rounds.purge(options);
}
