/** How a command is run: its context made, its errors told, everything closed, its exit code kept. */
import type { Command } from 'commander';
import { Context } from './context.js';
import { EXIT_CODES, exitOfError, type Exit } from './exit-codes.js';
import { Output } from './output.js';
import { terminalOf } from './terminal.js';

/** Returns how it ended; nothing means success. */
export type Handler<A extends readonly unknown[]> = (context: Context, ...args: A) => Promise<Exit | void>;

export interface GlobalOptions {
  readonly json?: boolean;
}

/**
 * Makes a handler an action of commander, which calls it with the command's arguments, its options, and the command itself.
 */
export function run<A extends readonly unknown[]>(handler: Handler<A>): (...args: readonly unknown[]) => Promise<void> {
  return async (...args) => {
    const command = args.at(-1) as Command;
    const { json = false } = command.optsWithGlobals<GlobalOptions>();
    const terminal = terminalOf(command);
    const out = new Output({ json, on: terminal });
    const context = new Context(out, terminal);
    let exit: Exit;
    try {
      exit = (await handler(context, ...(args.slice(0, -1) as unknown as A))) ?? 'success';
    } catch (thrown) {
      exit = exitOfError(out.fail(thrown).code);
    } finally {
      await context.close();
    }
    terminal.exitCode = EXIT_CODES[exit].code;
  };
}

/** For an option that may be given several times. */
export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

/** Examples, as `--help` shows them. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`;
}
