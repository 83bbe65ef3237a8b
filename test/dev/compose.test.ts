/** docker-compose.yml: what would go wrong on somebody else's machine, read from the file itself. */
import { openConnection, type OpenConnection } from '../../src/client/connection.js';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import { describe, expect, inject, test } from 'vitest';
import { parse } from 'yaml';
import { createNamespace } from '../support/temporal.js';

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, '../..');

interface Service {
  readonly image?: string;
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly ports?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly secrets?: readonly string[];
  readonly restart?: string;
  readonly command?: readonly string[];
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
  readonly secrets: Readonly<Record<string, { readonly file: string }>>;
}

const compose = parse(await readFile(path.join(root, 'docker-compose.yml'), 'utf8'), { merge: true }) as Compose;
const dockerfile = await readFile(path.join(root, 'docker/Dockerfile'), 'utf8');
const services = Object.entries(compose.services);
const dependencies = services.flatMap(([name, service]) =>
  Object.entries(service.depends_on ?? {}).map(([on, { condition }]) => ({ name, on, condition })),
);
/** Services that do one thing and end. */
const oneShots = new Set(
  dependencies.filter(({ condition }) => condition === 'service_completed_successfully').map(({ on }) => on),
);

/** A name, and a tag of at least major and minor version. */
const PINNED = /^[a-z0-9/._-]+:\d+\.\d+[\w.-]*$/;

describe('docker-compose.yml', () => {
  test('has what it says: Temporal with UI and store, the ledger, a worker', () => {
    expect(Object.keys(compose.services)).toEqual(
      expect.arrayContaining(['temporal', 'temporal-db', 'temporal-ui', 'ledger', 'setup', 'worker']),
    );
  });

  test.each(services)('%s has an image pinned to a version', (_, service) => {
    expect(service.image).toMatch(PINNED);
  });

  test('the worker is built from images pinned to a version, of the Node that package.json asks for', () => {
    const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image);
    expect(bases).toHaveLength(2);
    for (const image of bases) expect(image).toMatch(/^node:20\.\d+\.\d+-/);
    expect(compose.services['worker']?.build).toEqual({ context: '.', dockerfile: 'docker/Dockerfile' });
  });

  test.each(services.filter(([name]) => !oneShots.has(name)))('%s has a health check and comes back', (_, service) => {
    expect(service.healthcheck?.test[0]).toMatch(/^CMD(-SHELL)?$/);
    expect(service.restart).toBe('unless-stopped');
  });

  test.each(dependencies)('$name waits until $on is ready, not only started', ({ on, condition }) => {
    expect(Object.keys(compose.services)).toContain(on);
    expect(condition).toBe(oneShots.has(on) ? 'service_completed_successfully' : 'service_healthy');
  });

  test.each(services.filter(([, { ports }]) => ports !== undefined))(
    '%s is reached from this machine only',
    (_, service) => {
      for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:\$\{\w+:-\d+\}:\d+$/);
    },
  );

  test('no two ports of this machine collide', () => {
    const defaults = services.flatMap(([, { ports }]) => ports ?? []).map((port) => /:-(\d+)\}/.exec(port)?.[1]);
    expect(new Set(defaults).size).toBe(defaults.length);
  });

  test('every password can be given from outside', () => {
    const secret = services.flatMap(([, { environment }]) =>
      Object.entries(environment ?? {}).filter(([key]) => /PASSWORD|PWD|_URL$/.test(key)),
    );
    expect(secret.length).toBeGreaterThan(4);
    for (const [, value] of secret) expect(value).toMatch(/\$\{[A-Z_]+:-/);
  });

  test('the two databases share neither data nor password', () => {
    const passwords = ['temporal-db', 'ledger'].map(
      (name) => compose.services[name]?.environment?.['POSTGRES_PASSWORD'],
    );
    expect(new Set(passwords.map((value) => /\$\{(\w+)/.exec(value ?? '')?.[1])).size).toBe(2);
    const volumes = ['temporal-db', 'ledger'].map((name) => compose.services[name]?.volumes?.[0]);
    expect(volumes).toEqual(['temporal-data:/var/lib/postgresql', 'ledger-data:/var/lib/postgresql']);
    expect(Object.keys(compose.volumes)).toEqual(['temporal-data', 'ledger-data']);
  });

  test('worker and gateway get keys, each its own part, as secret files; nobody else gets any', () => {
    const holders = services.flatMap(([name, { secrets }]) => (secrets === undefined ? [] : [[name, secrets]]));
    expect(holders).toEqual([
      ['worker', ['countersign-worker-keys']],
      ['gateway', ['countersign-gateway-keys']],
    ]);
    for (const name of ['worker', 'gateway']) {
      expect(compose.services[name]?.environment?.['COUNTERSIGN_KEYS_FILE']).toBe(
        `/run/secrets/countersign-${name}-keys`,
      );
    }
    const files = Object.values(compose.secrets).map(({ file }) => file);
    expect(files).toEqual([
      '${COUNTERSIGN_WORKER_KEYS_FILE:-./.countersign/worker-keys.json}',
      '${COUNTERSIGN_GATEWAY_KEYS_FILE:-./.countersign/gateway-keys.json}',
    ]);
  });

  test('every file of ours that it names is there', async () => {
    const mounted = services.flatMap(([, { volumes }]) => volumes ?? []).filter((volume) => volume.startsWith('./'));
    const files = [
      ...mounted.map((volume) => String(volume.split(':')[0])),
      'docker/worker-health.mjs',
      'docker/countersign.config.mjs',
    ];
    for (const file of files) expect((await readFile(path.join(root, file), 'utf8')).length).toBeGreaterThan(0);
  });

  test('the image is built without keys, credentials or history', async () => {
    const ignored = await readFile(path.join(root, 'docker/Dockerfile.dockerignore'), 'utf8');
    const lines = ignored.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    expect(lines[0]).toBe('*');
    for (const line of lines.slice(1)) expect(line).toMatch(/^!/);
    for (const secret of ['!.countersign', '!.git', '!.env']) expect(lines).not.toContain(secret);
  });
});

describe("the worker's health check", () => {
  const health = (namespace: string): Promise<number> =>
    run(process.execPath, [path.join(root, 'docker/worker-health.mjs')], {
      env: {
        TEMPORAL_ADDRESS: inject('temporalAddress'),
        TEMPORAL_NAMESPACE: namespace,
        COUNTERSIGN_TASK_QUEUE: 'queue',
      },
    }).then(
      () => 0,
      (error: { code: number }) => error.code,
    );

  /** Polls for workflow tasks as a worker does, until the connection is closed. */
  async function poll(namespace: string, identity: string): Promise<OpenConnection> {
    const opened = await openConnection(inject('temporalAddress'));
    const { connection } = opened;
    const task = connection.withDeadline(Date.now() + 60_000, () =>
      connection.workflowService.pollWorkflowTaskQueue({ namespace, taskQueue: { name: 'queue' }, identity }),
    );
    // There is no task: it ends with the connection.
    task.catch(() => undefined);
    return opened;
  }

  test('fails while nobody polls, and while only another machine does; passes once this one polls', async () => {
    const { namespace } = await createNamespace();
    expect(await health(namespace)).toBe(1);
    const elsewhere = await poll(namespace, '1@elsewhere');
    expect(await health(namespace)).toBe(1);
    const here = await poll(namespace, `1@${hostname()}`);
    await expect.poll(() => health(namespace), { timeout: 20_000 }).toBe(0);
    await Promise.all([elsewhere.close(), here.close()]);
  });

  test('fails when Temporal does not answer', async () => {
    expect(await health('no-such-namespace')).toBe(1);
  });
});
