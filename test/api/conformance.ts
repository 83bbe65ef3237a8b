/** The gateway against its own document: what it allows is taken, what it forbids is refused, and what is answered has the shapes that it names. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestGateway, type TestGateway } from '../support/gateway.js';
import { recordRadarAlerts } from '../support/radar-alerts.js';
import { startStack, type Stack } from '../support/stack.js';
import { schemathesis } from './schemathesis.js';

/** The same requests in every run: what fails here fails again. */
const CONFIG = `
seed = 20260501
color = false
continue-on-failure = true
# A stream goes on: its first events are looked at.
max-stream-events = 1
request-timeout = 20

[generation]
max-examples = 3
database = "none"
with-security-parameters = false

# Each takes many of what another operation takes one of, which is tried in every valid form there; here the invalid forms, and a few valid ones.
[[operations]]
include-path = ["/v1/batches", "/v1/sagas", "/access/v1/evaluations"]
phases.coverage.generation.mode = "negative"
`;

let program: string;
let folder: string;
let stack: Stack;
let gateway: TestGateway;

beforeAll(async () => {
  // Where it is not there yet, it is installed while everything else starts.
  const installing = schemathesis();
  void installing.catch(() => undefined);
  folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-api-'));
  stack = await startStack({
    schema:
      "CREATE TABLE sessions (id int PRIMARY KEY, note text NOT NULL); INSERT INTO sessions SELECT n, 'stale' FROM generate_series(1, 150) n",
  });
  await recordRadarAlerts(stack.ledger);
  gateway = await startTestGateway(stack, {
    gateway: { limits: { requestsPerMinute: 1_000_000, streams: 1000 } },
  });
  program = await installing;
}, 600_000);
afterAll(async () => {
  await gateway?.stop();
  await stack?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** The operations that none of these schemes opens, as the program names them. */
async function closedTo(schemes: readonly string[]): Promise<readonly string[]> {
  const answer = await fetch(`${gateway.url}/openapi.json`);
  const { paths } = (await answer.json()) as { paths: Record<string, Record<string, Operation>> };
  return Object.entries(paths).flatMap(([place, operations]) =>
    Object.entries(operations)
      .filter(
        ([, { security = [{}] }]) => !security.some((all) => Object.keys(all).every((one) => schemes.includes(one))),
      )
      .map(([method]) => `${method.toUpperCase()} ${place}`),
  );
}

interface Operation {
  readonly security?: readonly Readonly<Record<string, unknown>>[];
}

/** @param auth what each scheme of the document is given: who is asked, so that it is tried without, too */
async function check(auth: Readonly<Record<string, { bearer: string } | { api_key: string }>>): Promise<number | null> {
  const schemes = Object.entries(auth).map(
    ([scheme, given]) =>
      `[auth.openapi.${scheme}]\n${Object.entries(given)
        .map(([kind, secret]) => `${kind} = ${JSON.stringify(secret)}`)
        .join('\n')}\n`,
  );
  // Whoever may not call it is refused before anything else is read: a few cases show that, and those who may make the many.
  const closed = await closedTo(Object.keys(auth));
  expect(closed.length).toBeGreaterThan(0);
  const few = `[[operations]]\ninclude-name = ${JSON.stringify(closed)}\nphases.coverage.enabled = false\n`;
  const config = path.join(folder, `${randomUUID()}.toml`);
  await writeFile(config, [CONFIG, ...schemes, few].join('\n'));
  const args = ['--config-file', config, 'run', `${gateway.url}/openapi.json`];
  const child = spawn(program, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  let told = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => (told += part.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  // What failed is told in full: requests to send again among it.
  if (code !== 0) process.stderr.write(told);
  return code;
}

test('each operation is open to an agent or to a person, who tries it in every form', async () => {
  const [closedToAgents, closedToPeople] = [await closedTo(['bearer']), await closedTo(['session', 'csrf'])];
  expect(closedToAgents.filter((operation) => closedToPeople.includes(operation))).toEqual([]);
});

// At once, because most of the time goes into making and checking requests, each in a process of its own.
test.concurrent('as an agent', { timeout: 300_000 }, async () => {
  const agent = await gateway.agent();
  await agent.post('/v1/actions', {
    actionId: randomUUID(),
    tool: 'shop-db',
    input: { op: 'delete', table: 'sessions', where: { note: 'stale' } },
  });
  const code = await check({ bearer: { bearer: agent.headers['authorization']?.replace('Bearer ', '') ?? '' } });
  expect(code).toBe(0);
});

test.concurrent('as a person', { timeout: 300_000 }, async () => {
  const dana = await gateway.person({ roles: ['dba', 'operator', 'platform-operator'] });
  const { cookie = '', 'x-csrf-token': csrf = '' } = dana.headers;
  const code = await check({ session: { api_key: cookie.replace(/^countersign=/, '') }, csrf: { api_key: csrf } });
  expect(code).toBe(0);
});
