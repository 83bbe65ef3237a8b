/** The environment variables that Countersign reads, in one place. */

/** What each one holds. What only `countersign dev` reads is in src/dev. */
export const VARIABLES = {
  TEMPORAL_ADDRESS: 'host:port of the Temporal frontend',
  TEMPORAL_NAMESPACE: 'the namespace in Temporal',
  TEMPORAL_UI_URL: "the Temporal UI's address, for links",
  COUNTERSIGN_TASK_QUEUE: 'the task queue of the workers',
  COUNTERSIGN_DEPLOYMENT: 'the name of the worker deployment',
  COUNTERSIGN_BUILD_ID: 'the version of the workers in that deployment',
  COUNTERSIGN_ENV: '`production` where nothing may be made up and everything must be given',
  NODE_ENV: 'the same, as other tools say it',
  COUNTERSIGN_CONFIG: 'the file of the config',
  COUNTERSIGN_LEDGER_URL: 'the Postgres of the ledger',
  DATABASE_URL: 'the same, where COUNTERSIGN_LEDGER_URL is absent',
  COUNTERSIGN_LEDGER_SCHEMA: 'the schema of the ledger',
  COUNTERSIGN_KEYS: 'the keys, as JSON',
  COUNTERSIGN_KEYS_FILE: 'the file that holds the keys',
  COUNTERSIGN_PAYLOAD_KEYS: 'the keys that encrypt what passes through Temporal, as a JWK Set',
  COUNTERSIGN_PAYLOAD_KEYS_FILE: 'the file that holds them',
  COUNTERSIGN_PLAIN_PAYLOADS: '`accept` while there are workflows that began before encryption',
  COUNTERSIGN_AGENT: "an agent's credential",
  COUNTERSIGN_APPROVER: "a person's credential",
  COUNTERSIGN_GATEWAY_URL: 'the address of the gateway, for `countersign mcp`',
  COUNTERSIGN_API_KEY: 'an API key of the gateway, or a token, for `countersign mcp`',
  COUNTERSIGN_OIDC_CLIENT_SECRET: "the gateway's secret at the identity provider",
  COUNTERSIGN_SLACK_SIGNING_SECRET: 'the signing secret of the Slack app',
  COUNTERSIGN_METRICS_TOKEN: 'the token that the metrics ask for',
  COUNTERSIGN_LOG_LEVEL: 'how much is logged',
  COUNTERSIGN_DEBUG: 'anything, to see stack traces',
  COUNTERSIGN_FAULT: 'a planted fault, for tests of crashes',
} as const;
export type Variable = keyof typeof VARIABLES;

export type Environment = Readonly<Record<string, string | undefined>>;

/** An empty variable is an absent one. */
export function variable(name: Variable, env: Environment = process.env): string | undefined {
  return given(env[name]);
}

/** Empty text is absent text. */
export function given(text: string | undefined): string | undefined {
  return text === undefined || text.trim() === '' ? undefined : text;
}

export interface TemporalSettings {
  /** `host:port`. TEMPORAL_ADDRESS, default 127.0.0.1:7233. */
  readonly address: string;
  /** TEMPORAL_NAMESPACE, default `default`. */
  readonly namespace: string;
  /** COUNTERSIGN_TASK_QUEUE, default `countersign`. */
  readonly taskQueue: string;
}

export function temporalSettings(env: Environment = process.env): TemporalSettings {
  return {
    address: variable('TEMPORAL_ADDRESS', env) ?? '127.0.0.1:7233',
    namespace: variable('TEMPORAL_NAMESPACE', env) ?? 'default',
    taskQueue: variable('COUNTERSIGN_TASK_QUEUE', env) ?? 'countersign',
  };
}

/** COUNTERSIGN_ENV or NODE_ENV is `production`: nothing is made up there, everything must be given. */
export function isProduction(env: Environment = process.env): boolean {
  return variable('COUNTERSIGN_ENV', env) === 'production' || variable('NODE_ENV', env) === 'production';
}
