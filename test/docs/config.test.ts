/** docs/config.md: its example starts a gateway and names tools and channels; it lists every option there is, and no other. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DEFAULT_ROLES, loadConfig, type CountersignConfig } from '../../src/config/config.js';
import type { GatewayConfig } from '../../src/config/gateway.js';
import { DEFAULT_RETENTION_DAYS } from '../../src/config/retention.js';
import type { PrivacyConfig } from '../../src/config/privacy.js';
import type { NotificationsConfig } from '../../src/config/notifications.js';
import type { CanariesConfig } from '../../src/config/oversight.js';
import type { TrailConfig } from '../../src/config/trail.js';
import type { TelemetryConfig } from '../../src/config/telemetry.js';
import { gatewaySettings } from '../../src/gateway/settings.js';
import { ROOT } from '../support/root.js';
import { onSources, scratch } from './support.js';

const page = await readFile(path.join(ROOT, 'docs/config.md'), 'utf8');
let folder: string;

beforeAll(async () => {
  folder = await scratch('config');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

type Names<T> = Record<keyof T, true>;

/** The compiler keeps these complete: an option that is added there does not compile here until it is listed. */
const OPTIONS: Names<Required<CountersignConfig>> = {
  policies: true,
  tools: true,
  grantTtlSeconds: true,
  selfApproval: true,
  lookUpMaxWaitMs: true,
  roles: true,
  signedPins: true,
  passkeys: true,
  approvalRateLimit: true,
  invariants: true,
  semantic: true,
  deployment: true,
  notifications: true,
  gateway: true,
  trail: true,
  telemetry: true,
  privacy: true,
  retention: true,
  oversight: true,
};
const CANARIES: Names<Required<CanariesConfig>> = {
  templates: true,
  perWeek: true,
  tenants: true,
  mostPerWeek: true,
  mostPerPersonPerDay: true,
  hours: true,
};
const TRAIL: Names<Required<TrailConfig>> = { checkpointEverySeconds: true, anchors: true };
const NOTIFICATIONS: Names<Required<NotificationsConfig>> = {
  gatewayUrl: true,
  channels: true,
  routes: true,
  giveUpAfterSeconds: true,
  reasoning: true,
  summary: true,
  alarms: true,
};
type Privacy = Required<PrivacyConfig>;
const PAYLOADS: Names<Required<Privacy['payloads']>> = { keysFile: true, plain: true };
const REDACTION: Names<Required<Privacy['redaction']>> = { keysFile: true, tools: true };
const CODEC_SERVER: Names<Required<Privacy['codecServer']>> = { origins: true, roles: true };
type Gateway = Required<GatewayConfig>;
const GATEWAY: Names<Omit<Gateway, 'session' | 'limits'>> = {
  publicUrl: true,
  host: true,
  port: true,
  agents: true,
  oidc: true,
  temporalUiUrl: true,
  trustedProxies: true,
};
const SESSION: Names<Required<Gateway['session']>> = { idleSeconds: true, maxSeconds: true };
const LIMITS: Names<Required<Gateway['limits']>> = {
  bodyBytes: true,
  requestsPerMinute: true,
  timeoutMs: true,
  streams: true,
  callWaitMs: true,
};

const TELEMETRY: Names<Required<TelemetryConfig>> = {
  otlp: true,
  prometheus: true,
  sampleRatio: true,
  intervalSeconds: true,
  serviceName: true,
};

const under = (prefix: string, names: object): string[] => Object.keys(names).map((name) => `${prefix}${name}`);

test('every option is listed, and no other', () => {
  const listed = [...page.matchAll(/^\| `([a-z][\w.]*)`/gm)].map(([, name]) => name as string);
  expect(listed.toSorted()).toEqual(
    [
      ...Object.keys(OPTIONS),
      ...under('roles.', DEFAULT_ROLES),
      ...under('notifications.', NOTIFICATIONS),
      ...under('privacy.payloads.', PAYLOADS),
      ...under('privacy.codecServer.', CODEC_SERVER),
      ...under('privacy.redaction.', REDACTION),
      ...under('retention.', DEFAULT_RETENTION_DAYS),
      ...under('gateway.', GATEWAY),
      ...under('trail.', TRAIL),
      ...under('oversight.canaries.', CANARIES),
      ...under('gateway.session.', SESSION),
      ...under('gateway.limits.', LIMITS),
      ...under('telemetry.', TELEMETRY),
    ].toSorted(),
  );
});

test('the default durations are those that the page lists', () => {
  const listed = [...page.matchAll(/^\| `retention\.(\w+)` +\| `(\d+)`/gm)].map(([, kind, days]) => [
    kind,
    Number(days),
  ]);
  expect(Object.fromEntries(listed)).toEqual(DEFAULT_RETENTION_DAYS);
});

test('the default roles are those that the page lists', () => {
  const listed = [...page.matchAll(/^\| `roles\.(\w+)` +\| `\['([\w-]+)'\]`/gm)].map(([, kind, role]) => [
    kind,
    [role],
  ]);
  expect(Object.fromEntries(listed)).toEqual(DEFAULT_ROLES);
});

test('the example is loaded, and a gateway starts with it in production', async () => {
  process.env['SHOP_DATABASE_URL'] = 'postgres://app:secret@127.0.0.1:5432/shop';
  process.env['COUNTERSIGN_WEBHOOK_SECRET'] = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;
  const file = path.join(folder, 'countersign.config.mjs');
  await writeFile(file, onSources(page.split('```js countersign.config.mjs\n')[1]?.split('```')[0] as string));
  const config = await loadConfig(file);
  expect(config.tools.map(({ name, environment }) => [name, environment])).toEqual([['shop-db', 'production']]);
  expect(config.policies).toBe(path.join(folder, 'policies'));
  expect(config.notifications?.channels.map(({ name }) => name)).toEqual(['on-call']);
  const { settings, listen } = gatewaySettings({
    config: config.gateway ?? {},
    env: {},
    production: true,
    temporalNamespace: 'default',
    ...(config.passkeys === undefined ? {} : { passkeys: config.passkeys }),
  });
  expect(listen).toEqual({ host: '127.0.0.1', port: 8787 });
  expect(settings).toMatchObject({
    publicUrl: 'https://approvals.acme.example',
    session: { idleSeconds: 1800, maxSeconds: 43_200 },
    limits: { bodyBytes: 1_048_576, requestsPerMinute: 600, timeoutMs: 30_000, streams: 20 },
    trustedProxies: 0,
  });
  await Promise.all(config.tools.map((tool) => tool.close()));
});
