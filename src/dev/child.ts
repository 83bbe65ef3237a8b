/** A server as a child process: its output kept for error messages, its end awaited, its life tied to ours. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { guard, wakeWatchdog } from './watchdog.js';

/** Lines of output that an error message may quote. */
const KEPT_LINES = 40;

export interface ServerProcessOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Default `/`. */
  readonly cwd?: string;
  /** Run as this user (only root can). */
  readonly uid?: number;
  readonly gid?: number;
  /** What ends it in good order. */
  readonly signal: NodeJS.Signals;
  /** How long it gets before SIGKILL, milliseconds. */
  readonly graceMs: number;
  /** Whether the processes it starts are ended with it. Default false: a server ends its own. */
  readonly group?: boolean;
  /** Every line it writes. */
  readonly onLine?: (line: string) => void;
}

export interface ServerProcess {
  readonly pid: number | undefined;
  /** Resolves when it has ended: with why, in words. Never rejects. */
  readonly ended: Promise<string>;
  /** Whether it has ended. */
  hasEnded(): boolean;
  /** The last lines of its output. */
  output(): string;
  /** Ends it in good order, by force after the grace. Safe to call twice. */
  stop(): Promise<void>;
  /** Ends it as a crash would (SIGKILL). */
  kill(): Promise<void>;
}

/**
 * Starts a server in a session of its own, so that a Ctrl-C in the terminal reaches only us: we decide in which order things
 * end. When this process dies, the watchdog ends it.
 */
export function startProcess(options: ServerProcessOptions): ServerProcess {
  wakeWatchdog();
  const child = spawn(options.command, options.args, {
    detached: true,
    windowsHide: true,
    cwd: options.cwd ?? '/',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: options.env ?? process.env,
    ...(options.uid === undefined ? {} : { uid: options.uid }),
    ...(options.gid === undefined ? {} : { gid: options.gid }),
  });
  const release =
    child.pid === undefined
      ? () => {}
      : guard({ pid: child.pid, signal: options.signal, graceMs: options.graceMs, group: options.group ?? false });

  const lines: string[] = [];
  const keep = (line: string): void => {
    lines.push(line);
    if (lines.length > KEPT_LINES) lines.shift();
    options.onLine?.(line);
  };
  const streams: readonly Readable[] = [child.stdout, child.stderr];
  for (const stream of streams) createInterface({ input: stream }).on('line', keep);

  let done = false;
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => {
      done = true;
      resolve(error.message);
    });
    // `close`, not `exit`: by then its last words have been read.
    child.once('close', (code, signal) => {
      done = true;
      release();
      resolve(signal === null ? `exit code ${String(code)}` : `signal ${signal}`);
    });
  });

  const send = (signal: NodeJS.Signals): void => {
    if (options.group !== true || child.pid === undefined) child.kill(signal);
    else signalGroup(child.pid, signal);
  };
  const end = async (signal: NodeJS.Signals, graceMs: number): Promise<void> => {
    if (done) return;
    send(signal);
    const force = setTimeout(() => send('SIGKILL'), graceMs);
    await ended;
    clearTimeout(force);
  };
  return {
    pid: child.pid,
    ended,
    hasEnded: () => done,
    output: () => lines.join('\n'),
    stop: () => end(options.signal, options.graceMs),
    kill: () => end('SIGKILL', 0),
  };
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
