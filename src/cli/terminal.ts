/** Where a command runs: what it reads, where it writes, and what its surroundings tell it. The process itself is one. */
import type { Readable, Writable } from 'node:stream';
import type { Command } from 'commander';

export interface Terminal {
  readonly env: NodeJS.ProcessEnv;
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Writer;
  readonly stderr: Writer;
  /** How the command ended. */
  exitCode?: number | string | null | undefined;
}

export type Writer = Writable & Pick<NodeJS.WriteStream, 'isTTY' | 'columns'>;

const terminals = new WeakMap<Command, Terminal>();

/** Has the program and all of its commands run on this terminal. */
export function runOn(terminal: Terminal, program: Command): void {
  terminals.set(program, terminal);
}

/** Of the program that the command is part of. Default: the process. */
export function terminalOf(command: Command): Terminal {
  let root = command;
  while (root.parent !== null) root = root.parent;
  return terminals.get(root) ?? process;
}
