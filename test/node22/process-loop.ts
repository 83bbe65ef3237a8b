/** The process of the agents: bundled beside Mastra, which is in the cache folder, and run by Node 22. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { build } from 'esbuild';
import type { Loop, Ran } from '../clients/adapter.js';
import { node22With, type Node22 } from '../support/node22.js';
import { ROOT } from '../support/root.js';
import type { Answered, Asked } from './protocol.js';

export const PROGRAM = path.join(ROOT, 'test/mastra/program/agents.ts');

export function installMastra(): Promise<Node22> {
  return node22With('mastra', ['@mastra/core@1.71.0', '@mastra/pg@1.27.1', 'zod@4.6.7']);
}

/** An agent goes on in another process than the one that began. */
export class MastraLoop implements Loop {
  readonly #begin: () => ChildProcess;
  #process: ChildProcess | undefined;

  private constructor(begin: () => ChildProcess) {
    this.#begin = begin;
  }

  /** @param folder beside the packages, where Node finds them */
  static async in(folder: string, node: string, env: NodeJS.ProcessEnv): Promise<MastraLoop> {
    const outfile = path.join(folder, 'agents.mjs');
    const external = ['@mastra/*', 'zod'];
    await build({ entryPoints: [PROGRAM], bundle: true, platform: 'node', format: 'esm', external, outfile });
    return new MastraLoop(() => fork(outfile, { execPath: node, execArgv: [], env }));
  }

  start(thread: string, order: string): Promise<Ran> {
    return this.#ask({ do: 'start', thread, order });
  }

  async resume(thread: string): Promise<Ran> {
    await this.#kill();
    return this.#ask({ do: 'resume', thread });
  }

  async stop(): Promise<void> {
    await this.#kill();
  }

  async #ask(asked: Asked): Promise<Ran> {
    const running = (this.#process ??= this.#begin());
    running.send(asked);
    const answer = Promise.race([once(running, 'message'), once(running, 'exit').then(() => [{ failed: 'it ended' }])]);
    const [answered] = (await answer) as [Answered];
    if ('failed' in answered) throw new Error(answered.failed);
    return answered;
  }

  async #kill(): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    if (running === undefined) return;
    const ended = once(running, 'exit');
    running.kill('SIGKILL');
    await ended;
  }
}
