/** The servers of the scratch world: embedded ones, or those that the operator named for it. Never those of the environment. */
import { randomBytes } from 'node:crypto';
import { msToTs } from '@temporalio/common/lib/time.js';
import pg from 'pg';
import { CountersignError } from '../../action/errors.js';
import { configInvalid } from '../../action/errors-config.js';
import { openConnection } from '../../client/connection.js';
import { ensureSearchAttributes } from '../../client/search-attributes.js';
import { startDevServers } from '../../dev/index.js';
import type { TemporalSettings } from '../../environment.js';

interface ScratchOptions {
  /** A Postgres on which databases may be made and removed. Default: an embedded one. */
  readonly databaseUrl?: string | undefined;
  /** `host:port` of a Temporal server on which namespaces may be made and removed. Default: an embedded one. */
  readonly temporalAddress?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  readonly log: (message: string) => void;
}

export interface ScratchServers {
  readonly temporal: TemporalSettings;
  /** Makes an empty database, and returns its URL. */
  createDatabase(name: string): Promise<string>;
  /** Runs a statement on the server. */
  administer(statement: string): Promise<void>;
  /** Removes what was made, and ends what was started. */
  stop(): Promise<void>;
}

/** The shortest retention that a server takes. */
const RETENTION = '1 hour';

/** Variables that lead to what is the operator's own. */
const OWN = /^(COUNTERSIGN_|TEMPORAL_|DATABASE_URL$|PG[A-Z]+$|OTEL_)/;

/** Where the embedded servers' programs are. */
const BINARIES: ReadonlySet<string> = new Set(['TEMPORAL_CLI_PATH', 'COUNTERSIGN_CACHE']);

/** The environment without what leads to the operator's servers, keys and telemetry. */
export function neutral(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => !OWN.test(name) || BINARIES.has(name));
  return Object.fromEntries(kept);
}

/** @throws CountersignError NOT_INSTALLED, CONFIG_INVALID, LEDGER_UNAVAILABLE, TEMPORAL_UNAVAILABLE: then nothing is left running */
export async function openScratchServers(options: ScratchOptions): Promise<ScratchServers> {
  const { databaseUrl, temporalAddress, env, log } = options;
  const servers = await startDevServers({
    headless: true,
    log,
    env: {
      ...neutral(env),
      ...(databaseUrl === undefined ? {} : { DATABASE_URL: databaseUrl }),
      ...(temporalAddress === undefined ? {} : { TEMPORAL_ADDRESS: temporalAddress }),
    },
  });
  const { postgres, temporal } = servers;
  const made: string[] = [];
  const administer = (statement: string): Promise<void> => runOn(postgres.url, statement);
  let namespace: Namespace | undefined;
  const stop = async (): Promise<void> => {
    if (postgres.external) for (const name of made) await administer(removal(name)).catch(() => {});
    await namespace?.remove().catch(() => {});
    await servers.stop();
  };
  try {
    if (temporal.external) namespace = await makeNamespace(temporal.address);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    temporal: {
      address: temporal.address,
      namespace: namespace?.name ?? temporal.namespace,
      taskQueue: 'countersign-prove',
    },
    async createDatabase(name) {
      await administer(`CREATE DATABASE ${pg.escapeIdentifier(name)}`).catch((error: unknown) => {
        throw notMade(error);
      });
      made.push(name);
      const url = new URL(postgres.url);
      url.pathname = `/${encodeURIComponent(name)}`;
      return url.href;
    },
    administer,
    stop,
  };
}

/** A name that nothing else on the server has. */
export function scratchName(what: string): string {
  const plain = what.toLowerCase().replaceAll(/[^a-z0-9]+/g, '_');
  return `countersign_prove_${plain.slice(0, 24)}_${randomBytes(5).toString('hex')}`;
}

function removal(name: string): string {
  return `DROP DATABASE IF EXISTS ${pg.escapeIdentifier(name)} WITH (FORCE)`;
}

async function runOn(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

function notMade(cause: unknown): CountersignError {
  return new CountersignError('CONFIG_INVALID', 'No scratch database could be made on the server that was named.', {
    field: '--scratch-database',
    expected: 'a URL of Postgres whose user may create databases',
    fix: 'Name another, or none: then an embedded Postgres is started.',
    cause,
  });
}

interface Namespace {
  readonly name: string;
  remove(): Promise<void>;
}

async function makeNamespace(address: string): Promise<Namespace> {
  const name = `countersign-prove-${randomBytes(5).toString('hex')}`;
  const { connection, close } = await openConnection(address).catch((error: unknown) => {
    throw error instanceof CountersignError
      ? error
      : configInvalid('--scratch-temporal', 'host:port of a Temporal server that answers', 'the command');
  });
  try {
    await connection.workflowService.registerNamespace({
      namespace: name,
      workflowExecutionRetentionPeriod: msToTs(RETENTION),
    });
    await ensureSearchAttributes(connection, name);
  } finally {
    await close();
  }
  return {
    name,
    async remove() {
      const again = await openConnection(address);
      try {
        await again.connection.operatorService.deleteNamespace({ namespace: name });
      } finally {
        await again.close();
      }
    },
  };
}
