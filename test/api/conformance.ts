/** The gateway against its own document: what it allows is taken, what it forbids is refused, and what is answered has the shapes that it names. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestGateway, type Sender, type TestGateway } from '../support/gateway.js';
import { startStack, type Stack } from '../support/stack.js';
import { schemathesis } from './schemathesis.js';

/** The same requests in every run: what fails here fails again. */
const SEED = '20260501';

let program: string;
let stack: Stack;
let gateway: TestGateway;

beforeAll(async () => {
  program = await schemathesis();
  stack = await startStack({
    schema:
      "CREATE TABLE sessions (id int PRIMARY KEY, note text NOT NULL); INSERT INTO sessions SELECT n, 'stale' FROM generate_series(1, 150) n",
  });
  gateway = await startTestGateway(stack, {
    gateway: { limits: { requestsPerMinute: 1_000_000, streams: 1000 } },
  });
}, 600_000);
afterAll(async () => {
  await gateway?.stop();
  await stack?.stop();
});

async function check(sender: Sender): Promise<void> {
  const { 'content-type': _type, ...headers } = sender.headers;
  const args = [
    'run',
    `${gateway.url}/openapi.json`,
    ...Object.entries(headers).flatMap(([name, value]) => ['--header', `${name}: ${value}`]),
    ...['--seed', SEED],
  ];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let told = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => (told += part.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  expect({ code, told }).toEqual({ code: 0, told: expect.anything() });
}

test('as an agent', { timeout: 300_000 }, async () => {
  const agent = await gateway.agent();
  await agent.post('/v1/actions', {
    actionId: randomUUID(),
    tool: 'shop-db',
    input: { op: 'delete', table: 'sessions', where: { note: 'stale' } },
  });
  await check(agent);
});

test('as a person', { timeout: 300_000 }, async () => {
  await check(await gateway.person());
});
