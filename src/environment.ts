/** The environment variables that every process reads, in one place. */

export interface TemporalSettings {
  /** `host:port`. TEMPORAL_ADDRESS, default 127.0.0.1:7233. */
  readonly address: string;
  /** TEMPORAL_NAMESPACE, default `default`. */
  readonly namespace: string;
  /** COUNTERSIGN_TASK_QUEUE, default `countersign`. */
  readonly taskQueue: string;
}

export function temporalSettings(env: NodeJS.ProcessEnv = process.env): TemporalSettings {
  return {
    address: env['TEMPORAL_ADDRESS'] ?? '127.0.0.1:7233',
    namespace: env['TEMPORAL_NAMESPACE'] ?? 'default',
    taskQueue: env['COUNTERSIGN_TASK_QUEUE'] ?? 'countersign',
  };
}

/** COUNTERSIGN_ENV or NODE_ENV is `production`: nothing is made up there, everything must be given. */
export function isProduction(env: Readonly<Record<string, string | undefined>> = process.env): boolean {
  return env['COUNTERSIGN_ENV'] === 'production' || env['NODE_ENV'] === 'production';
}

/** An empty variable is an absent one. */
export function given(variable: string | undefined): string | undefined {
  return variable === undefined || variable.trim() === '' ? undefined : variable;
}
