/** `countersign gateway` and `countersign api-key`, as processes. */
import { readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../src/dev/free-port.js';
import { generateKeyringFile } from '../../src/trust/index.js';
import { startStack, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';
import { cli, errorOf, folder, start } from './support.js';

let stack: Stack;
let env: Record<string, string>;

beforeAll(async () => {
  stack = await startStack({ schema: 'CREATE TABLE orders (id int PRIMARY KEY, amount int)', worker: false });
  env = {
    COUNTERSIGN_LEDGER_URL: stack.ledgerUrl,
    TEMPORAL_ADDRESS: stack.temporal.address,
    TEMPORAL_NAMESPACE: stack.temporal.namespace,
    COUNTERSIGN_KEYS: stack.keys,
  };
});
afterAll(() => stack?.stop());

async function configured(gateway: object): Promise<string> {
  const cwd = await folder();
  const config = { policies: stack.policies, tools: [], gateway };
  await writeFile(path.join(cwd, 'countersign.config.mjs'), `export default ${JSON.stringify(config)};`);
  return cwd;
}

describe('countersign gateway', () => {
  test('answers, says where, and ends in good order', async () => {
    const port = await freePort();
    const cwd = await configured({ port });
    const child = start(['gateway', '--json'], { cwd, env });
    const [stdout, stderr] = [text(child.stdout), text(child.stderr)];
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    const url = `http://localhost:${port}`;
    await until(
      () =>
        fetch(`${url}/readyz`).then(
          ({ status }) => status,
          () => 0,
        ),
      (status) => status === 200,
    );
    const key = (
      await cli(['api-key', 'create', '--id', 'bot', '--tenant', 'acme', '--scope', '*', '--json'], { env })
    ).json() as {
      key: string;
    };
    const me = await fetch(`${url}/v1/me`, { headers: { authorization: `Bearer ${key.key}` } });
    expect(await me.json()).toMatchObject({ kind: 'agent', id: 'bot', tenant: 'acme' });
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
    expect(JSON.parse(await stdout)).toEqual({ gateway: { url, port } });
    expect(await stderr).toContain('"msg":"request"');
    expect(await stderr).not.toContain(key.key);
  });

  test('has no login for development', async () => {
    const cwd = await configured({ port: await freePort(), publicUrl: 'http://approvals.example.com' });
    const refused = await cli(['gateway', '--json'], { cwd, env });
    expect(refused.code).toBe(1);
    expect(errorOf(refused)).toMatchObject({ code: 'CONFIG_INVALID', field: 'gateway.publicUrl' });
  });

  test('without a gateway key does not start', async () => {
    const { gateway: _gateway, ...others } = await generateKeyringFile();
    const refused = await cli(['gateway', '--json', '--port', '0'], {
      cwd: await configured({}),
      env: { ...env, COUNTERSIGN_KEYS: JSON.stringify(others) },
    });
    expect(errorOf(refused)).toMatchObject({ code: 'KEYS_MISSING', field: 'gateway' });
  });

  test('with no other private key does', async () => {
    const { gateway } = await generateKeyringFile();
    const port = await freePort();
    const child = start(['gateway', '--json', '--port', String(port)], {
      cwd: await configured({}),
      env: { ...env, COUNTERSIGN_KEYS: JSON.stringify({ gateway }) },
    });
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    await until(
      () =>
        fetch(`http://localhost:${port}/healthz`).then(
          ({ status }) => status,
          () => 0,
        ),
      (status) => status === 200,
    );
    const second = await cli(['gateway', '--json', '--port', String(port)], { cwd: await configured({}), env });
    expect(errorOf(second)).toMatchObject({ code: 'CONFIG_INVALID', message: `Port ${port} is in use.` });
    child.kill('SIGINT');
    expect(await ended).toBe(0);
  });
});

describe('countersign api-key', () => {
  const create = ['api-key', 'create', '--id', 'billing-bot', '--tenant', 'globex', '--scope', 'shop-db'];

  test('writes a key that only its owner can read, lists it without its secret, and revokes it', async () => {
    const cwd = await folder();
    const made = await cli([...create, '--role', 'billing_agent', '--owner', 'ann', '--out', 'bot.key', '--json'], {
      cwd,
      env,
    });
    expect(made.code).toBe(0);
    const key = (await readFile(path.join(cwd, 'bot.key'), 'utf8')).trim();
    expect((await stat(path.join(cwd, 'bot.key'))).mode & 0o777).toBe(0o600);
    const { id } = made.json() as { id: string };
    expect(made.stdout + made.stderr).not.toContain(key);

    const listed = await cli(['api-key', 'list', '--tenant', 'globex'], { cwd, env });
    expect(listed.stdout).toContain(`${id}  billing-bot of globex, until `);
    expect(listed.stdout).toContain('roles billing_agent; scopes shop-db; owner ann');
    // The last 43 characters are the secret, which may have any of the alphabet's characters.
    expect(listed.stdout).not.toContain(key.slice(-43));
    expect((await cli(['api-key', 'list', '--tenant', 'initech'], { cwd, env })).stdout).toContain(
      'there are no API keys',
    );

    expect((await cli(['api-key', 'revoke', id], { cwd, env })).stdout).toContain('revoked');
    const unknown = await cli(['api-key', 'revoke', '0'.repeat(16), '--json'], { cwd, env });
    expect([unknown.code, errorOf(unknown).code]).toEqual([2, 'NOT_FOUND']);
  });

  test('prints a key once where no file is named, with a warning', async () => {
    const { stdout, stderr } = await cli(create, { env });
    expect(stdout).toMatch(/^csa_[a-z0-9]{16}_[A-Za-z0-9_-]{43}\n$/);
    expect(stderr).toContain('shown once');
  });

  test.each([
    ['--id', ['--id', 'a/b']],
    ['--tenant', ['--tenant', 'ACME']],
    ['--scope', ['--scope', '']],
    ['--ttl', ['--ttl', 'soon']],
  ])('with a bad %s makes none', async (option, args) => {
    const refused = await cli([...create, ...args, '--json'], { env });
    expect([refused.code, errorOf(refused).field]).toEqual([2, option]);
  });
});
