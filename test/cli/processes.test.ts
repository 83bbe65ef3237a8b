/** The commands that run for long, and those that prepare and examine what they run on. */
import { INSTALLED } from '../../scripts/bundle-programs.js';
import { openConnection } from '../../src/client/connection.js';
import { access, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { randomUUID } from 'node:crypto';

import { msToTs } from '@temporalio/common/lib/time.js';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { encodeCredential, issueAgent, readCredential } from '../../src/trust/index.js';
import { usualOrFreePort } from '../../src/dev/free-port.js';
import { startOtlpReceiver } from '../support/otlp.js';
import { createDatabase } from '../support/postgres.js';
import { ROOT, startStack, TENANT, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';
import { cli, errorOf, folder, running, spawned } from './support.js';

let stack: Stack;
let env: Record<string, string>;

beforeAll(async () => {
  stack = await startStack({ schema: 'create table orders (id int primary key, status text)', worker: false });
  env = {
    TEMPORAL_ADDRESS: stack.temporal.address,
    TEMPORAL_NAMESPACE: stack.temporal.namespace,
    COUNTERSIGN_LEDGER_URL: stack.ledgerUrl,
    COUNTERSIGN_KEYS: stack.keys,
  };
});
afterAll(() => stack.stop());

/** A config with one tool, on the database that the variable names. */
async function configIn(cwd: string, variable: string): Promise<void> {
  const text = `
    import { defineConfig, postgres } from ${JSON.stringify(path.join(inject('compiledSources'), INSTALLED, 'src/worker/index.js'))};
    export default defineConfig({
      policies: ${JSON.stringify(path.join(ROOT, 'policies/starter'))},
      tools: [postgres({ name: 'shop-db', environment: 'production', url: process.env[${JSON.stringify(variable)}] })],
    });`;
  await writeFile(path.join(cwd, 'countersign.config.mjs'), text);
}

describe('setup', () => {
  test('prepares ledger and namespace, says what it did, and has nothing to do the second time', async () => {
    const database = await createDatabase();
    onTestFinished(() => database.drop());
    const namespace = `bare-${randomUUID()}`;
    const { connection, close } = await openConnection(stack.temporal.address);
    await connection.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: msToTs('1 hour'),
    });
    await close();
    const bare = { ...env, COUNTERSIGN_LEDGER_URL: database.url, TEMPORAL_NAMESPACE: namespace };

    const before = await cli(['doctor', '--json'], { env: bare });
    expect((before.json() as { checks: object[] }).checks).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ name: 'ledger', ok: false, fix: 'Run `countersign setup`.' }),
        expect.objectContaining({ name: 'search attributes', ok: false, fix: 'Run `countersign setup`.' }),
      ]),
    );
    const first = await cli(['setup', '--json'], { env: bare });
    expect(first.code).toBe(0);
    expect(first.json()).toMatchObject({
      ledger: { schema: 'countersign', migrated: expect.arrayContaining(['0001-ledger']) as string[] },
      temporal: {
        namespace,
        registered: expect.arrayContaining(['CountersignStatus', 'CountersignReceipt']) as string[],
      },
    });
    const second = await cli(['setup', '--json'], { env: bare });
    expect(second.json()).toMatchObject({ ledger: { migrated: [] }, temporal: { registered: [] } });
  });
});

describe('no worker', () => {
  test('is told as such, to the agent and to whoever looks', async () => {
    const agent = await issueAgent(stack.keyring, { id: 'bot', tenant: TENANT, roles: ['admin_user'], scopes: ['*'] });
    const lonely = { ...env, COUNTERSIGN_TASK_QUEUE: 'lonely', COUNTERSIGN_AGENT: encodeCredential(agent) };
    const args = [
      'propose',
      '--tool',
      'shop-db',
      '--action-id',
      'lonely',
      '--input',
      '{}',
      '--timeout',
      '2s',
      '--json',
    ];
    const proposed = await cli(args, { env: lonely });
    expect(proposed.code).toBe(1);
    expect(errorOf(proposed)).toMatchObject({ code: 'TIMED_OUT', fix: expect.stringContaining('(lonely)') as string });

    const [shown, listed, doctor] = await Promise.all([
      cli(['show', 'lonely', '--json'], { env: lonely }),
      cli(['list', '--status', 'running', '--json'], { env: lonely }),
      cli(['doctor', '--json'], { env: lonely }),
    ]);
    expect(shown.code).toBe(1);
    expect(errorOf(shown)).toMatchObject({
      code: 'TIMED_OUT',
      fix: expect.stringContaining('countersign worker') as string,
    });
    expect(listed.json()).toMatchObject({ actions: [{ actionId: 'lonely', status: 'running' }] });
    expect((doctor.json() as { checks: object[] }).checks).toContainEqual(
      expect.objectContaining({ name: 'workers', ok: false, detail: 'none on the task queue lonely' }),
    );
  });
});

