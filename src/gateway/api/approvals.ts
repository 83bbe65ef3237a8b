/** What people do over HTTP: list approval requests, decide, and resolve unknown outcomes. */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import type { AuthenticationResponseJSON } from '@simplewebauthn/server';
import type { Edit } from '../../action/edit.js';
import { CountersignError } from '../../action/errors.js';
import { rolesOfPerson } from '../auth/roles.js';
import type { GatewayDependencies } from '../deps.js';
import type { GatewayEnv } from '../auth/identity.js';
import { findFor } from './found.js';
import { responses, FOR_PEOPLE, FOR_PEOPLE_READING, jsonBody, newApi } from './route.js';
import { actionParams, approvalRequestPage, decided, decision, outcome, pageQuery } from './schemas.js';
import { reasonText, textOf } from './described.js';
import { approvalRequestFor } from './views.js';

const pendingRoute = createRoute({
  method: 'get',
  path: '/v1/approvals',
  summary: 'List approval requests',
  description:
    'Soonest to expire first. `mine=true`: only what one of your roles may decide by now, those delegated to you among them.',
  security: FOR_PEOPLE_READING,
  request: {
    query: z.object({
      environment: textOf({ max: 128 }).optional(),
      tool: textOf({ max: 64 }).optional(),
      agent: textOf({ max: 255 }).optional(),
      text: textOf({ max: 200 }).optional(),
      mine: z.enum(['true', 'false']).optional(),
      ...pageQuery,
    }),
  },
  responses: responses({ 200: [approvalRequestPage, 'One page'] }),
});

const decideRoute = createRoute({
  method: 'post',
  path: '/v1/actions/{actionId}/decision',
  summary: 'Approve, deny, ask for changes or make them',
  description:
    'The decision is bound to the digest of exactly what you saw, and decides nothing else. Agents cannot decide.',
  security: FOR_PEOPLE,
  request: { params: actionParams, body: jsonBody(decision) },
  responses: responses({ 200: [decided, 'The decision is recorded.'] }),
});

const resolveRoute = createRoute({
  method: 'post',
  path: '/v1/actions/{actionId}/resolution',
  summary: 'Resolve an unknown outcome',
  security: FOR_PEOPLE,
  request: {
    params: actionParams,
    body: jsonBody(
      z.strictObject({ verdict: z.enum(['happened', 'did_not_happen']), evidence: reasonText }).openapi('Resolution'),
    ),
  },
  responses: responses({ 200: [outcome, 'The outcome as it is now'] }),
});

export function approvals(deps: GatewayDependencies): OpenAPIHono<GatewayEnv> {
  const app = newApi();

  app.openapi(pendingRoute, async (c) => {
    const person = await deps.identity.person(c);
    const { cursor, limit, mine, environment, tool, agent, text } = c.req.valid('query');
    const { requests, next } = await deps.ledger.approvalRequests.page({
      tenant: person.tenant,
      ...(cursor === undefined ? {} : { cursor }),
      ...(limit === undefined ? {} : { limit }),
      filter: {
        ...(environment === undefined ? {} : { environment }),
        ...(tool === undefined ? {} : { tool }),
        ...(agent === undefined ? {} : { agent }),
        ...(text === undefined ? {} : { text }),
        ...(mine === 'true' ? { roles: await rolesOfPerson(deps.ledger, person) } : {}),
      },
    });
    return c.json({ approvalRequests: requests.map(approvalRequestFor), ...(next === undefined ? {} : { next }) }, 200);
  });

  app.openapi(decideRoute, async (c) => {
    const person = await deps.identity.person(c);
    const { actionId } = c.req.valid('param');
    const { shownDigest, verdict, reason: why, edit, assertion } = c.req.valid('json');
    const reply = await deps.decisions.decide(person, {
      actionId,
      shownDigest,
      verdict,
      reason: why,
      ...(edit === undefined ? {} : { edit: edit as Edit }),
      ...(assertion === undefined
        ? {}
        : {
            assertion: {
              policyDigest: assertion.policyDigest,
              // Whoever signs for it reads it strictly.
              response: assertion.response as unknown as AuthenticationResponseJSON,
            },
          }),
    });
    return c.json(reply, 200);
  });

  app.openapi(resolveRoute, async (c) => {
    const person = await deps.identity.person(c);
    const { actionId } = c.req.valid('param');
    await findFor(deps, person, actionId);
    const { verdict, evidence } = c.req.valid('json');
    const done = await deps.decisions.state(person, { kind: 'resolve', subject: actionId, verdict, reason: evidence });
    if (done.kind !== 'resolve') throw new CountersignError('INTERNAL', 'The command was taken for another one.');
    return c.json(done.outcome, 200);
  });

  return app;
}
