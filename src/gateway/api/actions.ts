/** Actions over HTTP: propose, look, wait, cancel. */
import { createRoute, type OpenAPIHono, type RouteConfig, type RouteHandler, z } from '@hono/zod-openapi';
import { randomUUID } from 'node:crypto';
import { CountersignError } from '../../action/errors.js';
import { withoutUndefined } from '../../action/json.js';
import { zodError } from '../../action/proposal.js';
import type { GatewayDependencies } from '../deps.js';
import { requirePrincipal, type GatewayEnv } from '../auth/identity.js';
import { waitAsked } from '../middleware/timeouts.js';
import { findFor } from './found.js';
import { instantText, textOf } from './described.js';
import { proposal } from './proposal-schema.js';
import { IDEMPOTENCY_KEY, idempotencyKey, propose } from './propose.js';
import { responses, FOR_AGENTS, FOR_BOTH, FOR_BOTH_READING, jsonBody, newApi } from './route.js';
import { action, ACTION_STATUSES, actionPage, actionParams, outcome, pageQuery, wait } from './schemas.js';
import { actionFor, outcomeFor, outcomeOf } from './views.js';
import { settled } from './waiting.js';

const proposeRoute = createRoute({
  method: 'post',
  path: '/v1/actions',
  summary: 'Propose an action',
  description:
    'Answers when the action has ended, when it waits for people, or when the time to wait is over. A refusal is an outcome (`denied`), no error. Repeating it is safe.',
  security: FOR_AGENTS,
  request: {
    query: z.object({ wait }),
    headers: z.object({
      'idempotency-key': z
        .string()
        .regex(IDEMPOTENCY_KEY)
        .optional()
        .openapi({ description: 'Taken as `actionId` where the body has none; as it is, or in quotes' }),
    }),
    body: jsonBody(proposal),
  },
  responses: responses({
    200: [outcome, 'The action has ended.'],
    202: [action, 'The action goes on: it waits for people (`pending`), or takes longer (`open`).'],
  }),
});

const filters = z.object({
  status: z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(z.enum(ACTION_STATUSES)).max(ACTION_STATUSES.length))
    .optional()
    .openapi({
      type: 'string',
      pattern: `^(?:${ACTION_STATUSES.join('|')})(?:,(?:${ACTION_STATUSES.join('|')})){0,${ACTION_STATUSES.length - 1}}$`,
      description: `One or several, with commas: ${ACTION_STATUSES.join(', ')}`,
    }),
  tool: textOf({ max: 64 }).optional(),
  agent: textOf({ max: 255 }).optional(),
  environment: textOf({ max: 128 }).optional(),
  effect: z.enum(['allow', 'deny', 'require_approval']).optional(),
  policy: textOf({ max: 256 }).optional(),
  text: textOf({
    max: 200,
    description: 'The beginning of the id, or a part of agent, tool, reason or summary',
  }).optional(),
  from: instantText.optional(),
  to: instantText.optional(),
  ...pageQuery,
});

const searchRoute = createRoute({
  method: 'get',
  path: '/v1/actions',
  summary: 'List and search actions',
  description: 'Open ones first, the latest first. Agents find their own, and those of agents below them.',
  security: FOR_BOTH_READING,
  request: { query: filters },
  responses: responses({ 200: [actionPage, 'One page'] }),
});

const readRoute = createRoute({
  method: 'get',
  path: '/v1/actions/{actionId}',
  summary: 'Look at an action',
  security: FOR_BOTH_READING,
  request: { params: actionParams },
  responses: responses({ 200: [action, 'What is known of the action now'] }),
});

const outcomeRoute = createRoute({
  method: 'get',
  path: '/v1/actions/{actionId}/outcome',
  summary: 'Wait for the outcome',
  security: FOR_BOTH_READING,
  request: { params: actionParams, query: z.object({ wait }) },
  responses: responses({ 200: [outcome, 'The action has ended.'], 202: [action, 'The action goes on.'] }),
});

const cancelRoute = createRoute({
  method: 'post',
  path: '/v1/actions/{actionId}/cancel',
  summary: 'Ask an action to stop',
  description:
    'Before its effect the action is `cancelled`; during it, the action is finished and its outcome recorded. Agents may cancel their own actions, people with any role those of their tenant.',
  security: FOR_BOTH,
  request: { params: actionParams },
  responses: responses({
    200: [outcome, 'The action had ended before.'],
    202: [action, 'The action was asked to stop.'],
  }),
});

