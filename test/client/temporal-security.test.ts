/** Temporal behind TLS, a client certificate and an API key: what proves enough gets in, and what is given by halves stops before it connects. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Countersign } from '../../src/client/countersign.js';
import { temporalSettings, type TemporalSettings } from '../../src/environment.js';
import { startGateway } from '../../src/gateway/server/server.js';
import { readSecurity } from '../../src/temporal-security.js';
import { issueAgent } from '../../src/trust/index.js';
import { cli } from '../cli/support.js';
import { ended, startStack, TENANT, type Stack } from '../support/stack.js';
import { secureTemporal, tlsFile, type SecureTemporal } from '../support/temporal-tls.js';

const API_KEY = randomUUID();

let folder: string;
let keyFile: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-tls-'));
  keyFile = path.join(folder, 'api-key');
  await writeFile(keyFile, `${API_KEY}\n`);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** All that the proxy asks for. */
const enough = (): Record<string, string> => ({
  TEMPORAL_TLS_SERVER_CA_CERT_PATH: tlsFile('ca.pem'),
  TEMPORAL_TLS_CLIENT_CERT_PATH: tlsFile('client.pem'),
  TEMPORAL_TLS_CLIENT_KEY_PATH: tlsFile('client.key'),
  TEMPORAL_API_KEY_FILE: keyFile,
});

describe('a server that asks for a client certificate and an API key', () => {
  let stack: Stack;
  let proxy: SecureTemporal;
  let env: Record<string, string>;
  let settings: TemporalSettings;

  beforeAll(async () => {
    stack = await startStack({
      schema: 'CREATE TABLE stock (id int PRIMARY KEY, qty int NOT NULL); INSERT INTO stock VALUES (1, 10);',
      worker: false,
    });
    proxy = await secureTemporal(stack.temporal.address, API_KEY);
    env = { ...enough(), TEMPORAL_ADDRESS: proxy.address, TEMPORAL_NAMESPACE: stack.temporal.namespace };
    settings = temporalSettings(env);
  });
  afterAll(async () => {
    await stack?.stop();
    await proxy?.close();
  });

  test('lets worker, client, gateway and command line in, and an action to its end', async () => {
    const worker = await stack.startWorker({ temporal: settings });
    const credential = await issueAgent(stack.keyring, {
      id: 'agent-1',
      tenant: TENANT,
      roles: ['admin_user'],
      scopes: ['*'],
    });
    const agent = await Countersign.connect({ ...settings, credential });
    const gateway = await startGateway({
      config: { gateway: { port: 0 } },
      temporal: settings,
      ledgerUrl: stack.ledgerUrl,
      keyring: stack.keyring,
      logger: pino({ level: 'silent' }),
    });
    try {
      const input = { op: 'update', table: 'stock', set: { qty: 1 }, where: { id: 1 } };
      expect(await ended(agent, { tool: 'shop-db', input })).toMatchObject({ status: 'success' });
      expect((await fetch(`http://127.0.0.1:${gateway.port}/readyz`)).status).toBe(200);
      const listed = await cli(['list', '--json'], { env });
      expect(listed.json()).toMatchObject({ actions: [{ tool: 'shop-db' }] });
      // The worker's connection is native, the others' are not.
      expect(proxy.passed.size).toBe(2);
    } finally {
      await gateway.stop();
      await agent.close();
      await worker.stop();
    }
  });

  test('is told apart from one that is away where the API key is wrong', async () => {
    const wrong = path.join(folder, 'wrong-key');
    await writeFile(wrong, 'another-key');
    const refused = { ...settings, apiKey: `file:${wrong}` };
    for (const attempt of [
      () => Countersign.connect({ ...refused, credential: null }),
      () => stack.startWorker({ temporal: refused }),
    ]) {
      await expect(attempt()).rejects.toMatchObject({
        code: 'TEMPORAL_UNAVAILABLE',
        field: 'TEMPORAL_API_KEY',
        retryable: false,
      });
    }
  });

  test('keeps out a worker without a client certificate', async () => {
    const { TEMPORAL_TLS_CLIENT_CERT_PATH: _cert, TEMPORAL_TLS_CLIENT_KEY_PATH: _key, ...less } = env;
    await expect(stack.startWorker({ temporal: temporalSettings(less) })).rejects.toMatchObject({
      code: 'TEMPORAL_UNAVAILABLE',
    });
  });
});

