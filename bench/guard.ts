/**
 * What a guarded action costs: `trustedAction` (all steps, 100 policies, ledger and target on Postgres) against a bare Temporal
 * workflow with one regular activity doing the same write, and against the pipeline that a team writes by hand: six regular activities,
 * five of them empty, one the write. Same server, same Postgres, same process, interleaved in one run. Beside them runs the shape of
 * `trustedAction` with empty steps around the write: what the seven steps cost before they do anything.
 *
 * The guarded action is run once more with a rehearsal: its change is made and rolled back twice before it is made.
 *
 * Both servers keep what they are told, as servers in service do. With `--in-memory` neither does: workflows that cost the server and
 * little else are twice as fast then, and the guarded one is not.
 *
 * Not measured: a network between the parts, a production Temporal cluster, approvals, large states, other tools.
 */
import { WithStartWorkflowOperation } from '@temporalio/client';
import { WorkflowIdConflictPolicy, type Workflow } from '@temporalio/common';
import { ACTION_TYPES } from '../src/action/decision.js';
import { Countersign } from '../src/client/countersign.js';
import type { DevServers } from '../src/dev/index.js';
import { BARE, startBareWorker } from './bare.js';
import { lanes, timed } from './lanes.js';
import { agent, onStage, poolOf, say, startGuard } from './stage.js';
import { median, quantile, round } from './statistics.js';

const ROWS = 2000;
const POLICIES = 100;
/** Batches before anything is measured: a worker in service is warm. In its first 500 actions V8 compiles for a tenth of the time. */
const WARM_UP_BATCHES = 4;
const SINGLES = 100;
const AT_ONCE = 40;
const BATCHES = 3;
const PER_BATCH = 120;

type Run = (id: number, plan: string) => Promise<void>;

const COMPARED = ['guarded', 'rehearsed', 'bare', 'handWritten', 'emptySteps'] as const;
type Compared = (typeof COMPARED)[number];

function empty(): Record<Compared, number[]> {
  return { guarded: [], rehearsed: [], bare: [], handWritten: [], emptySteps: [] };
}

export async function guard(args: readonly string[]): Promise<void> {
  const json = args.includes('--json');
  const durable = !args.includes('--in-memory');
  await onStage({ durable }, async (servers, folder) => {
    const { runs, history, stop } = await setUp(servers, folder);
    say(`warming up: ${WARM_UP_BATCHES} batches of ${PER_BATCH} of each`);
    for (let batch = 0; batch < WARM_UP_BATCHES; batch++) {
      for (const name of COMPARED) await atOnce(runs[name], `w${name}${batch}`);
    }

    say(`one at a time: ${SINGLES} of each, in turn`);
    const singles = empty();
    for (let i = 0; i < SINGLES; i++) {
      for (const name of COMPARED) singles[name].push(await timed(() => runs[name](i, `${name}${i}`)));
    }

    say(`${AT_ONCE} at once: ${BATCHES} batches of ${PER_BATCH} of each, in turn`);
    const batches = empty();
    for (let batch = 0; batch < BATCHES; batch++) {
      for (const name of COMPARED) batches[name].push(await timed(() => atOnce(runs[name], `b${name}${batch}`)));
    }

    const p50 = (name: Compared): number => median(singles[name]);
    const perSecond = (name: Compared): number => median(batches[name].map((ms) => (PER_BATCH * 1000) / ms));
    // Batch by batch, so that a machine that gets slower meanwhile makes no ratio.
    const throughput = (than: Compared): number =>
      median(batches.guarded.map((ms, batch) => (batches[than][batch] as number) / ms));
    const { events, bytes } = await history();
    const result = {
      p50Ratio: round(p50('guarded') / p50('bare')),
      p50RatioHandWritten: round(p50('guarded') / p50('handWritten')),
      p50RatioRehearsed: round(p50('rehearsed') / p50('guarded')),
      throughputRatio: round(throughput('bare')),
      throughputRatioHandWritten: round(throughput('handWritten')),
      throughputRatioRehearsed: round(1 / throughput('rehearsed')),
      emptyStepsP50Ratio: round(p50('emptySteps') / p50('bare')),
      emptyStepsThroughputRatio: round(throughput('bare') / throughput('emptySteps')),
      historyEvents: events,
      historyBytes: bytes,
      guardedP50Ms: round(p50('guarded'), 1),
      bareP50Ms: round(p50('bare'), 1),
      rehearsedP50Ms: round(p50('rehearsed'), 1),
      handWrittenP50Ms: round(p50('handWritten'), 1),
      emptyStepsP50Ms: round(p50('emptySteps'), 1),
      guardedP95Ms: round(quantile(singles.guarded, 0.95), 1),
      bareP95Ms: round(quantile(singles.bare, 0.95), 1),
      handWrittenP95Ms: round(quantile(singles.handWritten, 0.95), 1),
      guardedPerSecond: round(perSecond('guarded'), 1),
      barePerSecond: round(perSecond('bare'), 1),
      rehearsedPerSecond: round(perSecond('rehearsed'), 1),
      handWrittenPerSecond: round(perSecond('handWritten'), 1),
      emptyStepsPerSecond: round(perSecond('emptySteps'), 1),
      policies: POLICIES,
      durable,
    };
    if (!json) {
      const row = (what: string, unit: string, key: 'P50Ms' | 'PerSecond'): string =>
        `${what}  guarded ${result[`guarded${key}`]}${unit}   bare ${result[`bare${key}`]}${unit}   written by hand ${result[`handWritten${key}`]}${unit}`;
      say(row('p50        ', ' ms', 'P50Ms'));
      say(`  guarded is ${result.p50Ratio} of bare (at most 1.7, goal 1.4)`);
      say(`  guarded is ${result.p50RatioHandWritten} of what is written by hand (at most 0.6, goal 0.45)`);
      say(row('throughput ', '/s', 'PerSecond'));
      say(`  guarded is ${result.throughputRatio} of bare (at least 0.75, goal 1.0)`);
      say(`  guarded is ${result.throughputRatioHandWritten} of what is written by hand (at least 2.0, goal 2.6)`);
      say(
        `  empty steps of the same shape: ${result.emptyStepsP50Ms} ms, ${result.emptyStepsP50Ratio} of bare; ${result.emptyStepsPerSecond}/s, ${result.emptyStepsThroughputRatio} of bare`,
      );
      say(
        `  rehearsed is ${result.p50RatioRehearsed} of guarded at p50, and ${result.throughputRatioRehearsed} of it per second`,
      );
      say(`history      ${events} events, ${bytes} bytes (at most 22 and 16384)`);
    }
    console.log(JSON.stringify(result));
    await stop();
  });
}

