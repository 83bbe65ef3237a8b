/** Whether there is telemetry, and where it goes: the config as the variables that OpenTelemetry's SDK reads, below those of the environment. */
import type { TelemetryOptions } from '@temporalio/worker';
import type { TelemetryConfig } from '../config/telemetry.js';
import { given, type Environment } from '../environment.js';
import { Secrets } from '../http/secrets.js';
import { checkHeaders, resolveHeaders } from '../tools/http/headers.js';

export interface TelemetrySettings {
  /** As https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ has them. They may hold secrets. */
  readonly variables: Readonly<Record<string, string>>;
  /** The same for the core of Temporal's SDK, which has metrics of its own. */
  readonly temporal: TelemetryOptions['metrics'];
}

export type ServiceName = 'worker' | 'gateway' | 'dev';

/** Any of them in the environment switches telemetry on. */
const ENDPOINTS = [
  'OTEL_EXPORTER_OTLP_ENDPOINT',
  'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
  'OTEL_EXPORTER_OTLP_METRICS_ENDPOINT',
] as const;
const EXPORTERS = ['OTEL_TRACES_EXPORTER', 'OTEL_METRICS_EXPORTER'] as const;

const DEFAULT_INTERVAL_SECONDS = 60;

/** Undefined where nothing is asked for. What the environment says counts before the config. @throws CountersignError CONFIG_INVALID */
export async function telemetrySettings(
  service: ServiceName,
  config: TelemetryConfig = {},
  env: Environment = process.env,
): Promise<TelemetrySettings | undefined> {
  if (given(env['OTEL_SDK_DISABLED'])?.toLowerCase() === 'true') return undefined;
  const isGiven = (name: string): boolean => given(env[name]) !== undefined;
  const sends = config.otlp !== undefined || ENDPOINTS.some(isGiven);
  if (!sends && config.prometheus === undefined && !EXPORTERS.some(isGiven)) return undefined;
  const variables = withTimeout({ ...(await variablesOf(service, config, sends)), ...otelVariables(env) });
  if (EXPORTERS.every((name) => variables[name] === 'none')) return undefined;
  return { variables, temporal: temporalMetrics(variables, config) };
}

async function variablesOf(
  service: ServiceName,
  { otlp, prometheus, sampleRatio, intervalSeconds = DEFAULT_INTERVAL_SECONDS, serviceName }: TelemetryConfig,
  sends: boolean,
): Promise<Record<string, string>> {
  const metrics = [...(sends ? ['otlp'] : []), ...(prometheus === undefined ? [] : ['prometheus'])];
  return {
    OTEL_SERVICE_NAME: serviceName ?? `countersign-${service}`,
    OTEL_TRACES_EXPORTER: sends ? 'otlp' : 'none',
    OTEL_METRICS_EXPORTER: metrics.join(',') || 'none',
    OTEL_LOGS_EXPORTER: 'none',
    // No baggage: what a caller says of itself is not for the systems behind tools.
    OTEL_PROPAGATORS: 'tracecontext',
    // Not of the process: its arguments may hold anything.
    OTEL_NODE_RESOURCE_DETECTORS: 'env,host',
    OTEL_METRIC_EXPORT_INTERVAL: String(intervalSeconds * 1000),
    ...(sampleRatio === undefined
      ? {}
      : { OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: String(sampleRatio) }),
    ...(otlp === undefined ? {} : { OTEL_EXPORTER_OTLP_ENDPOINT: otlp.endpoint.replace(/\/+$/, '') }),
    ...(otlp?.headers === undefined ? {} : { OTEL_EXPORTER_OTLP_HEADERS: await headersOf(otlp.headers) }),
    ...(prometheus === undefined
      ? {}
      : {
          OTEL_EXPORTER_PROMETHEUS_HOST: prometheus.host ?? '127.0.0.1',
          OTEL_EXPORTER_PROMETHEUS_PORT: String(prometheus.port),
        }),
  };
}

/** An export may not take longer than there is time between two. */
function withTimeout(variables: Record<string, string>): Record<string, string> {
  const most = Math.min(Number(variables['OTEL_METRIC_EXPORT_INTERVAL']), 10_000);
  return { OTEL_METRIC_EXPORT_TIMEOUT: String(most), ...variables };
}

/** As the specification writes them: like W3C Baggage. @throws CountersignError CONFIG_INVALID */
async function headersOf(headers: NonNullable<NonNullable<TelemetryConfig['otlp']>['headers']>): Promise<string> {
  const secrets = new Secrets('The config');
  checkHeaders(headers, 'telemetry.otlp.headers', secrets);
  const resolved = Object.entries(await resolveHeaders(headers, secrets));
  return resolved.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join(',');
}

function otelVariables(env: Environment): Record<string, string> {
  const all = Object.entries(env).filter(([name]) => name.startsWith('OTEL_'));
  return Object.fromEntries(all.flatMap(([name, text]) => (given(text) === undefined ? [] : [[name, text as string]])));
}

function temporalMetrics(
  variables: Readonly<Record<string, string>>,
  { prometheus }: TelemetryConfig,
): TelemetryOptions['metrics'] {
  if (prometheus?.temporalPort !== undefined) {
    const bindAddress = `${prometheus.host ?? '127.0.0.1'}:${prometheus.temporalPort}`;
    const named = { countersTotalSuffix: true, unitSuffix: true, useSecondsForDurations: true };
    return { prometheus: { bindAddress, ...named } };
  }
  if (variables['OTEL_METRICS_EXPORTER']?.includes('otlp') !== true) return undefined;
  const base = variables['OTEL_EXPORTER_OTLP_ENDPOINT'];
  const grpc = variables['OTEL_EXPORTER_OTLP_PROTOCOL'] === 'grpc';
  const url = variables['OTEL_EXPORTER_OTLP_METRICS_ENDPOINT'] ?? (base && (grpc ? base : `${base}/v1/metrics`));
  if (url === undefined) return undefined;
  return {
    otel: {
      url,
      http: !grpc,
      headers: parsedHeaders(variables['OTEL_EXPORTER_OTLP_HEADERS'] ?? ''),
      metricsExportInterval: Number(variables['OTEL_METRIC_EXPORT_INTERVAL']),
      useSecondsForDurations: true,
    },
  };
}

function parsedHeaders(text: string): Record<string, string> {
  const pairs = text.split(',').map((pair) => /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/.exec(pair));
  return Object.fromEntries(
    pairs.flatMap((found) => (found === null ? [] : [[found[1], decoded(found[2] as string)]])),
  );
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
