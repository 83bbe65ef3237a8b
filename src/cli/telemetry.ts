/** Telemetry of the long-running commands, and of Temporal's SDK in their process. */
import type { Logger } from 'pino';
import type { TelemetryConfig } from '../config/telemetry.js';
import { onShutdown } from '../shutdown.js';
import { sdkFields } from '../telemetry/sdk-lines.js';
import { telemetrySettings, type ServiceName } from '../telemetry/settings.js';
import { startTelemetry } from '../telemetry/start.js';

export interface Telemetered {
  readonly service: ServiceName;
  readonly config: { readonly telemetry?: TelemetryConfig; readonly privacy?: { readonly redaction?: unknown } };
  readonly env: NodeJS.ProcessEnv;
  readonly logger: Logger;
}

/**
 * Starts what the config or the environment asks for. Call it once, before a worker or a gateway is made and after `awaitStop`: what
 * they do last is sent too.
 *
 * @throws CountersignError CONFIG_INVALID
 */
export async function startObserving({ service, config, env, logger }: Telemetered): Promise<void> {
  const settings = await telemetrySettings(service, config.telemetry, env);
  if (settings !== undefined) {
    const running = await startTelemetry(settings, logger);
    onShutdown('telemetry', () => running.stop());
    const { OTEL_TRACES_EXPORTER: traces, OTEL_METRICS_EXPORTER: metrics } = settings.variables;
    logger.info({ traces, metrics }, 'telemetry is on');
  }
  const redacts = config.privacy?.redaction !== undefined;
  if (service !== 'gateway') await installRuntime(logger, settings?.temporal, redacts);
}

type Metrics = NonNullable<Awaited<ReturnType<typeof telemetrySettings>>>['temporal'];

/** Temporal's SDK logs and measures through the process's own. */
async function installRuntime(logger: Logger, metrics: Metrics, redacts: boolean): Promise<void> {
  const { DefaultLogger, Runtime } = await import('@temporalio/worker');
  Runtime.install({
    logger: new DefaultLogger('INFO', ({ level, message, meta }) => {
      // The SDK tells every state a worker goes through; of those, only what is wrong matters here.
      const as = ({ TRACE: 'trace', DEBUG: 'debug', INFO: 'debug', WARN: 'warn', ERROR: 'error' } as const)[level];
      logger[as](sdkFields(meta, redacts), message);
    }),
    ...(metrics === undefined ? {} : { telemetryOptions: { metrics } }),
    shutdownSignals: [],
  });
}
