/** Freezes, standing approvals and duties over HTTP: what people stop, allow in advance, and hand to each other. */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { CountersignError } from '../../action/errors.js';
import { withoutUndefined } from '../../action/json.js';
import type { GatewayDependencies } from '../deps.js';
import { Freezing } from '../freezing.js';
import type { GatewayEnv } from '../identity.js';
import { answers, FOR_PEOPLE, jsonBody, newApi } from './route.js';
import { agentId, anything, freeze, freezeScope, instant, reason } from './schemas.js';

const yesNo = z.enum(['true', 'false']).optional();
const freezeParams = z.object({
  id: z
    .string()
    .regex(/^[1-9]\d{0,8}$/)
    .openapi({ type: 'integer', minimum: 1 }),
});
const givenParams = z.object({ id: z.string().regex(/^[!-~]{1,128}$/) });
const becauseQuery = z.object({ reason });

const listed = (name: string) => z.object({ [name]: z.array(anything) }).openapi(`${name}List`);

const routes = {
  freezes: createRoute({
    method: 'get',
    path: '/v1/freezes',
    summary: 'List what is frozen',
    security: FOR_PEOPLE,
    request: { query: z.object({ lifted: yesNo.openapi({ description: 'Also what was lifted' }) }) },
    responses: answers({
      200: [z.object({ freezes: z.array(freeze) }).openapi('Freezes'), 'Those that stop actions of your tenant'],
    }),
  }),
  freeze: createRoute({
    method: 'post',
    path: '/v1/freezes',
    summary: 'Stop actions from now on',
    description: 'Of your tenant, also those already granted.',
    security: FOR_PEOPLE,
    request: { body: jsonBody(z.strictObject({ scope: freezeScope, reason }).openapi('FreezeRequest')) },
    responses: answers({ 201: [freeze, 'It is frozen.'] }),
  }),
  lift: createRoute({
    method: 'post',
    path: '/v1/freezes/{id}/lift',
    summary: 'Lift a freeze',
    security: FOR_PEOPLE,
    request: { params: freezeParams, body: jsonBody(z.strictObject({ reason }).openapi('Reason')) },
    responses: answers({ 200: [freeze, 'It stops nothing any more; its record stays.'] }),
  }),
  standing: createRoute({
    method: 'get',
    path: '/v1/standing-approvals',
    summary: 'List standing approvals',
    security: FOR_PEOPLE,
    request: { query: z.object({ active: yesNo.openapi({ description: 'Only those that hold now. Default true' }) }) },
    responses: answers({ 200: [listed('standingApprovals'), 'With what is used of each, the newest first'] }),
  }),
  stand: createRoute({
    method: 'post',
    path: '/v1/standing-approvals',
    summary: 'Approve in advance',
    description: 'For one agent, one tool and a while; every bound that is absent bounds nothing.',
    security: FOR_PEOPLE,
    request: {
      body: jsonBody(
        z
          .strictObject({
            agent: agentId,
            tool: z.string().min(1).max(64),
            operation: z.string().max(128).optional(),
            environment: z.string().max(128).optional(),
            maxRows: z.number().int().min(0).optional(),
            actions: z.number().int().min(1).optional(),
            amounts: z.record(z.string(), z.number().min(0)).optional(),
            until: instant,
            reason,
          })
          .openapi('StandingApprovalRequest'),
      ),
    },
    responses: answers({ 201: [anything, 'It holds.'] }),
  }),
  withdraw: createRoute({
    method: 'delete',
    path: '/v1/standing-approvals/{id}',
    summary: 'Take a standing approval back',
    security: FOR_PEOPLE,
    request: { params: givenParams, query: becauseQuery },
    responses: answers({ 200: [anything, 'It holds no more.'] }),
  }),
  duties: createRoute({
    method: 'get',
    path: '/v1/duties',
    summary: 'List who exercises whose role',
    security: FOR_PEOPLE,
    request: {
      query: z.object({ active: yesNo.openapi({ description: 'Only those that are not over. Default true' }) }),
    },
    responses: answers({ 200: [listed('duties'), 'The newest first'] }),
  }),
  give: createRoute({
    method: 'post',
    path: '/v1/duties',
    summary: 'Have somebody exercise a role of yours for a while',
    security: FOR_PEOPLE,
    request: {
      body: jsonBody(
        z
          .strictObject({ person: z.string().max(63), role: z.string().max(63), from: instant, until: instant, reason })
          .openapi('DutyRequest'),
      ),
    },
    responses: answers({ 201: [anything, 'It is given.'] }),
  }),
  relieve: createRoute({
    method: 'delete',
    path: '/v1/duties/{id}',
    summary: 'End a duty',
    security: FOR_PEOPLE,
    request: { params: givenParams, query: becauseQuery },
    responses: answers({ 200: [anything, 'It has ended.'] }),
  }),
};

