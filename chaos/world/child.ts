/** A Node process of ours, with its options in its environment; it ends with us. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { argumentsFor } from '../../scripts/program.js';

export interface ChildOptions {
  /** For messages. */
  readonly name: string;
  /** The module it runs. It sends `ready` when it can be used, and ends when its channel to us closes. */
  readonly module: string;
  /** JSON. It may hold secrets: it is in the environment, not in the arguments. */
  readonly options: object;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Child {
  readonly pid: number;
  /** Settles when it has ended: with why, in words. */
  readonly ended: Promise<string>;
  hasEnded(): boolean;
  say(message: string): void;
  /** Ends it at once (SIGKILL). Safe to call twice. */
  kill(): Promise<void>;
}

/** How long a start may take, milliseconds. A busy machine is in it. */
const START_MS = 60_000;

/** Returns once it is ready. @throws Error when it ends before, or takes too long */
export async function startChild({ name, module, options, env }: ChildOptions): Promise<Child> {
  const spawned = spawn(process.execPath, argumentsFor(module), {
    // Our standard output is for the verdict alone.
    stdio: ['ignore', 2, 2, 'ipc'],
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], CHAOS_OPTIONS: JSON.stringify(options), ...env },
  });
  const child = handle(spawned);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(resolve, START_MS, `not ready after ${START_MS / 1000} s`);
  });
  const ready = once(spawned, 'message').then(() => 'ready');
  const state = await Promise.race([ready, child.ended, late]).finally(() => clearTimeout(timer));
  if (state === 'ready') return child;
  await child.kill();
  throw new Error(`${name} did not start: ${state}`);
}

function handle(child: ChildProcess): Child {
  let ended = false;
  const end = new Promise<string>((resolve) => {
    child.once('error', (error) => {
      ended = true;
      resolve(error.message);
    });
    child.once('exit', (code, signal) => {
      ended = true;
      resolve(signal === null ? `exit code ${String(code)}` : `signal ${signal}`);
    });
  });
  return {
    pid: child.pid ?? -1,
    ended: end,
    hasEnded: () => ended,
    // A child that is on its way out hears nothing any more.
    say: (message) => void child.send?.(message, () => {}),
    async kill() {
      if (!ended) child.kill('SIGKILL');
      await end;
    },
  };
}
