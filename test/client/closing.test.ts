/** Closing a client while a call on Temporal is under way ends the call, and never the process. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { Server, ServerCredentials, status, type handleUnaryCall } from '@grpc/grpc-js';
import { expect, test, type TestContext } from 'vitest';
import { argumentsFor } from '../../scripts/program.js';

const SERVICE = '/temporal.api.workflowservice.v1.WorkflowService';
const bytes = (message: Buffer): Buffer => message;
const unary = (name: string) => ({
  path: `${SERVICE}/${name}`,
  requestStream: false as const,
  responseStream: false as const,
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
});

type Reply = handleUnaryCall<Buffer, Buffer>;

/** A gRPC server that lets Temporal clients connect, and answers a workflow query as told. */
async function temporalThat(
  answers: Reply,
  { onTestFinished }: TestContext,
): Promise<{ address: string; queried: Promise<void> }> {
  const server = new Server();
  onTestFinished(() => server.forceShutdown());
  let seen: () => void;
  const queried = new Promise<void>((resolve) => (seen = resolve));
  const connects: Reply = (_call, reply) => reply(null, Buffer.alloc(0));
  const query: Reply = (call, reply) => {
    answers(call, reply);
    seen();
  };
  server.addService(
    { getSystemInfo: unary('GetSystemInfo'), queryWorkflow: unary('QueryWorkflow') },
    { getSystemInfo: connects, queryWorkflow: query },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { address: `127.0.0.1:${port}`, queried };
}

// Together, because each waits out the longest time after which a call would be tried again.
test.concurrent.for<[string, Reply]>([
  ['is tried again because the server is unavailable', (_call, reply) => reply({ code: status.UNAVAILABLE })],
  ['is not answered yet', () => {}],
])('a process that closes its client while a call %s lives on and ends well', async ([_when, answers], context) => {
  const temporal = await temporalThat(answers, context);
  const child = spawn(process.execPath, argumentsFor(fileURLToPath(new URL('closing-process.ts', import.meta.url))), {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: { ...process.env, TEMPORAL_ADDRESS: temporal.address },
  });
  context.onTestFinished(() => void child.kill('SIGKILL'));
  const exited = once(child, 'exit');
  const stderr = text(child.stderr as NodeJS.ReadableStream);
  const reports: unknown[] = [];
  child.on('message', (report) => reports.push(report));

  await Promise.race([temporal.queried, exited]);
  child.send('close');
  const [code] = (await exited) as [number | null];
  expect({ code, stderr: await stderr, reports }).toEqual({
    code: 0,
    stderr: '',
    reports: [
      expect.objectContaining({
        code: 'TEMPORAL_UNAVAILABLE',
        message: 'The connection to Temporal was closed before the call was answered.',
      }),
    ],
  });
});