describe('what is given by halves, or contradicts itself, is refused', () => {
  const refusal = async (env: Record<string, string>): Promise<unknown> => {
    try {
      return await readSecurity(temporalSettings(env));
    } catch (error) {
      return error;
    }
  };
  const key = tlsFile('client.key');
  const cert = tlsFile('client.pem');

  test.each([
    ['a certificate without its key', { TEMPORAL_TLS_CLIENT_CERT_PATH: cert }, 'TEMPORAL_TLS_CLIENT_KEY_PATH'],
    ['a key without its certificate', { TEMPORAL_TLS_CLIENT_KEY_PATH: key }, 'TEMPORAL_TLS_CLIENT_CERT_PATH'],
    [
      "another certificate's key",
      { TEMPORAL_TLS_CLIENT_CERT_PATH: cert, TEMPORAL_TLS_CLIENT_KEY_PATH: tlsFile('stranger.key') },
      'TEMPORAL_TLS_CLIENT_KEY_PATH',
    ],
    [
      'a file that is not there',
      { TEMPORAL_TLS_SERVER_CA_CERT_PATH: '/nowhere/ca.pem' },
      'TEMPORAL_TLS_SERVER_CA_CERT_PATH',
    ],
    ['a file that is no certificate', { TEMPORAL_TLS_SERVER_CA_CERT_PATH: key }, 'TEMPORAL_TLS_SERVER_CA_CERT_PATH'],
    ['TLS switched off beside its files', { TEMPORAL_TLS: 'false', TEMPORAL_TLS_SERVER_NAME: 'x' }, 'TEMPORAL_TLS'],
    ['an API key without TLS', { TEMPORAL_TLS: 'false', TEMPORAL_API_KEY: 'k' }, 'TEMPORAL_TLS'],
    ['a word that is neither true nor false', { TEMPORAL_TLS: 'maybe' }, 'TEMPORAL_TLS'],
    [
      'two places for one API key',
      { TEMPORAL_API_KEY: 'k', TEMPORAL_API_KEY_FILE: '/run/secrets/k' },
      'TEMPORAL_API_KEY_FILE',
    ],
    ['a file without an API key', { TEMPORAL_API_KEY_FILE: '/nowhere/key' }, 'TEMPORAL_API_KEY_FILE'],
    ['Temporal Cloud without a proof', { TEMPORAL_ADDRESS: 'shop.a1b2c.tmprl.cloud:7233' }, 'TEMPORAL_API_KEY'],
  ])('%s', async (_what, env, field) => {
    expect(await refusal(env)).toMatchObject({
      code: 'CONFIG_INVALID',
      field,
      expected: expect.any(String) as string,
      fix: expect.any(String) as string,
    });
  });

  test('an API key that no header can carry is in no error', async () => {
    const file = path.join(folder, 'two-lines');
    await writeFile(file, 'secret-part\nsecond-part');
    const error = await refusal({ TEMPORAL_API_KEY_FILE: file });
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', field: 'TEMPORAL_API_KEY_FILE' });
    expect(JSON.stringify(error)).not.toContain('secret-part');
  });
});

test('settings refer to secrets and hold none', () => {
  const settings = temporalSettings({ ...enough(), TEMPORAL_API_KEY_FILE: '', TEMPORAL_API_KEY: API_KEY });
  expect(JSON.stringify(settings)).not.toContain(API_KEY);
  expect(settings.apiKey).toBe('env:TEMPORAL_API_KEY');
});

test('an API key alone means TLS by the authorities of the system', async () => {
  const cloud = { TEMPORAL_ADDRESS: 'eu-west-1.aws.api.temporal.io:7233', TEMPORAL_API_KEY_FILE: keyFile };
  expect(await readSecurity(temporalSettings(cloud))).toEqual({ tls: {}, apiKey: API_KEY });
  expect(await readSecurity(temporalSettings({}))).toEqual({ tls: false });
});
