/** docs/temporal-native.md's agent of the AI SDK that is a workflow: its worker in a process of Node 22, on this project's copy of the Temporal SDK. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { onSources, scratch, snippetsOf } from '../docs/support.js';
import type { Node22 } from '../support/node22.js';
import { ROOT } from '../support/root.js';

/** What the worker and the integration import and this project has not, or not in that version. */
const LINKED = ['ai', 'zod', '@ai-sdk', '@ungap', 'headers-polyfill', 'web-streams-polyfill'];

export interface AgentWorker {
  /** Why it ended, once it has. */
  readonly ended: Promise<string>;
  stop(): Promise<void>;
}

export async function startAgentWorker({ node, modules }: Node22, env: NodeJS.ProcessEnv): Promise<AgentWorker> {
  const folder = await scratch('ai-sdk');
  await place(folder, modules);
  const running = spawn(node, [path.join(folder, 'ai-sdk-worker.ts')], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  running.stderr.on('data', (words) => (said += String(words)));
  const ended = once(running, 'exit').then(() => said);
  return {
    ended,
    async stop() {
      running.kill('SIGKILL');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A copy of the integration finds the Temporal SDK of this project above it, where the one that was installed would find its own. */
async function place(folder: string, modules: string): Promise<void> {
  const page = await readFile(path.join(ROOT, 'docs/temporal-native.md'), 'utf8');
  await writeFile(path.join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
  for (const name of ['ai-sdk-agent.ts', 'ai-sdk-worker.ts']) {
    await writeFile(path.join(folder, name), onSources(snippetsOf(page).get(name) ?? ''));
  }
  const own = path.join(folder, 'node_modules');
  await mkdir(path.join(own, '@temporalio'), { recursive: true });
  for (const name of LINKED) await symlink(path.join(modules, name), path.join(own, name));
  const integration = '@temporalio/ai-sdk';
  await cp(path.join(modules, integration), path.join(own, integration), { recursive: true });
}
