/** A running gateway: the app on an HTTP server of its own, and its end in good order. */
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import type { Hono } from 'hono';
import type { Logger } from 'pino';
import { CountersignError } from '../../action/errors.js';
import { Countersign } from '../../client/countersign.js';
import { Closing } from '../../closing.js';
import { isProduction, type TemporalSettings } from '../../environment.js';
import { assertSetUp, Database, Ledger } from '../../ledger/index.js';
import { payloadEncryption, type PayloadEncryption } from '../../privacy/data-converter.js';
import { openRedaction } from '../../privacy/open-redaction.js';
import { requiredKeys } from '../../privacy/payload-keys.js';
import { signingKey, type Keyring } from '../../trust/index.js';
import { DEFAULT_ROLES, type CountersignConfig } from '../../config/config.js';
import { createAgents } from '../auth/agents.js';
import { createGateway } from './app.js';
import { createDecisions } from '../auth/attestation.js';
import type { CodecServer, DevPerson, GatewayDependencies } from '../deps.js';
import { InFlight } from './in-flight.js';
import { createIdentity, type GatewayEnv } from '../auth/identity.js';
import { Sessions } from '../auth/login/index.js';
import { DEFAULT_HOST, DEFAULT_PORT } from '../../config/gateway.js';
import { DEFAULT_DECRYPT_ROLES } from '../../config/privacy.js';
import { gatewaySettings } from '../settings.js';
import { ApiKeys } from '../store/api-keys.js';
import { pendingGatewayTables } from '../store/set-up.js';

/** What a gateway is started with. */
export interface GatewayOptions {
  /** Its `gateway`, `passkeys`, `privacy`, `roles` and `selfApproval` count. */
  readonly config: Pick<CountersignConfig, 'gateway' | 'passkeys' | 'privacy' | 'roles' | 'selfApproval'>;
  readonly temporal: TemporalSettings;
  /** Postgres URL of the ledger. */
  readonly ledgerUrl: string;
  /** Postgres schema of the ledger. Default `countersign`. */
  readonly ledgerSchema?: string;
  /** Needs the private gateway key. */
  readonly keyring: Keyring;
  readonly logger: Logger;
  /** Where secrets come from. Default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** For development: whom anybody on this machine may log in as. */
  readonly devPeople?: readonly DevPerson[];
}

/** A gateway that listens. */
export interface RunningGateway {
  /** Where people reach it. */
  readonly url: string;
  /** The port that it listens on: of 0, the one that the system chose. */
  readonly port: number;
  /** Takes no more, answers what waits, ends streams of events, and closes every connection. Safe to call twice. */
  stop(): Promise<void>;
}

/** A request must have come, whole, within this; and its headers sooner. Milliseconds. */
const RECEIVE_MS = 30_000;
const HEADERS_MS = 10_000;
/** Longer than proxies keep theirs (60 s is usual), so that none sends into a connection that is just closed. */
const KEEP_ALIVE_MS = 65_000;
const MAX_HEADER_BYTES = 32 * 1024;
/** How long requests under way may take once it stops, and how long their handlers after that, when nobody hears them any more. */
const FINISH_MS = 10_000;
const GIVE_UP_MS = 5000;

/**
 * Starts a gateway and returns once it listens.
 *
 * @throws CountersignError CONFIG_INVALID, also where it would be unsafe; KEYS_MISSING; TEMPORAL_UNAVAILABLE; LEDGER_UNAVAILABLE
 */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  const { keyring, logger, temporal } = options;
  signingKey(keyring, 'gateway');
  const { listen } = settingsAt(options.config.gateway?.port ?? DEFAULT_PORT, options);
  const closing = new Closing();
  try {
    const database = new Database({
      url: options.ledgerUrl,
      ...(options.ledgerSchema === undefined ? {} : { schema: options.ledgerSchema }),
    });
    closing.add(() => database.close());
    const ledger = new Ledger(database);
    assertSetUp([...(await ledger.pendingMigrations()), ...(await pendingGatewayTables(database))]);
    const encryption = await payloadEncryption(options.env ?? process.env, options.config.privacy);
    const codecServer = codecServerOf(options, encryption);
    const redaction = await openRedaction(options.config.privacy?.redaction, encryption, ledger.subjectKeys);
    const countersign = await Countersign.connect({ ...temporal, credential: null, encryption });
    const requests = new InFlight();
    // Under a call that still tries, the SDK's client would throw where nobody catches it.
    closing.add(async () => {
      if (await requests.none(GIVE_UP_MS)) await countersign.close();
      else logger.warn('requests are still under way: the connection to Temporal is left to end with the process');
    });

    let app: Hono<GatewayEnv> | undefined;
    // The port is known once it listens, and the app once the port is: nobody has heard of it before.
    const server = serverFor((request, bindings) => {
      if (app !== undefined) return app.fetch(request, bindings);
      return new Response(null, { status: 503 });
    });
    const port = await listenOn(server, listen);
    closing.add(() => finish(server));
    const { settings } = settingsAt(port, options);
    const stopping = new AbortController();
    closing.add(() => stopping.abort());
    const { taskQueue } = temporal;
    const closed = stopping.signal;
    const opened = {
      countersign,
      ledger,
      database,
      keyring,
      settings,
      logger,
      taskQueue,
      closing: closed,
      ...(codecServer === undefined ? {} : { codecServer }),
      ...(redaction === undefined ? {} : { redaction }),
    };
    app = createGateway(dependenciesOn(opened), requests);
    logger.info({ url: settings.publicUrl, host: listen.host, port }, 'gateway listens');
    let stopped: Promise<void> | undefined;
    return { url: settings.publicUrl, port, stop: () => (stopped ??= closing.close()) };
  } catch (error) {
    await closing.close();
    throw error;
  }
}

