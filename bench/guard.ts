/**
 * What a guarded action costs: `trustedAction` (all steps, 100 policies, ledger and target on Postgres) against a bare Temporal
 * workflow with one regular activity doing the same write. Same server, same Postgres, same process, interleaved in one run.
 *
 * Both servers keep what they are told, as servers in service do. With `--in-memory` neither does: the bare workflow, which costs the
 * server and little else, is twice as fast then, and the guarded one is not.
 *
 * Not measured: a network between the parts, a production Temporal cluster, approvals, large states, other tools.
 */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, NativeConnection, Worker } from '@temporalio/worker';
import { ACTION_TYPES } from '../src/action/decision.js';
import { Countersign } from '../src/client/countersign.js';
import type { DevServers } from '../src/dev/index.js';
import { agent, onStage, poolOf, say, startGuard } from './stage.js';
import { median, quantile, round } from './statistics.js';

const ROWS = 2000;
const POLICIES = 100;
/** Batches before anything is measured: a worker in service is warm, and its code compiled. */
const WARM_UP_BATCHES = 3;
const SINGLES = 150;
const AT_ONCE = 40;
const BATCHES = 6;
const PER_BATCH = 200;

const here = path.dirname(fileURLToPath(import.meta.url));

type Run = (id: number, plan: string) => Promise<void>;

export async function guard(args: readonly string[]): Promise<void> {
  const json = args.includes('--json');
  const durable = !args.includes('--in-memory');
  await onStage({ durable }, async (servers, folder) => {
    const { guarded, bare, history, stop } = await setUp(servers, folder);
    say(`warming up: ${WARM_UP_BATCHES} batches of ${PER_BATCH} of each`);
    for (let batch = 0; batch < WARM_UP_BATCHES; batch++) {
      await atOnce(guarded, `gw${batch}`);
      await atOnce(bare, `bw${batch}`);
    }

    say(`one at a time: ${SINGLES} of each, in turn`);
    const singles = { guarded: [] as number[], bare: [] as number[] };
    for (let i = 0; i < SINGLES; i++) {
      singles.guarded.push(await timed(() => guarded(i, `g${i}`)));
      singles.bare.push(await timed(() => bare(i, `b${i}`)));
    }

    say(`${AT_ONCE} at once: ${BATCHES} batches of ${PER_BATCH} of each, in turn`);
    const ratios: number[] = [];
    const rates = { guarded: [] as number[], bare: [] as number[] };
    for (let batch = 0; batch < BATCHES; batch++) {
      const guardedMs = await timed(() => atOnce(guarded, `gb${batch}`));
      const bareMs = await timed(() => atOnce(bare, `bb${batch}`));
      ratios.push(bareMs / guardedMs);
      rates.guarded.push((PER_BATCH * 1000) / guardedMs);
      rates.bare.push((PER_BATCH * 1000) / bareMs);
    }

    const { events, bytes } = await history();
    const result = {
      p50Ratio: round(median(singles.guarded) / median(singles.bare)),
      throughputRatio: round(median(ratios)),
      historyEvents: events,
      historyBytes: bytes,
      guardedP50Ms: round(median(singles.guarded), 1),
      bareP50Ms: round(median(singles.bare), 1),
      guardedP95Ms: round(quantile(singles.guarded, 0.95), 1),
      bareP95Ms: round(quantile(singles.bare, 0.95), 1),
      guardedPerSecond: round(median(rates.guarded), 1),
      barePerSecond: round(median(rates.bare), 1),
      policies: POLICIES,
      durable,
    };
    if (!json) {
      say(
        `p50         guarded ${result.guardedP50Ms} ms   bare ${result.bareP50Ms} ms   ratio ${result.p50Ratio} (goal 1.25, at most 1.6)`,
      );
      say(
        `throughput  guarded ${result.guardedPerSecond}/s   bare ${result.barePerSecond}/s   ratio ${result.throughputRatio} (goal 0.8)`,
      );
      say(`history     ${events} events, ${bytes} bytes (at most 16 and 12288)`);
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

  const connection = await NativeConnection.connect({ address });
  const quiet = (): void => {};
  const bareWorker = await Worker.create({
    connection,
    namespace,
    taskQueue: 'bare',
    workflowBundle: await bundleWorkflowCode({
      workflowsPath: path.join(here, 'bare-workflow.ts'),
      logger: { log: quiet, trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet },
    }),
    activities: {
      write: async (id: number, plan: string) =>
        (await pool.query('UPDATE customers SET plan = $2 WHERE id = $1', [id, plan])).rowCount,
    },
    maxConcurrentActivityTaskExecutions: 50,
    workflowTaskPollerBehavior: { type: 'autoscaling', minimum: 2, initial: 4, maximum: 20 },
    activityTaskPollerBehavior: { type: 'autoscaling', minimum: 2, initial: 4, maximum: 20 },
  });
  const bareDone = bareWorker.run();

  let sequence = 0;
  let last = '';
  const guarded: Run = async (id, plan) => {
    last = `bench-${++sequence}`;
    const outcome = await client.perform({
      actionId: last,
      tool: 'shop-db',
      input: { op: 'update', table: 'customers', set: { plan }, where: { id } },
      reasoning: 'The customer changed the plan.',
    });
    if (outcome.status !== 'success') throw new Error(`${outcome.status}: ${outcome.reason}`);
  };
  const bare: Run = async (id, plan) => {
    const changed = await client.temporal.workflow.execute('bareWrite', {
      taskQueue: 'bare',
      workflowId: `bare-${++sequence}`,
      args: [id, plan],
    });
    if (changed !== 1) throw new Error(`${String(changed)} rows changed`);
  };
  return {
    guarded,
    bare,
    history: async () => {
      const handle = client.temporal.workflow.getHandle(`bench/${last}`);
      const { historySize, historyLength } = await handle.describe();
      return { events: historyLength, bytes: historySize ?? Number.NaN };
    },
    stop: async () => {
      bareWorker.shutdown();
      await Promise.all([guardedWorker.stop(), bareDone]);
      await Promise.all([client.close(), connection.close(), pool.end()]);
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

async function atOnce(run: Run, plan: string): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let id = next++; id < PER_BATCH; id = next++) await run(id, plan);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
