/** `/mcp`: a tool call is held to what a proposal over HTTP is held to. */
import { randomUUID } from 'node:crypto';
import type { Guarantee } from '../guarantee.js';
import { awaiting, called, callOf, offeredTools, saidOf, trying, type McpCall } from '../scratch/mcp-call.js';
import { allRefused, FIX, OTHER_TENANT, UNKNOWN, withAllowed, type OfOne, type WaysIn } from '../ways-in.js';
import type { Case } from '../cases.js';
import { oneEffect } from '../attempts.js';
import { broken, doesNotApply, type GuaranteeVerdict } from '../verdict.js';
import type { World } from '../world.js';

/** No such tool, or not for whoever asks. */
const NOT_OFFERED = ['JSON-RPC -32602'];
/** How a model is told that there is no such action, and that its id stands for another proposal. */
const MISSING = /^refused: There is no action/;
const CONFLICT = /^refused: Action \S+ was proposed before with another /;

interface Calling {
  /** Another call of the same tool, each time. */
  readonly next: () => McpCall;
  /** With an API key that may call it. */
  readonly authorization: string;
  /** The action that a call under this key has made, once. */
  readonly actionId: string;
}

/** With a tool whose calls have their effect when nothing stands in their way. */
function whereCallsWork(
  attempt: (world: World, ways: WaysIn, one: Case, calling: Calling) => Promise<GuaranteeVerdict>,
): OfOne {
  return async (world, ways, one) => {
    const { ledger, temporal, cases } = world.parts;
    const tools = await ledger.catalogue.tools(temporal.taskQueue);
    const next = (): McpCall | undefined => {
      const { input, from } = world.proposalOf(one);
      const call = callOf(tools, one.tool, input);
      return call === undefined || from === undefined
        ? call
        : { ...call, _meta: { 'countersign/from': from.map((source) => ({ ...source })) } };
    };
    const [first, proven] = [next(), cases.find((each) => each.proven.tool.name === one.tool)];
    if (first === undefined || proven === undefined)
      return doesNotApply(`MCP clients are not offered what is tried of ${one.tool}.`);
    const { authorization } = await ways.gateway.agent({ roles: [...one.roles] });
    const before = await proven.proven.effects();
    const answer = await called(ways.gateway, underKey(first, `prove-mcp-${randomUUID()}`), { authorization });
    const effects = (await proven.proven.effects()) - before;
    const { status, actionId } = answer.body;
    if (status !== 'success' || typeof actionId !== 'string') {
      return broken(`A call of ${first.name} under a good API key was answered with ${saidOf(answer)}.`, FIX);
    }
    const made = oneEffect(effects, `A call of ${first.name} under a good API key`, proven);
    if (made.status !== 'holds') return made;
    return attempt(world, ways, one, { next: () => next() ?? first, authorization, actionId });
  };
}

function underKey(call: McpCall, key: string): McpCall {
  return { ...call, _meta: { ...call._meta, 'countersign/idempotencyKey': key } };
}

const nobody = whereCallsWork(async (world, { gateway, person }, one, { next, authorization }) => {
  const session = await gateway.logIn(person);
  const own = { cookie: session.cookie, 'x-csrf-token': session.csrf };
  const revoked = await gateway.agent({ roles: [...one.roles] });
  await gateway.apiKeys.revoke(revoked.keyId);
  const other = `${authorization.slice(0, -2)}${authorization.endsWith('AA') ? 'BA' : 'AA'}`;
  const foreign = await Promise.all(
    gateway.issuers.map((issuer) => issuer.token({ claims: { aud: 'countersign-prove-other' } })),
  );
  const as = (headers: Readonly<Record<string, string>>) => () => called(gateway, next(), headers);
  return allRefused(world, [
    { what: 'a call by nobody', codes: UNKNOWN, send: as({}) },
    { what: 'a call under a word', codes: UNKNOWN, send: as({ authorization: 'Bearer let-me-in' }) },
    { what: 'a call under an API key with another secret', codes: UNKNOWN, send: as({ authorization: other }) },
    {
      what: 'a call under an API key that was revoked',
      codes: UNKNOWN,
      send: as({ authorization: revoked.authorization }),
    },
    ...foreign.map((token) => ({
      what: 'a call under a token for another audience',
      codes: UNKNOWN,
      send: as({ authorization: `Bearer ${token}` }),
    })),
    { what: 'a call by an agent and a person at once', codes: UNKNOWN, send: as({ authorization, ...own }) },
    { what: 'a call by a person', codes: ['FORBIDDEN'], send: as(own) },
    {
      what: 'a call from the page of another site',
      codes: ['FORBIDDEN'],
      send: as({ authorization, origin: 'https://countersign-prove.invalid' }),
    },
  ]);
});

const scoped = whereCallsWork(async (world, { gateway }, one, { next, authorization }) => {
  const narrow = await gateway.agent({ roles: [...one.roles], scopes: ['countersign-prove-nothing'] });
  const headers = { authorization: narrow.authorization };
  const { name } = next();
  if (!(await offeredTools(gateway, { authorization })).includes(name))
    return broken(`${name} is not offered to an agent whose scopes cover it.`, FIX);
  if ((await offeredTools(gateway, headers)).includes(name))
    return broken(`${name} is offered to an agent whose scopes do not cover it.`, FIX);
  return allRefused(world, [
    {
      what: 'a call beyond the scopes of an API key',
      codes: NOT_OFFERED,
      send: () => called(gateway, next(), headers),
    },
    { what: 'a dry run of it', codes: NOT_OFFERED, send: () => called(gateway, trying(next()), headers) },
  ]);
});

const apart = whereCallsWork(async (world, { gateway }, one, { next, authorization, actionId }) => {
  const awaited = await called(gateway, awaiting(actionId), { authorization });
  if (awaited.body['status'] !== 'success') return broken('An agent does not find the action of its own call.', FIX);
  const roles = [...one.roles];
  const colleague = await gateway.agent({ agent: 'countersign-prove-colleague', roles });
  const foreigner = await gateway.agent({ tenant: OTHER_TENANT, roles });
  const others = { 'another agent': colleague, 'an agent of the same name of another tenant': foreigner };
  for (const [who, { authorization: theirs }] of Object.entries(others)) {
    const answer = await called(gateway, awaiting(actionId), { authorization: theirs });
    const said = saidOf(answer);
    if (!MISSING.test(said)) return broken(`${who} who waits for the action was answered with ${said}.`, FIX);
  }
  return allRefused(world, [
    {
      what: 'another call by another agent under the key of an action that is not its own',
      codes: ['ACTION_CONFLICT'],
      send: async () => {
        const answer = await called(gateway, underKey(next(), actionId), { authorization: colleague.authorization });
        // A model is told an error in words.
        return CONFLICT.test(saidOf(answer)) ? { ...answer, body: { code: 'ACTION_CONFLICT' } } : answer;
      },
    },
  ]);
});

export const GATEWAY_MCP: readonly Guarantee[] = [
  {
    id: 'nobody-calls-unknown',
    family: 'gateway',
    promise:
      'Whoever the gateway does not know calls no tool over MCP, and neither does a person or the page of another site.',
    check: withAllowed(nobody),
  },
  {
    id: 'scopes-bound-calls',
    family: 'gateway',
    promise: 'Over MCP an agent is offered nothing beyond its scopes, and calls nothing beyond them.',
    check: withAllowed(scoped),
  },
  {
    id: 'calls-are-apart',
    family: 'gateway',
    promise: 'Over MCP no agent follows what another has called, or does something else under its name.',
    check: withAllowed(apart),
  },
];
