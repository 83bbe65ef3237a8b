/** The Temporal development server: what it keeps, what it leaves behind, and what it says when it cannot start. */
import { openConnection } from '../../src/client/connection.js';
import { Client, type Connection } from '@temporalio/client';
import { defineSearchAttributeKey, TypedSearchAttributes } from '@temporalio/common';
import { msToTs } from '@temporalio/common/lib/time.js';
import { randomUUID } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { freePort, isFree } from '../../src/dev/free-port.js';
import { ensureSearchAttributes, SEARCH_ATTRIBUTES } from '../../src/client/search-attributes.js';
import { startTemporal, type TemporalOptions, type TemporalServer } from '../../src/dev/temporal.js';
import { occupyPort, runs } from './processes.js';

let folder: string;
let started: TemporalServer[];

beforeEach(async () => {
  started = [];
  folder = await mkdtemp(path.join(tmpdir(), 'temporal-test-'));
});
afterEach(async () => {
  await Promise.all(started.map((server) => server.stop()));
  await rm(folder, { recursive: true, force: true });
});

const { TEMPORAL_ADDRESS: _address, TEMPORAL_NAMESPACE: _namespace, ...env } = process.env;

async function start(options: TemporalOptions = {}): Promise<TemporalServer> {
  const server = await startTemporal({ env, headless: true, ...options });
  started.push(server);
  return server;
}

async function withClient<T>(server: TemporalServer, use: (client: Client) => Promise<T>): Promise<T> {
  const { connection, close } = await openConnection(server.address);
  try {
    return await use(new Client({ connection, namespace: server.namespace }));
  } finally {
    await close();
  }
}

const portOf = (address: string): number => Number(address.split(':').at(-1));

describe('the server', () => {
  test('has a UI, knows the search attributes, and leaves no process when stopped', async () => {
    const server = await start({ headless: false });
    await server.check();
    const page = await fetch(String(server.uiUrl));
    expect(page.status).toBe(200);
    expect(await page.text()).toContain('<html');
    const attributes = await withClient(server, (client) =>
      client.connection.operatorService.listSearchAttributes({ namespace: 'default' }),
    );
    expect(Object.keys(attributes.customAttributes ?? {})).toEqual(
      expect.arrayContaining(Object.keys(SEARCH_ATTRIBUTES)),
    );

    await server.stop();
    expect(await runs(Number(server.pid))).toBe(false);
    expect(await isFree(portOf(server.address))).toBe(true);
    await expect(server.check()).rejects.toMatchObject({ code: 'TEMPORAL_UNAVAILABLE', retryable: true });
    await server.stop();
  });

  test('has no UI when headless, and the namespace and port that were asked for; it is tuned, and calls nobody', async () => {
    const port = await freePort();
    const server = await start({ namespace: 'payments', port });
    expect(server).toMatchObject({ namespace: 'payments', address: `127.0.0.1:${port}`, external: false });
    expect(server).not.toHaveProperty('uiUrl');
    await server.check();
    // Queues are polled often, and garbage is collected rarely.
    const command = await readFile(`/proc/${server.pid}/cmdline`, 'utf8');
    expect(command).toContain('history.transferProcessorMaxPollRPS=2000');
    expect(command).toContain('history.timerProcessorMaxPollRPS=2000');
    expect(command).toContain('frontend.enableServerVersionCheck=false');
    expect(await readFile(`/proc/${server.pid}/environ`, 'utf8')).toContain('GOGC=400');
  });
});

describe('with a data folder', () => {
  const startWorkflow = (server: TemporalServer): Promise<unknown> =>
    withClient(server, (client) => client.workflow.start('anything', { taskQueue: 'none', workflowId: 'kept' }));
  const describeWorkflow = (server: TemporalServer): Promise<string> =>
    withClient(server, async (client) => (await client.workflow.getHandle('kept').describe()).status.name);

  test('a second server on it is refused, and the first goes on; workflows outlive its stop and its kill', async () => {
    const options = { dataDir: folder, namespace: 'kept' };
    let server = await start(options);
    await expect(start({ dataDir: folder })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      field: 'dataDir',
      message: expect.stringContaining(`process ${server.pid} serves it`) as string,
    });
    await server.check();
    await startWorkflow(server);
    for (const end of ['stop', 'kill'] as const) {
      await server[end]();
      server = await start({ ...options, port: portOf(server.address) });
      expect([end, await describeWorkflow(server)]).toEqual([end, 'RUNNING']);
    }
  });

  test('a file in its place is a clear error', async () => {
    const file = path.join(folder, 'file');
    await writeFile(file, '');
    await expect(start({ dataDir: file })).rejects.toMatchObject({ code: 'CONFIG_INVALID', field: 'dataDir' });
  });
});

