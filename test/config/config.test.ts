/** A config that cannot be used is refused: the error names the field, what was expected and how to correct it. */
import { describe, expect, test } from 'vitest';
import { CountersignError } from '../../src/action/errors.js';
import { checkConfig, deploymentOf } from '../../src/config/config.js';
import { webhook } from '../../src/notify/index.js';
import { postgres } from '../../src/tools/index.js';

process.env['CONFIG_TEST_SECRET'] = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;
const shop = postgres({ name: 'shop-db', environment: 'production', url: 'postgres://127.0.0.1/none' });
const hook = webhook({ url: 'https://hooks.example.com', secrets: ['env:CONFIG_TEST_SECRET'] });
const GOOD = { policies: './policies', tools: [shop] };
const told = (more: object) => ({
  notifications: { gatewayUrl: 'https://approvals.example.com', channels: [hook], ...more },
});

function refusal(value: unknown): CountersignError {
  try {
    checkConfig(value, 'countersign.config.mjs');
  } catch (error) {
    if (error instanceof CountersignError) return error;
    throw error;
  }
  throw new Error('the config was taken');
}

test('a config with every section is taken as it is', () => {
  const config = {
    ...GOOD,
    grantTtlSeconds: 60,
    selfApproval: false,
    lookUpMaxWaitMs: 0,
    roles: { unfreeze: ['operator'] },
    passkeys: { rpId: 'example.com', origins: ['https://approvals.example.com'] },
    approvalRateLimit: { approvals: 5 },
    deployment: { name: 'shop', buildId: '2026.11.29-1' },
    gateway: { publicUrl: 'https://approvals.example.com', port: 0, session: { idleSeconds: 60 } },
    ...told({ routes: [{ roles: ['dba'], kinds: ['asked'], channels: ['webhook'] }], summary: 'tool' }),
  };
  expect(checkConfig(config, 'countersign.config.mjs')).toBe(config);
});

describe('a config is refused', () => {
  test.each<[string, unknown, string, string]>([
    ['that is none', 7, 'default export', 'a config made by defineConfig()'],
    ['without policies', { tools: [] }, 'policies', 'the path of a policy folder'],
    ['with policies of nowhere', { ...GOOD, policies: { from: 'git' } }, 'policies', "{ from: 'ledger'"],
    ['with a folder of no path', { ...GOOD, policies: { from: 'folder' } }, 'policies', "{ from: 'folder', path"],
    [
      'with a quorum of nobody',
      { ...GOOD, policies: { from: 'ledger', quorum: 0 } },
      'policies.quorum',
      'a whole number from 1 to 10',
    ],
    ['without tools', { policies: 'p' }, 'tools', 'a list of tools'],
    ['with something that is no tool', { ...GOOD, tools: [{}] }, 'tools.0', 'a tool made by postgres()'],
    [
      'with a tool of no environment',
      { ...GOOD, tools: [{ ...shop, environment: '' }] },
      'tools.0.environment',
      'the name of an environment',
    ],
    ['with two tools of one name', { ...GOOD, tools: [shop, shop] }, 'tools', 'without a second tool named "shop-db"'],
    [
      'with an option that there is not',
      { ...GOOD, polices: 'p' },
      'polices',
      'absent, because there is no such option',
    ],
    [
      'with a grant for ever',
      { ...GOOD, grantTtlSeconds: Infinity },
      'grantTtlSeconds',
      'a whole number of seconds from 5 to 3600',
    ],
    ['with self-approval as a text', { ...GOOD, selfApproval: 'no' }, 'selfApproval', 'true or false'],
    ['with a role of nothing', { ...GOOD, roles: { lift: ['a'] } }, 'roles.lift', 'absent'],
    ['with one role for a list', { ...GOOD, roles: { freeze: 'operator' } }, 'roles.freeze', 'a list of roles'],
    [
      'with no approvals at all',
      { ...GOOD, approvalRateLimit: { approvals: 0 } },
      'approvalRateLimit.approvals',
      'a whole number from 1 to 86400',
    ],
    [
      'with passkeys of another domain',
      { ...GOOD, passkeys: { rpId: 'a.example', origins: ['https://b.example'] } },
      'passkeys.origins',
      'rpId',
    ],
    [
      'with a secret of the gateway',
      { ...GOOD, gateway: { oidc: { issuer: 'i', clientId: 'c', clientSecret: 's' } } },
      'gateway.oidc.clientSecret',
      'absent',
    ],
    [
      'with a port that is none',
      { ...GOOD, gateway: { port: 65_536 } },
      'gateway.port',
      'a whole number from 0 to 65535',
    ],
    ['with an object as issuers', { ...GOOD, gateway: { agents: {} } }, 'gateway.agents', 'a list'],
    [
      'with no channel',
      { ...GOOD, ...told({ channels: [{ name: 'x' }] }) },
      'notifications.channels.0',
      'a channel made by webhook()',
    ],
    [
      'with a channel twice',
      { ...GOOD, ...told({ channels: [hook, hook] }) },
      'notifications.channels',
      'without a second one named "webhook"',
    ],
    [
      'with a route to nowhere',
      { ...GOOD, ...told({ routes: [{ channels: ['sms'] }] }) },
      'notifications.routes.0.channels',
      'names of webhook',
    ],
    [
      'with a notice that there is not',
      { ...GOOD, ...told({ routes: [{ kinds: ['x'], channels: ['webhook'] }] }) },
      'notifications.routes.0.kinds.0',
      'one of asked',
    ],
  ])('%s', (_what, value, field, expected) => {
    const error = refusal(value);
    expect(error).toMatchObject({
      code: 'CONFIG_INVALID',
      field,
      expected: expect.stringContaining(expected) as string,
      fix: `Correct ${field} in countersign.config.mjs.`,
    });
    expect(error.message).toBe(`${field} in countersign.config.mjs must be ${error.expected}.`);
  });

  test('without repeating an address that may hold a password', () => {
    const error = refusal({ ...GOOD, ...told({ gatewayUrl: 'https://user:hunter2@example.com' }) });
    expect(error.field).toBe('notifications.gatewayUrl');
    expect(JSON.stringify(error)).not.toContain('hunter2');
  });
});

describe('the deployment of the workers', () => {
  const deployment = { name: 'shop', buildId: 'v1' };

  test('is the config’s, what the environment says before it, or none', () => {
    expect(deploymentOf({}, {})).toBeUndefined();
    expect(deploymentOf({ deployment }, {})).toEqual(deployment);
    expect(deploymentOf({ deployment }, { COUNTERSIGN_BUILD_ID: 'v2' })).toEqual({ name: 'shop', buildId: 'v2' });
    expect(deploymentOf({}, { COUNTERSIGN_DEPLOYMENT: 'other' })).toEqual({ name: 'other' });
  });

  test.each([
    [{ COUNTERSIGN_DEPLOYMENT: 'a.b' }, 'deployment.name'],
    [{ COUNTERSIGN_DEPLOYMENT: 'a', COUNTERSIGN_BUILD_ID: 'two words' }, 'deployment.buildId'],
    [{ COUNTERSIGN_BUILD_ID: 'v1' }, 'COUNTERSIGN_BUILD_ID'],
  ])('is refused as %j', (env, field) => {
    expect(() => deploymentOf({}, env)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID', field }) as Error);
  });
});
