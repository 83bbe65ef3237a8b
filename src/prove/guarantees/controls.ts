/** What stops agents whatever was decided: freezes, and limits that many proposals at once do not overspend. */
import { cp, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseDocument } from 'yaml';
import { Countersign } from '../../client/countersign.js';
import { DEFAULT_ROLES } from '../../config/config.js';
import type { LimitFigure } from '../../action/limits.js';
import { LIMITS_FILE } from '../../policy/limits/limit.js';
import { signCommand } from '../../trust/index.js';
import { allowedCase, codeOf, onEachTool, refused, said } from '../attempts.js';
import type { Case, ToolCases } from '../cases.js';
import type { Guarantee } from '../guarantee.js';
import { broken, doesNotApply, holds, type GuaranteeVerdict } from '../verdict.js';
import type { ProposedAction, World } from '../world.js';

const FIX = 'This is a fault of Countersign: report it.';

/** Proposals at once, and how many of them a limit is tightened to. */
const AT_ONCE = 20;
const ROOM = 3;

async function frozen(world: World, one: Case, cases: ToolCases): Promise<GuaranteeVerdict> {
  const { ledger, tenant } = world.parts;
  const { name } = cases.proven.tool;
  const freeze = await ledger.controls.freeze({
    tenant,
    scope: { kind: 'tool', value: name },
    reason: 'prove',
    by: 'countersign prove',
  });
  try {
    const stopped = { what: `A change of ${name} while it is frozen`, codes: ['FROZEN'], fix: FIX };
    return await refused(cases, stopped, () => world.propose(one));
  } finally {
    await ledger.controls.unfreeze(freeze.id, { by: 'countersign prove', reason: 'prove' });
  }
}

async function lifted(world: World): Promise<GuaranteeVerdict> {
  const { ledger, tenant, config } = world.parts;
  const [role] = config.roles?.unfreeze ?? DEFAULT_ROLES.unfreeze;
  if (role === undefined) return doesNotApply('The config names no role that lifts freezes.');
  const scope = { kind: 'target', value: 'countersign_prove_nothing' } as const;
  const freeze = await ledger.controls.freeze({ tenant, scope, reason: 'prove', by: 'countersign prove' });
  const command = { kind: 'unfreeze', tenant, subject: String(freeze.id), reason: 'prove' } as const;
  const intern = await world.person('countersign-prove-intern', ['countersign-prove-intern']);
  const code = await codeOf(async () => world.client.submitCommand(await signCommand(intern, command)));
  const still = (await ledger.controls.freezes({ activeOnly: true })).some(({ id }) => id === freeze.id);
  if (code !== 'ROLE_REQUIRED' || !still)
    return broken(`Somebody without the role ${role} lifted a freeze (${code ?? 'done'}).`, FIX);
  await world.client.submitCommand(await signCommand(await world.person('countersign-prove-person', [role]), command));
  const left = (await ledger.controls.freezes({ activeOnly: true })).some(({ id }) => id === freeze.id);
  return left
    ? broken(`A person with the role ${role} cannot lift a freeze.`, 'See `roles.unfreeze` of the config.')
    : holds(`A freeze was lifted by a person with the role ${role}, and by nobody else (ROLE_REQUIRED).`);
}

/** A limit that a change falls under, of which one knows how much one change takes. */
async function limitOf(
  world: World,
  one: Case,
): Promise<{ readonly limit: string; readonly each: number } | undefined> {
  const { ledger, tenant } = world.parts;
  const { outcome, actionId } = await world.propose(one);
  const figures: readonly LimitFigure[] = outcome?.facts?.limits ?? [];
  const bounded = figures.find(({ kind }) => kind === 'budget' || kind === 'count');
  if (bounded === undefined) return undefined;
  const holdsOfIt = await ledger.limits.holds({ tenant, actionId });
  const each = holdsOfIt.find(({ limit }) => limit === bounded.limit)?.amount ?? 0;
  return each > 0 ? { limit: bounded.limit, each } : undefined;
}

