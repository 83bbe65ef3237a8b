/** The `http` tool: it runs declared operations of one service, which it previews, captures and verifies by read requests. */
import { configInvalid } from '../../action/errors-config.js';
import { CountersignError } from '../../action/errors.js';
import type { JsonObject } from '../../action/json.js';
import { leastSafe } from '../least-safe.js';
import { sendBoundOf } from '../sends.js';
import type { ReadContext, Tool } from '../tool.js';
import { addressGuard, isThisMachine } from '../../http/addresses.js';
import { Client } from './client.js';
import { describeOperations } from './describe-operations.js';
import { elsewhere } from './elsewhere.js';
import { execute } from './execute.js';
import { fill } from './fill.js';
import { checkHeaders } from './headers.js';
import { keyPlaceOf } from './idempotency-key.js';
import { inputSchema, scopeOf, type HttpInput } from './input.js';
import { lookUpEffect } from './look-up.js';
import { AccessTokens } from '../../http/access-tokens.js';
import { checkKeyPlaces, compileOperations, type CompiledLookUp, type Operation } from './operation.js';
import type { Allow } from '../../http/options.js';
import type { HttpOptions } from './options.js';
import { previewOf, stateIn } from './preview.js';
import { probe } from './probe.js';
import { httpRadar } from './radar.js';
import { Secrets } from '../../http/secrets.js';
import { within, type Service } from './service.js';
import { verifyCall } from './verify.js';
import { Wire } from '../../http/wire.js';

export {
  describeOpenApi,
  fromOpenApi,
  type OpenApiDescription,
  type OpenApiOperation,
  type OpenApiOperationDescription,
  type OpenApiOptions,
} from './openapi/index.js';
export type { HttpInput } from './input.js';
export type { ClientCredentials, SecretRef, TlsOptions } from '../../http/options.js';
export type { FieldStyle } from './fields.js';
export type { BodyFieldStyle } from './request-body.js';
export type {
  Accepted,
  HttpOperation,
  HttpOptions,
  HttpRadarOptions,
  IdempotencyKeyOptions,
  LookUpRequest,
  Pages,
  Probe,
} from './options.js';

/**
 * Creates a tool for one service. It connects when it is first used.
 *
 * @throws CountersignError CONFIG_INVALID
 */
export function http(options: HttpOptions): Tool<HttpInput> {
  const secrets = new Secrets(`The tool ${options.name}`);
  const operations = compileOperations(options, secrets);
  const limits = limitsOf(options);
  const client = clientOf(options, limits, secrets);
  const sends = sendBoundOf(options.sends, "the tool's config");
  const key = keyPlaceOf(options.idempotencyKey, namesOfHeaders(options));
  checkKeyPlaces(operations, key);
  const service: Service = { tool: options.name, client, operations, secrets, limits, sends, key };
  const radar = httpRadar(options.radar, service);
  const find = ({ op }: HttpInput): Operation => {
    const operation = operations.get(op);
    if (operation === undefined)
      throw new CountersignError('INVALID_INPUT', 'There is no such operation.', { field: 'op' });
    return operation;
  };
  const changing = [...operations.values()].filter(({ actionType }) => actionType !== 'READ');
  const idempotency = leastSafe(changing);
  const lookUps = lookUpsOf(changing);
  // Without an input, a look-up is possible only when all operations that change something share one.
  const shared = lookUps.size === 1 && changing.every(({ lookUp }) => lookUp !== undefined);
  const onlyLookUp = shared ? [...lookUps.values()][0] : undefined;

  return {
    name: options.name,
    kind: 'http',
    environment: options.environment,
    idempotency,
    idempotencyOf: (input) => find(input).idempotency,
    constraints: ['maxRows', 'timeoutMs'],
    // The pauses between sends, and the time of a job, are part of the execution.
    timeoutMs: limits.totalMs + sends.withinMs + longestJobMs(operations),
    sends,
    ...(options.taskQueue === undefined ? {} : { taskQueue: options.taskQueue }),
    input: inputSchema(operations, key),
    actionType: (input) => find(input).actionType,
    operation: ({ op }) => op,
    preview: (input, { signal }) => previewOf(service, find(input), input, within(service, signal)),
    async capture(input, { after, preview }, { signal }) {
      const operation = find(input);
      // A read changes nothing, and what it returns is its result, not a state.
      if (operation.actionType === 'READ') return {};
      // The preview has read the same probes. Right before the effect they are read again, and must be the same.
      if (after === undefined && preview !== undefined) return stateIn(preview);
      return (await probe(service, operation, input, after?.execution, within(service, signal))).state;
    },
    execute: (input, context) => execute(service, find(input), input, context),
    ...(idempotency === 'none' && lookUps.size === 0
      ? {}
      : {
          lookUp: (key: string, { signal }: ReadContext, input?: HttpInput) =>
            lookUpEffect(service, input === undefined ? onlyLookUp : find(input).lookUp, key, input, signal),
        }),
    verify: (effect) => verifyCall(find(effect.input), effect),
    settlesWithinMs(input, { result, parts = [] }) {
      const { settlesWithinMs, accepted } = find(input);
      // What has failed is not waited for.
      if (parts.some(({ done }) => !done)) return 0;
      const isOpen = accepted === undefined && (result as { status?: unknown } | null)?.status === 202;
      return settlesWithinMs ?? (isOpen ? ACCEPTED_SETTLES_MS : 0);
    },
    compensate(input, pre, post): JsonObject | undefined {
      const { compensate } = find(input);
      const undo = compensate === undefined ? undefined : fill({ ...compensate }, scopeOf(input, { pre, post }));
      return undo as JsonObject | undefined;
    },
    describe: () => describeOperations(options, operations),
    targets: () => [...new Set([...operations.values()].map(({ target }) => target))],
    elsewhere: elsewhere(options, http),
    ...(radar === undefined ? {} : { radar }),
    close: () => client.close(),
  };
}

