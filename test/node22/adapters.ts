/** The adapter for Mastra, which asks for Node 22: held to what every adapter does, to Mastra's own types, and to the documents' example. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startAdapterWorld, testsOfAdapter, type AdapterWorld } from '../clients/adapter.js';
import { snippetsOf } from '../docs/support.js';
import { installClientInto } from '../support/install.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import type { Node22 } from '../support/node22.js';
import { ROOT } from '../support/root.js';
import { installMastra, MastraLoop, PROGRAM } from './agents.js';

let world: AdapterWorld;
let runs: TestDatabase;
let mastra: Node22;
let loop: MastraLoop;
/** Beside the packages, with the document's example in it. */
let folder: string;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  [world, runs, mastra] = await Promise.all([startAdapterWorld(), createDatabase(), installMastra()]);
  env = {
    ...process.env,
    COUNTERSIGN_GATEWAY_URL: world.gatewayUrl,
    COUNTERSIGN_API_KEY: world.token,
    OPENAI_BASE_URL: world.model.url,
    OPENAI_API_KEY: 'none',
    RUNS_URL: runs.url,
    // Mastra tells its makers of each run, unless it is told not to.
    MASTRA_TELEMETRY_DISABLED: '1',
  };
  folder = await mkdtemp(path.join(mastra.modules, '../agents-'));
  await writeFile(path.join(folder, 'package.json'), '{ "type": "module" }\n');
  const page = await readFile(path.join(ROOT, 'docs/clients.md'), 'utf8');
  await writeFile(path.join(folder, 'example.ts'), snippetsOf(page).get('mastra.ts') ?? '');
  loop = await MastraLoop.in(folder, mastra.node, env);
}, 600_000);
afterAll(async () => {
  await loop?.stop();
  await Promise.all([world?.stop(), runs?.drop(), rm(folder ?? '', { recursive: true, force: true })]);
});

const run = promisify(execFile);

describe('mastra', () => {
  testsOfAdapter('mastra', () => ({ loop, world }));
});

test("the document's example runs, and waits for a person", async () => {
  await world.make('sessions', 'stale', 120);
  await installClientInto(folder);
  const running = run(mastra.node, [path.join(folder, 'example.ts')], { env, timeout: 50_000 });
  const [{ stdout }] = await Promise.all([running, world.decide('approve')]);
  expect(stdout).toContain('success');
  expect(await world.count('sessions', 'stale')).toBe(0);
});

test("the source, the tests and the example hold against Mastra's own types", async () => {
  const sources = path.join(ROOT, 'clients/typescript/src');
  const settings = {
    extends: path.join(ROOT, 'tsconfig.json'),
    compilerOptions: {
      rootDir: '/',
      typeRoots: [path.join(ROOT, 'node_modules/@types')],
      paths: {
        '@mastra/core/*': [path.join(mastra.modules, '@mastra/core/dist/*/index.d.ts')],
        '@mastra/pg': [path.join(mastra.modules, '@mastra/pg/dist/index.d.ts')],
        'countersign-client': [path.join(sources, 'index.ts')],
        'countersign-client/*': [path.join(sources, '*.ts')],
      },
    },
    files: [path.join(sources, 'mastra.ts'), PROGRAM, path.join(folder, 'example.ts')],
    include: [],
  };
  const file = path.join(folder, 'tsconfig.json');
  await writeFile(file, JSON.stringify(settings));
  const checked = await run(process.execPath, [path.join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', file]).catch(
    (failed: { stdout: string }) => failed,
  );
  expect(checked.stdout).toBe('');
});