async function overspent(world: World): Promise<GuaranteeVerdict> {
  for (const cases of world.parts.cases) {
    const one = await allowedCase(world, cases);
    if (typeof one === 'string') continue;
    const found = await limitOf(world, one);
    if (found !== undefined) return raced(world, one, cases, found);
  }
  return doesNotApply('No budget and no count of limits.yaml is for a change that could be made up and is allowed.');
}

/** The same policies with one bound lowered, so that the race has something to run for. */
async function raced(
  world: World,
  one: Case,
  cases: ToolCases,
  { limit, each }: { readonly limit: string; readonly each: number },
): Promise<GuaranteeVerdict> {
  const { config, temporal, encryption, policies, folder, ledger, tenant } = world.parts;
  const tightened = path.join(folder, 'tightened');
  await cp(policies, tightened, { recursive: true });
  const file = path.join(tightened, LIMITS_FILE);
  const document = parseDocument(await readFile(file, 'utf8'));
  const counters = (await ledger.limits.counters({ tenant })).filter((counter) => counter.limit === limit);
  const used = Math.max(0, ...counters.map((counter) => counter.used + counter.held));
  document.setIn(['limits', limit, 'max'], used + ROOM * each);
  await writeFile(file, document.toString());
  const settings = { ...temporal, taskQueue: `${temporal.taskQueue}-tightened` };
  const worker = await world.startWorker({
    config: { ...config, policies: { from: 'folder', path: tightened } },
    temporal: settings,
  });
  const client = await Countersign.connect({ ...settings, credential: null, encryption });
  try {
    const credential = await world.agentCredential({ roles: [...one.roles] });
    const before = await cases.proven.effects();
    const proposals = Array.from({ length: AT_ONCE }, () => world.proposalOf(one));
    const ended = await Promise.all(proposals.map((proposal) => world.proposeAs(credential, proposal, client)));
    // Those that change the same object are in each other's way: then the rest of the room is taken one after the other.
    for (let more = 0; more < ROOM + 2 && succeeded(ended) < ROOM; more++) {
      ended.push(await world.proposeAs(credential, world.proposalOf(one), client));
    }
    const effects = (await cases.proven.effects()) - before;
    for (const { pending } of ended)
      if (pending !== undefined) await world.cancel({ actionId: pending.actionId, tool: one.tool });
    const done = succeeded(ended);
    if (effects > ROOM || done > ROOM) {
      return broken(`${AT_ONCE} proposals at once had ${effects} effects where ${limit} had room for ${ROOM}.`, FIX);
    }
    if (done === 0) {
      const why = `None of ${AT_ONCE} proposals was done where ${limit} had room for ${ROOM}: ${said(ended[0]?.outcome)}.`;
      return broken(why, `See whether ${limit} gives back what an action that failed had taken.`);
    }
    return holds(
      `${AT_ONCE} proposals at once had ${effects} effects where ${limit}, tightened, had room for ${ROOM}.`,
    );
  } finally {
    await client.close();
    await worker.stop();
  }
}

function succeeded(ended: readonly ProposedAction[]): number {
  return ended.filter(({ outcome }) => outcome?.status === 'success').length;
}

export const CONTROLS: readonly Guarantee[] = [
  {
    id: 'freezes-stop',
    family: 'controls',
    promise: 'A freeze stops what policy allows.',
    check: (world) => onEachTool(world, (one, cases) => frozen(world, one, cases)),
  },
  {
    id: 'freezes-are-lifted-by-role',
    family: 'controls',
    promise: 'A freeze is lifted by people with the role for it, and by nobody else.',
    check: lifted,
  },
  {
    id: 'limits-are-not-overspent',
    family: 'controls',
    promise: `${AT_ONCE} proposals at once never spend more than a limit has room for.`,
    check: overspent,
  },
];
