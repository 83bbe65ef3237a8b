/** What processes use, as Linux counts it in /proc. */
import { readdir, readFile } from 'node:fs/promises';

/** Ticks a second of /proc/<pid>/stat: USER_HZ, which is 100 on every platform that Node runs on. */
const TICKS = 100;

interface Stat {
  readonly parent: number;
  /** Of the process and its ended children, seconds. */
  readonly cpuSeconds: number;
}

async function stat(pid: number): Promise<Stat | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  // The name, in brackets, may hold anything.
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const ticks = [11, 12, 13, 14].reduce((sum, at) => sum + (fields[at] ?? 0), 0);
  return { parent: fields[1] ?? 0, cpuSeconds: ticks / TICKS };
}

/** CPU seconds of a process, of its children and of the children that have ended. */
export async function cpuSeconds(root: number): Promise<number> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const stats = new Map<number, Stat>();
  for (const pid of pids) {
    const found = await stat(pid);
    if (found !== undefined) stats.set(pid, found);
  }
  let sum = 0;
  for (const [pid, { cpuSeconds }] of stats) if (pid === root || stats.get(pid)?.parent === root) sum += cpuSeconds;
  return sum;
}

/** Resident memory of a process, MB. */
export async function residentMB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? Number.NaN) / 1024;
}
