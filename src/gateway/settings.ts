/** The gateway's part of the config, and the settings made of it: whatever would be unsafe does not start. */
import { z } from 'zod';
import { CountersignError } from '../action/errors.js';
import { given } from '../environment.js';
import { rolesSchema } from '../trust/claims.js';
import { principalSchema, tenantSchema } from '../trust/shapes.js';
import type { AgentIssuer, DevPerson, GatewaySettings, OidcSettings } from './deps.js';
import { isLoopbackName } from './middleware/same-host.js';

/** The member `gateway` of the config. It holds no secret: those come from the environment. */
export interface GatewayConfig {
  /** Where people reach it: `https://…`, or `http://localhost:<port>`. Default: where it listens. */
  readonly publicUrl?: string;
  /** The address to listen on. Default 127.0.0.1. */
  readonly host?: string;
  /** Default 8787. */
  readonly port?: number;
  /** Issuers of agents' tokens. Default none: then there are API keys. */
  readonly agents?: readonly AgentIssuer[];
  /** The identity provider of people. The client's secret is COUNTERSIGN_OIDC_CLIENT_SECRET. */
  readonly oidc?: Omit<OidcSettings, 'clientSecret'>;
  /** For links to an action's workflow. Default: TEMPORAL_UI_URL, if set. */
  readonly temporalUiUrl?: string;
  readonly session?: Partial<GatewaySettings['session']>;
  readonly limits?: Partial<GatewaySettings['limits']>;
  /** Hops of proxies in front whose `X-Forwarded-For` and `X-Forwarded-Host` are believed. Default 0. */
  readonly trustedProxies?: number;
}

export const DEFAULT_PORT = 8787;
export const DEFAULT_HOST = '127.0.0.1';

const claims = z.record(z.string(), z.string().min(1)).optional();
const configSchema = z.strictObject({
  publicUrl: z.string().optional(),
  host: z.string().min(1).optional(),
  port: z.number().int().min(0).max(65_535).optional(),
  agents: z
    .array(
      z.strictObject({
        issuer: z.string(),
        audience: z.string().min(1),
        jwksUri: z.string().optional(),
        claims,
        tenant: tenantSchema.optional(),
      }),
    )
    .optional(),
  oidc: z
    .strictObject({
      issuer: z.string(),
      clientId: z.string().min(1),
      scope: z.string().optional(),
      claims,
      roles: z.record(z.string(), z.string()).optional(),
      tenant: tenantSchema.optional(),
    })
    .optional(),
  temporalUiUrl: z.string().optional(),
  session: z
    .strictObject({
      idleSeconds: z.number().int().min(60).max(86_400).optional(),
      maxSeconds: z.number().int().min(60).max(604_800).optional(),
    })
    .optional(),
  limits: z
    .strictObject({
      bodyBytes: z.number().int().min(1024).max(16_777_216).optional(),
      requestsPerMinute: z.number().int().min(1).max(1_000_000).optional(),
      timeoutMs: z.number().int().min(1000).max(300_000).optional(),
      streams: z.number().int().min(1).max(10_000).optional(),
    })
    .optional(),
  trustedProxies: z.number().int().min(0).max(10).optional(),
});

const devPeopleSchema = z
  .array(z.strictObject({ id: principalSchema, name: z.string().min(1), tenant: tenantSchema, roles: rolesSchema }))
  .min(1);

export interface SettingsSources {
  readonly config: GatewayConfig;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly production: boolean;
  readonly temporalNamespace: string;
  readonly passkeys?: GatewaySettings['passkeys'];
  readonly freezeRoles?: readonly string[];
  readonly devPeople?: readonly DevPerson[];
}

export interface Listening {
  readonly host: string;
  readonly port: number;
}

/**
 * Puts the settings together.
 *
 * @throws CountersignError CONFIG_INVALID naming the field, where they are malformed or would be unsafe
 */
