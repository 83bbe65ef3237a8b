/** A yes to what has changed since: the rows of a database, between the question and the answer. */
import { setTimeout as delay } from 'node:timers/promises';
import type { PendingAction } from '../../client/countersign.js';
import { approveAll, askingAction } from '../attempts.js';
import type { Case, ToolCases } from '../cases.js';
import { broken, doesNotApply, holds, type GuaranteeVerdict } from '../verdict.js';
import type { World } from '../world.js';

const FIX = 'This is a fault of Countersign: report it, and freeze what asks people until it is corrected.';

/** How often the action is looked at, and with which pauses. Milliseconds. */
const LOOKS = 100;
const LOOK_MS = 100;

/** Another change of the same rows, between the question and the answer. */
export async function changedState(world: World): Promise<GuaranteeVerdict> {
  const asking = await askingAction(world, {
    wanted: (one, cases) => tableOf(one, cases) !== undefined && one.input(0)['op'] === 'update',
  });
  if (typeof asking === 'string') return doesNotApply(`No update of a database asks people. ${asking}`);
  const { action, one, cases } = asking;
  const { database, effects, tool } = cases.proven;
  const table = tableOf(one, cases);
  const [column] = Object.keys((one.input(0)['set'] ?? {}) as object);
  if (database === undefined || table === undefined || column === undefined)
    return doesNotApply('Its table was not found.');
  const before = await effects();
  const quoted = `"${column.replaceAll('"', '""')}"`;
  const inputs = one.input(world.next())['set'] as Readonly<Record<string, unknown>>;
  await database.change(`UPDATE ${table.sql} SET ${quoted} = $1`, [inputs[column]]);
  await approveAll(world, action).catch(() => {});
  const { outcome, phase } = await settled(world, action);
  const changed = (await effects()) - before;
  await world.cancel({ actionId: action.actionId, tool: tool.name });
  return changed === 0 && outcome?.status !== 'success'
    ? holds(
        `When the rows changed while people thought, their yes did not count any more (the action is ${outcome?.status ?? phase}).`,
      )
    : broken('A yes counted although what was shown had changed since.', FIX);
}

/** The action once it has ended, or asks anew. */
async function settled(world: World, { actionId }: PendingAction) {
  const { tenant } = world.parts;
  for (let tries = 0; tries < LOOKS; tries++) {
    const view = await world.client.view(actionId, tenant);
    if (view.outcome !== undefined || (view.phase === 'pending' && view.refusedApprovals.length > 0)) return view;
    await delay(LOOK_MS);
  }
  return world.client.view(actionId, tenant);
}

function tableOf(one: Case, { proven }: ToolCases) {
  const [target] = one.preview.targets;
  return proven.database?.tables.find(
    ({ table, schema }) => target === table.toLowerCase() || target === `${schema}.${table}`.toLowerCase(),
  );
}
