/** The gateway's ways in for people: nobody decides in their name, no other page, no agent, and no other name that leads here. */
import type { PendingAction } from '../../client/countersign.js';
import { askingAction, type Asking } from '../attempts.js';
import type { Guarantee } from '../guarantee.js';
import type { GatewayAnswer, PersonSession } from '../scratch/gateway.js';
import { allRefused, codeOfAnswer, FIX, waysIn, type WaysIn } from '../ways-in.js';
import { broken, doesNotApply, holds, type GuaranteeVerdict } from '../verdict.js';
import type { World } from '../world.js';

/** With an action that waits for people, which is still waiting in the end. */
function whileAsking(
  attempt: (world: World, ways: WaysIn, asking: Asking) => Promise<GuaranteeVerdict>,
): (world: World) => Promise<GuaranteeVerdict> {
  return async (world) => {
    const asking = await askingAction(world);
    if (typeof asking === 'string') return doesNotApply(asking);
    const { actionId } = asking.action;
    try {
      const verdict = await attempt(world, await waysIn(world), asking);
      const { phase } = await world.client.view(actionId, world.parts.tenant);
      if (phase === 'pending' || verdict.status === 'broken') return verdict;
      return broken(`What was refused moved the action to ${phase} all the same.`, FIX);
    } finally {
      await world.cancel({ actionId, tool: asking.one.tool });
    }
  };
}

function decide(
  { gateway }: WaysIn,
  { actionId, pending }: PendingAction,
  headers: Readonly<Record<string, string>>,
): Promise<GatewayAnswer> {
  const json = { shownDigest: pending.shownDigest, verdict: 'approve' };
  return gateway.send(`/v1/actions/${actionId}/decision`, { headers, json });
}

const page = ({ cookie, csrf }: PersonSession): Readonly<Record<string, string>> => ({ cookie, 'x-csrf-token': csrf });

async function agentsDecide(world: World, ways: WaysIn, { action, one }: Asking): Promise<GuaranteeVerdict> {
  const { gateway, person, stranger } = ways;
  const own = await gateway.agent({ roles: [...one.roles] });
  const named = await gateway.agent({ agent: person.id, roles: [...person.roles] });
  const session = await gateway.logIn(stranger);
  const as = (headers: Readonly<Record<string, string>>) => () => decide(ways, action, headers);
  return allRefused(world, [
    { what: 'a yes by nobody', codes: ['UNAUTHENTICATED'], send: as({}) },
    { what: 'a yes by the agent itself', codes: ['FORBIDDEN'], send: as({ authorization: own.authorization }) },
    {
      what: 'a yes by an agent that has a person’s name and roles',
      codes: ['FORBIDDEN'],
      send: as({ authorization: named.authorization }),
    },
    { what: 'a yes by a person of another tenant', codes: ['NOT_FOUND'], send: as(page(session)) },
  ]);
}

async function forgedPages(world: World, ways: WaysIn, { action }: Asking): Promise<GuaranteeVerdict> {
  const { gateway, person } = ways;
  const [session, other] = [await gateway.logIn(person), await gateway.logIn(person)];
  const seen = await gateway.send(`/v1/actions/${action.actionId}`, { method: 'GET', headers: page(session) });
  if (seen.status !== 200) return broken(`A person does not see what waits for people (${seen.status}).`, FIX);
  const as = (headers: Readonly<Record<string, string>>) => () => decide(ways, action, headers);
  const codes = ['CSRF'];
  const form = { shownDigest: action.pending.shownDigest, verdict: 'approve' };
  const verdict = await allRefused(world, [
    { what: 'a yes without the token of the session', codes, send: as({ cookie: session.cookie }) },
    {
      what: 'a yes with the token of another session',
      codes,
      send: as({ ...page(session), 'x-csrf-token': other.csrf }),
    },
    { what: 'a yes that another site sends', codes, send: as({ ...page(session), 'sec-fetch-site': 'cross-site' }) },
    {
      what: 'a yes from another origin',
      codes,
      send: as({ ...page(session), origin: 'https://countersign-prove.invalid' }),
    },
    {
      what: 'a form of the inbox that another page filled in',
      codes: ['CSRF', '403'],
      send: () => gateway.send(`/actions/${action.actionId}/decision`, { form, headers: { cookie: session.cookie } }),
    },
  ]);
  if (verdict.status !== 'holds') return verdict;
  // So that the refusals mean something: with the token it is refused for its own reason, if at all.
  const stale = await gateway.send(`/v1/actions/${action.actionId}/decision`, {
    headers: page(session),
    json: { shownDigest: `sha256:${'0'.repeat(64)}`, verdict: 'approve' },
  });
  const code = codeOfAnswer(stale.body);
  return code === 'APPROVAL_STALE' || code === 'APPROVAL_FORBIDDEN'
    ? verdict
    : broken(`The person’s own page was answered with ${code ?? stale.status}.`, FIX);
}

async function otherNames(world: World): Promise<GuaranteeVerdict> {
  const { gateway } = await waysIn(world);
  const own = await gateway.asked(new URL(gateway.url).host, '/dev-login');
  const other = await gateway.asked('countersign-prove.invalid', '/dev-login');
  if (own !== 200) return broken(`The gateway does not answer to its own name (${own}).`, FIX);
  return other === 421
    ? holds('A request for another name that leads to the gateway was refused (421).')
    : broken(`A request for another name that leads to the gateway was answered with ${other}.`, FIX);
}

export const GATEWAY_PEOPLE: readonly Guarantee[] = [
  {
    id: 'only-people-decide-over-http',
    family: 'gateway',
    promise: 'Neither nobody nor an agent nor somebody of another tenant decides at the gateway.',
    check: whileAsking(agentsDecide),
  },
  {
    id: 'pages-cannot-be-forged',
    family: 'gateway',
    promise: 'A decision counts only from the person’s own page (CSRF).',
    check: whileAsking(forgedPages),
  },
  {
    id: 'other-names-lead-nowhere',
    family: 'gateway',
    promise: 'The gateway’s pages answer to its own name only (DNS rebinding).',
    check: otherNames,
  },
];