async function setUp(servers: DevServers, folder: string) {
  const { address, namespace } = servers.temporal;
  const pool = poolOf(servers, AT_ONCE);
  await pool.query(`CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, plan text NOT NULL);
    INSERT INTO customers SELECT n, 'customer ' || n, 'free' FROM generate_series(0, ${ROWS - 1}) n`);
  const temporal = { address, namespace, taskQueue: 'guarded' };
  const { worker: guardedWorker, keyring } = await startGuard(servers, folder, {
    temporal,
    file: 'more.cedar',
    text: manyPolicies(),
  });
  const client = await Countersign.connect({ ...temporal, credential: await agent(keyring, 'bench') });

  const bare = await startBareWorker(
    servers,
    async (id, plan) => (await pool.query('UPDATE customers SET plan = $2 WHERE id = $1', [id, plan])).rowCount,
  );

  let sequence = 0;
  let last = '';
  const perform = async (id: number, plan: string, more: object): Promise<string> => {
    const actionId = `bench-${++sequence}`;
    const outcome = await client.perform({
      actionId,
      tool: 'shop-db',
      input: { op: 'update', table: 'customers', set: { plan }, where: { id }, ...more },
      reasoning: 'The customer changed the plan.',
    });
    if (outcome.status !== 'success') throw new Error(`${outcome.status}: ${outcome.reason}`);
    return actionId;
  };
  const guarded: Run = async (id, plan) => {
    last = await perform(id, plan, {});
  };
  const rehearsed: Run = async (id, plan) => {
    await perform(id, plan, { rehearse: true });
  };
  const unguarded =
    (workflow: 'bareWrite' | 'handWritten'): Run =>
    async (id, plan) => {
      const changed = await client.temporal.workflow.execute(workflow, {
        taskQueue: BARE,
        workflowId: `bare-${++sequence}`,
        args: [id, plan],
      });
      if (changed !== 1) throw new Error(`${String(changed)} rows changed`);
    };
  const emptySteps: Run = async (id, plan) => {
    const changed = await client.temporal.workflow.executeUpdateWithStart<Workflow, number, []>('changedRows', {
      startWorkflowOperation: new WithStartWorkflowOperation('emptySteps', {
        taskQueue: BARE,
        workflowId: `empty-${++sequence}`,
        args: [id, plan],
        workflowIdConflictPolicy: WorkflowIdConflictPolicy.FAIL,
      }),
    });
    if (changed !== 1) throw new Error(`${changed} rows changed`);
  };
  return {
    runs: { guarded, rehearsed, bare: unguarded('bareWrite'), handWritten: unguarded('handWritten'), emptySteps },
    history: async () => {
      const handle = client.temporal.workflow.getHandle(`bench/${last}`);
      const { historySize, historyLength } = await handle.describe();
      return { events: historyLength, bytes: historySize ?? Number.NaN };
    },
    stop: async () => {
      await Promise.all([guardedWorker.stop(), bare.stop()]);
      await Promise.all([client.close(), pool.end()]);
    },
  };
}

/** As many rules as make a hundred with those of the starter bundle, spread over the action types as those of a real bundle are. */
function manyPolicies(): string {
  return Array.from(
    { length: POLICIES - 8 },
    (_, i) => `@id("rule-${i}")
@reason("Table t${i} is kept as it is.")
forbid(principal, action == Countersign::Action::"${ACTION_TYPES[i % ACTION_TYPES.length]}", resource)
when { context.targets.contains("t${i}") };
`,
  ).join('\n');
}

function atOnce(run: Run, plan: string): Promise<void> {
  return lanes(PER_BATCH, AT_ONCE, (id) => run(id, plan));
}
