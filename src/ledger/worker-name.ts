/** What this process is called in the ledger, where workers are told apart. */
import { hostname } from 'node:os';

export function workerName(): string {
  return `${hostname()}/${process.pid}`;
}
