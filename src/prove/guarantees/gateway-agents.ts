/** The gateway's ways in for agents: keys, tokens, scopes, tenants, repeated and oversized requests. */
import { setTimeout as delay } from 'node:timers/promises';
import { randomUUID } from 'node:crypto';
import type { Guarantee } from '../guarantee.js';
import {
  allRefused,
  codeOfAnswer,
  FIX,
  OTHER_TENANT,
  proposing,
  UNKNOWN,
  withAllowed,
  type OfOne,
} from '../ways-in.js';
import { oneEffect } from '../attempts.js';
import { broken, doesNotApply, holds } from '../verdict.js';
import type { World } from '../world.js';
import { tokens } from './gateway-tokens.js';

/** How many times the same is sent at once. */
const AT_ONCE = 5;

const nobody: OfOne = async (world, ways, one) => {
  const { gateway, person } = ways;
  const { authorization } = await gateway.agent({ roles: [...one.roles] });
  const session = await gateway.logIn(person);
  const own = { cookie: session.cookie, 'x-csrf-token': session.csrf };
  const as = (headers: Readonly<Record<string, string>>) => () => proposing(world, ways, one, headers);
  return allRefused(world, [
    { what: 'a proposal by nobody', codes: UNKNOWN, send: as({}) },
    { what: 'a proposal under a word', codes: UNKNOWN, send: as({ authorization: 'Bearer let-me-in' }) },
    {
      what: 'a proposal under a name and a password',
      codes: UNKNOWN,
      send: as({ authorization: 'Basic YWRtaW46YWRtaW4=' }),
    },
    { what: 'a proposal by an agent and a person at once', codes: UNKNOWN, send: as({ authorization, ...own }) },
    { what: 'a proposal by a person', codes: ['FORBIDDEN'], send: as(own) },
  ]);
};

const keys: OfOne = async (world, ways, one) => {
  const { gateway } = ways;
  const roles = [...one.roles];
  const short = await gateway.apiKeys.create({ ...agentOf(world), roles, scopes: ['*'], ttlSeconds: 1 });
  const good = await gateway.agent({ roles });
  const done = await proposing(world, ways, one, { authorization: good.authorization });
  if (done.body['status'] !== 'success')
    return broken(
      `A proposal under a good API key was answered with ${done.status}: ${codeOfAnswer(done.body) ?? ''}.`,
      FIX,
    );
  const [revoked, disowned] = [await gateway.agent({ roles }), await gateway.agent({ roles })];
  await gateway.apiKeys.revoke(revoked.keyId);
  const jti = `api-key/${disowned.keyId}`;
  await world.parts.ledger.controls.revoke({
    tenant: world.parts.tenant,
    jti,
    reason: 'prove',
    by: 'countersign prove',
  });
  await delay(Math.max(0, Date.parse(short.expiresAt) - Date.now()) + 50);
  const under = (authorization: string) => () => proposing(world, ways, one, { authorization });
  const other = `${good.authorization.slice(0, -2)}${good.authorization.endsWith('AA') ? 'BA' : 'AA'}`;
  return allRefused(world, [
    { what: 'an API key with another secret', codes: UNKNOWN, send: under(other) },
    { what: 'an API key that was revoked', codes: UNKNOWN, send: under(revoked.authorization) },
    {
      what: 'an API key whose authority was revoked',
      codes: ['CREDENTIAL_REVOKED'],
      send: under(disowned.authorization),
    },
    { what: 'an API key that has expired', codes: UNKNOWN, send: under(`Bearer ${short.text}`) },
  ]);
};

function agentOf({ parts }: World) {
  return { agent: 'countersign-prove-agent', tenant: parts.tenant };
}

const scopes: OfOne = async (world, ways, one) => {
  const { authorization } = await ways.gateway.agent({ roles: [...one.roles], scopes: ['countersign-prove-nothing'] });
  return allRefused(world, [
    {
      what: 'a proposal beyond the scopes of an API key',
      codes: ['SCOPE_DENIED'],
      send: () => proposing(world, ways, one, { authorization }),
    },
  ]);
};

