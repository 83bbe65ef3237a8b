/** The environment variables that Countersign reads, in one place. */
import { readFileSync } from 'node:fs';
import { configInvalid } from './action/errors-config.js';
import { withoutUndefined } from './action/json.js';

/** What each one holds. What only `countersign dev` reads is in src/dev. */
export const VARIABLES = {
  TEMPORAL_ADDRESS: 'host:port of the Temporal frontend',
  TEMPORAL_NAMESPACE: 'the namespace in Temporal',
  TEMPORAL_TLS: '`true` for TLS without a certificate of its own, `false` for none',
  TEMPORAL_TLS_SERVER_CA_CERT_PATH: "the PEM file of the authorities that sign the Temporal server's certificate",
  TEMPORAL_TLS_SERVER_NAME: "the name in the Temporal server's certificate",
  TEMPORAL_TLS_CLIENT_CERT_PATH: 'the PEM file of the client certificate for Temporal',
  TEMPORAL_TLS_CLIENT_KEY_PATH: 'the PEM file of its private key',
  TEMPORAL_API_KEY: 'the API key for Temporal',
  TEMPORAL_API_KEY_FILE: 'the file that holds it',
  TEMPORAL_UI_URL: "the Temporal UI's address, for links",
  COUNTERSIGN_TASK_QUEUE: 'the task queue of the workers',
  COUNTERSIGN_DEPLOYMENT: 'the name of the worker deployment',
  COUNTERSIGN_BUILD_ID: 'the version of the workers in that deployment',
  COUNTERSIGN_ENV: '`production` where nothing may be made up and everything must be given',
  NODE_ENV: 'the same, as other tools say it',
  COUNTERSIGN_CONFIG: 'the file of the config',
  COUNTERSIGN_LEDGER_URL: 'the Postgres of the ledger',
  COUNTERSIGN_LEDGER_URL_FILE: 'the file that holds it',
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
  COUNTERSIGN_OIDC_CLIENT_SECRET_FILE: 'the file that holds it',
  COUNTERSIGN_SLACK_SIGNING_SECRET: 'the signing secret of the Slack app',
  COUNTERSIGN_SLACK_SIGNING_SECRET_FILE: 'the file that holds it',
  COUNTERSIGN_METRICS_TOKEN: 'the token that the metrics ask for',
  COUNTERSIGN_METRICS_TOKEN_FILE: 'the file that holds it',
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

type InFile<V> = V extends `${infer Name}_FILE` ? (Name extends Variable ? Name : never) : never;
/** The variables that can be given as a file too, as orchestrators hand out secrets: by their name and `_FILE`. */
type SecretVariable = Exclude<InFile<Variable>, 'COUNTERSIGN_KEYS' | 'TEMPORAL_API_KEY'>;

/** A secret, from its variable or from the file that `<name>_FILE` names. @throws CountersignError CONFIG_INVALID */
export function secretVariable(name: SecretVariable, env: Environment = process.env): string | undefined {
  const field = `${name}_FILE` as const;
  const [text, file] = [variable(name, env), variable(field, env)];
  if (file === undefined) return text;
  if (text !== undefined) throw configInvalid(field, `absent beside ${name}`, 'the environment');
  const read = given(readIfThere(file));
  if (read === undefined)
    throw configInvalid(field, 'a file with a secret that this process may read', 'the environment');
  return read.trim();
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** Empty text is absent text. */
export function given(text: string | undefined): string | undefined {
  return text === undefined || text.trim() === '' ? undefined : text;
}

/** PEM files. What is absent is left to the system. */
export interface TemporalTls {
  /** Of the authorities that sign the server's certificate. TEMPORAL_TLS_SERVER_CA_CERT_PATH, default: the system's. */
  readonly caFile?: string;
  /** The client's certificate, and its private key: both or neither. TEMPORAL_TLS_CLIENT_CERT_PATH, TEMPORAL_TLS_CLIENT_KEY_PATH. */
  readonly certFile?: string;
  readonly keyFile?: string;
  /** The name in the server's certificate. TEMPORAL_TLS_SERVER_NAME, default: that in the address. */
  readonly serverName?: string;
}

/** What a process and Temporal prove themselves by: references only, so that settings can be logged. */
export interface TemporalSecurity {
  /** Whether TLS is spoken, and how. TEMPORAL_TLS, default: where any of these is given. */
  readonly tls?: TemporalTls | boolean;
  /** `env:NAME` or `file:/path`. TEMPORAL_API_KEY or TEMPORAL_API_KEY_FILE. */
  readonly apiKey?: string;
}

export interface TemporalSettings extends TemporalSecurity {
  /** `host:port`. TEMPORAL_ADDRESS, default 127.0.0.1:7233. */
  readonly address: string;
  /** TEMPORAL_NAMESPACE, default `default`. */
  readonly namespace: string;
  /** COUNTERSIGN_TASK_QUEUE, default `countersign`. */
  readonly taskQueue: string;
}

/** @throws CountersignError CONFIG_INVALID: the variables of TLS and API key contradict each other */
export function temporalSettings(env: Environment = process.env): TemporalSettings {
  return {
    address: variable('TEMPORAL_ADDRESS', env) ?? '127.0.0.1:7233',
    namespace: variable('TEMPORAL_NAMESPACE', env) ?? 'default',
    taskQueue: variable('COUNTERSIGN_TASK_QUEUE', env) ?? 'countersign',
    ...withoutUndefined({ tls: temporalTls(env), apiKey: temporalApiKey(env) }),
  };
}

function temporalTls(env: Environment): TemporalTls | boolean | undefined {
  const asked = variable('TEMPORAL_TLS', env)?.trim().toLowerCase();
  if (asked !== undefined && asked !== 'true' && asked !== 'false') {
    throw configInvalid('TEMPORAL_TLS', 'true or false', 'the environment');
  }
  const parts = withoutUndefined({
    caFile: variable('TEMPORAL_TLS_SERVER_CA_CERT_PATH', env),
    certFile: variable('TEMPORAL_TLS_CLIENT_CERT_PATH', env),
    keyFile: variable('TEMPORAL_TLS_CLIENT_KEY_PATH', env),
    serverName: variable('TEMPORAL_TLS_SERVER_NAME', env),
  });
  if (Object.keys(parts).length === 0) return asked === undefined ? undefined : asked === 'true';
  if (asked !== 'false') return parts;
  throw configInvalid('TEMPORAL_TLS', 'true, or absent, beside the other variables of TLS', 'the environment');
}

function temporalApiKey(env: Environment): string | undefined {
  const file = variable('TEMPORAL_API_KEY_FILE', env);
  if (variable('TEMPORAL_API_KEY', env) === undefined) return file === undefined ? undefined : `file:${file}`;
  if (file === undefined) return 'env:TEMPORAL_API_KEY';
  throw configInvalid('TEMPORAL_API_KEY_FILE', 'absent beside TEMPORAL_API_KEY', 'the environment');
}

/** COUNTERSIGN_ENV or NODE_ENV is `production`: nothing is made up there, everything must be given. */
export function isProduction(env: Environment = process.env): boolean {
  return variable('COUNTERSIGN_ENV', env) === 'production' || variable('NODE_ENV', env) === 'production';
}
