/** Executes a read, bounded in rows and time. */
import { assertJson, type JsonObject } from '../../action/json.js';
import { timeoutSignal } from '../../timeout-signal.js';
import type { Execution, ExecuteContext } from '../tool.js';
import { violated } from './affected-tables.js';
import { tooManyRows, type Reader } from './capture.js';
import { limitOf } from './effect-transaction.js';
import type { ReadPlan } from './plan.js';

/** @throws CountersignError CONSTRAINT_VIOLATED, TOO_MANY_ROWS; INVALID_INPUT, TOOL_UNAVAILABLE */
export async function executeRead(
  plan: ReadPlan,
  { database, maxRows }: Reader,
  context: ExecuteContext,
): Promise<Execution> {
  context.heartbeat();
  const most = limitOf(context, 'maxRows') ?? maxRows;
  const { query, page } = plan;
  const wanted = page?.withOneMore ?? query;
  const limited = `SELECT * FROM (\n${wanted.text}\n) q LIMIT ${Math.min(most, maxRows) + 1}`;
  const bounded = plan.explains === true ? wanted : { ...wanted, text: limited };
  const [answer] = await database.read([bounded], withTimeout(context));
  const found = answer === undefined ? [] : database.objects(answer);
  const rows = page === undefined ? found : found.slice(0, page.limit);
  if (rows.length > most)
    throw violated(
      `The action reads more than ${most} rows.`,
      `at most ${most} rows, as policy demands`,
      'Narrow the condition.',
    );
  if (rows.length > maxRows) throw tooManyRows(`more than ${maxRows}`, plan.reads.join(', '), maxRows);
  assertJson(rows, 'rows');
  const rest = page !== undefined && found.length > page.limit ? truncatedAt(page.limit) : {};
  return { result: { rowCount: rows.length, rows, ...rest } };
}

/** What an agent is told whose rows are not all there are. */
function truncatedAt(limit: number): JsonObject {
  const more =
    'There are more rows. Order by the key and select those after the last one, or raise the limit (at most 1000), or narrow the condition.';
  return { truncated: true, limit, more };
}

function withTimeout(context: ExecuteContext): AbortSignal {
  const timeoutMs = limitOf(context, 'timeoutMs');
  return timeoutMs === undefined ? context.signal : timeoutSignal(context.signal, timeoutMs);
}
