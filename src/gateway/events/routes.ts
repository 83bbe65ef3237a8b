/** Event streams: one action until its outcome, or the list of approval requests. */
import { createRoute, type OpenAPIHono } from '@hono/zod-openapi';
import { setTimeout as delay } from 'node:timers/promises';
import { digest } from '../../action/json.js';
import type { GatewayDependencies } from '../deps.js';
import { requirePrincipal, type GatewayEnv } from '../auth/identity.js';
import { ending, type Streams } from './streams.js';
import { LedgerWatch } from './ledger-watch.js';
import { findFor } from '../api/found.js';
import { FOR_BOTH_READING, FOR_PEOPLE_READING, newApi } from '../api/route.js';
import { actionParams, problem } from '../api/schemas.js';
import { actionFor, outcomeFor, outcomeOf } from '../api/views.js';
import { settled } from '../api/waiting.js';

/** An action that people are asked about stays as it is for long: the longer it does, the less often it is looked at. */
const SOON_MS = 250;
const LATE_MS = 3000;

/** One kind of event, whose data is JSON. As OpenAPI describes streams: the schema is of each event. */
function eventOf(name: string, data: object) {
  return {
    type: 'object' as const,
    required: ['event', 'data'],
    properties: {
      event: { type: 'string' as const, enum: [name] },
      data: { type: 'string' as const, contentMediaType: 'application/json', contentSchema: data },
      id: { type: 'string' as const },
    },
  };
}

function streamOf(...events: readonly object[]) {
  const schema = events.length === 1 ? (events[0] ?? {}) : { oneOf: [...events] };
  return {
    200: { description: 'Server-sent events', content: { 'text/event-stream': { schema } } },
    default: { description: 'An error', content: { 'application/problem+json': { schema: problem } } },
  };
}

const actionEvents = createRoute({
  method: 'get',
  path: '/v1/actions/{actionId}/events',
  summary: 'Follow an action',
  description: '`status`: the action, now and whenever it changes. `outcome`: how it ended; the stream ends with it.',
  security: FOR_BOTH_READING,
  request: { params: actionParams },
  responses: streamOf(
    eventOf('status', { $ref: '#/components/schemas/Action' }),
    eventOf('outcome', { $ref: '#/components/schemas/Outcome' }),
  ),
});

const inboxEvents = createRoute({
  method: 'get',
  path: '/v1/events',
  summary: 'Follow the inbox',
  description: '`inbox`: the list of what waits for people has changed; look at it again. Ends with your session.',
  security: FOR_PEOPLE_READING,
  responses: streamOf(
    eventOf('inbox', {
      type: 'object',
      required: ['fingerprint'],
      properties: { fingerprint: { type: 'string' } },
    }),
  ),
});

export function events(deps: GatewayDependencies, streams: Streams): OpenAPIHono<GatewayEnv> {
  const app = newApi();
  const { ledger, logger, closing } = deps;
  const watch = new LedgerWatch({
    what: 'the inbox',
    fingerprint: (tenant) => ledger.approvalRequests.fingerprint(tenant),
    logger,
    closing,
  });

  app.openapi(actionEvents, async (c) => {
    const principal = requirePrincipal(await deps.identity.principal(c));
    const { actionId } = c.req.valid('param');
    const first = await findFor(deps, principal, actionId);
    return streams.open(c, principal, 'action', async ({ send, over }) => {
      let found = first;
      let last: string | undefined;
      let pauseMs = SOON_MS;
      while (!over.aborted) {
        const seen = actionFor(principal, found);
        const now = digest(JSON.parse(JSON.stringify(seen)));
        if (now !== last) {
          await send({ event: 'status', data: seen });
          pauseMs = SOON_MS;
        }
        last = now;
        const outcome = outcomeOf(found);
        if (outcome !== undefined) {
          await send({ event: 'outcome', data: outcomeFor(principal, outcome) });
          return;
        }
        const until = performance.now() + pauseMs;
        if (!(await settled(deps, found, pauseMs, over))) {
          await delay(Math.max(0, until - performance.now()), undefined, { signal: over }).catch(() => {});
        }
        pauseMs = Math.min(LATE_MS, pauseMs * 1.5);
        if (!over.aborted) found = await findFor(deps, principal, actionId);
      }
    });
  });

  app.openapi(inboxEvents, async (c) => {
    const person = await deps.identity.person(c);
    const known = c.req.header('last-event-id');
    return streams.open(c, person, 'inbox', async ({ send, over }) => {
      let last = known;
      const stop = watch.listen(person.tenant, (fingerprint) => {
        if (fingerprint === last) return;
        last = fingerprint;
        void send({ event: 'inbox', data: { fingerprint }, id: fingerprint });
      });
      await ending(over);
      stop();
    });
  });

  return app;
}