export function gatewaySettings(sources: SettingsSources): { settings: GatewaySettings; listen: Listening } {
  const { env, production } = sources;
  const config = checkedConfig(sources.config);
  const listen = { host: config.host ?? DEFAULT_HOST, port: config.port ?? DEFAULT_PORT };
  const publicUrl = publicUrlOf(config, listen);
  for (const [index, { issuer, jwksUri }] of (config.agents ?? []).entries()) {
    safeUrl(issuer, `agents.${index}.issuer`);
    if (jwksUri !== undefined) safeUrl(jwksUri, `agents.${index}.jwksUri`);
    if (config.agents?.some((other, at) => at < index && other.issuer === issuer) === true) {
      throw invalid(`agents.${index}.issuer`, 'an issuer that is not listed before');
    }
  }
  if (config.oidc !== undefined) safeUrl(config.oidc.issuer, 'oidc.issuer');
  const uiUrl = config.temporalUiUrl ?? given(env['TEMPORAL_UI_URL']);
  if (uiUrl !== undefined && !/^https?:$/.test(parsedUrl(uiUrl, 'temporalUiUrl').protocol)) {
    throw invalid('temporalUiUrl', 'an http or https URL');
  }
  const devPeople = devPeopleOf(sources, { publicUrl, host: listen.host, production });
  checkPasskeys(sources.passkeys, publicUrl);
  const clientSecret = given(env['COUNTERSIGN_OIDC_CLIENT_SECRET']);
  const metricsToken = metricsTokenOf(env);
  const signingSecret = given(env['COUNTERSIGN_SLACK_SIGNING_SECRET']);
  const settings: GatewaySettings = {
    publicUrl: publicUrl.origin,
    temporalNamespace: sources.temporalNamespace,
    ...(uiUrl === undefined ? {} : { temporalUiUrl: uiUrl.replace(/\/+$/, '') }),
    ...(sources.passkeys === undefined ? {} : { passkeys: sources.passkeys }),
    agents: config.agents ?? [],
    ...(config.oidc === undefined
      ? {}
      : { oidc: { ...config.oidc, ...(clientSecret === undefined ? {} : { clientSecret }) } }),
    ...(signingSecret === undefined ? {} : { slack: { signingSecret } }),
    ...(devPeople === undefined ? {} : { devPeople }),
    freezeRoles: sources.freezeRoles ?? ['operator'],
    session: { idleSeconds: 1800, maxSeconds: 43_200, ...config.session },
    limits: { bodyBytes: 1_048_576, requestsPerMinute: 600, timeoutMs: 30_000, streams: 20, ...config.limits },
    trustedProxies: config.trustedProxies ?? 0,
    metrics: {
      open: isLoopback(publicUrl) && isLoopbackHost(listen.host),
      ...(metricsToken === undefined ? {} : { token: metricsToken }),
    },
  };
  return { settings, listen };
}

/** Whether the URL stays on this machine. */
export function isLoopback({ hostname }: URL): boolean {
  return isLoopbackName(hostname);
}

function isLoopbackHost(host: string): boolean {
  return host === '::1' || isLoopbackName(host);
}

function checkedConfig(config: GatewayConfig): GatewayConfig {
  const parsed = configSchema.safeParse(config);
  if (parsed.success) return config;
  const [issue] = parsed.error.issues;
  throw invalid(issue?.path.join('.') || 'gateway', issue?.message ?? 'of the expected shape');
}

function publicUrlOf({ publicUrl }: GatewayConfig, { host, port }: Listening): URL {
  if (publicUrl === undefined) {
    if (isLoopbackHost(host)) return new URL(`http://localhost:${port}`);
    throw invalid('publicUrl', 'the https URL where people reach the gateway, because it does not listen on loopback');
  }
  const url = safeUrl(publicUrl, 'publicUrl');
  if (url.pathname === '/' && url.search === '' && url.hash === '') return url;
  throw invalid('publicUrl', 'a URL without path, query and fragment');
}

/** Passwords, cookies and tokens go this way: in the clear only where it does not leave the machine. */
function safeUrl(text: string, field: string): URL {
  const url = parsedUrl(text, field);
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url))) return url;
  throw invalid(field, 'an https URL (http only on localhost)');
}

function parsedUrl(text: string, field: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && url.username === '' && url.password === '') return url;
  throw invalid(field, 'a URL without user and password');
}

/** Anybody who reaches the login for development can be anybody. */
function devPeopleOf(
  { devPeople, config }: SettingsSources,
  { publicUrl, host, production }: { publicUrl: URL; host: string; production: boolean },
): readonly DevPerson[] | undefined {
  if (devPeople === undefined) return undefined;
  if (production) throw invalid('devPeople', 'absent in production: configure `oidc`');
  if (config.oidc !== undefined) throw invalid('devPeople', 'absent where `oidc` is configured');
  if (!isLoopback(publicUrl) || !isLoopbackHost(host))
    throw invalid('devPeople', 'absent off loopback: configure `oidc`');
  const parsed = devPeopleSchema.safeParse(devPeople);
  if (parsed.success) return devPeople;
  throw invalid(`devPeople.${parsed.error.issues[0]?.path.join('.') ?? ''}`, 'people with id, name, tenant and roles');
}

/** A browser would refuse others anyway, when it is too late to say why. */
function checkPasskeys(passkeys: GatewaySettings['passkeys'], { hostname, origin }: URL): void {
  if (passkeys === undefined) return;
  if (hostname !== passkeys.rpId && !hostname.endsWith(`.${passkeys.rpId}`)) {
    throw invalid('passkeys.rpId', `the host of gateway.publicUrl (${hostname}) or a domain above it`);
  }
  if (!passkeys.origins.includes(origin)) throw invalid('passkeys.origins', `a list with ${origin} in it`);
}

function metricsTokenOf(env: SettingsSources['env']): string | undefined {
  const token = given(env['COUNTERSIGN_METRICS_TOKEN']);
  if (token === undefined || token.length >= 16) return token;
  throw new CountersignError('CONFIG_INVALID', 'COUNTERSIGN_METRICS_TOKEN is too short.', {
    field: 'COUNTERSIGN_METRICS_TOKEN',
    expected: 'at least 16 characters',
  });
}

function invalid(field: string, expected: string): CountersignError {
  const name =
    field === 'gateway' || field.startsWith('passkeys') || field === 'devPeople' ? field : `gateway.${field}`;
  return new CountersignError('CONFIG_INVALID', `${name} must be ${expected}.`, {
    field: name,
    expected,
    fix: `Correct ${name} in the config.`,
  });
}
