/** Whether a kept data folder is served by a process that is still alive. */
import { execFile } from 'node:child_process';
import { readFile, readlink } from 'node:fs/promises';
import { platform } from 'node:os';
import { promisify } from 'node:util';
import { setTimeout as delay } from 'node:timers/promises';

const run = promisify(execFile);

/** How long a server of a run that has just crashed may take to end, milliseconds. */
const STOPPING_MS = 4_000;

/**
 * The pid of the process that serves a folder, by a pid file whose first line is its pid. A pid that meanwhile belongs to
 * something else does not count: its command line must hold the text, or it must work in the folder of that name.
 *
 * @param names what identifies the server: its folder or database file, as it was given to it
 */
export async function servedBy(pidFile: string, names: string): Promise<number | undefined> {
  const text = await readFile(pidFile, 'utf8').catch(() => '');
  const pid = Number.parseInt(text, 10);
  if (!isAlive(pid)) return undefined;
  const command = await commandLine(pid);
  // Unknown counts as served: two servers on one folder would destroy it.
  if (command === undefined || command.includes(names)) return pid;
  const folder = await readlink(`/proc/${pid}/cwd`).catch(() => undefined);
  return folder === names ? pid : undefined;
}

/** Like `servedBy`, but waits for a server that is stopping. */
export async function stillServedBy(pidFile: string, names: string): Promise<number | undefined> {
  const deadline = Date.now() + STOPPING_MS;
  for (;;) {
    const pid = await servedBy(pidFile, names);
    if (pid === undefined || Date.now() > deadline) return pid;
    await delay(50);
  }
}

/** Whether there is such a process, of whatever user. A number that is no pid is not alive. */
export function isAlive(pid: number): boolean {
  // Zero and negative ones would name whole process groups.
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Undefined when the system does not say; empty for a process that has ended and waits to be reaped. */
async function commandLine(pid: number): Promise<string | undefined> {
  try {
    if (platform() === 'linux') return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ');
    return (await run('ps', ['-o', 'args=', '-p', String(pid)])).stdout;
  } catch {
    return isAlive(pid) ? undefined : '';
  }
}
