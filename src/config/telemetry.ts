/** The member `telemetry` of the config: where traces and metrics go. */
import { z } from 'zod';
import { isThisMachine } from '../http/addresses.js';
import type { HeaderValue } from '../tools/http/options.js';
import { nonEmpty, whole } from './schema.js';

export interface TelemetryConfig {
  /** A receiver of OTLP over HTTP, such as an OpenTelemetry collector. Default: OTEL_EXPORTER_OTLP_ENDPOINT, else nothing is sent. */
  readonly otlp?: {
    /** Its base URL: traces go to `<endpoint>/v1/traces`, metrics to `<endpoint>/v1/metrics`. */
    readonly endpoint: string;
    /** Headers of every request; a secret by reference: `{ secret: 'env:NAME' }`. */
    readonly headers?: Readonly<Record<string, HeaderValue>>;
  };
  /** A page of metrics for Prometheus, besides the gateway's own `/metrics`. Default none. */
  readonly prometheus?: {
    /** Where it listens: it asks for no token. Default 127.0.0.1. */
    readonly host?: string;
    /** Of the worker's own metrics. */
    readonly port: number;
    /** Of those of Temporal's SDK. Default none. */
    readonly temporalPort?: number;
  };
  /** The share of traces that are kept of those that begin here; a caller's own decision counts before. From 0 to 1, default 1. */
  readonly sampleRatio?: number;
  /** How often metrics are sent. Seconds from 1 to 3,600, default 60. */
  readonly intervalSeconds?: number;
  /** The name of the service. Default: OTEL_SERVICE_NAME, else `countersign-worker`, `countersign-gateway` or `countersign-dev`. */
  readonly serviceName?: string;
}

const ENDPOINT = 'an http or https URL without credentials and query; https where headers go along to another machine';
const ratio = 'a number from 0 to 1';
const headerValue = z.union([z.string(), z.strictObject({ secret: z.string(), prefix: z.string().optional() })], {
  error: "a text, or a secret by reference: { secret: 'env:NAME' }",
});

export const telemetrySchema = z.strictObject({
  otlp: z
    .strictObject({
      endpoint: z.string({ error: ENDPOINT }).refine(isEndpoint, { error: ENDPOINT }),
      headers: z.record(z.string(), headerValue).optional(),
    })
    .refine(({ endpoint, headers }) => headers === undefined || isGuarded(endpoint), {
      path: ['endpoint'],
      error: ENDPOINT,
    })
    .optional(),
  prometheus: z
    .strictObject({
      host: nonEmpty('the address to listen on').optional(),
      port: whole(1, 65_535),
      temporalPort: whole(1, 65_535).optional(),
    })
    .optional(),
  sampleRatio: z.number({ error: ratio }).min(0, { error: ratio }).max(1, { error: ratio }).optional(),
  intervalSeconds: whole(1, 3600, 'seconds').optional(),
  serviceName: nonEmpty('the name of the service').optional(),
} satisfies Record<keyof TelemetryConfig, z.ZodType>);

function isEndpoint(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    return false;
  }
  return url.protocol === 'https:' || url.protocol === 'http:';
}

/** Headers hold a token, as a rule. */
function isGuarded(endpoint: string): boolean {
  const url = new URL(endpoint);
  return url.protocol === 'https:' || isThisMachine(url.hostname);
}
