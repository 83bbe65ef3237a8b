/** The steps of the tool, by the plan of an input: preview, capture, execution. */
import type { Preview } from '../../action/decision.js';
import { digest } from '../../action/json.js';
import type { State } from '../../action/snapshot.js';
import type { CaptureOptions, Execution, ExecuteContext } from '../tool.js';
import { returns } from './action-type.js';
import { captureAfter, captureRehearsed, stateFrom, stateQueries } from './capture.js';
import { classify } from './classify.js';
import { executeChange } from './execute.js';
import { executeRead } from './execute-read.js';
import type { PostgresInput } from './input.js';
import type { Parts } from './parts.js';
import type { ChangePlan } from './plan.js';
import { rehearsed } from './plan-parts.js';
import { planFor } from './planner.js';
import { previewChange } from './preview.js';
import { wantsRehearsal } from './rehearsal-options.js';
import { rehearse } from './rehearse.js';
import { notRehearsed, rehearsedOtherwise, rehearsedPreviewOf } from './rehearsed-preview.js';
import { RehearsedTransaction } from './rehearsed-transaction.js';
import { countRefusal, withRefusal } from './row-count.js';
import { Transaction } from './transaction.js';

/** The plan of an input, as one to be rehearsed where it is. */
async function planned(input: PostgresInput, { scope, mode, tool }: Parts, signal: AbortSignal): Promise<ChangePlan> {
  const plan = await planFor(input, scope, signal);
  if (!wantsRehearsal(plan, input, mode, tool)) return plan;
  return plan.kind === 'rows' || plan.kind === 'rehearsed' ? rehearsed(plan, returns(input)) : plan;
}

export async function previewInput(input: PostgresInput, parts: Parts, signal: AbortSignal): Promise<Preview> {
  const { secretColumns } = parts;
  const preview = await parts.scope.upToDate(async () => {
    const plan = await planned(input, parts, signal);
    if (plan.kind === 'rehearsed') {
      const found = await rehearse(plan, parts.rehearsals, signal);
      return rehearsedPreviewOf(plan, input, found, parts.rehearsals);
    }
    const queried = await previewChange(plan, parts, signal);
    if (plan.kind !== 'rows') return queried;
    return withRefusal(queried, countRefusal(plan.table.name, input, queried.rows));
  });
  return secretColumns.size === 0 ? preview : { ...preview, secretColumns: [...secretColumns].sort() };
}

export async function captureInput(
  input: PostgresInput,
  { after, preview }: CaptureOptions,
  parts: Parts,
  signal: AbortSignal,
): Promise<State> {
  const { scope, database, maxRows, tool } = parts;
  const rehearsal = preview?.rehearsal;
  if (after === undefined) {
    return await scope.upToDate(async () => {
      const plan = await planned(input, parts, signal);
      if (plan.kind === 'rehearsed') {
        const found = await rehearse(plan, parts.rehearsals, signal);
        if (rehearsal !== undefined && rehearsal.digest !== found.rehearsal.digest) throw rehearsedOtherwise();
        return found.trial.before;
      }
      const queries = stateQueries(plan, maxRows);
      return stateFrom(plan, queries.length === 0 ? [] : await database.read(queries, signal), parts);
    });
  }
  if (rehearsal !== undefined) return await captureRehearsed(after, parts, signal);
  // The definition may just have changed, perhaps by another worker.
  if (isDefinition(input)) scope.forget();
  const plan = await planFor(input, scope, signal, after.pre);
  if (plan.kind === 'rehearsed') throw notRehearsed(tool, plan);
  return await captureAfter(plan, after, parts, signal);
}

export async function executeInput(input: PostgresInput, context: ExecuteContext, parts: Parts): Promise<Execution> {
  const { scope, effects } = parts;
  try {
    return await executePlan(await planFor(input, scope, context.signal), input, context, parts);
  } catch (error) {
    scope.forget();
    // An earlier attempt may have dropped or renamed what this one does not find.
    const recorded = isDefinition(input) ? await effects.find(context.idempotencyKey, context.signal) : undefined;
    if (recorded?.status === 'done') return effects.again(recorded, digest(input));
    throw error;
  } finally {
    if (isDefinition(input)) scope.forget();
  }
}

async function executePlan(
  plan: ChangePlan,
  input: PostgresInput,
  context: ExecuteContext,
  parts: Parts,
): Promise<Execution> {
  if (plan.kind === 'read') return await executeRead(plan, parts, context);
  const { rehearsal } = context;
  const inputDigest = digest(input);
  if (rehearsal !== undefined && plan.kind !== 'definition') {
    const order = { plan: rehearsed(plan, returns(input)), input: inputDigest, rehearsal };
    return await executeChange((time) => new RehearsedTransaction(order, context, parts, time), context, parts);
  }
  if (plan.kind === 'rehearsed' || (plan.kind === 'rows' && plan.onlyRehearsed !== undefined))
    throw notRehearsed(parts.tool, plan);
  const order = { plan, input: inputDigest };
  return await executeChange((time) => new Transaction(order, context, parts, time), context, parts);
}

function isDefinition(input: PostgresInput): boolean {
  return input.op === 'sql' && 'targets' in classify(input.sql);
}
