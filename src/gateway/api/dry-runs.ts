/** Dry runs over HTTP: what would become of a proposal. */
import { createRoute, type OpenAPIHono } from '@hono/zod-openapi';
import { randomUUID } from 'node:crypto';
import type { DryRun } from '../../action/dry-run.js';
import { parseProposal, zodError } from '../../action/proposal.js';
import type { AgentPrincipal } from '../auth/principal.js';
import type { GatewayEnv } from '../auth/identity.js';
import type { GatewayDependencies } from '../deps.js';
import { dryRun as dryRunSchema } from './dry-run-schema.js';
import { proposal } from './proposal-schema.js';
import { inNameOf } from './propose.js';
import { FOR_AGENTS, jsonBody, newApi, responses } from './route.js';

const dryRunRoute = createRoute({
  method: 'post',
  path: '/v1/dry-runs',
  summary: 'Ask what would become of a proposal',
  description:
    'Policy and limits decide on a preview of the real system, as if it were proposed now. Nothing is done, held, counted, asked of people or recorded. What would be denied is an answer, no error.',
  security: FOR_AGENTS,
  request: { body: jsonBody(proposal) },
  responses: responses({ 200: [dryRunSchema, 'What would become of it, at this moment'] }),
});

export function dryRuns(deps: GatewayDependencies): OpenAPIHono<GatewayEnv> {
  const app = newApi();
  app.openapi(
    dryRunRoute,
    async (c) => {
      const agent = await deps.identity.agent(c);
      return c.json(await dryRun(deps, agent, c.req.valid('json')), 200);
    },
    (result) => {
      if (!result.success) throw zodError('INVALID_PROPOSAL', result.error, 'proposal');
    },
  );
  return app;
}

/** Attests who the agent is, for this dry run alone, and asks in its name. @throws CountersignError INVALID_PROPOSAL and its kin, TIMED_OUT … */
export async function dryRun(deps: GatewayDependencies, agent: AgentPrincipal, given: object): Promise<DryRun> {
  const proposed = parseProposal({ actionId: randomUUID(), ...given });
  return await inNameOf(deps, agent).dryRun(proposed, { timeoutMs: deps.settings.limits.timeoutMs });
}
