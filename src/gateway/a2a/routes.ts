/** `/a2a`: JSON-RPC for agents that speak A2A 1.0, and the card by which they find it. */
import { A2A_VERSION_HEADER, AGENT_CARD_PATH, AgentCard } from '@a2a-js/sdk';
import { toJsonRpcError } from '@a2a-js/sdk/errors';
import { JsonRpcTransportHandler, ServerCallContext, validateVersion } from '@a2a-js/sdk/server';
import { Hono } from 'hono';
import { strictJson } from '../api/route.js';
import type { GatewayEnv } from '../auth/identity.js';
import type { GatewayDependencies } from '../deps.js';
import { A2A_PATH, cardOf } from './card.js';
import { A2aHandler } from './handler.js';

export function a2aRoutes(deps: GatewayDependencies): Hono<GatewayEnv> {
  const app = new Hono<GatewayEnv>();
  const card = cardOf(deps.settings.publicUrl);
  const document = AgentCard.toJSON(card) as object;
  app.get(`/${AGENT_CARD_PATH}`, (c) => c.json(document, 200, { 'Cache-Control': 'max-age=3600' }));
  app.post(A2A_PATH, strictJson, async (c) => {
    const agent = await deps.identity.agent(c);
    const requestedVersion = c.req.header(A2A_VERSION_HEADER);
    const body = await c.req.json<Record<string, unknown>>();
    try {
      // Absent means 0.3, which is not spoken here.
      validateVersion(requestedVersion ?? '0.3', card, 'JSONRPC');
    } catch (error) {
      return c.json({ jsonrpc: '2.0', id: idIn(body), error: toJsonRpcError(error) });
    }
    const handler = new JsonRpcTransportHandler(new A2aHandler(deps, agent, c.req.raw.signal));
    const context = new ServerCallContext({ requestedVersion: requestedVersion ?? '0.3' });
    // Nothing is streamed here: it is one answer.
    const answer = (await handler.handle(body, context)) as object;
    return c.json(answer, 200, { 'Cache-Control': 'no-store' });
  });
  return app;
}

function idIn(body: unknown): string | number | null {
  const { id } = (body ?? {}) as { readonly id?: unknown };
  return typeof id === 'string' || typeof id === 'number' ? id : null;
}