/** What belongs to others is answered as what is not there. */
const apart: OfOne = async (world, ways, one) => {
  const { gateway, stranger } = ways;
  const { actionId } = await world.propose(one);
  const own = await gateway.agent();
  const { status } = await gateway.send(`/v1/actions/${actionId}`, {
    method: 'GET',
    headers: { authorization: own.authorization },
  });
  if (status !== 200) return broken(`An agent does not find its own action (${status}).`, FIX);
  const colleague = await gateway.agent({ agent: 'countersign-prove-colleague' });
  const foreigner = await gateway.agent({ tenant: OTHER_TENANT });
  const session = await gateway.logIn(stranger);
  const others: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    'another agent': { authorization: colleague.authorization },
    'an agent of the same name of another tenant': { authorization: foreigner.authorization },
    'a person of another tenant': { cookie: session.cookie, 'x-csrf-token': session.csrf },
  };
  const verdict = await allRefused(
    world,
    Object.entries(others).flatMap(([who, headers]) => [
      {
        what: `${who} who looks`,
        codes: ['NOT_FOUND'],
        send: () => gateway.send(`/v1/actions/${actionId}`, { method: 'GET', headers }),
      },
      {
        what: `${who} who cancels`,
        codes: ['NOT_FOUND'],
        send: () => gateway.send(`/v1/actions/${actionId}/cancel`, { headers }),
      },
    ]),
  );
  for (const [who, headers] of Object.entries(others)) {
    const list = await gateway.send('/v1/actions', { method: 'GET', headers });
    if (list.status !== 200 || list.text.includes(actionId))
      return broken(`${who} finds it in a list (${list.status}).`, FIX);
  }
  return verdict;
};

const repeated: OfOne = async (world, { gateway }, one) => {
  const cases = world.parts.cases.find(({ proven }) => proven.tool.name === one.tool);
  if (cases === undefined) return doesNotApply('Its tool is not tried.');
  const { authorization } = await gateway.agent({ roles: [...one.roles] });
  const { actionId: _id, ...json } = world.proposalOf(one);
  const headers = { authorization, 'idempotency-key': randomUUID() };
  const before = await cases.proven.effects();
  const send = (body: object) => gateway.send('/v1/actions?wait=20', { headers, json: body });
  const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => send(json)));
  answers.push(await send(json));
  const effects = (await cases.proven.effects()) - before;
  const verdict = oneEffect(
    effects,
    `A proposal that was sent ${AT_ONCE} times at once and once more under one Idempotency-Key`,
    cases,
  );
  if (verdict.status !== 'holds') return verdict;
  const receipts = new Set(answers.map(({ body }) => JSON.stringify(body['receipt'])));
  if (receipts.size !== 1) return broken('One Idempotency-Key got several outcomes.', FIX);
  const other = await send({ ...json, expect: 'post == post' });
  return codeOfAnswer(other.body) === 'ACTION_CONFLICT'
    ? holds(`${verdict.detail} Another one under that key was refused (ACTION_CONFLICT).`)
    : broken(`Another proposal under the same Idempotency-Key was answered with ${other.status}.`, FIX);
};

const bounded: OfOne = async (world, ways, one) => {
  const { gateway } = ways;
  const { authorization } = await gateway.agent({ roles: [...one.roles] });
  const proposal = { ...world.proposalOf(one), reasoning: 'x'.repeat(gateway.bodyBytes) };
  const verdict = await allRefused(world, [
    {
      what: `a body of more than ${gateway.bodyBytes} bytes`,
      codes: ['INPUT_TOO_LARGE'],
      send: () => gateway.send('/v1/actions', { headers: { authorization }, json: proposal }),
    },
    {
      what: 'a body as large by nobody',
      codes: ['INPUT_TOO_LARGE', 'UNAUTHENTICATED'],
      send: () => gateway.send('/v1/actions', { json: proposal }),
    },
  ]);
  return verdict;
};

export const GATEWAY_AGENTS: readonly Guarantee[] = [
  {
    id: 'nobody-proposes-unknown',
    family: 'gateway',
    promise: 'Whoever the gateway does not know proposes nothing there, and no person does.',
    check: withAllowed(nobody),
  },
  {
    id: 'api-keys-end',
    family: 'gateway',
    promise: 'An API key that is wrong, revoked or expired opens nothing.',
    check: withAllowed(keys),
  },
  {
    id: 'tokens-cannot-be-forged',
    family: 'gateway',
    promise: 'A token that its issuer did not sign for this gateway and this time opens nothing.',
    check: withAllowed(tokens),
  },
  {
    id: 'scopes-bound-keys',
    family: 'gateway',
    promise: 'An API key opens nothing beyond its scopes.',
    check: withAllowed(scopes),
  },
  {
    id: 'tenants-are-apart',
    family: 'gateway',
    promise: 'Other agents and other tenants neither see nor stop an action.',
    check: withAllowed(apart),
  },
  {
    id: 'repeated-requests-have-one-effect',
    family: 'gateway',
    promise: 'A request that is sent again under its Idempotency-Key has one effect.',
    check: withAllowed(repeated),
  },
  {
    id: 'bodies-are-bounded',
    family: 'gateway',
    promise: 'A request that is larger than the config allows is refused.',
    check: withAllowed(bounded),
  },
];
