/** What is done: once, as it was promised, and never called done unless the system shows it. */
import { JOURNAL_TABLE, lyingTrigger } from '../scratch/journal.js';
import { allowedCase, nothingTried, oneEffect, onEachTool, said } from '../attempts.js';
import type { Case, ToolCases } from '../cases.js';
import { afterCrash } from '../crash.js';
import type { Guarantee } from '../guarantee.js';
import { broken, doesNotApply, holds, together, type GuaranteeVerdict } from '../verdict.js';
import type { World } from '../world.js';

/** How many times the same is proposed at once. */
const AT_ONCE = 5;

async function proposedAgain(world: World, one: Case, cases: ToolCases): Promise<GuaranteeVerdict> {
  const credential = await world.agentCredential({ roles: [...one.roles] });
  const proposal = world.proposalOf(one);
  const before = await cases.proven.effects();
  const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => world.proposeAs(credential, proposal)));
  answers.push(await world.proposeAs(credential, proposal));
  const effects = (await cases.proven.effects()) - before;
  const receipts = new Set(answers.map(({ outcome }) => outcome?.receipt?.hash));
  const verdict = oneEffect(effects, `A change that was proposed ${AT_ONCE} times at once and once more`, cases);
  if (verdict.status !== 'holds' || receipts.size === 1) return verdict;
  return broken('The same proposal got several outcomes.', 'This is a fault of Countersign: report it.');
}

async function conflicting(world: World, one: Case, cases: ToolCases): Promise<GuaranteeVerdict> {
  const { actionId, outcome } = await world.propose(one);
  const before = await cases.proven.effects();
  const second = await world.propose(one, { actionId, expect: 'post == post' });
  const effects = (await cases.proven.effects()) - before;
  const told = second.error?.code ?? second.outcome?.error?.code;
  if (effects === 0 && told === 'ACTION_CONFLICT')
    return holds('Another proposal under the same id was refused (ACTION_CONFLICT).');
  return broken(
    `Another proposal under the id of ${said(outcome)} came to ${told ?? said(second.outcome)}, with ${effects} effects.`,
    'This is a fault of Countersign: report it.',
  );
}

/** What is expected cannot be so after any change. */
async function unmetExpectation(world: World, one: Case, cases: ToolCases): Promise<GuaranteeVerdict> {
  const { name } = cases.proven.tool;
  const { outcome } = await world.propose(one, { expect: 'post == pre', onMismatch: 'keep' });
  if (outcome?.status === 'mismatch')
    return holds(`An effect on ${name} that is not what was promised was told as a mismatch.`);
  return broken(
    `An effect on ${name} that is not what was promised was told as ${said(outcome)}.`,
    `See what the probes of ${name} capture: they have to show what its operations change.`,
  );
}

/** The system takes the change, says yes, and keeps what it had. */
async function lyingSystem(world: World, cases: ToolCases): Promise<GuaranteeVerdict> {
  const { proven } = cases;
  const { database, tool } = proven;
  const one = await allowedCase(world, cases);
  if (typeof one === 'string') return doesNotApply(one);
  if (database === undefined) return doesNotApply(`${tool.name} acts on a sandbox that prove cannot have lie.`);
  const [target] = one.preview.targets;
  const table = database.tables.find(({ table: name, schema }) => target === name || target === `${schema}.${name}`);
  if (table === undefined || one.input(0)['op'] !== 'update')
    return doesNotApply(`No update of ${tool.name} is allowed, so its system cannot undo one silently.`);
  const lie = lyingTrigger(table.sql);
  await database.query(lie.begin);
  try {
    const { outcome, error } = await world.propose(one);
    if (outcome === undefined || ['denied', 'expired', 'cancelled'].includes(outcome.status)) {
      const why = outcome?.reason ?? error?.message ?? 'it waits for people';
      return doesNotApply(`The change of ${tool.name} that was to be undone silently was not made: ${why}`);
    }
    return outcome.status === 'success'
      ? broken(
          `A change of ${table.sql} that the database silently undid was told as a success.`,
          `${tool.name} does not verify what it did: its verify, capture or probes take the system's word for it.`,
        )
      : holds(
          `A change that the database of ${tool.name} silently undid was not told as a success (${outcome.status}).`,
        );
  } finally {
    await database.query(lie.end);
  }
}

