/** Batches over HTTP: several proposals that are decided together, and begun all or none. */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import { randomUUID } from 'node:crypto';
import type { ErrorView } from '../../action/errors.js';
import { withoutUndefined } from '../../action/json.js';
import { parseProposal, zodError } from '../../action/proposal.js';
import type { BatchedAction } from '../../client/batch.js';
import type { GatewayEnv } from '../auth/identity.js';
import type { AgentPrincipal } from '../auth/principal.js';
import type { GatewayDependencies } from '../deps.js';
import { waitAsked } from '../middleware/timeouts.js';
import { batch, batchRequest } from './batch-schema.js';
import { findFor } from './found.js';
import { BEGIN_MS, inNameOf } from './propose.js';
import { FOR_AGENTS, jsonBody, newApi, responses } from './route.js';
import { wait } from './schemas.js';
import { actionFor, outcomeFor, outcomeOf } from './views.js';

const batchRoute = createRoute({
  method: 'post',
  path: '/v1/batches',
  summary: 'Propose several actions that are decided together',
  description:
    'All are tried first, each beside what those before it would take of limits. Where one would be denied, none is begun. Else all are begun at once, and each has its own outcome. Nothing is held in between: each is authorized by itself. What was begun before is not decided again, so repeating it is safe. Each proposal counts as a request.',
  security: FOR_AGENTS,
  request: { query: z.object({ wait }), body: jsonBody(batchRequest) },
  responses: responses({
    200: [batch, 'Each has ended, or none was begun.'],
    202: [batch, 'At least one goes on: it waits for people (`pending`), or takes longer (`open`).'],
  }),
});

export function batches(deps: GatewayDependencies): OpenAPIHono<GatewayEnv> {
  const app = newApi();
  app.openapi(
    batchRoute,
    async (c) => {
      const agent = await deps.identity.agent(c);
      const { proposals } = c.req.valid('json');
      await c.get('countMore')(proposals.length - 1);
      const named = proposals.map((one) =>
        parseProposal(withoutUndefined({ ...one, actionId: one.actionId ?? randomUUID() })),
      );
      const { timeoutMs } = deps.settings.limits;
      const answer = await inNameOf(deps, agent).performAll(named, {
        timeoutMs: Math.max(waitAsked(c) * 1000, BEGIN_MS),
        decisionTimeoutMs: Math.max(timeoutMs - BEGIN_MS, timeoutMs / 2),
      });
      const actions = await Promise.all(
        answer.actions.map((one, index) => shownTo(deps, agent, one, named[index]?.tool ?? 'unknown')),
      );
      const goesOn = actions.some(({ status }) => status === 'pending' || status === 'open');
      return c.json({ begun: answer.begun, actions }, goesOn ? 202 : 200);
    },
    (result) => {
      if (!result.success)
        throw zodError('INVALID_PROPOSAL', result.error, result.target === 'json' ? 'body' : result.target);
    },
  );
  return app;
}

interface Shown {
  readonly status?: unknown;
  readonly error?: ErrorView;
}

/** As the agent may see it. */
async function shownTo(
  deps: GatewayDependencies,
  agent: AgentPrincipal,
  one: BatchedAction,
  tool: string,
): Promise<Shown> {
  if (one.status === 'not_begun') return one;
  if (one.status !== 'pending' && one.status !== 'open') return outcomeFor(agent, one);
  const { actionId, status } = one;
  const found = await findFor(deps, agent, actionId).catch(() => undefined);
  // It may have ended since.
  const ended = found === undefined ? undefined : outcomeOf(found);
  if (ended !== undefined) return outcomeFor(agent, ended);
  const known = found === undefined ? { tenant: agent.tenant, actionId, status, tool } : actionFor(agent, found);
  // That it takes longer than was waited is no error here: it says so itself.
  return 'error' in one && one.error.code !== 'TIMED_OUT' ? { ...known, error: one.error } : known;
}
