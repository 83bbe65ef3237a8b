/**
 * AuthZEN's Access Evaluation API (OpenID Authorization API 1.0, https://openid.net/specs/authorization-api-1_0.html) over dry runs: an
 * enforcement point asks, and what it is told is what a proposal would come to.
 */
import { createRoute, type OpenAPIHono } from '@hono/zod-openapi';
import type { z } from 'zod';
import { inputOf } from '../../action/catalogue.js';
import { asCountersignError, CountersignError } from '../../action/errors.js';
import { withoutUndefined, type JsonObject } from '../../action/json.js';
import type { GatewayEnv } from '../auth/identity.js';
import type { AgentPrincipal } from '../auth/principal.js';
import type { GatewayDependencies } from '../deps.js';
import { statusOf } from '../middleware/problem.js';
import { evaluation, evaluationRequest, evaluations, evaluationsRequest, type SEMANTICS } from './authzen-schema.js';
import { dryRun } from './dry-runs.js';
import { FOR_AGENTS, jsonBody, newApi, responses, withBody } from './route.js';

const EVALUATION = '/access/v1/evaluation';
const EVALUATIONS = '/access/v1/evaluations';

type Asked = Pick<z.output<typeof evaluationsRequest>, 'subject' | 'action' | 'resource' | 'context'>;

interface Evaluation {
  readonly decision: boolean;
  readonly context: object;
}

type Semantic = (typeof SEMANTICS)[number];

const evaluationRoute = createRoute({
  method: 'post',
  path: EVALUATION,
  summary: 'Evaluate an access request (AuthZEN)',
  description:
    'The subject is you, the resource a tool, the action one of its operations with its arguments as properties. Answered by a dry run: true where it would be done at once.',
  security: FOR_AGENTS,
  request: { body: jsonBody(evaluationRequest) },
  responses: responses({ 200: [evaluation, 'The decision'] }),
});

const evaluationsRoute = createRoute({
  method: 'post',
  path: EVALUATIONS,
  summary: 'Evaluate several access requests (AuthZEN)',
  description:
    'What is given beside `evaluations` is the default of each. Each is decided as if the others were not made, and counts as a request.',
  security: FOR_AGENTS,
  middleware: withBody,
  request: { body: jsonBody(evaluationsRequest) },
  responses: responses({ 200: [evaluations, 'The decisions, in the order of the requests'] }),
});

export function authzen(deps: GatewayDependencies): OpenAPIHono<GatewayEnv> {
  const app = newApi();
  const { publicUrl } = deps.settings;
  app.get('/.well-known/authzen-configuration', (c) =>
    c.json(
      {
        policy_decision_point: publicUrl,
        access_evaluation_endpoint: `${publicUrl}${EVALUATION}`,
        access_evaluations_endpoint: `${publicUrl}${EVALUATIONS}`,
      },
      200,
      { 'Cache-Control': 'max-age=3600' },
    ),
  );
  app.openapi(evaluationRoute, async (c) => {
    const agent = await deps.identity.agent(c);
    return c.json(await evaluated(deps, agent, c.req.valid('json')), 200);
  });
  app.openapi(evaluationsRoute, async (c) => {
    const agent = await deps.identity.agent(c);
    const { evaluations: each = [{}], options, ...defaults } = c.req.valid('json');
    const asked = (each.length === 0 ? [{}] : each).map((one) => ({ ...defaults, ...one }));
    await c.get('countMore')(asked.length - 1);
    return c.json({ evaluations: await inTurn(deps, agent, asked, options?.evaluations_semantic) }, 200);
  });
  return app;
}

/** All at once, or one after the other until the answer is known. */
async function inTurn(
  deps: GatewayDependencies,
  agent: AgentPrincipal,
  asked: readonly Asked[],
  semantic: Semantic = 'execute_all',
): Promise<Evaluation[]> {
  if (semantic === 'execute_all') return await Promise.all(asked.map((one) => evaluated(deps, agent, one)));
  const last = semantic === 'permit_on_first_permit';
  const found: Evaluation[] = [];
  for (const one of asked) {
    const answer = await evaluated(deps, agent, one);
    found.push(answer);
    if (answer.decision === last) break;
  }
  return found;
}

/** Whatever cannot be decided is a no that says why: an enforcement point must not have to tell one from the other. */
async function evaluated(deps: GatewayDependencies, agent: AgentPrincipal, asked: Asked): Promise<Evaluation> {
  try {
    const answer = await dryRun(deps, agent, await proposalOf(deps, agent, asked));
    // What others approved in advance, or a limit that has room later, is for an action to use, and no promise to somebody who acts elsewhere.
    return {
      decision: answer.effect === 'allow' && answer.waits === undefined,
      context: answer,
    };
  } catch (thrown) {
    const { code, message, field, expected } = asCountersignError(thrown);
    const status = statusOf(code);
    // The system's own faults are no answer to this question: the whole request fails, and can be sent again.
    if (status >= 500) throw thrown;
    return {
      decision: false,
      context: { reason: message, error: withoutUndefined({ code, message, status, field, expected }) },
    };
  }
}

/** The proposal that an access request stands for. @throws CountersignError INVALID_INPUT, FORBIDDEN, UNKNOWN_TOOL */
async function proposalOf(
  { ledger, taskQueue }: GatewayDependencies,
  agent: AgentPrincipal,
  { subject, action, resource, context = {} }: Asked,
): Promise<object> {
  if (subject === undefined || action === undefined || resource === undefined)
    throw new CountersignError('INVALID_INPUT', 'The request lacks a subject, an action or a resource.', {
      field: 'evaluation',
      expected: 'subject, action and resource, of its own or beside `evaluations`',
    });
  if (subject.type !== 'agent' || subject.id !== agent.id)
    throw new CountersignError('FORBIDDEN', 'An agent asks for itself, and for nobody else.', {
      field: 'subject',
      expected: `{"type":"agent","id":${JSON.stringify(agent.id)}}`,
    });
  const tools = resource.type === 'tool' ? await ledger.catalogue.tools(taskQueue) : [];
  const operation = tools
    .find(({ name }) => name === resource.id)
    ?.operations.find((one) => one.operation === action.name);
  if (operation === undefined)
    throw new CountersignError('UNKNOWN_TOOL', 'No worker has such a tool with such an operation.', {
      field: 'resource',
      expected: 'the type `tool`, the name of a tool, and as the action’s name one of its operations',
    });
  const { from, expect } = context;
  const input = inputOf(operation, (action.properties ?? {}) as JsonObject);
  return withoutUndefined({ tool: resource.id, input, from, expect });
}
