/** Logs of the long-running commands: on stderr, as JSON lines, or pretty where a person watches and pino-pretty is installed. */
import type { Logger } from 'pino';
import { strikeSecrets } from '../action/secrets.js';
import { variable } from '../environment.js';

/** COUNTERSIGN_LOG_LEVEL decides. Every line names the trace, the action, the step and the request that it belongs to, as far as there are any. */
export async function startLogging(env: NodeJS.ProcessEnv, defaultLevel: 'info' | 'warn'): Promise<Logger> {
  const [{ default: pino }, lines] = await Promise.all([import('pino'), import('../telemetry/log-lines.js')]);
  const level = variable('COUNTERSIGN_LOG_LEVEL', env) ?? defaultLevel;
  return pino(
    {
      level: level in pino.levels.values || level === 'silent' ? level : defaultLevel,
      hooks: { streamWrite: strikeSecrets },
      mixin: lines.lineFields,
      redact: { paths: lines.HIDDEN, censor: '[hidden]' },
      serializers: { err: lines.loggedError },
    },
    await destination(),
  );
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
