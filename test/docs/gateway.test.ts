/** docs/gateway.md: its config starts a gateway, its agent proposes over HTTP, its commands run, and its routes are the gateway's. */
import { execFile } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { gatewaySettings } from '../../src/gateway/settings.js';
import { checkConfig } from '../../src/config/config.js';
import { cli } from '../cli/support.js';
import { startTestGateway, type TestGateway } from '../support/gateway.js';
import { ROOT } from '../support/root.js';
import { startStack, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';
import { onSources, scratch } from './support.js';

const page = await readFile(path.join(ROOT, 'docs/gateway.md'), 'utf8');
let stack: Stack;
let gateway: TestGateway;
let folder: string;

beforeAll(async () => {
  folder = await scratch('gateway');
  stack = await startStack({
    schema:
      "CREATE TABLE sessions (id int PRIMARY KEY, note text NOT NULL); INSERT INTO sessions SELECT n, 'stale' FROM generate_series(1, 150) n",
  });
  gateway = await startTestGateway(stack);
});
afterAll(async () => {
  await gateway?.stop();
  await stack?.stop();
  await rm(folder, { recursive: true, force: true });
});

function block(name: string): string {
  return page.split(`${name}\n`)[1]?.split('```')[0] as string;
}

test('the config is one that a gateway starts with in production', async () => {
  const file = path.join(folder, 'countersign.config.ts');
  await writeFile(file, onSources(block('```js countersign.config.mjs')));
  const config = checkConfig(((await import(file)) as { default: unknown }).default, 'docs/gateway.md');
  const sources = { config: config.gateway ?? {}, env: {}, production: true, temporalNamespace: 'default' };
  expect(gatewaySettings(sources)).toMatchObject({
    listen: { host: '0.0.0.0', port: 8787 },
    settings: { publicUrl: 'https://approvals.acme.example', metrics: { open: false } },
  });
});

test('the commands make, list and revoke a key, and agent.ts proposes with it and waits for people', async () => {
  const env = { COUNTERSIGN_LEDGER_URL: stack.ledgerUrl };
  const commands = [...page.matchAll(/^ {4}countersign (api-key .+)$/gm)].map(([, line]) =>
    (line as string).split(' '),
  );
  expect(commands.map(([, command]) => command)).toEqual(['create', 'list', 'revoke']);
  const [create, list, revoke] = commands as [string[], string[], string[]];
  const made = await cli([...create, '--json'], { cwd: folder, env });
  expect(made).toMatchObject({ code: 0 });
  const { id } = made.json() as { id: string };
  expect((await cli(list, { cwd: folder, env })).stdout).toContain(id);

  const script = path.join(folder, 'agent.ts');
  await writeFile(script, onSources(block('```ts agent.ts')));
  const key = (await readFile(path.join(folder, 'billing-bot.key'), 'utf8')).trim();
  const proposing = promisify(execFile)(process.execPath, ['--import', 'tsx', script], {
    cwd: ROOT,
    env: { ...process.env, COUNTERSIGN_GATEWAY_URL: gateway.url, COUNTERSIGN_API_KEY: key },
  });
  const dana = await gateway.person();
  const asks = await until(
    async () =>
      (await dana.get('/v1/approvals')).body['approvalRequests'] as { actionId: string; shownDigest: string }[],
    (found) => found.length > 0,
  );
  const { actionId, shownDigest } = asks[0] as { actionId: string; shownDigest: string };
  await dana.post(`/v1/actions/${actionId}/decision`, { shownDigest, verdict: 'approve' });
  expect((await proposing).stdout).toMatch(/^success \d+\n$/);

  const revoked = await cli([...revoke.slice(0, -1), id], { cwd: folder, env });
  expect(revoked).toMatchObject({ code: 0 });
  expect((await gateway.sender({ authorization: `Bearer ${key}` }).get('/v1/me')).status).toBe(401);
});

test('the evaluation is one that AuthZEN’s endpoint answers', async () => {
  await stack.shop.query("INSERT INTO sessions VALUES (7, 'stale') ON CONFLICT DO NOTHING");
  const bot = await gateway.agent({ agent: 'billing-bot' });
  const answer = await bot.post('/access/v1/evaluation', JSON.parse(block('```json evaluation.json')) as object);
  expect(answer).toMatchObject({ status: 200, body: { decision: true, context: { effect: 'allow' } } });
});

test('the batch is begun as a whole', async () => {
  await stack.shop.query("INSERT INTO sessions VALUES (8, 'stale'), (9, 'stale') ON CONFLICT DO NOTHING");
  const bot = await gateway.agent();
  const answer = await bot.post('/v1/batches?wait=30', JSON.parse(block('```json batch.json')) as object);
  expect(answer).toMatchObject({
    status: 200,
    body: { begun: true, actions: [{ status: 'success' }, { status: 'success' }] },
  });
});

test('the table of routes is what the gateway has, and for whom', async () => {
  const { paths } = (await gateway.nobody.get('/openapi.json')).body as {
    paths: Record<string, Record<string, { security: Record<string, unknown>[] }>>;
  };
  const there = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, { security }]) => {
      const who = security.map((one) => ('bearer' in one ? 'agents' : 'people')).join(' and ');
      return `${method.toUpperCase()} ${path}: ${who}`;
    }),
  );
  const told = [...page.matchAll(/^\| `((?:GET|POST|DELETE) \/(?:access\/)?v1\/\S+)`\s*\| ([a-z ]+?)\s*\|/gm)].map(
    ([, route, who]) => `${route}: ${who}`,
  );
  expect(told.toSorted()).toEqual(there.toSorted());
});

test('what it says of machines is so', async () => {
  for (const path of ['/healthz', '/readyz', '/metrics']) {
    expect(page).toContain(`\`GET ${path}\``);
    expect((await gateway.nobody.get(path)).status).toBe(200);
  }
});
