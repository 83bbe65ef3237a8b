/** Fault points: refused where they must not be, each strikes once where it says, and a step that fails there is made good. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { FAULT_POINTS, type FaultPoint } from '../../activities/index.js';
import { FLAGS } from '../../scripts/program.js';
import type { Countersign } from '../../src/client/countersign.js';
import { faultsFromEnv, NO_FAULTS, type Faults } from '../../src/worker/faults.js';
import { ended, ROOT, startStack, TENANT, type Stack } from '../support/stack.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-faults-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const marker = (): string => path.join(folder, randomUUID());

test('nothing is switched on where nothing is said', () => {
  expect(faultsFromEnv({})).toBe(NO_FAULTS);
  expect(faultsFromEnv({ COUNTERSIGN_FAULT: '' })).toBe(NO_FAULTS);
});

test.each([{ COUNTERSIGN_ENV: 'production' }, { NODE_ENV: 'production' }])('no fault is injected under %o', (env) => {
  for (const point of FAULT_POINTS) {
    const set = { COUNTERSIGN_FAULT: `${point}:kill:${marker()}`, ...env };
    expect(() => faultsFromEnv(set)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', field: 'COUNTERSIGN_FAULT' }),
    );
  }
});

test.each([
  'execute.before-effect',
  'execute.before-effect:kill',
  'execute.before-effect:kill:relative',
  'execute.before-effect#0:kill:/tmp/x',
  'execute.before-efect:kill:/tmp/x',
  'execute.before-effect:burn:/tmp/x',
  'http.after-send:fail:/tmp/x',
])('%s is refused rather than never reached', (text) => {
  expect(() => faultsFromEnv({ COUNTERSIGN_FAULT: text })).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
});

test('strikes once, the nth time, over all that share the marker', async () => {
  const text = { COUNTERSIGN_FAULT: `ledger.after-admit#2:fail:${marker()}` };
  const [one, other] = [faultsFromEnv(text), faultsFromEnv(text)];
  await one.at('ledger.after-admit');
  await one.at('ledger.before-admit');
  await expect(one.at('ledger.after-admit')).rejects.toMatchObject({ code: 'INTERNAL' });
  for (const faults of [one, other, other]) await faults.at('ledger.after-admit');
});

describe('a step that fails once', () => {
  let stack: Stack;
  let agent: Countersign;
  let faults: Faults = NO_FAULTS;
  beforeAll(async () => {
    stack = await startStack({
      schema: 'CREATE TABLE stock (sku text PRIMARY KEY, qty int NOT NULL)',
      overrides: { faults: { at: (point) => faults.at(point) } },
    });
    agent = await stack.agent();
  });
  afterAll(() => stack?.stop());

  const POINTS: readonly FaultPoint[] = [
    'authorize.end',
    'ledger.after-admit',
    'ledger.before-use-grant',
    'ledger.after-use-grant',
    'execute.after-effect',
    'execute.end',
    'ledger.before-settle',
    'ledger.after-settle',
  ];
  test.each(POINTS)('at %s leaves one effect, verified, and one receipt', async (point) => {
    faults = faultsFromEnv({ COUNTERSIGN_FAULT: `${point}:fail:${marker()}` });
    const actionId = randomUUID();
    await stack.shop.query('INSERT INTO stock VALUES ($1, 10)', [point]);
    const sql = `UPDATE stock SET qty = qty - 1 WHERE sku = '${point}'`;
    const outcome = await ended(agent, { actionId, tool: 'shop-db', input: { op: 'sql', sql } });
    expect(outcome.status).toBe('success');
    const { rows } = await stack.shop.query<{ qty: number }>('SELECT qty FROM stock WHERE sku = $1', [point]);
    expect(rows).toEqual([{ qty: 9 }]);
    let receipts = 0;
    for await (const receipt of stack.ledger.receipts.list(TENANT)) if (receipt.actionId === actionId) receipts++;
    expect(receipts).toBe(1);
  });
});

describe('on the wire', () => {
  let server: Server;
  /** What arrived of each request, whole. */
  const arrived: string[] = [];
  let answered = 0;
  beforeAll(async () => {
    server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        arrived.push(body);
        response.end('done', () => answered++);
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterAll(() => server.close());

  const PROGRAM = `
    import { faultsFromEnv } from '${inject('compiledSources')}/src/worker/faults.js';
    import { Wire } from '${inject('compiledSources')}/src/http/wire.js';
    faultsFromEnv(process.env);
    const limits = { connectMs: 5000, headersMs: 5000, bodyMs: 5000, bodyBytes: 1000 };
    const wire = new Wire(limits, { isAllowed: () => true, connectMs: 5000, secrets: {} });
    const url = new URL(process.env.SERVICE);
    await wire.send({ method: 'POST', url, headers: {}, body: 'pay' }, AbortSignal.timeout(5000));
    await wire.close();
  `;

  test.each([
    ['http.before-send', [], 'SIGKILL'],
    ['http.after-send', ['pay'], 'SIGKILL'],
    ['http.before-reading', ['pay'], 'SIGKILL'],
    ['execute.before-effect', ['pay'], null],
  ] as const)('killed at %s, the service has seen %o', async (point, seen, signal) => {
    arrived.length = 0;
    answered = 0;
    const { port } = server.address() as AddressInfo;
    const child = spawn(process.execPath, [...FLAGS, '--input-type=module', '--eval', PROGRAM], {
      cwd: ROOT,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: {
        ...process.env,
        SERVICE: `http://127.0.0.1:${port}/`,
        COUNTERSIGN_FAULT: `${point}:kill:${marker()}`,
      },
    });
    const [, ended] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    expect(ended).toBe(signal);
    await expect.poll(() => arrived).toEqual(seen);
  });
});
