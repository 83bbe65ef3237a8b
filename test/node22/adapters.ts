/** The adapters for what asks for Node 22: held to what every adapter does, to the frameworks' own types, and to the documents' example. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startAdapterWorld, testsOfAdapter, type AdapterWorld } from '../clients/adapter.js';
import { snippetsOf } from '../docs/support.js';
import { installClientInto } from '../support/install.js';
import { node22With, type Node22 } from '../support/node22.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { ROOT } from '../support/root.js';
import { ProcessLoop, PROGRAMS, type Placed } from './process-loop.js';

const PACKAGES = [
  '@mastra/core@1.71.0',
  '@mastra/pg@1.27.1',
  'ai@7.0.173',
  '@ai-sdk/openai-compatible@3.0.92',
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