function namesOfHeaders({ headers = {}, operations }: HttpOptions): readonly string[] {
  return [headers, ...Object.values(operations).map((operation) => operation.headers ?? {})].flatMap(Object.keys);
}

function longestJobMs(operations: ReadonlyMap<string, Operation>): number {
  return Math.max(0, ...[...operations.values()].map(({ accepted }) => accepted?.withinMs ?? 0));
}

/** How long the effect of an accepted request is awaited whose job is not followed. Milliseconds. */
const ACCEPTED_SETTLES_MS = 30_000;

/** The different look-ups of the operations that change something. */
function lookUpsOf(operations: readonly Operation[]): ReadonlyMap<string, CompiledLookUp> {
  return new Map(
    operations.flatMap(({ lookUp }) => {
      return lookUp === undefined
        ? []
        : [[JSON.stringify([lookUp.url.source, lookUp.at, lookUp.finalAfterMs]), lookUp]];
    }),
  );
}

const DEFAULT_LIMITS = {
  connectMs: 5_000,
  headersMs: 15_000,
  bodyMs: 15_000,
  totalMs: 30_000,
  bodyBytes: 1024 * 1024,
  redirects: 3,
} as const;

function limitsOf({ limits = {} }: HttpOptions): Record<keyof typeof DEFAULT_LIMITS, number> {
  for (const [name, value] of Object.entries(limits) as [keyof typeof DEFAULT_LIMITS, number][]) {
    const least = name === 'redirects' ? 0 : 1;
    if (!Object.hasOwn(DEFAULT_LIMITS, name) || !(Number.isSafeInteger(value) && value >= least)) {
      throw invalid(`limits.${name}`, `one of ${Object.keys(DEFAULT_LIMITS).join(', ')}, as a whole number`);
    }
  }
  return { ...DEFAULT_LIMITS, ...limits };
}

function clientOf(options: HttpOptions, limits: ReturnType<typeof limitsOf>, secrets: Secrets): Client {
  const { name, headers = {}, oauth, tls = {}, allow = {} } = options;
  const base = addressOf(options.baseUrl, 'baseUrl', allow);
  if (base.search !== '') throw invalid('baseUrl', 'a URL without a query');
  checkHeaders(headers, 'headers', secrets);
  for (const [part, ref] of Object.entries(tls)) secrets.check(ref, `tls.${part}`);
  if ((tls.cert === undefined) !== (tls.key === undefined)) throw invalid('tls', 'cert and key, or neither');
  const connector = { isAllowed: addressGuard(allow), connectMs: limits.connectMs, lookup: options.lookup, secrets };
  const own = new Wire(limits, { ...connector, tls });
  const others = new Wire(limits, { ...connector, tls: tls.ca === undefined ? {} : { ca: tls.ca } });
  let tokens: AccessTokens | undefined;
  if (oauth !== undefined) {
    secrets.check(oauth.clientSecret, 'oauth.clientSecret');
    if (Object.keys(headers).some((header) => header.toLowerCase() === 'authorization')) {
      throw invalid('headers.authorization', 'left out: oauth makes it');
    }
    const tokenUrl = addressOf(oauth.tokenUrl, 'oauth.tokenUrl', allow);
    tokens = new AccessTokens(oauth, tokenUrl.origin === base.origin ? own : others, secrets, limits);
  }
  const mayBePlain = (url: URL): boolean => plainIsSafe(url, allow);
  const hosts = new Set((allow.hosts ?? []).map((host) => host.toLowerCase()));
  return new Client({
    tool: name,
    base,
    headers,
    secrets,
    own,
    others,
    tokens,
    hosts,
    redirects: limits.redirects,
    mayBePlain,
  });
}

function addressOf(text: string, field: string, allow: Allow): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  // The error does not quote the URL, which may contain a password.
  if (url === undefined || url.username !== '' || url.password !== '' || url.hash !== '') {
    throw invalid(field, 'a URL without credentials and fragment');
  }
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && plainIsSafe(url, allow))) {
    throw invalid(field, 'a URL of https (or http, to loopback or with allow.plainHttp)');
  }
  return url;
}

/** Whether plain HTTP is safe. Without TLS, anybody on the network can read the credentials, so only this machine is safe. */
function plainIsSafe({ hostname }: URL, { loopback = false, plainHttp = false }: Allow): boolean {
  return plainHttp || (loopback && isThisMachine(hostname));
}

function invalid(field: string, expected: string): CountersignError {
  return configInvalid(field, expected, "the tool's config");
}
