/** Makes sure that what this process started goes away with it, also when it is killed outright. */
import { spawn, type ChildProcess } from 'node:child_process';

/** What the watchdog ends or removes when this process dies first. */
export type Ward = ProcessWard | FolderWard;

export interface ProcessWard {
  /** The process to end. It must have been started detached when `group` is set. */
  readonly pid: number;
  /** What ends it in good order. Default SIGTERM. */
  readonly signal?: NodeJS.Signals;
  /** Whether the whole process group of `pid` is ended. Default false. */
  readonly group?: boolean;
  /** How long it gets before SIGKILL, milliseconds. Default 5,000. */
  readonly graceMs?: number;
}

export interface FolderWard {
  /** A folder to remove, once every process in ward is gone. */
  readonly folder: string;
}

/**
 * The watchdog itself: a second Node process in a session of its own (a Ctrl-C in the terminal does not reach it) that reads
 * wards from a pipe. The kernel closes the pipe when this process ends, however it ends; then it puts away what is left.
 * It is a text because it must start the same way from TypeScript sources, from `dist` and from a bundle.
 */
const WATCHDOG = `
const { rmSync } = require('node:fs');
const wards = new Map();
let rest = '';
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});
const send = (ward, signal) => {
  try { process.kill(ward.group ? -ward.pid : ward.pid, signal); return true; } catch { return false; }
};
const endProcess = async (ward) => {
  const deadline = Date.now() + (ward.graceMs ?? 5000);
  if (!send(ward, ward.signal ?? 'SIGTERM')) return;
  while (send(ward, 0) && Date.now() < deadline) await new Promise((next) => setTimeout(next, 20));
  send(ward, 'SIGKILL');
};
const removeFolder = (folder) => {
  try { rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 }); } catch {}
};
const end = async () => {
  const all = [...wards.values()];
  await Promise.all(all.filter((ward) => ward.pid !== undefined).map(endProcess));
  for (const ward of all) if (ward.folder !== undefined) removeFolder(ward.folder);
  process.exit(0);
};
process.stdin.setEncoding('utf8');
process.stdin.on('data', (chunk) => {
  const lines = (rest + chunk).split('\\n');
  rest = lines.pop();
  for (const line of lines) {
    const message = JSON.parse(line);
    if (message.release === undefined) wards.set(message.id, message);
    else wards.delete(message.release);
  }
});
process.stdin.on('end', end);
process.stdin.on('error', end);
`;

let watchdog: ChildProcess | undefined;
let nextId = 1;
const watched = new Set<number>();

/**
 * Has the watchdog put the ward away as soon as this process is gone.
 *
 * @returns a function that calls it off; call it when the ward is gone already.
 */
export function guard(ward: Ward): () => void {
  const id = nextId++;
  watched.add(id);
  sendMessage((watchdog ??= startWatchdog()), { ...ward, id });
  return () => {
    if (!watched.delete(id) || watchdog === undefined) return;
    sendMessage(watchdog, { release: id });
    if (watched.size > 0) return;
    watchdog.stdin?.end();
    watchdog = undefined;
  };
}

/** Starts the watchdog ahead of a spawn, so that the new process is unguarded for no longer than one write takes. */
export function wakeWatchdog(): void {
  watchdog ??= startWatchdog();
}

function sendMessage(process: ChildProcess, message: object): void {
  process.stdin?.write(`${JSON.stringify(message)}\n`);
}

function startWatchdog(): ChildProcess {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const child = spawn(process.execPath, ['-e', WATCHDOG], {
    detached: true,
    windowsHide: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    cwd: '/',
    env,
  });
  // Without a watchdog everything still works, except that a SIGKILL of this process leaves the servers behind.
  child.on('error', () => {});
  child.stdin.on('error', () => {});
  child.unref();
  if ('unref' in child.stdin && typeof child.stdin.unref === 'function') child.stdin.unref();
  return child;
}
