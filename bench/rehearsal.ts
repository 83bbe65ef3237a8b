/**
 * For how long a change of 10,000 rows holds their locks: in its rehearsal, in its execution after a rehearsal, and in its execution without
 * one. Another session asks every few milliseconds whether it could lock one of the rows, and the longest time without a yes counts.
 *
 * Not measured: triggers, indexes of their own on what changes, writers that wait for the locks.
 */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import type { Preview } from '../src/action/decision.js';
import { digest } from '../src/action/json.js';
import { postgres, type PostgresInput } from '../src/tools/index.js';
import type { Tool } from '../src/tools/tool.js';
import { onStage, poolOf, say } from './stage.js';
import { median, round } from './statistics.js';

const ROWS = 10_000;
const ROUNDS = 5;
const ASK_EVERY_MS = 2;
const STEPS = ['rehearsal', 'capture', 'executionRehearsed', 'execution'] as const;
type Step = (typeof STEPS)[number];

export async function rehearsal(args: readonly string[]): Promise<void> {
  await onStage({ durable: true }, async (servers) => {
    const { url } = servers.postgres;
    const pool = poolOf(servers, 2);
    await pool.query(`CREATE TABLE accounts (id int PRIMARY KEY, plan text NOT NULL, seats int NOT NULL);
      INSERT INTO accounts SELECT n, 'free', 1 FROM generate_series(1, ${ROWS}) n`);
    const tool = postgres({ name: 'accounts', environment: 'production', url });
    const times: Record<Step, Times[]> = { rehearsal: [], capture: [], executionRehearsed: [], execution: [] };
    for (let round = 0; round <= ROUNDS; round++) {
      say(round === 0 ? 'warming up' : `round ${round} of ${ROUNDS}: ${ROWS} rows, with a rehearsal and without`);
      const measured = await once(tool, url);
      if (round > 0) for (const step of STEPS) times[step].push(measured[step]);
    }
    const middle = (step: Step, what: keyof Times): number => round(median(times[step].map((one) => one[what])), 1);
    const result = Object.fromEntries(
      STEPS.flatMap((step) => [
        [`${step}Ms`, middle(step, 'took')],
        [`${step}LockedMs`, middle(step, 'locked')],
      ]),
    );
    const ratio = round(middle('executionRehearsed', 'locked') / middle('execution', 'locked'));
    if (!args.includes('--json')) {
      for (const step of STEPS) {
        say(`${step.padEnd(20)} ${middle(step, 'took')} ms, rows locked for ${middle(step, 'locked')} ms`);
      }
      say(`a rehearsed execution locks the rows ${ratio} times as long as one that was not`);
    }
    console.log(JSON.stringify({ ...result, lockedRatio: ratio, rows: ROWS }));
    await tool.close();
    await pool.end();
  });
}

/** Milliseconds: of the step, and of it while the rows were locked. */
interface Times {
  readonly took: number;
  readonly locked: number;
}

async function once(tool: Tool<PostgresInput>, url: string): Promise<Record<Step, Times>> {
  const signal = new AbortController().signal;
  const change = (rehearse: boolean): PostgresInput =>
    tool.input.parse({ op: 'sql', sql: 'UPDATE accounts SET seats = seats + 1', rehearse });
  const execute = async (input: PostgresInput, shown?: Preview) => {
    const pre = await tool.capture(input, { preview: shown }, { signal });
    return await lockedWhile(url, () =>
      tool.execute(input, {
        idempotencyKey: randomUUID(),
        preDigest: digest(pre),
        constraints: [],
        rows: ROWS,
        ...(shown?.rehearsal === undefined ? {} : { rehearsal: shown.rehearsal.digest }),
        signal,
        heartbeat: () => {},
      }),
    );
  };
  const asked = change(true);
  let preview: Preview | undefined;
  const previewing = await lockedWhile(url, async () => {
    preview = await tool.preview(asked, { signal });
  });
  const capture = await lockedWhile(url, () => tool.capture(asked, { preview }, { signal }));
  const executionRehearsed = await execute(asked, preview);
  const execution = await execute(change(false));
  return { rehearsal: previewing, capture, executionRehearsed, execution };
}

/** Runs the work, and measures the longest time during which another session could not have locked a row. */
async function lockedWhile(url: string, work: () => Promise<unknown>): Promise<Times> {
  const asker = new pg.Client({ connectionString: url });
  await asker.connect();
  const working = new AbortController();
  let locked = 0;
  let free = performance.now();
  const asking = (async () => {
    while (!working.signal.aborted) {
      const could = await asker.query('SELECT FROM accounts WHERE id = 1 FOR UPDATE SKIP LOCKED');
      const now = performance.now();
      if (could.rowCount === 1) free = now;
      else locked = Math.max(locked, now - free);
      await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
    }
  })();
  const start = performance.now();
  await work();
  const took = performance.now() - start;
  working.abort();
  await asking;
  await asker.end();
  return { took, locked };
}
