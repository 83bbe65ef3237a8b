/** `/mcp`: Streamable HTTP for MCP clients of both eras, and the metadata by which they find out how to authenticate. */
import { createMcpHandler, type AuthInfo, type ServerEventBus } from '@modelcontextprotocol/server';
import { Hono } from 'hono';
import { CountersignError } from '../../action/errors.js';
import type { GatewayEnv } from '../auth/identity.js';
import type { AgentPrincipal } from '../auth/principal.js';
import type { GatewayDependencies } from '../deps.js';
import type { Streams } from '../events/streams.js';
import { LedgerWatch } from '../events/ledger-watch.js';
import { mcpServer } from './server.js';

/** RFC 9728: of the resource at `/mcp`, and of the host for clients that look there only. */
const RESOURCE_METADATA = '/.well-known/oauth-protected-resource';

/** The request whose answer is a stream of notifications (2026-07-28). */
const LISTEN = 'subscriptions/listen';

export function mcpRoutes(deps: GatewayDependencies, streams: Streams): Hono<GatewayEnv> {
  const { settings, identity, logger } = deps;
  const app = new Hono<GatewayEnv>();
  const handler = createMcpHandler(
    ({ authInfo, era }) => {
      const isModern = era === 'modern';
      return mcpServer({ deps, agent: agentIn(authInfo), cancels: isModern }, { isModern });
    },
    {
      bus: catalogueBus(deps),
      maxRequestBodySize: settings.limits.bodyBytes,
      onerror: (error) => logger.debug({ err: error }, 'an MCP request was refused'),
    },
  );
  deps.closing.addEventListener('abort', () => void handler.close(), { once: true });

  const metadata = {
    resource: `${settings.publicUrl}/mcp`,
    ...(settings.agents.length === 0 ? {} : { authorization_servers: settings.agents.map(({ issuer }) => issuer) }),
    bearer_methods_supported: ['header'],
    resource_name: 'Countersign',
  };
  for (const path of [RESOURCE_METADATA, `${RESOURCE_METADATA}/mcp`]) {
    app.get(path, (c) => c.json(metadata, 200, { 'Cache-Control': 'max-age=3600' }));
  }
  app.all('/mcp', async (c) => {
    refuseOtherOrigins(settings.publicUrl, c.req.header('origin'));
    const agent = await identity.agent(c);
    await c.get('countMore')((await messagesIn(c.req.raw)) - 1);
    const answer = (): Promise<Response> => handler.fetch(c.req.raw, { authInfo: authInfoOf(agent) });
    // The handler holds the header against the body.
    return c.req.header('mcp-method') === LISTEN ? await streams.relay(c, agent, 'mcp', answer) : await answer();
  });
  return app;
}

/** Clients of 2025-03-26 may send several messages as one list: each counts as a request, or a list would be the way around the rate. */
async function messagesIn(request: Request): Promise<number> {
  if (request.method !== 'POST') return 1;
  const text = await request.clone().text();
  if (!text.trimStart().startsWith('[')) return 1;
  try {
    return Math.max(1, (JSON.parse(text) as readonly unknown[]).length);
  } catch {
    // It is no JSON: the handler says so.
    return 1;
  }
}

/** Tells who listens that the tools have changed: whenever a worker has published others. */
function catalogueBus({ ledger, taskQueue, logger, closing }: GatewayDependencies): ServerEventBus {
  const fingerprint = (queue: string): Promise<string> => ledger.catalogue.fingerprint(queue);
  const watch = new LedgerWatch({ what: 'the catalogue', fingerprint, logger, closing });
  return {
    // There is one source of these events, and it is the ledger.
    publish: () => undefined,
    subscribe(listener) {
      let known: string | undefined;
      return watch.listen(taskQueue, (now) => {
        if (known !== undefined) listener({ kind: 'tools_list_changed' });
        known = now;
      });
    },
  };
}

/** Says where a client finds out how to authenticate (RFC 9728, section 5.1). */
export function mcpChallenge(publicUrl: string): string {
  return `Bearer realm="countersign", resource_metadata="${publicUrl}${RESOURCE_METADATA}/mcp"`;
}

/** What the protocol demands of servers: a page of another place does not speak here, whatever it knows. */
function refuseOtherOrigins(publicUrl: string, origin: string | undefined): void {
  if (origin === undefined || origin === publicUrl) return;
  throw new CountersignError('FORBIDDEN', 'The request comes from another origin.', {
    field: 'origin',
    expected: `${publicUrl}, or no header Origin`,
  });
}

/** The SDK hands it through to the server of the request. The token itself is nobody's business there. */
function authInfoOf(agent: AgentPrincipal): AuthInfo {
  return { token: '', clientId: agent.id, scopes: [...agent.scopes], extra: { agent } };
}

function agentIn(authInfo: AuthInfo | undefined): AgentPrincipal {
  const agent = authInfo?.extra?.['agent'];
  if (agent === undefined) throw new CountersignError('UNAUTHENTICATED', 'The request carries no credentials.');
  return agent as AgentPrincipal;
}