describe('worker', () => {
  test('does the work, is seen by doctor, sends its telemetry, and stops in good order on SIGTERM', async () => {
    const cwd = await folder();
    await configIn(cwd, 'SHOP_URL');
    const receiver = await startOtlpReceiver();
    onTestFinished(() => receiver.stop());
    const page = await usualOrFreePort(9464);
    const all = {
      ...env,
      SHOP_URL: stack.shopUrl,
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20otlp-secret',
      OTEL_METRICS_EXPORTER: 'otlp,prometheus',
      OTEL_EXPORTER_PROMETHEUS_PORT: String(page),
      OTEL_METRIC_EXPORT_INTERVAL: '1000',
    };
    const { child, ended } = await running(['worker'], { env: all, cwd }, /worker polls/);

    // Its config reads the environment of its process.
    const doctor = await spawned(['doctor', '--json'], { env: all, cwd });
    expect(doctor.json()).toMatchObject({ ok: true });
    expect(doctor.code).toBe(0);

    const agent = encodeCredential(
      await issueAgent(stack.keyring, { id: 'bot', tenant: TENANT, roles: ['admin_user'], scopes: ['*'] }),
    );
    const input = '{"op":"insert","table":"orders","rows":[{"id":1,"status":"new"}]}';
    const done = await cli(['propose', '--tool', 'shop-db', '--input', input, '--json'], {
      env: { ...env, COUNTERSIGN_AGENT: agent },
    });
    expect(done.json()).toMatchObject({ status: 'success' });

    const figures = await (await fetch(`http://127.0.0.1:${page}/metrics`)).text();
    expect(figures).toMatch(/^countersign_actions_total\{status="success",tool="shop-db",code="none".*\} 1$/m);
    expect(figures).toMatch(
      /^countersign_step_duration_seconds_bucket\{(?=[^}]*step="enforce")(?=[^}]*le="0\.1")[^}]*\} \d/m,
    );
    const sent = (url: string): string =>
      receiver.requests.flatMap((request) => (request.url === url ? [request.body] : [])).join('');
    await until(
      async () => sent('/v1/metrics'),
      (body) => body.includes('temporal_workflow_completed') && body.includes('countersign.step.duration.seconds'),
    );

    child.kill('SIGTERM');
    const { code, stdout, stderr } = await ended;
    expect(code).toBe(0);
    expect(stdout).toBe('');
    // What was left is sent before the process ends.
    expect(sent('/v1/traces')).toMatch(/execute_tool shop-db[^]*verify/);
    expect(new Set(receiver.requests.map(({ headers }) => headers.authorization))).toEqual(
      new Set(['Bearer otlp-secret']),
    );
    expect(stderr + sent('/v1/traces') + sent('/v1/metrics')).not.toContain('otlp-secret');
    for (const line of stderr.trim().split('\n'))
      expect(JSON.parse(line)).toMatchObject({ level: expect.any(Number) as number });
    const secrets = [
      new URL(stack.ledgerUrl).password,
      new URL(stack.shopUrl).password,
      ...stack.keys.matchAll(/"d":"([^"]+)"/g),
    ].map(String);
    for (const secret of secrets) expect(stderr).not.toContain(secret);
  });

  test.each([
    ['a ledger that was never set up', { COUNTERSIGN_LEDGER_URL: 'bare' }, 'LEDGER_UNAVAILABLE', /countersign setup/],
    ['no config', {}, 'CONFIG_INVALID', /--config/],
    [
      'fault injection in production',
      { COUNTERSIGN_ENV: 'production', COUNTERSIGN_FAULT: 'execute.before-effect:kill:/tmp/x' },
      'CONFIG_INVALID',
      /Unset/,
    ],
  ])('does not start with %s', async (what, over, code, fix) => {
    const cwd = await folder();
    if (what !== 'no config') await configIn(cwd, 'COUNTERSIGN_LEDGER_URL');
    const database = await createDatabase();
    onTestFinished(() => database.drop());
    const bare = 'COUNTERSIGN_LEDGER_URL' in over ? { COUNTERSIGN_LEDGER_URL: database.url } : over;
    const ended = await cli(['worker', '--json'], { cwd, env: { ...env, ...bare } });
    expect(ended.code).toBe(1);
    expect(errorOf(ended).code).toBe(code);
    expect(errorOf(ended).fix).toMatch(fix);
  });
});

