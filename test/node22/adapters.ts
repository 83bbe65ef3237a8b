/** The adapters for what asks for Node 22: held to what every adapter does, to the frameworks' own types, and to the documents' example. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startAdapterWorld, testsOfAdapter, told, type AdapterWorld } from '../clients/adapter.js';
import { snippetsOf } from '../docs/support.js';
import { installClientInto } from '../support/install.js';
import { node22With, type Node22 } from '../support/node22.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { ROOT } from '../support/root.js';
import { issueAgent } from '../../src/trust/index.js';
import { agentEnvironment, TENANT } from '../support/stack.js';
import { startAgentWorker } from './workflow-agent.js';
import { ProcessLoop, PROGRAMS, type Placed } from './process-loop.js';

const PACKAGES = [
  '@mastra/core@1.71.0',
  '@mastra/pg@1.27.1',
  'ai@7.0.173',
  '@ai-sdk/openai-compatible@3.0.92',
  '@ai-sdk/mcp@2.0.99',
  '@ai-sdk/provider@4.0.38',
  '@temporalio/ai-sdk@1.23.0',
  'zod@4.6.7',
];
const FRAMEWORKS = ['mastra', 'ai-sdk'] as const;

let world: AdapterWorld;
let runs: TestDatabase;
let node22: Node22;
let placed: Placed;
const loops = new Map<string, ProcessLoop>();

beforeAll(async () => {
  [world, runs, node22] = await Promise.all([startAdapterWorld(), createDatabase(), node22With('adapters', PACKAGES)]);
  const env = {
    ...process.env,
    COUNTERSIGN_GATEWAY_URL: world.gatewayUrl,
    COUNTERSIGN_API_KEY: world.token,
    OPENAI_BASE_URL: world.model.url,
    OPENAI_API_KEY: 'none',
    RUNS_URL: runs.url,
    // Mastra tells its makers of each run, unless it is told not to.
    MASTRA_TELEMETRY_DISABLED: '1',
  };
  placed = { folder: await mkdtemp(path.join(node22.modules, '../agents-')), node: node22.node, env };
  const page = await readFile(path.join(ROOT, 'docs/clients.md'), 'utf8');
  await writeFile(path.join(placed.folder, 'package.json'), '{ "type": "module" }\n');
  await writeFile(path.join(placed.folder, 'example.ts'), snippetsOf(page).get('mastra.ts') ?? '');
  for (const name of FRAMEWORKS) loops.set(name, await ProcessLoop.of(name, placed));
}, 600_000);
afterAll(async () => {
  for (const loop of loops.values()) await loop.stop();
  if (placed !== undefined) await rm(placed.folder, { recursive: true, force: true });
  await Promise.all([world?.stop(), runs?.drop()]);
});

const run = promisify(execFile);

describe.each(FRAMEWORKS)('%s', (name) => {
  testsOfAdapter(`${name}-22`, () => ({ loop: loops.get(name) as ProcessLoop, world }));
});

test("the document's example for Mastra runs, and waits for a person", async () => {
  const { folder, node, env } = placed;
  await world.make('sessions', 'stale', 120);
  await installClientInto(folder);
  const running = run(node, [path.join(folder, 'example.ts')], { env, timeout: 50_000 });
  const [{ stdout }] = await Promise.all([running, world.decide('approve')]);
  expect(stdout).toContain('success');
  expect(await world.count('sessions', 'stale')).toBe(0);
});

test("the document's agent of the AI SDK that is a workflow is denied and does something else, and waits for a person", async () => {
  const { keyring } = world.stack;
  const clerk = await issueAgent(keyring, { id: 'clerk', tenant: TENANT, roles: ['admin_user'], scopes: ['*'] });
  const worker = await startAgentWorker(node22, {
    ...placed.env,
    ...agentEnvironment(world.stack, clerk),
  });
  const { temporal } = await world.stack.agentWith(clerk);
  const answer = (order: string): Promise<string> => {
    const workflowId = `ai-sdk ${order}`;
    const said = temporal.workflow.execute<(order: string) => Promise<string>>('aiSdkAgent', {
      taskQueue: 'clerks',
      workflowId,
      args: [order],
    });
    const died = worker.ended.then((why) => Promise.reject(new Error(`its worker ended: ${why}`)));
    return Promise.race([said, died]);
  };
  try {
    await world.make('users', 'old-flow', 2);
    expect(told({ said: await answer('delete users old-flow') })).toMatchObject({ status: 'success' });
    expect(await world.count('users', 'archived old-flow')).toBe(2);
    await world.make('sessions', 'stale-flow', 120);
    const [said, actionId] = await Promise.all([answer('delete sessions stale-flow'), world.decide('approve')]);
    expect(told({ said })).toMatchObject({ status: 'success', actionId });
    expect(await world.count('sessions', 'stale-flow')).toBe(0);
  } finally {
    await worker.stop();
  }
});

test("the sources, the programs and the example hold against the frameworks' own types", async () => {
  const sources = path.join(ROOT, 'clients/typescript/src');
  const installed = (...names: readonly string[]): string[] => [path.join(node22.modules, ...names)];
  const settings = {
    extends: path.join(ROOT, 'tsconfig.json'),
    compilerOptions: {
      rootDir: '/',
      typeRoots: [path.join(ROOT, 'node_modules/@types')],
      paths: {
        '@mastra/core/*': installed('@mastra/core/dist/*/index.d.ts'),
        '@mastra/pg': installed('@mastra/pg/dist/index.d.ts'),
        ai: installed('ai/dist/index.d.ts'),
        '@ai-sdk/openai-compatible': installed('@ai-sdk/openai-compatible/dist/index.d.ts'),
        'countersign-client': [path.join(sources, 'index.ts')],
        'countersign-client/*': [path.join(sources, '*.ts')],
      },
    },
    files: [
      ...FRAMEWORKS.flatMap((name) => [path.join(sources, `${name}.ts`), path.join(PROGRAMS, `${name}.ts`)]),
      path.join(placed.folder, 'example.ts'),
    ],
    include: [],
  };
  const file = path.join(placed.folder, 'tsconfig.json');
  await writeFile(file, JSON.stringify(settings));
  const checked = await run(process.execPath, [path.join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', file]).catch(
    (failed: { stdout: string }) => failed,
  );
  expect(checked.stdout).toBe('');
});
