/** clients/python: its style, its types, its tests against a real gateway and worker, and its wheel. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CLERK_SCHEMA, clerkSays } from '../support/clerk.js';
import { startTestGateway, type TestGateway } from '../support/gateway.js';
import { virtualEnvironment } from '../support/python.js';
import { ROOT } from '../support/root.js';
import { startScriptedModel, type ScriptedModel } from '../support/scripted-model.js';
import { startStack, type Stack } from '../support/stack.js';

const PACKAGE = path.join(ROOT, 'clients/python');
const REQUIREMENTS = fileURLToPath(new URL('requirements.txt', import.meta.url));

let programs: string;
let stack: Stack;
let gateway: TestGateway;
let model: ScriptedModel;
let control: Server;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  programs = await virtualEnvironment('python-client', REQUIREMENTS, 'check:python');
  [stack, model] = await Promise.all([startStack({ schema: CLERK_SCHEMA }), startScriptedModel(clerkSays)]);
  gateway = await startTestGateway(stack, { gateway: { limits: { requestsPerMinute: 100_000 } } });
  control = sqlServer();
  control.listen(0, '127.0.0.1');
  await once(control, 'listening');
  const agent = await gateway.agent();
  const { cookie = '', 'x-csrf-token': csrf = '' } = (await gateway.person()).headers;
  env = {
    ...process.env,
    PYTHONPATH: path.join(PACKAGE, 'src'),
    PYTHONDONTWRITEBYTECODE: '1',
    COUNTERSIGN_GATEWAY_URL: gateway.url,
    COUNTERSIGN_API_KEY: (agent.headers['authorization'] as string).replace('Bearer ', ''),
    PERSON_COOKIE: cookie,
    PERSON_CSRF: csrf,
    CONTROL_URL: `http://127.0.0.1:${(control.address() as AddressInfo).port}`,
    OPENAI_BASE_URL: model.url,
    OPENAI_API_KEY: 'none',
  };
}, 600_000);
afterAll(async () => {
  control?.close();
  await gateway?.stop();
  await Promise.all([stack?.stop(), model?.stop()]);
});

/** Runs SQL on the database that the tool acts on, for the tests in Python to prepare and to judge by. */
function sqlServer(): Server {
  return createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      stack.shop.query<object>(Buffer.concat(chunks).toString()).then(
        ({ rows }) => response.end(JSON.stringify(rows)),
        (error: unknown) => response.writeHead(400).end(String(error)),
      );
    });
  });
}

/** What it printed is told when it fails. */
async function succeeds(program: string, ...args: string[]): Promise<void> {
  const child = spawn(path.join(programs, program), args, { cwd: PACKAGE, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let told = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => (told += part.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${program} ended with ${code}:\n${told}`);
  expect(code).toBe(0);
}

test('its style', () => succeeds('ruff', 'check', '--no-cache', '.'));
test('its format', () => succeeds('ruff', 'format', '--no-cache', '--check', '.'));
test('its types, strictly', { timeout: 300_000 }, () =>
  succeeds('mypy', '--cache-dir', path.join(os.tmpdir(), 'countersign-mypy')),
);
test('its tests', { timeout: 300_000 }, () => succeeds('pytest'));

test('its wheel has the code and the marker of its types', { timeout: 120_000 }, async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-wheel-'));
  try {
    await succeeds('python', '-m', 'build', '--wheel', '--no-isolation', '--outdir', folder, '.');
    const [wheel] = await readdir(folder);
    expect(wheel).toBe('countersign_client-0.1.0-py3-none-any.whl');
    const target = path.join(folder, 'installed');
    await succeeds(
      'pip',
      'install',
      '--quiet',
      '--no-deps',
      '--no-index',
      '--target',
      target,
      path.join(folder, String(wheel)),
    );
    const check =
      'import countersign_client as c, pathlib; assert pathlib.Path(c.__file__).with_name("py.typed").exists(); print(c.__file__)';
    const { stdout } = await promisify(execFile)(path.join(programs, 'python'), ['-c', check], {
      cwd: folder,
      env: { ...process.env, PYTHONPATH: target },
    });
    expect(stdout).toContain(target);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