type Handler<R extends RouteConfig> = RouteHandler<R, GatewayEnv>;

export function actions(deps: GatewayDependencies): OpenAPIHono<GatewayEnv> {
  const app = newApi();
  app.openapi(proposeRoute, proposing(deps), (result) => {
    if (!result.success)
      throw zodError('INVALID_PROPOSAL', result.error, result.target === 'json' ? 'proposal' : result.target);
  });
  app.openapi(searchRoute, searching(deps));
  app.openapi(readRoute, reading(deps));
  app.openapi(outcomeRoute, awaitingOutcome(deps));
  app.openapi(cancelRoute, cancelling(deps));
  return app;
}

function proposing(deps: GatewayDependencies): Handler<typeof proposeRoute> {
  return async (c) => {
    const agent = await deps.identity.agent(c);
    const given = c.req.valid('json');
    const actionId = given.actionId ?? idempotencyKey(c.req.valid('header')['idempotency-key']) ?? randomUUID();
    const found = await propose(deps, agent, { ...given, actionId }, waitAsked(c) * 1000);
    const ended = outcomeOf(found);
    if (ended !== undefined) return c.json(outcomeFor(agent, ended), 200);
    c.header('Location', `/v1/actions/${actionId}`);
    return c.json(actionFor(agent, found), 202);
  };
}

function searching(deps: GatewayDependencies): Handler<typeof searchRoute> {
  return async (c) => {
    const principal = requirePrincipal(await deps.identity.principal(c));
    const { from, to, status, ...filter } = c.req.valid('query');
    const found = await deps.ledger.archive.search({
      ...withoutUndefined(filter),
      ...(status === undefined ? {} : { status }),
      ...(from === undefined ? {} : { from: new Date(from) }),
      ...(to === undefined ? {} : { to: new Date(to) }),
      ...(principal.kind === 'agent' ? { accountable: principal.id } : { canaries: true }),
      tenant: principal.tenant,
    });
    return c.json(found, 200);
  };
}

function reading(deps: GatewayDependencies): Handler<typeof readRoute> {
  return async (c) => {
    const principal = requirePrincipal(await deps.identity.principal(c));
    return c.json(actionFor(principal, await findFor(deps, principal, c.req.valid('param').actionId)), 200);
  };
}

function awaitingOutcome(deps: GatewayDependencies): Handler<typeof outcomeRoute> {
  return async (c) => {
    const principal = requirePrincipal(await deps.identity.principal(c));
    const { actionId } = c.req.valid('param');
    let found = await findFor(deps, principal, actionId);
    const waitMs = waitAsked(c) * 1000;
    if (outcomeOf(found) === undefined && waitMs > 0) {
      await settled(deps, found, waitMs, c.req.raw.signal);
      found = await findFor(deps, principal, actionId);
    }
    const ended = outcomeOf(found);
    if (ended !== undefined) return c.json(outcomeFor(principal, ended), 200);
    return c.json(actionFor(principal, found), 202);
  };
}

function cancelling(deps: GatewayDependencies): Handler<typeof cancelRoute> {
  return async (c) => {
    const principal = requirePrincipal(await deps.identity.principal(c));
    if (principal.kind === 'person') await mayAct(deps, c);
    const { actionId } = c.req.valid('param');
    const found = await findFor(deps, principal, actionId);
    const ended = outcomeOf(found);
    if (ended !== undefined) return c.json(outcomeFor(principal, ended), 200);
    await deps.countersign.cancel(actionId, principal.tenant);
    return c.json(actionFor(principal, await findFor(deps, principal, actionId)), 202);
  };
}

/** Also checks that the person's own page sent it. */
async function mayAct({ identity }: GatewayDependencies, c: Parameters<GatewayDependencies['identity']['person']>[0]) {
  const { roles } = await identity.person(c);
  if (roles.length > 0) return;
  throw new CountersignError('FORBIDDEN', 'You have no role, so you may only look.', {
    field: 'roles',
    expected: 'at least one role',
  });
}
