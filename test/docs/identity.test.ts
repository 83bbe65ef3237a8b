/** docs/identity.md: its config is one, and what it says of claims, defaults and revocation is so. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { GatewaySettings } from '../../src/gateway/deps.js';
import { claimNames, personOf } from '../../src/gateway/login/claims.js';
import { jtiOf } from '../../src/gateway/login/index.js';
import { gatewaySettings } from '../../src/gateway/settings.js';
import { checkConfig, type CountersignConfig } from '../../src/config/config.js';
import { ROOT } from '../support/root.js';
import { onSources, scratch } from './support.js';

const page = await readFile(path.join(ROOT, 'docs/identity.md'), 'utf8');
let folder: string;
let config: CountersignConfig;

beforeAll(async () => {
  folder = await scratch('identity');
  const block = page.split('```js countersign.config.mjs\n')[1]?.split('```')[0] as string;
  const file = path.join(folder, 'countersign.config.ts');
  await writeFile(file, onSources(block));
  config = checkConfig(((await import(file)) as { default: unknown }).default, 'docs/identity.md');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function settings(gateway = config.gateway ?? {}): GatewaySettings {
  return gatewaySettings({
    config: gateway,
    env: { COUNTERSIGN_OIDC_CLIENT_SECRET: 'a secret' },
    production: true,
    temporalNamespace: 'default',
    ...(config.passkeys === undefined ? {} : { passkeys: config.passkeys }),
  }).settings;
}

test('the config starts a gateway in production, with the secret of the environment', () => {
  const { oidc, publicUrl } = settings();
  expect(oidc).toMatchObject({ issuer: 'https://id.acme.example', clientSecret: 'a secret' });
  expect(page).toContain(`redirect URI: \`${publicUrl}/callback\``);
  expect(page).toContain(`post-logout redirect URI: \`${publicUrl}/logged-out\``);
});

test('the config makes of claims what the page says', () => {
  const { oidc } = settings();
  expect(oidc).toBeDefined();
  const claims = {
    email: 'Ann@acme.example',
    email_verified: true,
    name: 'Ann',
    org: { slug: 'acme' },
    groups: ['Database Admins', 'Everybody'],
  };
  expect(oidc && personOf(claims, oidc)).toEqual({
    id: 'ann@acme.example',
    name: 'Ann',
    tenant: 'acme',
    roles: ['dba'],
  });
});

test('the table names the claims that are read unless others are configured', () => {
  const rows = [...page.matchAll(/^\| `(\w+)`\s*\| `(\w+)`/gm)].map(([, claim, name]) => [claim, name]);
  expect(Object.fromEntries(rows)).toEqual(claimNames({ issuer: 'https://id.example', clientId: 'x' }));
});

test('sessions last as long as the page says', () => {
  const { session } = settings({ publicUrl: 'https://approvals.acme.example' });
  const [, idle, most] = /ends (\d+) minutes after its last use,\s+(\d+) hours after the login/.exec(page) ?? [];
  expect(session).toEqual({ idleSeconds: Number(idle) * 60, maxSeconds: Number(most) * 3600 });
});

test('the authority that the command revokes is the one of such a person', () => {
  const [, jti] = /^ {4}countersign revoke (\S+) --reason/m.exec(page) ?? [];
  expect(jti).toBe(jtiOf('Ann@acme.example'));
});
