/** What this process is called where workers are told apart. */
import { hostname } from 'node:os';

export function workerName(): string {
  return `${hostname()}/${process.pid}`;
}