/** @throws CountersignError KEYS_MISSING */
function codecServerOf({ config }: GatewayOptions, encryption: PayloadEncryption): CodecServer | undefined {
  const { codecServer } = config.privacy ?? {};
  if (codecServer === undefined) return undefined;
  requiredKeys(encryption.keys);
  return {
    codec: encryption.forReaders,
    origins: codecServer.origins,
    roles: codecServer.roles ?? DEFAULT_DECRYPT_ROLES,
  };
}

/** @throws CountersignError CONFIG_INVALID */
function settingsAt(port: number, options: GatewayOptions): ReturnType<typeof gatewaySettings> {
  const { config, temporal, devPeople, env = process.env } = options;
  return gatewaySettings({
    config: { ...config.gateway, port },
    env,
    production: isProduction(env),
    temporalNamespace: temporal.namespace,
    freezeRoles: config.roles?.freeze ?? DEFAULT_ROLES.freeze,
    platformRoles: config.roles?.unfreezeAll ?? DEFAULT_ROLES.unfreezeAll,
    oversightRoles: config.roles?.oversight ?? DEFAULT_ROLES.oversight,
    selfApproval: config.selfApproval,
    ...(config.passkeys === undefined ? {} : { passkeys: config.passkeys }),
    ...(devPeople === undefined ? {} : { devPeople }),
  });
}

/** Adds to what is open who sends a request, and what people decide. */
function dependenciesOn(opened: Omit<GatewayDependencies, 'identity' | 'decisions'>): GatewayDependencies {
  const { countersign, ledger, database, keyring, settings } = opened;
  const agents = createAgents({ issuers: settings.agents, apiKeys: new ApiKeys(database), ledger });
  return {
    ...opened,
    identity: createIdentity({ agents, people: new Sessions({ database, settings }) }),
    decisions: createDecisions({ countersign, ledger, keyring }),
  };
}

function serverFor(fetch: Parameters<typeof createAdaptorServer>[0]['fetch']): Server {
  return createAdaptorServer({
    fetch,
    serverOptions: {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_MS,
      requestTimeout: RECEIVE_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: 5000,
    },
  }) as Server;
}

async function listenOn(server: Server, { host, port }: { host: string; port: number }): Promise<number> {
  server.listen({ host, port });
  try {
    await once(server, 'listening');
  } catch (error) {
    const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
    throw new CountersignError(
      'CONFIG_INVALID',
      taken ? `Port ${port} is in use.` : `The gateway cannot listen on ${host}.`,
      {
        field: 'gateway.port',
        expected: 'an address and a port that nothing listens on',
        fix: `Choose another: --port, or gateway.port (default ${DEFAULT_PORT}) and gateway.host (default ${DEFAULT_HOST}) in the config.`,
        cause: error,
      },
    );
  }
  return (server.address() as AddressInfo).port;
}

/** Waits have been told to end; what still runs after a while is cut off. */
async function finish(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  // A connection whose request was under way is idle only now, and would be kept alive.
  const idle = setInterval(() => server.closeIdleConnections(), 50);
  const late = setTimeout(() => server.closeAllConnections(), FINISH_MS);
  await closed;
  clearInterval(idle);
  clearTimeout(late);
}