describe('a port that is taken', () => {
  test.each([
    ['port', 'ports.temporal'],
    ['uiPort', 'ports.temporalUi'],
  ] as const)('as %s is a clear error', async (option, field) => {
    const taken = await occupyPort();
    await expect(start({ headless: false, [option]: taken.port })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      field,
    });
    await taken.free();
  });

  test('by another Temporal server is not mistaken for ours', async () => {
    const port = portOf(inject('temporalAddress'));
    await expect(start({ port })).rejects.toMatchObject({ code: 'CONFIG_INVALID', field: 'ports.temporal' });
  });
});

describe('a server that cannot start', () => {
  test('is an error with its own words', async () => {
    const broken = path.join(folder, 'temporal');
    const version = 'temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)';
    await writeFile(
      broken,
      `#!/bin/sh\n[ "$1" = --version ] && echo '${version}' && exit 0\necho 'no space left' >&2\nexit 1\n`,
    );
    await chmod(broken, 0o755);
    await expect(start({ env: { ...env, TEMPORAL_CLI_PATH: broken } })).rejects.toMatchObject({
      code: 'TEMPORAL_UNAVAILABLE',
      message: expect.stringContaining('no space left') as string,
    });
  });
});

describe('TEMPORAL_ADDRESS', () => {
  test('is used as it is, and never stopped', async () => {
    const server = await start({ env: { TEMPORAL_ADDRESS: inject('temporalAddress') } });
    expect(server).toMatchObject({
      external: true,
      pid: undefined,
      address: inject('temporalAddress'),
      namespace: 'default',
    });
    await server.stop();
    await server.kill();
    await server.check();
  });

  test('where nothing answers is an error that names it', async () => {
    const address = `127.0.0.1:${await freePort()}`;
    await expect(start({ env: { TEMPORAL_ADDRESS: address } })).rejects.toMatchObject({
      code: 'TEMPORAL_UNAVAILABLE',
      field: 'TEMPORAL_ADDRESS',
      message: expect.stringContaining(address) as string,
    });
  });

  test('without the namespace is an error that says how to create it', async () => {
    const external = { TEMPORAL_ADDRESS: inject('temporalAddress'), TEMPORAL_NAMESPACE: 'nowhere' };
    await expect(start({ env: external })).rejects.toMatchObject({
      code: 'TEMPORAL_UNAVAILABLE',
      fix: expect.stringContaining('temporal operator namespace create') as string,
    });
  });
});

describe('search attributes', () => {
  /** A namespace without them. */
  async function register(connection: Connection): Promise<string> {
    const namespace = `older-${randomUUID()}`;
    const workflowExecutionRetentionPeriod = msToTs('1 hour');
    await connection.workflowService.registerNamespace({ namespace, workflowExecutionRetentionPeriod });
    return namespace;
  }

  test('of another type are an error that says how to remove them', async () => {
    const { connection, close } = await openConnection(inject('temporalAddress'));
    try {
      const namespace = await register(connection);
      const int = 3;
      const searchAttributes: Record<string, typeof int> = { CountersignAgent: int };
      await connection.operatorService.addSearchAttributes({ namespace, searchAttributes });
      await expect(ensureSearchAttributes(connection, namespace)).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
        field: 'CountersignAgent',
        fix: expect.stringContaining('search-attribute remove') as string,
      });
    } finally {
      await close();
    }
  });

  test('can be used at once in a namespace that was in use without them', async () => {
    const { connection, close } = await openConnection(inject('temporalAddress'));
    try {
      const namespace = await register(connection);
      const { workflow } = new Client({ connection, namespace });
      await workflow.start('anything', { taskQueue: 'none', workflowId: 'before' });
      await ensureSearchAttributes(connection, namespace);
      await ensureSearchAttributes(connection, namespace);
      const status = { key: defineSearchAttributeKey('CountersignStatus', 'KEYWORD'), value: 'success' };
      await workflow.start('anything', {
        taskQueue: 'none',
        workflowId: 'after',
        typedSearchAttributes: new TypedSearchAttributes([status]),
      });
      await expect.poll(async () => (await workflow.count(`CountersignStatus = 'success'`)).count).toBe(1);
    } finally {
      await close();
    }
  });
});
