/** The gateway's settings, made of its part of the config and the environment: whatever would be unsafe does not start. */
import { z } from 'zod';
import { configInvalid } from '../action/errors-config.js';
import { CountersignError } from '../action/errors.js';
import { DEFAULT_HOST, DEFAULT_PORT, gatewayConfigSchema, type GatewayConfig } from '../config/gateway.js';
import { firstProblem } from '../config/schema.js';
import { secretVariable, variable } from '../environment.js';
import { rolesSchema } from '../trust/claims.js';
import { principalSchema, tenantSchema } from '../trust/claim-schemas.js';
import type { DevPerson, GatewaySettings } from './deps.js';
import { isThisMachine } from '../http/addresses.js';

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
  readonly platformRoles?: readonly string[];
  readonly oversightRoles?: readonly string[];
  readonly selfApproval?: boolean | undefined;
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
  const uiUrl = config.temporalUiUrl ?? variable('TEMPORAL_UI_URL', env);
  if (uiUrl !== undefined && !/^https?:$/.test(parsedUrl(uiUrl, 'temporalUiUrl').protocol)) {
    throw invalid('temporalUiUrl', 'an http or https URL');
  }
  const devPeople = devPeopleOf(sources, { publicUrl, host: listen.host, production });
  checkPasskeys(sources.passkeys, publicUrl);
  const clientSecret = secretVariable('COUNTERSIGN_OIDC_CLIENT_SECRET', env);
  const metricsToken = metricsTokenOf(env);
  const signingSecret = secretVariable('COUNTERSIGN_SLACK_SIGNING_SECRET', env);
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
    platformRoles: sources.platformRoles ?? ['platform-operator'],
    oversightRoles: sources.oversightRoles ?? ['operator'],
    selfApproval: sources.selfApproval ?? false,
    session: { idleSeconds: 1800, maxSeconds: 43_200, ...config.session },
    limits: limitsOf(config),
    trustedProxies: config.trustedProxies ?? 0,
    metrics: {
      open: isThisMachine(publicUrl.hostname) && isThisMachine(listen.host),
      ...(metricsToken === undefined ? {} : { token: metricsToken }),
    },
  };
  return { settings, listen };
}

/** A call that waits is answered before it would be given up. */
function limitsOf({ limits = {} }: GatewayConfig): GatewaySettings['limits'] {
  const { timeoutMs = 30_000, callWaitMs = 20_000 } = limits;
  const all = { bodyBytes: 1_048_576, requestsPerMinute: 600, streams: 20, ...limits, timeoutMs };
  return { ...all, callWaitMs: Math.min(callWaitMs, Math.floor((timeoutMs * 2) / 3)) };
}

/** Whether the URL stays on this machine. */
function checkedConfig(config: GatewayConfig): GatewayConfig {
  const { error } = gatewayConfigSchema.safeParse(config);
  if (error !== undefined) throw firstProblem(error, 'gateway', 'the config');
  return config;
}

function publicUrlOf({ publicUrl }: GatewayConfig, { host, port }: Listening): URL {
  if (publicUrl === undefined) {
    if (isThisMachine(host)) return new URL(`http://localhost:${port}`);
    throw invalid('publicUrl', 'the https URL where people reach the gateway, because it does not listen on loopback');
  }
  const url = safeUrl(publicUrl, 'publicUrl');
  if (url.pathname === '/' && url.search === '' && url.hash === '') return url;
  throw invalid('publicUrl', 'a URL without path, query and fragment');
}

/** Passwords, cookies and tokens go this way: in the clear only where it does not leave the machine. */
function safeUrl(text: string, field: string): URL {
  const url = parsedUrl(text, field);
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isThisMachine(url.hostname))) return url;
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
  if (!isThisMachine(publicUrl.hostname) || !isThisMachine(host))
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
  const token = secretVariable('COUNTERSIGN_METRICS_TOKEN', env);
  if (token === undefined || token.length >= 16) return token;
  throw new CountersignError('CONFIG_INVALID', 'COUNTERSIGN_METRICS_TOKEN is too short.', {
    field: 'COUNTERSIGN_METRICS_TOKEN',
    expected: 'at least 16 characters',
  });
}

function invalid(field: string, expected: string): CountersignError {
  const isWhole = field.startsWith('passkeys') || field.startsWith('devPeople');
  return configInvalid(isWhole ? field : `gateway.${field}`, expected);
}
