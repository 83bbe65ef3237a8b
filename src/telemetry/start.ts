/** Loads OpenTelemetry's SDK where telemetry is asked for, and nowhere else: nothing waits for it, and nothing fails with it. */
import { context, diag, DiagLogLevel, metrics, propagation, trace } from '@opentelemetry/api';
import type { NodeSDK } from '@opentelemetry/sdk-node';
import type { Logger } from 'pino';
import { CountersignError } from '../action/errors.js';
import type { TelemetrySettings } from './settings.js';

export interface RunningTelemetry {
  /** Sends what is left, for a while at most. From then on there is no telemetry in this process. */
  stop(): Promise<void>;
}

/** How long the last spans and figures are waited for when the process ends. Milliseconds. */
const STOP_MS = 3_000;

/** A receiver that is away fails every export: so often that is told. Milliseconds. */
const TOLD_EVERY_MS = 60_000;

/**
 * Starts to send. Call it before anything is made that counts or traces.
 *
 * @throws CountersignError CONFIG_INVALID without the SDK
 */
export async function startTelemetry({ variables }: TelemetrySettings, logger: Logger): Promise<RunningTelemetry> {
  const Sdk = await loadSdk();
  diag.setLogger(toldSeldom(logger), DiagLogLevel.WARN);
  // The SDK reads its settings while it is made and started, at once; they may hold secrets, so they do not stay.
  const sdk = withVariables(variables, () => {
    const made = new Sdk({ instrumentations: [] });
    made.start();
    return made;
  });
  return {
    stop: async () => {
      const late = new Promise<void>((resolve) => setTimeout(resolve, STOP_MS).unref());
      await Promise.race([sdk.shutdown().catch(() => undefined), late]);
      for (const api of [trace, metrics, context, propagation, diag]) api.disable();
    },
  };
}

async function loadSdk(): Promise<typeof NodeSDK> {
  try {
    return (await import('@opentelemetry/sdk-node')).NodeSDK;
  } catch (error) {
    throw new CountersignError('CONFIG_INVALID', "Telemetry is configured, but OpenTelemetry's SDK is not installed.", {
      field: 'telemetry',
      expected: 'the package @opentelemetry/sdk-node beside countersign',
      fix: 'Run `npm install @opentelemetry/sdk-node@0.223.0`, or leave `telemetry` and the variables OTEL_… out.',
      cause: error,
    });
  }
}

function withVariables<T>(variables: Readonly<Record<string, string>>, body: () => T): T {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, variables);
  try {
    return body();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}

/** So many different problems are told apart. */
const MOST_PROBLEMS = 50;

/** What the SDK says of itself: each problem once in a while, and without the stack and the headers that come with it. */
function toldSeldom(logger: Logger) {
  const told = new Map<string, number>();
  const tell = (message: unknown): void => {
    const problem = problemIn(message);
    const last = told.get(problem);
    const now = performance.now();
    if (last === undefined ? told.size >= MOST_PROBLEMS : now - last < TOLD_EVERY_MS) return;
    told.set(problem, now);
    logger.warn({ problem }, 'telemetry has a problem');
  };
  const ignore = (): void => {};
  return { error: tell, warn: tell, info: ignore, debug: ignore, verbose: ignore };
}

/** The SDK hands errors over as they are, or as JSON with their stack, whatever its types say. */
function problemIn(message: unknown): string {
  const text = message instanceof Error ? message.message : String(message);
  try {
    const parsed = JSON.parse(text) as { message?: unknown } | null;
    if (typeof parsed?.message === 'string') return parsed.message.slice(0, 200);
  } catch {
    // It is a text as it is.
  }
  return text.slice(0, 200);
}
