/** The gateway's login on a server of its own, on a real ledger, with two routes that show who is logged in. */
import { once } from 'node:events';
import type { Server } from 'node:http';
import { createAdaptorServer } from '@hono/node-server';
import { Hono } from 'hono';
import pg from 'pg';
import pino from 'pino';
import { Countersign } from '../../src/client/countersign.js';
import { freePort } from '../../src/dev/free-port.js';
import { createAgents } from '../../src/gateway/auth/agents.js';
import { createDecisions } from '../../src/gateway/auth/attestation.js';
import type { GatewayDependencies, GatewaySettings } from '../../src/gateway/deps.js';
import { createIdentity, type GatewayEnv } from '../../src/gateway/auth/identity.js';
import { login, sameHost, Sessions } from '../../src/gateway/auth/login/index.js';
import { answerProblem, problemOf, refusalOf } from '../../src/gateway/middleware/problem.js';
import { ApiKeys } from '../../src/gateway/store/api-keys.js';
import { Database, Ledger } from '../../src/ledger/index.js';
import { generateKeyringFile, parseKeyring } from '../../src/trust/index.js';
import { createDatabase } from './postgres.js';
import { createNamespace } from './temporal.js';

export interface LoginGateway {
  readonly url: string;
  readonly ledger: Ledger;
  readonly database: Database;
  /** Into the ledger's database, for whoever makes time pass or looks at what is stored. */
  readonly pool: pg.Pool;
  /** What it logged, one JSON object each. */
  readonly logged: readonly Readonly<Record<string, unknown>>[];
  stop(): Promise<void>;
}

/** A place for a gateway: the port is known before it runs, because its provider must know it too. */
export async function loginPort(): Promise<{ port: number; url: string }> {
  const port = await freePort();
  return { port, url: `http://localhost:${port}` };
}

/**
 * GET /whoami answers with the person and the session, or 401; POST /change does nothing but check that the person's page sent it. `on`: another
 * gateway, whose ledger this one shares.
 */
export async function startLogin(
  settings: Partial<GatewaySettings> & { readonly publicUrl: string },
  options: { readonly port?: number; readonly host?: string; readonly on?: LoginGateway } = {},
): Promise<LoginGateway> {
  const port = options.port ?? Number(new URL(settings.publicUrl).port);
  const own = options.on === undefined ? await createDatabase('installation') : undefined;
  const database = options.on?.database ?? new Database({ url: (own as { url: string }).url });
  const ledger = new Ledger(database);
  const temporal = { ...(await createNamespace()), taskQueue: 'countersign' };
  const countersign = await Countersign.connect(temporal);
  const keyring = await parseKeyring(JSON.stringify(await generateKeyringFile()), 'test');
  const all: GatewaySettings = {
    temporalNamespace: temporal.namespace,
    agents: [],
    freezeRoles: ['operator'],
    platformRoles: ['platform-operator'],
    oversightRoles: ['operator'],
    selfApproval: false,
    session: { idleSeconds: 1800, maxSeconds: 43_200 },
    limits: { bodyBytes: 1_048_576, requestsPerMinute: 600, timeoutMs: 30_000, callWaitMs: 20_000, streams: 20 },
    trustedProxies: 0,
    metrics: { open: true },
    ...settings,
  };
  const logged: Record<string, unknown>[] = [];
  const people = new Sessions({ database, settings: all });
  const deps: GatewayDependencies = {
    countersign,
    ledger,
    database,
    keyring,
    settings: all,
    logger: pino(
      { level: 'info' },
      { write: (line: string) => logged.push(JSON.parse(line) as Record<string, unknown>) },
    ),
    identity: createIdentity({
      agents: createAgents({
        issuers: [],
        apiKeys: new ApiKeys(database),
        ledger,
      }),
      people,
    }),
    decisions: createDecisions({ countersign, ledger, keyring }),
    taskQueue: 'countersign',
    closing: new AbortController().signal,
  };
  let server: Server;
  try {
    server = createAdaptorServer({ fetch: appOf(deps).fetch }) as Server;
    server.listen({ host: options.host ?? '127.0.0.1', port });
    await once(server, 'listening');
  } catch (error) {
    await countersign.close();
    if (own !== undefined) await database.close().then(() => own.drop());
    throw error;
  }
  const pool = options.on?.pool ?? new pg.Pool({ connectionString: (own as { url: string }).url });
  pool.on('error', () => {});
  return {
    url: settings.publicUrl,
    ledger,
    database,
    pool,
    logged,
    async stop() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
      await countersign.close();
      if (own === undefined) return;
      await database.close();
      await pool.end();
      await own.drop();
    },
  };
}

function appOf(deps: GatewayDependencies): Hono<GatewayEnv> {
  const app = new Hono<GatewayEnv>();
  app.use(sameHost(deps.settings));
  app.route('/', login(deps));
  app.get('/whoami', async (c) => c.json(await deps.identity.person(c)));
  app.post('/change', async (c) => {
    await deps.identity.person(c);
    return c.json({ changed: true });
  });
  app.onError((thrown, c) => {
    const refusal = refusalOf(thrown, c.req.path);
    return answerProblem(c, problemOf(c, deps.settings.publicUrl, refusal));
  });
  return app;
}
