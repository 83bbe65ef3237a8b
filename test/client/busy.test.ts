/** A Temporal server that turns calls away for a moment: a call that is safe to repeat is made again while there is time. */
import { createServer } from 'node:http2';
import { status } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Countersign } from '../../src/client/countersign.js';
import { promote } from '../../src/client/deployment.js';
import { issueAgent } from '../../src/trust/index.js';
import { RECONCILE_SCHEDULE } from '../../src/worker/temporal-side.js';
import { startGrpcProxy, type GrpcAnswer, type GrpcProxy } from '../support/grpc-proxy.js';
import { startStack, TENANT, type Stack } from '../support/stack.js';

const FAILED_TASK: GrpcAnswer = { status: status.FAILED_PRECONDITION, message: 'Workflow Task in failed state.' };

let stack: Stack;
let proxy: GrpcProxy;
let client: Countersign;
/** Says what a call of a method is answered instead of being passed on. */
let busy: ((method: string) => GrpcAnswer | undefined) | undefined;

beforeAll(async () => {
  stack = await startStack({
    schema:
      'CREATE TABLE stock (id int PRIMARY KEY, qty int NOT NULL); INSERT INTO stock SELECT n, 10 FROM generate_series(1, 9) n;',
  });
  proxy = await startGrpcProxy(createServer(), stack.temporal.address, (headers) =>
    busy?.(String(headers[':path']).split('/').at(-1) ?? ''),
  );
  client = await Countersign.connect({
    ...stack.temporal,
    address: `127.0.0.1:${proxy.port}`,
    credential: await issueAgent(stack.keyring, {
      id: 'agent-1',
      tenant: TENANT,
      roles: ['read_write_user'],
      scopes: ['*'],
    }),
  });
});
afterAll(async () => {
  await client?.close();
  await proxy?.close();
  await stack?.stop();
});
afterEach(() => {
  busy = undefined;
});

const setTo = (id: number) => ({
  actionId: `busy-${id}`,
  tool: 'shop-db',
  input: { op: 'update', table: 'stock', set: { qty: 7 }, where: { id } },
  reasoning: 'The stock was counted.',
});

describe('a proposal that is turned away', () => {
  test('is made again, and has one effect', async () => {
    let turnedAway = 0;
    busy = (method) => (method === 'ExecuteMultiOperation' && turnedAway++ < 3 ? FAILED_TASK : undefined);
    const outcome = await client.perform(setTo(1));
    expect(outcome).toMatchObject({ status: 'success', actionId: 'busy-1' });
    expect(turnedAway).toBe(4);
  });

  test('until the time is over', async () => {
    let turnedAway = 0;
    busy = (method) => {
      if (method !== 'ExecuteMultiOperation') return undefined;
      turnedAway++;
      return FAILED_TASK;
    };
    await expect(client.perform(setTo(2), { timeoutMs: 1_000 })).rejects.toMatchObject({
      code: 'TEMPORAL_UNAVAILABLE',
      retryable: true,
      message: expect.stringContaining('busy-2') as string,
    });
    expect(turnedAway).toBeGreaterThan(2);
  });

  test('and at once where another try does not help', async () => {
    let refused = 0;
    busy = (method) => {
      if (method !== 'ExecuteMultiOperation') return undefined;
      refused++;
      return { status: status.PERMISSION_DENIED, message: 'no' };
    };
    await expect(client.perform(setTo(3))).rejects.toMatchObject({
      code: 'TEMPORAL_UNAVAILABLE',
      field: 'TEMPORAL_API_KEY',
    });
    expect(refused).toBe(1);
  });
});

describe('a worker that starts', () => {
  test('asks again for its schedules and its version, where no answer comes in time', async () => {
    const late = new Map<string, number>();
    busy = (method) => {
      if (!['CreateSchedule', 'UpdateSchedule', 'DescribeWorkerDeployment'].includes(method)) return undefined;
      const before = late.get(method) ?? 0;
      late.set(method, before + 1);
      // As the native client ends a call whose time is over.
      return before < 2 ? { status: status.CANCELLED, message: 'Timeout expired' } : undefined;
    };
    const temporal = { ...stack.temporal, taskQueue: 'busy', address: `127.0.0.1:${proxy.port}` };
    for (const reconcileEveryMs of [3_600_000, 60_000]) {
      const worker = await stack.startWorker({ temporal, reconcileEveryMs, deployment: { name: 'busy' } });
      await worker.stop();
      const { spec } = await client.temporal.schedule.getHandle(`${RECONCILE_SCHEDULE}/busy`).describe();
      expect(spec.intervals).toMatchObject([{ every: reconcileEveryMs }]);
    }
    expect([...late.keys()]).toEqual(['CreateSchedule', 'DescribeWorkerDeployment', 'UpdateSchedule']);
  });
});

test('a version is promoted once the server has heard of all that its workers poll', async () => {
  const temporal = { ...stack.temporal, taskQueue: 'heard' };
  const worker = await stack.startWorker({ temporal, deployment: { name: 'heard' } });
  const { buildId = '' } = worker.version ?? {};
  let unheard = 0;
  busy = (method) =>
    method === 'SetWorkerDeploymentCurrentVersion' && unheard++ < 2
      ? { status: status.FAILED_PRECONDITION, message: 'missing active task queues' }
      : undefined;
  await promote(client.temporal, 'heard', buildId);
  expect(unheard).toBe(3);
  await worker.stop();
});