async function dryRun(world: World, one: Case, cases: ToolCases): Promise<GuaranteeVerdict> {
  const { name } = cases.proven.tool;
  const before = await cases.proven.effects();
  const credential = await world.agentCredential({ roles: [...one.roles] });
  await world.client.as(credential).dryRun(world.proposalOf(one));
  const effects = (await cases.proven.effects()) - before;
  return effects === 0
    ? holds(`A dry run left ${name} as it was.`)
    : broken(
        `A dry run had ${effects} effects on ${name}.`,
        `The preview of ${name} changes its system: it may only read.`,
      );
}

/** By the database itself: the transaction of a change must be that of an effect's key. */
async function explained(cases: ToolCases): Promise<GuaranteeVerdict> {
  const { database, tool } = cases.proven;
  if (database === undefined)
    return doesNotApply(`${tool.name} acts on a sandbox that keeps no keys of effects for prove to read.`);
  const role = new URL(database.toolUrl).username;
  const tables = await database.query<{ name: string }>(
    `SELECT c.oid::regclass::text AS name FROM pg_class c WHERE c.relname = 'effects' AND pg_get_userbyid(c.relowner) = $1`,
    [role],
  );
  const keys = tables.map(({ name }) => `SELECT xmin::text FROM ${name}`).join(' UNION ');
  const past = await database.query<{ tbl: string; op: string }>(
    `SELECT DISTINCT tbl, op FROM ${JOURNAL_TABLE} WHERE role = $1 AND (xid::text::bigint % 4294967296)::text NOT IN (${keys === '' ? "''" : keys})`,
    [role],
  );
  if (past.length === 0)
    return holds(`Every change of the database of ${tool.name} was made under the key of an effect.`);
  const what = past.map(({ tbl, op }) => `${op} on ${tbl}`).join(', ');
  return broken(
    `The tool ${tool.name} changed its database past the effects that it recorded: ${what}.`,
    `See what the execute, preview and capture of ${tool.name} send besides the effect itself.`,
  );
}

async function onEachCases(
  world: World,
  attempt: (cases: ToolCases) => Promise<GuaranteeVerdict>,
): Promise<GuaranteeVerdict> {
  const verdicts: GuaranteeVerdict[] = [];
  for (const cases of world.parts.cases) verdicts.push(await attempt(cases));
  return together(verdicts.length === 0 ? [doesNotApply(nothingTried(world))] : verdicts);
}

export const EFFECTS: readonly Guarantee[] = [
  {
    id: 'one-proposal-one-effect',
    family: 'effects',
    promise: 'A proposal has one effect, however often it is made, also at once.',
    check: (world) => onEachTool(world, (one, cases) => proposedAgain(world, one, cases)),
  },
  {
    id: 'one-id-one-proposal',
    family: 'effects',
    promise: 'Another proposal under an id that was used is refused.',
    check: (world) => onEachTool(world, (one, cases) => conflicting(world, one, cases)),
  },
  {
    id: 'one-effect-after-a-crash',
    family: 'effects',
    promise: 'A worker that is killed between the effect and its answer leaves one effect, or an honest unknown.',
    check: (world) => onEachTool(world, (one, cases) => afterCrash(world, one, cases)),
  },
  {
    id: 'mismatches-are-told',
    family: 'effects',
    promise: 'An effect that is not what was promised is told as a mismatch.',
    check: (world) => onEachTool(world, (one, cases) => unmetExpectation(world, one, cases)),
  },
  {
    id: 'success-is-verified',
    family: 'effects',
    promise: 'A change that the system silently undid is never a success.',
    check: (world) => onEachCases(world, (cases) => lyingSystem(world, cases)),
  },
  {
    id: 'dry-runs-change-nothing',
    family: 'effects',
    promise: 'A dry run has no effect.',
    check: (world) => onEachTool(world, (one, cases) => dryRun(world, one, cases)),
  },
];

/** Tried last: it judges everything that came before. */
export const EXPLAINED: Guarantee = {
  id: 'every-change-is-explained',
  family: 'effects',
  promise: 'A tool changes nothing past the effects that it records.',
  check: (world) => onEachCases(world, explained),
};
