/** What must be put in order before this process ends, whether by a signal, a crash or on request. */
import { setTimeout as delay } from 'node:timers/promises';

export type Cleanup = () => Promise<void> | void;

/** Number of each signal that ends us in good order: the exit code is 128 and that. */
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
type Signal = keyof typeof SIGNALS;

/** How long all cleanups together may take after a signal or a crash, milliseconds. What is left then, the watchdog ends. */
const LIMIT_MS = 30_000;

const cleanups = new Map<symbol, { readonly name: string; readonly cleanup: Cleanup }>();
let running: Promise<void> | undefined;
let ending = false;

/**
 * Registers what is to be done before this process ends. From the first registration until the last is called off, SIGINT,
 * SIGTERM, SIGHUP and uncaught errors run all cleanups, the latest first, and then end the process (exit code 130, 143, 129 or 1).
 * A second signal ends it at once.
 *
 * @param name for the message when the cleanup fails
 * @returns a function that calls it off
 */
export function onShutdown(name: string, cleanup: Cleanup): () => void {
  if (cleanups.size === 0) listen();
  const key = Symbol(name);
  cleanups.set(key, { name, cleanup });
  return () => {
    if (cleanups.delete(key) && cleanups.size === 0 && !ending) unlisten();
  };
}

/**
 * Runs every cleanup once, the latest first, and returns when all are done. One that fails is reported on stderr and does not
 * stop the others. Called again while it runs, it waits for the same.
 */
export function shutdown(): Promise<void> {
  running ??= runAll().finally(() => {
    running = undefined;
  });
  return running;
}

async function runAll(): Promise<void> {
  for (;;) {
    const latest = [...cleanups].at(-1);
    if (latest === undefined) break;
    const [key, { name, cleanup }] = latest;
    cleanups.delete(key);
    try {
      await cleanup();
    } catch (error) {
      report(`Shutting down ${name} failed`, error);
    }
  }
  if (!ending) unlisten();
}

function report(what: string, error: unknown): void {
  process.stderr.write(`${what}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
}

function endWith(code: number): void {
  if (ending) process.exit(code);
  ending = true;
  void Promise.race([shutdown(), delay(LIMIT_MS)]).finally(() => process.exit(code));
}

function onSignal(signal: Signal): void {
  endWith(128 + SIGNALS[signal]);
}

function onCrash(error: unknown): void {
  report('Uncaught error', error);
  endWith(1);
}

function listen(): void {
  for (const signal of Object.keys(SIGNALS) as Signal[]) process.on(signal, onSignal);
  process.on('uncaughtException', onCrash);
}

function unlisten(): void {
  for (const signal of Object.keys(SIGNALS) as Signal[]) process.off(signal, onSignal);
  process.off('uncaughtException', onCrash);
}
