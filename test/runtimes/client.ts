/** `countersign-client`, as it is built, in the runtimes that it is for: the Node.js that runs this and Node.js 22, Bun, Deno, and a sandbox of the edge. */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CLERK_SCHEMA, rowsOf } from '../support/clerk.js';
import { startTestGateway, type Sender, type TestGateway } from '../support/gateway.js';
import { node22With } from '../support/node22.js';
import { ROOT } from '../support/root.js';
import { startStack, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';
import type { Toured } from './tour.js';

const PACKAGES = ['bun@1.4.5', 'deno@2.9.6', '@edge-runtime/vm@5.0.0'];

/** As an agent's own program. */
const MAIN = `import { Countersign } from 'countersign-client';
import { tour } from './tour.mjs';
const [url, token, name, id] = process.argv.slice(2);
console.log(JSON.stringify(await tour(new Countersign({ url, token }), name, Number(id))));
`;

/** What is deployed to an edge: one script, in which no process, no Buffer and no module of Node.js is. */
const EDGE = `import { Countersign } from 'countersign-client';
import { tour } from './tour.mjs';
globalThis.main = (url, token, name, id) => {
  if ('process' in globalThis || 'Buffer' in globalThis) throw new Error('This is no edge.');
  return tour(new Countersign({ url, token }), name, id);
};
`;
const EDGE_HOST = `import { EdgeVM } from '@edge-runtime/vm';
import { readFileSync } from 'node:fs';
const [script, url, token, name, id] = process.argv.slice(2);
const sandbox = new EdgeVM();
sandbox.evaluate(readFileSync(script, 'utf8'));
console.log(JSON.stringify(await sandbox.context.main(url, token, name, Number(id))));
// The sandbox's timers of requests that were answered would hold this process.
process.exit();
`;

const run = promisify(execFile);

let stack: Stack;
let gateway: TestGateway;
let dana: Sender;
let token: string;
let folder: string;
let commands: Readonly<Record<string, readonly string[]>>;

beforeAll(async () => {
  const [started, { node, modules }] = await Promise.all([
    startStack({ schema: CLERK_SCHEMA }),
    node22With('runtimes', PACKAGES),
  ]);
  stack = started;
  gateway = await startTestGateway(stack);
  dana = await gateway.person();
  token = ((await gateway.agent()).headers['authorization'] as string).replace('Bearer ', '');
  folder = await mkdtemp(path.join(modules, '../agents-'));
  await place(folder);
  const [main, bin] = [path.join(folder, 'main.mjs'), path.join(modules, '.bin')];
  commands = {
    node: [process.execPath, main],
    'node-22': [node, main],
    bun: [path.join(bin, 'bun'), 'run', '--no-install', main],
    deno: [
      path.join(bin, 'deno'),
      'run',
      '--no-prompt',
      '--cached-only',
      `--allow-net=${new URL(gateway.url).host}`,
      main,
    ],
    edge: [process.execPath, path.join(folder, 'host.mjs'), path.join(folder, 'edge.js')],
  };
}, 600_000);
afterAll(async () => {
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  await gateway?.stop();
  await stack?.stop();
});

/** The package as it is published, and the programs beside it. */
async function place(into: string): Promise<void> {
  const source = path.join(ROOT, 'clients/typescript');
  const home = path.join(into, 'node_modules/countersign-client');
  await mkdir(home, { recursive: true });
  await copyFile(path.join(source, 'package.json'), path.join(home, 'package.json'));
  const tsc = path.join(ROOT, 'node_modules/typescript/bin/tsc');
  await run(process.execPath, [tsc, '-p', source, '--outDir', path.join(home, 'dist')]);
  const dependencies = { 'countersign-client': '0.1.0' };
  const own = { 'package.json': JSON.stringify({ type: 'module', dependencies }), 'main.mjs': MAIN, 'edge.mjs': EDGE };
  for (const [name, text] of Object.entries({ ...own, 'host.mjs': EDGE_HOST }))
    await writeFile(path.join(into, name), text);
  const entry = path.join(ROOT, 'test/runtimes/tour.ts');
  await build({ entryPoints: [entry], outfile: path.join(into, 'tour.mjs'), format: 'esm' });
  const script = { bundle: true, platform: 'neutral', format: 'iife', outfile: path.join(into, 'edge.js') } as const;
  await build({ entryPoints: [path.join(into, 'edge.mjs')], ...script });
}

async function approve(actionId: string): Promise<void> {
  const { pending } = await until(
    async () => (await dana.get(`/v1/actions/${actionId}`)).body as { pending?: { shownDigest: string } },
    (action) => action.pending !== undefined,
  );
  const { shownDigest } = pending as { shownDigest: string };
  await dana.post(`/v1/actions/${actionId}/decision`, { shownDigest, verdict: 'approve' });
}

test.each(['node', 'node-22', 'bun', 'deno', 'edge'])('an agent acts from %s', async (name) => {
  const [file = '', ...args] = commands[name] ?? [];
  const id = Object.keys(commands).indexOf(name);
  for (const note of [name, `left-${name}`]) await stack.shop.query(rowsOf('sessions', note, 120));
  await stack.shop.query(rowsOf('users', name, 2));
  const env = { PATH: process.env['PATH'], DENO_DIR: path.join(folder, 'deno'), DENO_NO_UPDATE_CHECK: '1' };
  const running = run(file, [...args, gateway.url, token, name, String(id)], { env, cwd: folder, timeout: 60_000 });
  const [{ stdout }] = await Promise.all([running, approve(`${name}-sessions`)]);
  const toured = JSON.parse(stdout) as Toured;
  expect(toured).toEqual({
    id,
    done: expect.objectContaining({ status: 'success', actionId: `add-${name}`, tenant: 'acme' }) as object,
    again: toured.done,
    denied: expect.objectContaining({ status: 'denied' }) as object,
    waited: 'pending',
    approved: expect.objectContaining({ status: 'success', actionId: `${name}-sessions` }) as object,
    cancelled: expect.objectContaining({ status: 'cancelled', actionId: `left-${name}-sessions` }) as object,
    refused: 'INVALID_PROPOSAL',
  });
  const left = await stack.shop.query('SELECT note, count(*)::int FROM sessions WHERE note LIKE $1 GROUP BY note', [
    `%${name}`,
  ]);
  expect(left.rows).toEqual([{ note: `left-${name}`, count: 120 }]);
});
