/** Forgets what nothing needs any more, for as long as the operator says. Started by a schedule. */
import { Context } from '@temporalio/activity';
import { idempotencyKey, workflowNameOf } from '../src/action/idempotency-key.js';
import { asCountersignError, CountersignError } from '../src/action/errors.js';
import { RETENTION_KINDS, type RetentionKind } from '../src/ledger/index.js';
import type { EffectRecords } from '../src/tools/tool.js';
import type { Purged, PurgeOptions } from './contract.js';
import type { Dependencies } from './deps.js';

/** At most so many rows in one statement, and of one kind in one run. The next run goes on. */
const BATCH = 500;
const MOST = 50_000;

const DAY_MS = 86_400_000;

export async function purge({ days }: PurgeOptions, deps: Dependencies): Promise<Purged> {
  const gone: { -readonly [kind in keyof Purged['gone']]: number } = {};
  const failures: unknown[] = [];
  let more = false;
  /** One kind that cannot be purged, such as a large table that is slow to search, does not keep the others. */
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    await work().catch((error: unknown) => failures.push(error));
  };
  for (const kind of RETENTION_KINDS) {
    const kept = days[kind];
    if (kept === undefined) continue;
    await attempt(async () => {
      const { count, full } = await purgeKind(kind, kept * DAY_MS, deps);
      gone[kind] = count;
      more ||= full;
    });
  }
  const skipped: Skipped[] = [];
  const { effects } = days;
  if (effects !== undefined) {
    await attempt(async () => {
      gone.effects = await purgeEffects(effects * DAY_MS, skipped, deps);
    });
  }
  if (failures.length > 0) throw failures[0];
  return { gone, more, ...(skipped.length > 0 ? { skipped } : {}) };
}

async function purgeKind(
  kind: RetentionKind,
  olderThanMs: number,
  { ledger }: Dependencies,
): Promise<{ readonly count: number; readonly full: boolean }> {
  let [count, last] = [0, BATCH];
  while (last === BATCH && count < MOST) {
    last = await ledger.retention.purge(kind, { olderThanMs, limit: BATCH });
    count += last;
    Context.current().heartbeat();
  }
  return { count, full: last === BATCH };
}

type Skipped = NonNullable<Purged['skipped']>[number];

/** What the tools of this worker keep of effects of actions that ended long ago. One that is away is for the next run. */
async function purgeEffects(
  olderThanMs: number,
  skipped: Skipped[],
  { ledger, tools, taskQueue }: Dependencies,
): Promise<number> {
  let gone = 0;
  for (const tool of tools.values()) {
    if (tool.effects === undefined || (tool.taskQueue !== undefined && tool.taskQueue !== taskQueue)) continue;
    try {
      gone += await purgeRecords(tool.effects, olderThanMs, ledger);
    } catch (thrown) {
      const { code, message } = asCountersignError(thrown);
      skipped.push({ tool: tool.name, why: `${code}: ${message}` });
    }
  }
  return gone;
}

async function purgeRecords(
  records: EffectRecords,
  olderThanMs: number,
  { retention }: Dependencies['ledger'],
): Promise<number> {
  const context = { signal: Context.current().cancellationSignal };
  let gone = 0;
  let after: string | undefined;
  for (let seen = 0; seen < MOST; seen += BATCH) {
    const keys = await records.older({ olderThanMs, limit: BATCH, ...(after === undefined ? {} : { after }) }, context);
    // What others recorded under keys of their own is theirs.
    const actions = keys.flatMap((key) => workflowNameOf(key) ?? []);
    const ended = await retention.endedLongAgo(actions, olderThanMs);
    const over = actions.filter(({ tenant, actionId }) => ended.has(`${tenant}/${actionId}`));
    const count = await records.forget(over.map(idempotencyKey), context);
    if (count === undefined) throw mayNot();
    gone += count;
    Context.current().heartbeat();
    after = keys.at(-1);
    if (keys.length < BATCH) return gone;
  }
  return gone;
}

function mayNot(): CountersignError {
  return new CountersignError('TOOL_FAILED', "The tool's role may not delete its records of effects.", {
    expected: 'DELETE on the table of effects, or `retention.effects: false`',
  });
}