describe('dev', () => {
  test('starts everything, keeps it between runs, with and without a config, and ends it: by Ctrl-C, on SIGTERM, and when the config is broken', async () => {
    const cwd = await folder();
    await configIn(cwd, 'COUNTERSIGN_DEV_DATABASE_URL');
    const args = ['dev', '--data', 'data', '--json'];
    const first = await running(args, { env: {}, cwd }, /"envFile": [^]*\n}\n$/);
    const data = path.join(cwd, 'data');
    expect((await stat(path.join(data, 'keys.json'))).mode & 0o777).toBe(0o600);
    expect((await stat(path.join(data, 'env'))).mode & 0o777).toBe(0o600);

    const sourced = await environmentIn(path.join(data, 'env'));
    const shop = new pg.Client({ connectionString: sourced['COUNTERSIGN_DEV_DATABASE_URL'] });
    await shop.connect();
    await shop.query('create table orders (id int primary key, status text); insert into orders values (7, null)');
    await shop.end();

    const issue = [
      'agent',
      'create',
      '--id',
      'bot',
      '--tenant',
      'acme',
      '--role',
      'admin_user',
      '--scope',
      '*',
      '--out',
      'bot.csk',
    ];
    const login = await fetch(`${sourced['COUNTERSIGN_GATEWAY_URL']}/dev-login`);
    expect([login.status, await login.text()]).toEqual([200, expect.stringContaining('dana@example.com') as string]);
    expect((await cli(issue, { cwd, env: sourced })).code).toBe(0);
    expect((await readCredential(path.join(cwd, 'bot.csk'))).kind).toBe('agent');
    const propose = ['propose', '--as', 'bot.csk', '--tool', 'shop-db', '--action-id', 'a1', '--json', '--input'];
    const input = '{"op":"update","table":"orders","set":{"status":"sent"},"where":{"id":7}}';
    const done = await cli([...propose, input], { cwd, env: sourced });
    expect(done.json()).toMatchObject({ status: 'success', facts: { tool: { environment: 'production' } } });

    const second = await cli(args, { cwd });
    expect(second.code).toBe(1);
    expect(errorOf(second).message).toContain('cannot be used');

    first.child.kill('SIGINT');
    const { code, stdout } = await first.ended;
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      ui: expect.stringMatching(/^http:/) as string,
      env: sourced,
      tools: [{ name: 'shop-db' }],
    });
    await expect(access(path.join(data, 'env'))).rejects.toThrow('ENOENT');

    // Without a config it still answers: there is no such tool.
    const config = path.join(cwd, 'countersign.config.mjs');
    await rm(config);
    const again = await running(['dev', '--data', 'data'], { env: {}, cwd }, /Ctrl-C stops everything/);
    const later = await environmentIn(path.join(data, 'env'));
    const replayed = await cli([...propose, input], { cwd, env: later });
    expect(replayed.json()).toEqual(done.json());
    const unknown = ['propose', '--as', 'bot.csk', '--tool', 'shop-db', '--input', '{}', '--json'];
    const { code: denied, json } = await cli(unknown, { cwd, env: later });
    expect(denied).toBe(4);
    expect(json()).toMatchObject({ error: { code: 'UNKNOWN_TOOL' } });
    again.child.kill('SIGTERM');
    const said = await again.ended;
    expect(said.code).toBe(0);
    // The UI's address comes first.
    expect(said.stdout).toMatch(/^\nCountersign is ready\.\n\n {2}Temporal UI {2}http:\/\/127\.0\.0\.1:\d+\n/);
    expect(said.stdout).toContain('none: `countersign init` writes a config');

    // With a broken one it ends what it had started.
    await writeFile(config, 'export default { policies: 7 };');
    const broken = await cli(args, { cwd });
    expect([broken.code, errorOf(broken).code]).toEqual([1, 'CONFIG_INVALID']);
    await expect(access(path.join(data, 'postgres/data/postmaster.pid'))).rejects.toThrow('ENOENT');
  }, 120_000);
});

/** What `source` would set. */
async function environmentIn(file: string): Promise<Record<string, string>> {
  const lines = (await readFile(file, 'utf8')).trim().split('\n');
  return Object.fromEntries(lines.map((line) => /^export (\w+)='?(.*?)'?$/.exec(line)?.slice(1) as [string, string]));
}
