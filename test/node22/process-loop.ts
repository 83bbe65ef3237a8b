/** An agent in a process of Node 22: its program is bundled beside the framework, which is in the cache folder. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { build } from 'esbuild';
import type { Loop, Ran } from '../clients/adapter.js';
import { ROOT } from '../support/root.js';
import type { Answered, Asked } from './protocol.js';

export const PROGRAMS = path.join(ROOT, 'test/node22/programs');

/** What is installed, and not bundled. */
const EXTERNAL = ['@mastra/*', '@ai-sdk/*', 'ai', 'zod'];

export interface Placed {
  /** Beside the packages, where Node finds them. */
  readonly folder: string;
  /** The executable of Node 22. */
  readonly node: string;
  readonly env: NodeJS.ProcessEnv;
}

/** It goes on in another process than the one that began. */
export class ProcessLoop implements Loop {
  readonly #begin: () => ChildProcess;
  #process: ChildProcess | undefined;

  private constructor(begin: () => ChildProcess) {
    this.#begin = begin;
  }

  /** @param program the name of one of `PROGRAMS` */
  static async of(program: string, { folder, node, env }: Placed): Promise<ProcessLoop> {
    const outfile = path.join(folder, `${program}.mjs`);
    const entryPoints = [path.join(PROGRAMS, `${program}.ts`)];
    await build({ entryPoints, bundle: true, platform: 'node', format: 'esm', external: EXTERNAL, outfile });
    return new ProcessLoop(() => fork(outfile, { execPath: node, execArgv: [], env }));
  }

  start(thread: string, order: string): Promise<Ran> {
    return this.#ask({ do: 'start', thread, order });
  }

  async resume(thread: string, kept: string): Promise<Ran> {
    await this.stop();
    return this.#ask({ do: 'resume', thread, kept });
  }

  async stop(): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    if (running === undefined) return;
    const ended = once(running, 'exit');
    running.kill('SIGKILL');
    await ended;
  }

  async #ask(asked: Asked): Promise<Ran> {
    const running = (this.#process ??= this.#begin());
    running.send(asked);
    const answer = Promise.race([once(running, 'message'), once(running, 'exit').then(() => [{ failed: 'it ended' }])]);
    const [answered] = (await answer) as [Answered];
    if ('failed' in answered) throw new Error(answered.failed);
    return answered;
  }
}
