/** The gateway's bound on requests: who sends too many is refused, on every way in, and nobody else is. */
import type { Guarantee } from '../guarantee.js';
import { openGateway } from '../scratch/gateway.js';
import { called } from '../scratch/mcp-call.js';
import { allRefused, codeOfAnswer, FIX, proposing, UNKNOWN, withAllowed, type OfOne } from '../ways-in.js';
import { broken, holds } from '../verdict.js';

/** What the bound is tightened to, so that it is reached at once. */
const ROOM = 20;
const LIMITED = ['RATE_LIMITED'];
const NOTHING = { name: 'countersign_prove_nothing', arguments: {} };

const bounded: OfOne = async (world, ways, one) => {
  const gateway = await openGateway(world, [ways.person], { requestsPerMinute: ROOM });
  const { authorization } = await gateway.agent({ roles: [...one.roles] });
  const looks = async (as: string): Promise<number> =>
    (await gateway.send('/v1/me', { method: 'GET', headers: { authorization: as } })).status;
  for (let nth = 1; nth <= ROOM; nth++) {
    const status = await looks(authorization);
    if (status !== 200) return broken(`Request ${nth} of ${ROOM} that are allowed was answered with ${status}.`, FIX);
  }
  const slower = await gateway.send('/v1/me', { method: 'GET', headers: { authorization } });
  if (!/^[1-9]\d?$/.test(slower.headers.get('retry-after') ?? ''))
    return broken('Whoever sent too many requests is not told when to come again (Retry-After).', FIX);
  const verdict = await allRefused(world, [
    {
      what: `a proposal after ${ROOM} requests in a minute`,
      codes: LIMITED,
      send: () => proposing(world, { ...ways, gateway }, one, { authorization }),
    },
    { what: 'a tool call', codes: LIMITED, send: () => called(gateway, NOTHING, { authorization }) },
    {
      what: 'a task over A2A',
      codes: LIMITED,
      send: () => gateway.send('/a2a', { headers: { authorization }, json: {} }),
    },
  ]);
  if (verdict.status !== 'holds') return verdict;
  const { authorization: another } = await gateway.agent({ agent: 'countersign-prove-colleague' });
  if ((await looks(another)) !== 200) return broken('Another agent is refused because of the first.', FIX);
  const guessed = await guessing(gateway);
  return guessed ?? holds(`${verdict.detail} Another agent was served; guessing at API keys came to an end as well.`);
};

/** Keys that are none count for the address that they come from. */
async function guessing(gateway: Awaited<ReturnType<typeof openGateway>>) {
  for (let nth = 0; nth <= ROOM; nth++) {
    const headers = { authorization: `Bearer countersign-prove-guess-${nth}` };
    const { body } = await gateway.send('/v1/me', { method: 'GET', headers });
    const code = codeOfAnswer(body) ?? '';
    if (LIMITED.includes(code)) return undefined;
    if (!UNKNOWN.includes(code)) return broken(`A made-up API key was answered with ${code}.`, FIX);
  }
  return broken(`More than ${ROOM} made-up API keys in a minute were not too many.`, FIX);
}

export const GATEWAY_RATE: readonly Guarantee[] = [
  {
    id: 'requests-are-bounded',
    family: 'gateway',
    promise: 'Who sends more requests than the gateway allows is refused on every way in, and nobody else is.',
    check: withAllowed(bounded),
  },
];
