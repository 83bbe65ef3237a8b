/** Freezes, standing approvals and role delegations over HTTP. */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { CountersignError } from '../../action/errors.js';
import { withoutUndefined } from '../../action/json.js';
import { NAME_PATTERN } from '../../action/proposal.js';
import { PRINCIPAL_PATTERN } from '../../trust/claim-schemas.js';
import { ID_PATTERN, TOOLS_PATTERN } from '../../trust/commands.js';
import type { CommandInput } from '../../trust/index.js';
import type { GatewayDependencies } from '../deps.js';
import { Freezing } from '../freezing.js';
import type { GatewayEnv } from '../auth/identity.js';
import { assertRecentLogin } from '../auth/recent-login.js';
import { responses, FOR_PEOPLE, FOR_PEOPLE_READING, jsonBody, newApi } from './route.js';
import { amount, instantText, namesOf, reasonText, textOf, wholeNumber } from './described.js';
import { agentId, anything, freeze, freezeScope } from './schemas.js';

const yesNo = z.enum(['true', 'false']).optional();
const freezeParams = z.object({
  id: z
    .string()
    .regex(/^[1-9]\d{0,8}$/)
    .openapi({ type: 'integer', minimum: 1, maximum: 999_999_999 }),
});
/** A UUID, as all ids of standing approvals and role delegations. */
const GIVEN_ID = /^[A-Za-z0-9-]{1,128}$/;
const givenParams = z.object({ id: z.string().regex(GIVEN_ID) });
/** At most 16 units. */
const amounts = z
  .record(z.string().regex(NAME_PATTERN), amount)
  .refine((given) => Object.keys(given).length >= 1 && Object.keys(given).length <= 16, { error: '1 to 16 units' })
  .openapi({
    type: 'object',
    minProperties: 1,
    maxProperties: 16,
    ...namesOf(NAME_PATTERN),
    additionalProperties: { type: 'number', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
  });

const becauseQuery = z.object({ reason: reasonText });

const listed = (name: string) => z.object({ [name]: z.array(anything) }).openapi(`${name}List`);

const routes = {
  freezes: createRoute({
    method: 'get',
    path: '/v1/freezes',
    summary: 'List freezes',
    security: FOR_PEOPLE_READING,
    request: { query: z.object({ lifted: yesNo.openapi({ description: 'Also lifted freezes' }) }) },
    responses: responses({
      200: [z.object({ freezes: z.array(freeze) }).openapi('Freezes'), 'The freezes that stop actions of your tenant'],
    }),
  }),
  freeze: createRoute({
    method: 'post',
    path: '/v1/freezes',
    summary: 'Stop actions from now on',
    description: 'Of your tenant, also actions already granted.',
    security: FOR_PEOPLE,
    request: { body: jsonBody(z.strictObject({ scope: freezeScope, reason: reasonText }).openapi('FreezeRequest')) },
    responses: responses({ 201: [freeze, 'The freeze is in force.'] }),
  }),
  lift: createRoute({
    method: 'post',
    path: '/v1/freezes/{id}/lift',
    summary: 'Lift a freeze',
    security: FOR_PEOPLE,
    request: { params: freezeParams, body: jsonBody(z.strictObject({ reason: reasonText }).openapi('Reason')) },
    responses: responses({ 200: [freeze, 'The freeze is lifted; its record stays.'] }),
  }),
  standing: createRoute({
    method: 'get',
    path: '/v1/standing-approvals',
    summary: 'List standing approvals',
    security: FOR_PEOPLE_READING,
    request: { query: z.object({ active: yesNo.openapi({ description: 'Only those in force now. Default true' }) }) },
    responses: responses({ 200: [listed('standingApprovals'), 'With what has been used of each, the newest first'] }),
  }),
  giveStanding: createRoute({
    method: 'post',
    path: '/v1/standing-approvals',
    summary: 'Give a standing approval',
    description:
      'For one agent, one tool and a limited time. A bound that is absent does not limit anything. Takes a login in the last 15 minutes, because it outlasts the session.',
    security: FOR_PEOPLE,
    request: {
      body: jsonBody(
        z
          .strictObject({
            agent: agentId,
            tool: z.string().regex(TOOLS_PATTERN),
            operation: z.string().regex(ID_PATTERN).optional(),
            environment: textOf({ min: 1, max: 128 }).optional(),
            maxRows: wholeNumber(0).optional(),
            actions: wholeNumber(1).optional(),
            amounts: amounts.optional(),
            until: instantText,
            reason: reasonText,
          })
          .openapi('StandingApprovalRequest'),
      ),
    },
    responses: responses({ 201: [anything, 'The standing approval is in force.'] }),
  }),
  withdrawStanding: createRoute({
    method: 'delete',
    path: '/v1/standing-approvals/{id}',
    summary: 'Withdraw a standing approval',
    security: FOR_PEOPLE,
    request: { params: givenParams, query: becauseQuery },
    responses: responses({ 200: [anything, 'The standing approval is withdrawn.'] }),
  }),
  delegations: createRoute({
    method: 'get',
    path: '/v1/role-delegations',
    summary: 'List role delegations',
    security: FOR_PEOPLE_READING,
    request: {
      query: z.object({ active: yesNo.openapi({ description: 'Only those that are not over. Default true' }) }),
    },
    responses: responses({ 200: [listed('roleDelegations'), 'The newest first'] }),
  }),
  delegate: createRoute({
    method: 'post',
    path: '/v1/role-delegations',
    summary: 'Delegate one of your roles for a while',
    description: 'Takes a login in the last 15 minutes, because it outlasts the session.',
    security: FOR_PEOPLE,
    request: {
      body: jsonBody(
        z
          .strictObject({
            person: z.string().regex(PRINCIPAL_PATTERN),
            role: z.string().regex(NAME_PATTERN),
            from: instantText,
            until: instantText,
            reason: reasonText,
          })
          .openapi('RoleDelegationRequest'),
      ),
    },
    responses: responses({ 201: [anything, 'The role is delegated.'] }),
  }),
  endDelegation: createRoute({
    method: 'delete',
    path: '/v1/role-delegations/{id}',
    summary: 'End a role delegation',
    security: FOR_PEOPLE,
    request: { params: givenParams, query: becauseQuery },
    responses: responses({ 200: [anything, 'The delegation has ended.'] }),
  }),
};

export function authority(deps: GatewayDependencies): OpenAPIHono<GatewayEnv> {
  const app = newApi();
  freezes(app, deps);
  standingApprovals(app, deps);
  roleDelegations(app, deps);
  return app;
}

function freezes(app: OpenAPIHono<GatewayEnv>, deps: GatewayDependencies): void {
  const { identity } = deps;
  const freezing = new Freezing(deps);

  app.openapi(routes.freezes, async (c) => {
    const person = await identity.person(c);
    const activeOnly = c.req.valid('query').lifted !== 'true';
    return c.json({ freezes: await freezing.list(person, { activeOnly }) }, 200);
  });

  app.openapi(routes.freeze, async (c) => {
    const person = await identity.person(c);
    const { scope, reason: why } = c.req.valid('json');
    return c.json(await freezing.freeze(person, withoutUndefined(scope), why), 201);
  });

  app.openapi(routes.lift, async (c) => {
    const person = await identity.person(c);
    return c.json(await freezing.lift(person, c.req.valid('param').id, c.req.valid('json').reason), 200);
  });
}

function standingApprovals(app: OpenAPIHono<GatewayEnv>, deps: GatewayDependencies): void {
  const { identity, decisions, ledger } = deps;

  app.openapi(routes.standing, async (c) => {
    const { tenant } = await identity.person(c);
    const activeOnly = c.req.valid('query').active !== 'false';
    return c.json({ standingApprovals: await ledger.standingApprovals.list({ tenant, activeOnly }) }, 200);
  });

  app.openapi(routes.giveStanding, async (c) => {
    const person = await identity.person(c);
    assertRecentLogin(person, 'give a standing approval');
    const { agent, ...bounds } = withoutUndefined(c.req.valid('json'));
    return commandReply(
      c,
      201,
      await decisions.state(person, { kind: 'create_standing_approval', subject: agent, ...bounds }),
    );
  });

  app.openapi(routes.withdrawStanding, (c) =>
    takeBack(deps, c, {
      kind: 'withdraw_standing_approval',
      subject: c.req.valid('param').id,
      reason: c.req.valid('query').reason,
    }),
  );
}

function roleDelegations(app: OpenAPIHono<GatewayEnv>, deps: GatewayDependencies): void {
  const { identity, decisions, ledger } = deps;

  app.openapi(routes.delegations, async (c) => {
    const { tenant } = await identity.person(c);
    const activeOnly = c.req.valid('query').active !== 'false';
    return c.json({ roleDelegations: await ledger.roleDelegations.list({ tenant, activeOnly }) }, 200);
  });

  app.openapi(routes.delegate, async (c) => {
    const giver = await identity.person(c);
    assertRecentLogin(giver, 'delegate a role');
    const { person, ...duty } = c.req.valid('json');
    return commandReply(c, 201, await decisions.state(giver, { kind: 'delegate_role', subject: person, ...duty }));
  });

  app.openapi(routes.endDelegation, (c) =>
    takeBack(deps, c, {
      kind: 'end_role_delegation',
      subject: c.req.valid('param').id,
      reason: c.req.valid('query').reason,
    }),
  );
}

type TakingBack = Extract<CommandInput, { kind: 'withdraw_standing_approval' | 'end_role_delegation' }>;

async function takeBack(
  { identity, decisions }: GatewayDependencies,
  c: Context,
  command: TakingBack,
): Promise<Response> {
  return commandReply(c, 200, await decisions.state(await identity.person(c), command));
}

type Done = Awaited<ReturnType<GatewayDependencies['decisions']['state']>>;

function commandReply(c: Context, status: 200 | 201, done: Done): Response {
  switch (done.kind) {
    case 'create_standing_approval':
    case 'withdraw_standing_approval':
      return c.json({ ...done.standingApproval, receipt: done.receipt }, status);
    case 'delegate_role':
    case 'end_role_delegation':
      return c.json({ ...done.roleDelegation, receipt: done.receipt }, status);
    default:
      throw new CountersignError('INTERNAL', 'The command was taken for another one.');
  }
}
