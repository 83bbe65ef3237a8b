/** What guarantees about the gateway are tried with: one gateway for all of them, its agents and its people. */
import type { DevPerson } from '../gateway/deps.js';
import { allowedCase, nothingTried } from './attempts.js';
import type { Case, ToolCases } from './cases.js';
import { openGateway, type GatewayAnswer, type ScratchGateway } from './scratch/gateway.js';
import { broken, doesNotApply, holds, type GuaranteeVerdict } from './verdict.js';
import type { World } from './world.js';

export const FIX = 'This is a fault of Countersign: report it, and close the gateway until it is corrected.';

/** A tenant that nothing belongs to but what is made up for it. */
export const OTHER_TENANT = 'countersign-prove-other';

export interface WaysIn {
  readonly gateway: ScratchGateway;
  /** With every role that policy asks for. */
  readonly person: DevPerson;
  /** The same, of another tenant. */
  readonly stranger: DevPerson;
}

const opened = new WeakMap<World, Promise<WaysIn>>();

export function waysIn(world: World): Promise<WaysIn> {
  const ways = opened.get(world) ?? open(world);
  opened.set(world, ways);
  return ways;
}

async function open(world: World): Promise<WaysIn> {
  const { tenant, cases } = world.parts;
  const asked = cases.flatMap(({ changes }) => changes.flatMap(({ decision }) => decision.requirements));
  const roles = [...new Set(asked.flatMap((requirement) => requirement.roles))].slice(0, 32);
  const person = { id: 'countersign-prove-person', name: 'Somebody', tenant, roles };
  const stranger = { ...person, tenant: OTHER_TENANT };
  return { gateway: await openGateway(world, [person, stranger]), person, stranger };
}

/** A change that is allowed, of the first tool that has one; or why there is none, as a sentence. */
async function allowedAnywhere(world: World): Promise<{ readonly one: Case; readonly cases: ToolCases } | string> {
  let last = nothingTried(world);
  for (const cases of world.parts.cases) {
    const one = await allowedCase(world, cases);
    if (typeof one !== 'string') return { one, cases };
    last = one;
  }
  return last;
}

/** A request that must be refused. */
interface Attempt {
  readonly what: string;
  readonly codes: readonly string[];
  readonly send: () => Promise<GatewayAnswer>;
}

/** Holds where every one of them is refused for its reason, and no tool's system had an effect. */
export async function allRefused(world: World, attempts: readonly Attempt[]): Promise<GuaranteeVerdict> {
  const count = async (): Promise<number> => {
    const counts = await Promise.all(world.parts.cases.map(({ proven }) => proven.effects()));
    return counts.reduce((sum, each) => sum + each, 0);
  };
  const told: string[] = [];
  for (const { what, codes, send } of attempts) {
    const before = await count();
    const { status, body } = await send();
    const code = codeOfAnswer(body) ?? String(status);
    const effects = (await count()) - before;
    if (effects > 0 || !codes.includes(code))
      return broken(`The answer was ${code}, with ${effects} effects, to ${what}.`, FIX);
    told.push(`${what} (${code})`);
  }
  return told.length === 0 ? doesNotApply('There is nothing to try.') : holds(`Refused: ${told.join(', ')}.`);
}

/** Of a problem, or of an outcome that is a refusal. */
export function codeOfAnswer(body: GatewayAnswer['body']): string | undefined {
  const { code, error } = body as { code?: unknown; error?: { code?: unknown } };
  return typeof code === 'string' ? code : typeof error?.code === 'string' ? error.code : undefined;
}

/** What whoever is not believed is told. */
export const UNKNOWN = ['UNAUTHENTICATED'];

export type OfOne = (world: World, ways: WaysIn, one: Case) => Promise<GuaranteeVerdict>;

/** Tried with a change that the policy allows: so that only the way in stands between it and its effect. */
export function withAllowed(attempt: OfOne): (world: World) => Promise<GuaranteeVerdict> {
  return async (world) => {
    const found = await allowedAnywhere(world);
    if (typeof found === 'string') return doesNotApply(found);
    return attempt(world, await waysIn(world), found.one);
  };
}

export function proposing(
  world: World,
  { gateway }: WaysIn,
  one: Case,
  headers: Readonly<Record<string, string>>,
): Promise<GatewayAnswer> {
  return gateway.send('/v1/actions?wait=20', { headers, json: world.proposalOf(one) });
}
