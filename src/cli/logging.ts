/** Logs of the long-running commands: on stderr, as JSON lines, or pretty where a person watches and pino-pretty is installed. */
import type { Logger } from 'pino';
import { strikeSecrets } from '../action/secrets.js';
import { variable } from '../environment.js';

/** COUNTERSIGN_LOG_LEVEL decides; the Temporal SDK logs through it too. Call it once, before a worker is made. */
export async function startLogging(env: NodeJS.ProcessEnv, defaultLevel: 'info' | 'warn'): Promise<Logger> {
  const { default: pino } = await import('pino');
  const level = variable('COUNTERSIGN_LOG_LEVEL', env) ?? defaultLevel;
  const logger = pino(
    {
      level: level in pino.levels.values || level === 'silent' ? level : defaultLevel,
      hooks: { streamWrite: strikeSecrets },
    },
    await destination(),
  );
  const { DefaultLogger, Runtime } = await import('@temporalio/worker');
  Runtime.install({
    logger: new DefaultLogger('INFO', ({ level, message, meta }) => {
      // The SDK tells every state a worker goes through; of those, only what is wrong matters here.
      const as = ({ TRACE: 'trace', DEBUG: 'debug', INFO: 'debug', WARN: 'warn', ERROR: 'error' } as const)[level];
      logger[as]({ ...meta }, message);
    }),
    shutdownSignals: [],
  });
  return logger;
}

async function destination(): Promise<NodeJS.WritableStream> {
  if (!process.stderr.isTTY) return process.stderr;
  try {
    const { default: pretty } = await import('pino-pretty');
    return pretty({ destination: process.stderr, ignore: 'pid,hostname', translateTime: 'HH:MM:ss' });
  } catch {
    return process.stderr;
  }
}
