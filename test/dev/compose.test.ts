/** docker-compose.yml and its image: what would go wrong on somebody else's machine, read from the files themselves. */
import { openConnection, type OpenConnection } from '../../src/client/connection.js';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, inject, onTestFinished, test, vi } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config/config.js';
import { VARIABLES } from '../../src/environment.js';
import { SERVER_VERSION } from '../../topology/temporal-server.js';
import { cli } from '../cli/support.js';
import { onSources, scratch } from '../docs/support.js';
import { createNamespace } from '../support/temporal.js';

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
  readonly user?: string;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly deploy?: { readonly replicas: number };
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
  test('has what it says: Temporal with UI and store, the ledger, two workers, two gateways', () => {
    expect(Object.keys(compose.services)).toEqual(
      expect.arrayContaining(['temporal', 'temporal-db', 'temporal-ui', 'ledger', 'setup', 'gateway', 'gateway-2']),
    );
    expect(compose.services['worker']?.deploy?.replicas).toBe(2);
  });

  test('Temporal is of the version that `npm run topology` builds', () => {
    expect(compose.services['temporal']?.image).toBe(`temporalio/server:${SERVER_VERSION}`);
    expect(compose.services['temporal-schema']?.image).toBe(`temporalio/admin-tools:${SERVER_VERSION}`);
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

  test.each(services)('%s may not become another, use a capability or change its image', (name, service) => {
    expect(service.cap_drop).toEqual(['ALL']);
    expect(service.security_opt).toEqual(['no-new-privileges:true']);
    expect(service.read_only).toBe(name !== 'temporal-ui');
  });

  test.each(services.filter(([, { build }]) => build !== undefined))('%s runs as who owns its keys', (_, service) => {
    expect(service.user).toBe('${COUNTERSIGN_UID:-1000}');
    expect(dockerfile).toMatch(/^USER 1000:1000$/m);
  });

  test.each(services)('%s has texts in its health check, and no YAML that looks like one', (_, service) => {
    for (const part of service.healthcheck?.test ?? []) expect(typeof part).toBe('string');
  });

  test('no secret is in a variable, only the path of its file', () => {
    const secrets = services.flatMap(([, { environment }]) =>
      Object.entries(environment ?? {}).filter(([key]) =>
        /PASSWORD|PWD|SECRET|TOKEN|KEYS|DATABASE_URL|LEDGER_URL/.test(key),
      ),
    );
    expect(secrets.length).toBeGreaterThan(8);
    for (const [key, value] of secrets) {
      expect(key).toMatch(/_FILE$/);
      expect(value).toMatch(/^(\$\{\w+:\+)?\/run\/secrets\/[a-z-]+\}?$/);
    }
  });

  test.each(services)('%s reads the secrets that are mounted into it, and no others', (_, service) => {
    const said = JSON.stringify([service.environment ?? {}, service.command ?? []]);
    const read = [...said.matchAll(/\/run\/secrets\/([a-z-]+)/g)].map(([, name]) => name as string);
    expect(new Set(read)).toEqual(new Set(service.secrets ?? []));
    for (const name of service.secrets ?? []) expect(Object.keys(compose.secrets)).toContain(name);
  });

  test('every variable of ours is one that the program reads', async () => {
    const config = await readFile(path.join(root, 'docker/countersign.config.mjs'), 'utf8');
    const given = services
      .filter(([, { build }]) => build !== undefined)
      .flatMap(([, { environment }]) => Object.keys(environment ?? {}));
    expect(given.filter((name) => !(name in VARIABLES) && !config.includes(name))).toEqual([]);
  });

  test.each([
    ['worker', { APP_DATABASE_URL_FILE: 'FILE' }, ['app-db'], undefined],
    ['gateway', { GATEWAY_URL: 'https://x.example', GATEWAY_TRUSTED_PROXIES: '1' }, [], 'https://x.example'],
  ])('the config of the image is one for a %s', async (name, env, tools, publicUrl) => {
    const folder = await scratch('compose');
    onTestFinished(() => rm(folder, { recursive: true }));
    const url = path.join(folder, 'url');
    await writeFile(url, 'postgres://app@127.0.0.1:1/app\n');
    const file = path.join(folder, `${name}.mjs`);
    await writeFile(file, onSources(await readFile(path.join(root, 'docker/countersign.config.mjs'), 'utf8')));
    for (const [variable, value] of Object.entries(env)) vi.stubEnv(variable, value === 'FILE' ? url : value);
    onTestFinished(() => void vi.unstubAllEnvs());
    const config = await loadConfig(file);
    expect(config.tools.map((tool) => tool.name)).toEqual(tools);
    expect(config.gateway?.publicUrl).toBe(publicUrl);
    await Promise.all(config.tools.map((tool) => tool.close()));
  });

  test('the script makes the secrets that are mounted and are no keys, once', async () => {
    const folder = path.join(await mkdtemp(path.join(tmpdir(), 'countersign-compose-')), 'secrets');
    onTestFinished(() => rm(path.dirname(folder), { recursive: true }));
    const make = () =>
      promisify(execFile)(process.execPath, [path.join(root, 'docker/make-secrets.mjs'), folder], {
        env: { APP_DATABASE_URL: 'postgres://app' },
      });
    await make();
    const files = Object.values(compose.secrets).flatMap(({ file }) => /compose\}\/([a-z-]+)$/.exec(file)?.[1] ?? []);
    expect((await readdir(folder)).sort()).toEqual(files.sort());
    expect((await stat(folder)).mode & 0o077).toBe(0);
    const password = await readFile(path.join(folder, 'ledger-password'), 'utf8');
    expect(await readFile(path.join(folder, 'ledger-url'), 'utf8')).toContain(`:${password.trim()}@ledger:5432/`);
    await expect(make()).rejects.toThrow(/EEXIST/);
  });

  test('the two databases share neither data nor password', () => {
    const passwords = ['temporal-db', 'ledger'].flatMap((name) => compose.services[name]?.secrets ?? []);
    expect(passwords).toEqual(['temporal-db-password', 'ledger-password']);
    const volumes = ['temporal-db', 'ledger'].map((name) => compose.services[name]?.volumes?.[0]);
    expect(volumes).toEqual(['temporal-data:/var/lib/postgresql', 'ledger-data:/var/lib/postgresql']);
    expect(Object.keys(compose.volumes)).toEqual(['temporal-data', 'ledger-data']);
  });

  test('worker and gateway get keys, each its own part, as secret files; nobody else gets any', () => {
    const holders = services.flatMap(([name, { secrets = [] }]) =>
      secrets.filter((secret) => secret.endsWith('-keys')).map((secret) => [name, secret]),
    );
    expect(holders).toEqual([
      ['worker', 'worker-keys'],
      ['gateway', 'gateway-keys'],
      ['gateway-2', 'gateway-keys'],
    ]);
    expect(compose.services['worker']?.environment?.['COUNTERSIGN_KEYS_FILE']).toBe('/run/secrets/worker-keys');
    expect(compose.services['gateway']?.environment?.['COUNTERSIGN_KEYS_FILE']).toBe('/run/secrets/gateway-keys');
  });

  test('every file of ours that it names is there', async () => {
    const mounted = services.flatMap(([, { volumes }]) => volumes ?? []).filter((volume) => volume.startsWith('./'));
    const files = [...mounted.map((volume) => String(volume.split(':')[0])), 'docker/countersign.config.mjs'];
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
  const { test: command = [] } = compose.services['worker']?.healthcheck ?? {};

  test('is the command line of the image', () => {
    expect(command).toEqual(['CMD', 'node', 'dist/src/cli/main.js', 'doctor', '--this-worker']);
  });

  const health = async (namespace: string): Promise<number | null> => {
    const env = {
      TEMPORAL_ADDRESS: inject('temporalAddress'),
      TEMPORAL_NAMESPACE: namespace,
      COUNTERSIGN_TASK_QUEUE: 'queue',
    };
    return (await cli(command.slice(3), { env })).code;
  };

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
    await expect.poll(() => health(namespace), { timeout: 20_000, interval: 500 }).toBe(0);
    await Promise.all([elsewhere.close(), here.close()]);
  });

  test('fails when Temporal does not answer', async () => {
    expect(await health('no-such-namespace')).toBe(1);
  });
});
