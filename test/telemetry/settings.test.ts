/** Where telemetry goes: what switches it on, which of config and environment counts, and what a log line keeps to itself. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkConfig } from '../../src/config/config.js';
import type { TelemetryConfig } from '../../src/config/telemetry.js';
import { HIDDEN, lineFields, loggedError } from '../../src/telemetry/log-lines.js';
import { telemetrySettings } from '../../src/telemetry/settings.js';
import { ROOT } from '../support/root.js';

const OTLP = { otlp: { endpoint: 'http://127.0.0.1:4318/' } };

beforeEach(() => {
  process.env['TEST_OTLP_TOKEN'] = 'key, with=signs';
});
afterEach(() => {
  delete process.env['TEST_OTLP_TOKEN'];
});

describe('telemetry', () => {
  test.each([
    ['nothing', {}, {}],
    ['a name alone', { serviceName: 'shop' }, { OTEL_SERVICE_NAME: 'shop' }],
    ['a receiver, but the SDK is disabled', OTLP, { OTEL_SDK_DISABLED: 'true' }],
    ['a receiver, but no exporter', OTLP, { OTEL_TRACES_EXPORTER: 'none', OTEL_METRICS_EXPORTER: 'none' }],
    ['an empty variable', {}, { OTEL_EXPORTER_OTLP_ENDPOINT: '' }],
  ])('is off with %s', async (_what, config: TelemetryConfig, env) => {
    expect(await telemetrySettings('worker', config, env)).toBeUndefined();
  });

  test('goes where the config says, in the words of the SDK', async () => {
    const headers = { 'x-tenant': 'ops', authorization: { secret: 'env:TEST_OTLP_TOKEN', prefix: 'Bearer ' } } as const;
    const otlp = { ...OTLP.otlp, headers };
    const settings = await telemetrySettings('worker', { otlp, sampleRatio: 0.25, intervalSeconds: 5 }, {});
    expect(settings?.variables).toEqual({
      OTEL_SERVICE_NAME: 'countersign-worker',
      OTEL_TRACES_EXPORTER: 'otlp',
      OTEL_METRICS_EXPORTER: 'otlp',
      OTEL_LOGS_EXPORTER: 'none',
      OTEL_PROPAGATORS: 'tracecontext',
      OTEL_NODE_RESOURCE_DETECTORS: 'env,host',
      OTEL_METRIC_EXPORT_INTERVAL: '5000',
      OTEL_METRIC_EXPORT_TIMEOUT: '5000',
      OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0.25',
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318',
      OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=ops,authorization=Bearer%20key%2C%20with%3Dsigns',
    });
    expect(settings?.temporal).toEqual({
      otel: {
        url: 'http://127.0.0.1:4318/v1/metrics',
        http: true,
        headers: { 'x-tenant': 'ops', authorization: 'Bearer key, with=signs' },
        metricsExportInterval: 5000,
        useSecondsForDurations: true,
      },
    });
  });

  test('goes where the environment says before the config, also over gRPC', async () => {
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4317',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
      OTEL_SERVICE_NAME: 'shop',
    };
    const settings = await telemetrySettings('gateway', OTLP, env);
    expect(settings?.variables).toMatchObject({ ...env, OTEL_TRACES_EXPORTER: 'otlp' });
    expect(settings?.temporal).toMatchObject({ otel: { url: 'http://collector:4317', http: false } });
  });

  test('has pages for Prometheus, of the worker and of Temporal’s SDK', async () => {
    const settings = await telemetrySettings('worker', { prometheus: { port: 9464, temporalPort: 9465 } }, {});
    expect(settings?.variables).toMatchObject({
      OTEL_TRACES_EXPORTER: 'none',
      OTEL_METRICS_EXPORTER: 'prometheus',
      OTEL_EXPORTER_PROMETHEUS_HOST: '127.0.0.1',
      OTEL_EXPORTER_PROMETHEUS_PORT: '9464',
    });
    expect(settings?.temporal).toMatchObject({ prometheus: { bindAddress: '127.0.0.1:9465' } });
  });

  test.each([
    ['telemetry.otlp.endpoint', { otlp: { endpoint: 'collector:4317' } }],
    ['telemetry.otlp.endpoint', { otlp: { endpoint: 'https://user:secret@collector' } }],
    ['telemetry.otlp.endpoint', { otlp: { endpoint: 'http://collector:4318', headers: { 'x-a': 'b' } } }],
    ['telemetry.otlp.headers.x-a', { otlp: { endpoint: 'https://collector', headers: { 'x-a': 7 } } }],
    ['telemetry.prometheus.port', { prometheus: { port: 0 } }],
    ['telemetry.sampleRatio', { sampleRatio: 1.5 }],
    ['telemetry.intervalSeconds', { intervalSeconds: 0.5 }],
    ['telemetry.traces', { traces: true }],
  ])('is refused where %s is wrong', (field, telemetry) => {
    const config = { policies: './policies', tools: [], telemetry };
    expect(() => checkConfig(config, 'config')).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID', field }));
  });

  test.each([
    ['a credential that is no reference', { authorization: 'Bearer abc' }],
    ['a secret that is not there', { authorization: { secret: 'env:NOT_SET_ANYWHERE' } as const }],
  ])('is refused with %s', async (_what, headers) => {
    const otlp = { endpoint: 'https://collector', headers };
    await expect(telemetrySettings('worker', { otlp }, {})).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  test('loads OpenTelemetry’s SDK in one place, when it is started', async () => {
    const all = (await readdir(path.join(ROOT, 'src'), { recursive: true })).filter((name) => /\.tsx?$/.test(name));
    const loading: string[] = [];
    for (const name of all) {
      const text = await readFile(path.join(ROOT, 'src', name), 'utf8');
      if (/^import (?!type)[^;]*from '@opentelemetry\/(?!api')/m.test(text)) loading.push(name);
      if (/import\('@opentelemetry\//.test(text)) loading.push(`${name}, later`);
    }
    expect(loading).toEqual(['telemetry/start.ts, later']);
  });
});

describe('a log line', () => {
  function logged(write: (logger: pino.Logger) => void): string {
    const lines: string[] = [];
    const options = {
      mixin: lineFields,
      redact: { paths: HIDDEN, censor: '[hidden]' },
      serializers: { err: loggedError },
    };
    write(pino(options, { write: (line) => void lines.push(line) }));
    return lines.join('');
  }

  test('keeps of an error what it is, and not what a driver hangs on it', () => {
    const error = Object.assign(new Error('duplicate key'), {
      code: '23505',
      detail: 'Key (email)=(ann@secret.example) already exists.',
      parameters: ['ann@secret.example'],
      config: { headers: { authorization: 'Bearer secret' } },
    });
    const line = logged((logger) => logger.error({ err: new Error('outer', { cause: error }) }, 'failed'));
    expect(line).toContain('outer: duplicate key');
    expect(line).not.toContain('secret');
    expect(JSON.parse(logged((logger) => logger.error({ err: error }, 'failed')))).toMatchObject({
      err: { type: 'Error', message: 'duplicate key', code: '23505' },
    });
  });

  test('hides members that are named like secrets, down to the third level', () => {
    const line = logged((logger) =>
      logger.info({ token: 's1', database: { password: 's2', name: 'shop' }, a: { b: { authorization: 's3' } } }, 'x'),
    );
    expect(line).toContain('"name":"shop"');
    expect(line).not.toMatch(/s[123]"/);
  });
});
