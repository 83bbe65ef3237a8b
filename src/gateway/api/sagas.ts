/** Sagas over HTTP: several actions that succeed together or are undone in reverse order. */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { CountersignError } from '../../action/errors.js';
import { isProposedUnder } from '../../action/principal.js';
import { zodError } from '../../action/proposal.js';
import type { SagaView } from '../../action/saga.js';
import { isOver, sagaAgent, type SagaInput } from '../../client/saga.js';
import type { GatewayEnv } from '../auth/identity.js';
import type { AgentPrincipal } from '../auth/principal.js';
import type { GatewayDependencies } from '../deps.js';
import { untilAny } from '../events/until-any.js';
import { waitAsked } from '../middleware/timeouts.js';
import { BEGIN_MS, inNameOf } from './propose.js';
import { FOR_AGENTS, jsonBody, newApi, responses } from './route.js';
import { saga, sagaFor, sagaParams, sagaRequest } from './saga-schema.js';
import { wait } from './schemas.js';

const good = responses({
  200: [saga, 'It has ended.'],
  202: [saga, 'It goes on: it waits for a person (`needs_person`), or takes longer.'],
});

const proposeRoute = createRoute({
  method: 'post',
  path: '/v1/sagas',
  summary: 'Propose several actions that succeed together',
  description:
    'They are done in order; when one does not succeed, those that were done are undone in reverse order, each as an action of its own. Answers when it has ended, when it waits for a person, or when the time to wait is over. Repeating it with the same steps is safe. Each step counts as a request.',
  security: FOR_AGENTS,
  request: { query: z.object({ wait }), body: jsonBody(sagaRequest) },
  responses: good,
});

const readRoute = createRoute({
  method: 'get',
  path: '/v1/sagas/{traceId}',
  summary: 'Look at a saga, or wait for its end',
  description: 'Agents find those that they proposed, for as long as Temporal keeps them.',
  security: FOR_AGENTS,
  request: { params: sagaParams, query: z.object({ wait }) },
  responses: good,
});

const cancelRoute = createRoute({
  method: 'post',
  path: '/v1/sagas/{traceId}/cancel',
  summary: 'Ask a saga to stop',
  description: 'The next step is not done, and what was done is undone.',
  security: FOR_AGENTS,
  request: { params: sagaParams },
  responses: responses({ 200: [saga, 'It had ended before.'], 202: [saga, 'It was asked to stop.'] }),
});

export function sagas(deps: GatewayDependencies): OpenAPIHono<GatewayEnv> {
  const app = newApi();
  app.openapi(
    proposeRoute,
    async (c) => {
      const agent = await deps.identity.agent(c);
      const { traceId, steps } = c.req.valid('json');
      await c.get('countMore')(steps.length - 1);
      const late = await inNameOf(deps, agent)
        .saga({ traceId, steps: steps as SagaInput['steps'] }, { timeoutMs: Math.max(waitAsked(c) * 1000, BEGIN_MS) })
        .then(() => undefined, isLate);
      // What takes longer than was waited is there, if it began.
      const view = await found(deps, agent, traceId).catch((error: unknown) => {
        throw late ?? error;
      });
      return told(c, view);
    },
    (result) => {
      if (!result.success)
        throw zodError('INVALID_PROPOSAL', result.error, result.target === 'json' ? 'saga' : result.target);
    },
  );
  app.openapi(readRoute, async (c) => {
    const agent = await deps.identity.agent(c);
    const { traceId } = c.req.valid('param');
    const now = await found(deps, agent, traceId);
    const waitMs = waitAsked(c) * 1000;
    if (isOver(now) || waitMs === 0) return told(c, now);
    await ended(deps, agent, traceId, [AbortSignal.timeout(waitMs), c.req.raw.signal]);
    return told(c, await found(deps, agent, traceId));
  });
  app.openapi(cancelRoute, async (c) => {
    const agent = await deps.identity.agent(c);
    const { traceId } = c.req.valid('param');
    const now = await found(deps, agent, traceId);
    if (!isOver(now)) await deps.countersign.cancelSaga(traceId, agent.tenant);
    return told(c, await found(deps, agent, traceId));
  });
  return app;
}

function told(c: Context<GatewayEnv>, view: SagaView) {
  if (!isOver(view)) c.header('Location', `/v1/sagas/${view.traceId}`);
  return c.json(sagaFor(view), isOver(view) ? 200 : 202);
}

function isLate(error: unknown): CountersignError {
  if (error instanceof CountersignError && error.code === 'TIMED_OUT') return error;
  throw error;
}

/** An agent's own. @throws CountersignError NOT_FOUND, the same for another agent's and none at all */
async function found({ countersign }: GatewayDependencies, agent: AgentPrincipal, traceId: string): Promise<SagaView> {
  const { tenant, id } = agent;
  const by = await sagaAgent(countersign.temporal, tenant, traceId);
  if (by === undefined || !isProposedUnder(id, by)) {
    throw new CountersignError('NOT_FOUND', `There is no saga ${traceId} here.`, {
      field: 'traceId',
      expected: 'the traceId of a saga that you proposed',
      fix: 'Propose it: with the same traceId and steps it is the same saga.',
    });
  }
  return await countersign.sagaView(traceId, tenant);
}

/** Waits for its end, or until one of the signals aborts. */
async function ended(
  { countersign, closing }: GatewayDependencies,
  { tenant }: AgentPrincipal,
  traceId: string,
  signals: readonly AbortSignal[],
): Promise<void> {
  await untilAny([closing, ...signals], async (over) => {
    if (over.aborted) return;
    try {
      const { connection } = countersign.temporal;
      await connection.withAbortSignal(over, () => countersign.sagaOutcome(traceId, { tenant }));
    } catch (error) {
      if (!over.aborted) throw error;
    }
  });
}
