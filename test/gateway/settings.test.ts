/** A gateway that would be unsafe does not start, and says why. */
import { describe, expect, test } from 'vitest';
import type { CountersignError } from '../../src/action/errors.js';
import { devGateway } from '../../src/cli/dev-gateway.js';
import { DEFAULT_ROLES } from '../../src/config/config.js';
import type { GatewayConfig } from '../../src/config/gateway.js';
import { gatewaySettings, type SettingsSources } from '../../src/gateway/settings.js';

const DANA = { id: 'dana', name: 'Dana', tenant: 'acme', roles: ['dba'] };
const OIDC = { issuer: 'https://login.example.com', clientId: 'countersign' };
const PUBLIC = { publicUrl: 'https://approvals.example.com', host: '0.0.0.0' };

function made(config: GatewayConfig = {}, more: Partial<SettingsSources> = {}) {
  return gatewaySettings({ config, env: {}, production: false, temporalNamespace: 'default', ...more });
}

function refused(config: object, more: Partial<SettingsSources> = {}): string | undefined {
  try {
    made(config, more);
    return undefined;
  } catch (error) {
    const { code, field } = error as CountersignError;
    return code === 'CONFIG_INVALID' ? field : code;
  }
}

test('of the people of `countersign dev` two may change the policy, as many as a quorum needs, and one may do nothing', async () => {
  const { devPeople = [] } = await devGateway(
    { policies: './policies', tools: [] },
    { port: 1, temporalUiUrl: undefined },
  );
  const { policy } = DEFAULT_ROLES;
  expect(devPeople.filter(({ roles }) => policy.some((role) => roles.includes(role)))).toHaveLength(2);
  expect(devPeople.filter(({ roles }) => roles.length === 0)).toHaveLength(1);
});

describe('settings', () => {
  test('without any listen on this machine alone, and let nobody in but by API keys', () => {
    const { settings, listen } = made();
    expect(listen).toEqual({ host: '127.0.0.1', port: 8787 });
    expect(settings).toMatchObject({
      publicUrl: 'http://localhost:8787',
      agents: [],
      freezeRoles: ['operator'],
      platformRoles: ['platform-operator'],
      oversightRoles: ['operator'],
      selfApproval: false,
      session: { idleSeconds: 1800, maxSeconds: 43_200 },
      limits: { bodyBytes: 1_048_576, requestsPerMinute: 600, timeoutMs: 30_000 },
      trustedProxies: 0,
      metrics: { open: true },
    });
    expect(settings.devPeople).toBeUndefined();
  });

  test('take secrets from the environment, and what is public from the config', () => {
    const env = { COUNTERSIGN_OIDC_CLIENT_SECRET: 's3cret', COUNTERSIGN_METRICS_TOKEN: 'figures-for-the-operator' };
    const { settings } = made({ ...PUBLIC, oidc: OIDC }, { env, production: true });
    expect(settings.oidc).toEqual({ ...OIDC, clientSecret: 's3cret' });
    expect(settings.metrics).toEqual({ open: false, token: 'figures-for-the-operator' });
    expect(refused({ ...PUBLIC, oidc: { ...OIDC, clientSecret: 'in the file' } })).toBe('gateway.oidc.clientSecret');
  });

  test.each<[string, object, string]>([
    ['people by http', { publicUrl: 'http://approvals.example.com' }, 'gateway.publicUrl'],
    ['a path in its address', { publicUrl: 'https://approvals.example.com/x' }, 'gateway.publicUrl'],
    ['a password in its address', { publicUrl: 'https://a:b@approvals.example.com' }, 'gateway.publicUrl'],
    ['every address and no name', { host: '0.0.0.0' }, 'gateway.publicUrl'],
    ['an identity provider by http', { oidc: { ...OIDC, issuer: 'http://login.example.com' } }, 'gateway.oidc.issuer'],
    ['an issuer by http', { agents: [{ issuer: 'http://x.example', audience: 'a' }] }, 'gateway.agents.0.issuer'],
    [
      'keys by http',
      { agents: [{ issuer: 'https://x.example', audience: 'a', jwksUri: 'http://x.example/k' }] },
      'gateway.agents.0.jwksUri',
    ],
    [
      'an issuer for every audience',
      { agents: [{ issuer: 'https://x.example', audience: '' }] },
      'gateway.agents.0.audience',
    ],
    [
      'an issuer twice',
      { agents: [1, 2].map(() => ({ issuer: 'https://x.example', audience: 'a' })) },
      'gateway.agents.1.issuer',
    ],
    ['a link that is a script', { temporalUiUrl: 'javascript:alert(1)' }, 'gateway.temporalUiUrl'],
    ['a setting that there is not', { insecure: true }, 'gateway.insecure'],
    ['no limit', { limits: { requestsPerMinute: 0 } }, 'gateway.limits.requestsPerMinute'],
    ['a session without an end', { session: { maxSeconds: Infinity } }, 'gateway.session.maxSeconds'],
  ])('with %s are refused', (_, config, field) => {
    expect(refused(config)).toBe(field);
  });

  test.each<[string, object, Partial<SettingsSources>]>([
    ['in production', {}, { production: true }],
    ['off this machine', { ...PUBLIC }, {}],
    ['on every address', { publicUrl: 'http://localhost:8787', host: '0.0.0.0' }, {}],
    ['beside an identity provider', { oidc: OIDC }, {}],
    ['with nobody', {}, { devPeople: [] }],
  ])('have no login for development %s', (_, config, more) => {
    expect(refused({}, { devPeople: [DANA] })).toBeUndefined();
    expect(refused(config, { devPeople: [DANA], ...more })).toMatch(/devPeople/);
  });

  test('have passkeys for their own address only', () => {
    const passkeys = { rpId: 'example.com', origins: ['https://approvals.example.com'] };
    expect(refused(PUBLIC, { passkeys })).toBeUndefined();
    expect(refused(PUBLIC, { passkeys: { ...passkeys, rpId: 'other.example' } })).toBe('passkeys.rpId');
    expect(refused(PUBLIC, { passkeys: { ...passkeys, rpId: 'ple.com' } })).toBe('passkeys.rpId');
    expect(refused(PUBLIC, { passkeys: { ...passkeys, origins: ['https://example.com'] } })).toBe('passkeys.origins');
  });

  test('refuse a token for the figures that could be guessed', () => {
    expect(refused({}, { env: { COUNTERSIGN_METRICS_TOKEN: 'short' } })).toBe('COUNTERSIGN_METRICS_TOKEN');
  });
});