export function authority(deps: GatewayDependencies): OpenAPIHono<GatewayEnv> {
  const { identity, decisions, ledger } = deps;
  const freezing = new Freezing(deps);
  const app = newApi();

  app.openapi(routes.freezes, async (c) => {
    const person = await identity.person(c);
    const activeOnly = c.req.valid('query').lifted !== 'true';
    return c.json({ freezes: await freezing.list(person, { activeOnly }) }, 200);
  });

  app.openapi(routes.freeze, async (c) => {
    const person = await identity.person(c);
    const { scope, reason: why } = c.req.valid('json');
    return c.json(await freezing.freeze(person, scope, why), 201);
  });

  app.openapi(routes.lift, async (c) => {
    const person = await identity.person(c);
    return c.json(await freezing.lift(person, c.req.valid('param').id, c.req.valid('json').reason), 200);
  });

  app.openapi(routes.standing, async (c) => {
    const { tenant } = await identity.person(c);
    const activeOnly = c.req.valid('query').active !== 'false';
    return c.json({ standingApprovals: await ledger.standingApprovals.list({ tenant, activeOnly }) }, 200);
  });

  app.openapi(routes.stand, async (c) => {
    const person = await identity.person(c);
    const { agent, ...bounds } = withoutUndefined(c.req.valid('json'));
    return stated(c, 201, await decisions.state(person, { kind: 'stand', subject: agent, ...bounds }));
  });

  app.openapi(routes.withdraw, async (c) => {
    const person = await identity.person(c);
    const said = { kind: 'withdraw', subject: c.req.valid('param').id, reason: c.req.valid('query').reason } as const;
    return stated(c, 200, await decisions.state(person, said));
  });

  app.openapi(routes.duties, async (c) => {
    const { tenant } = await identity.person(c);
    const activeOnly = c.req.valid('query').active !== 'false';
    return c.json({ duties: await ledger.roleDelegations.list({ tenant, activeOnly }) }, 200);
  });

  app.openapi(routes.give, async (c) => {
    const giver = await identity.person(c);
    const { person, ...duty } = c.req.valid('json');
    return stated(c, 201, await decisions.state(giver, { kind: 'duty', subject: person, ...duty }));
  });

  app.openapi(routes.relieve, async (c) => {
    const person = await identity.person(c);
    const said = { kind: 'relieve', subject: c.req.valid('param').id, reason: c.req.valid('query').reason } as const;
    return stated(c, 200, await decisions.state(person, said));
  });

  return app;
}

type Done = Awaited<ReturnType<GatewayDependencies['decisions']['state']>>;

function stated(c: Context, status: 200 | 201, done: Done): Response {
  switch (done.kind) {
    case 'stand':
    case 'withdraw':
      return c.json({ ...done.standing, receipt: done.receipt }, status);
    case 'duty':
    case 'relieve':
      return c.json({ ...done.duty, receipt: done.receipt }, status);
    default:
      throw new CountersignError('INTERNAL', 'The statement was taken for another one.');
  }
}
