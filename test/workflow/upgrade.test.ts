/** Workers are upgraded while a dozen actions wait for people: another workflow code, another version, the same actions. */
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { Countersign, PendingAction } from '../../src/client/countersign.js';
import { pollers } from '../../src/cli/temporal-checks.js';
import type { startWorker, RunningWorker } from '../../src/worker/worker.js';
import { cli, errorOf, type Ended } from '../cli/support.js';
import { ended, pending, shopTool, startStack, TENANT, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';

const ACTIONS = 12;
const DEPLOYMENT = { name: 'shop' } as const;

let stack: Stack;
let admin: Countersign;
let later: string;
let old: RunningWorker;
let upgraded: RunningWorker;
let before: PendingAction;
let waiting: readonly PendingAction[];

beforeAll(async () => {
  stack = await startStack({
    worker: false,
    schema: 'CREATE TABLE effects (id serial PRIMARY KEY, action text NOT NULL)',
  });
  const file = path.join(stack.policies, 'production.cedar');
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace('context.rows > 100', 'context.rows > 0'));
  later = await laterVersion();
  admin = await stack.agent();
  // As before there were versions.
  const unversioned = await stack.startWorker();
  before = await pending(admin, insert('before-versions'));
  await unversioned.stop();
  old = await stack.startWorker(versioned());
});
afterAll(async () => {
  await old?.stop();
  await upgraded?.stop();
  await stack?.stop();
  await rm(later, { recursive: true, force: true });
});

const versioned = () => ({
  deployment: DEPLOYMENT,
  config: {
    policies: stack.policies,
    tools: [shopTool(stack.shopUrl)],
    approvalRateLimit: { approvals: 10 * ACTIONS, withinSeconds: 60 },
  },
});

/** A build with other workflow code: an action pauses before the gate, where it has not passed it yet. */
async function laterVersion(): Promise<string> {
  const sources = inject('compiledSources');
  const folder = `${sources}-later`;
  await cp(sources, folder, { recursive: true });
  const bundle = path.join(folder, 'workflow-bundle.js');
  const code = await readFile(bundle, 'utf8');
  const workflow = '_temporalio_workflow__WEBPACK_IMPORTED_MODULE_0__';
  const changed = code.replace(
    /const authorized = await [^;]*authorize\)\(action/,
    `if ((0,${workflow}.patched)('pauses')) await (0,${workflow}.sleep)(1);\n    $&`,
  );
  expect(changed).not.toBe(code);
  await writeFile(bundle, changed);
  return folder;
}

const insert = (actionId: string) => ({
  actionId,
  tool: 'shop-db',
  input: { op: 'insert', table: 'effects', rows: [{ action: actionId }] },
});
const read = (actionId: string) => ({
  actionId,
  tool: 'shop-db',
  input: { op: 'select', table: 'effects', limit: 1 },
});

/** The versions whose workers completed tasks of an action, in order, and how often a task failed. */
async function tasksOf(actionId: string): Promise<{ versions: readonly string[]; failed: number; timers: number }> {
  const { events } = await admin.temporal.workflow.getHandle(`${TENANT}/${actionId}`).fetchHistory();
  const versions = (events ?? []).flatMap(({ workflowTaskCompletedEventAttributes: completed }) =>
    completed == null ? [] : [completed.deploymentVersion?.buildId ?? 'none'],
  );
  const count = (of: string): number => (events ?? []).filter((event) => Object.hasOwn(event, of)).length;
  return {
    versions: [...new Set(versions)],
    failed: count('workflowTaskFailedEventAttributes'),
    timers: count('timerFiredEventAttributes'),
  };
}

function deployment(...args: readonly string[]): Promise<Ended> {
  const { address: TEMPORAL_ADDRESS, namespace: TEMPORAL_NAMESPACE } = stack.temporal;
  const env = { TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, COUNTERSIGN_DEPLOYMENT: DEPLOYMENT.name };
  return cli(['deployment', ...args, '--json'], { env });
}

const inOrder = async <T, R>(all: readonly T[], width: number, each: (one: T) => Promise<R>): Promise<R[]> => {
  const results: R[] = [];
  for (let at = 0; at < all.length; at += width) {
    results.push(...(await Promise.all(all.slice(at, at + width).map(each))));
  }
  return results;
};

describe('an upgrade of the workers', () => {
  test('the first version of a deployment is current by itself', async () => {
    expect(old.version).toEqual({
      deploymentName: 'shop',
      buildId: expect.stringMatching(/^countersign-\w{8}$/) as string,
    });
    const shown = await deployment('show');
    expect(shown.json()).toEqual({
      name: 'shop',
      current: old.version?.buildId,
      versions: [{ buildId: old.version?.buildId, status: 'current' }],
    });
    const ids = Array.from({ length: ACTIONS }, (_, n) => `waits-${n}`);
    waiting = await inOrder(ids, 20, (id) => pending(admin, insert(id)));
    expect(waiting).toHaveLength(ACTIONS);
  });

  test('a later version gets nothing until it is promoted', async () => {
    const { startWorker: startLater } = (await import(
      pathToFileURL(path.join(later, 'src/worker/worker.js')).href
    )) as { startWorker: typeof startWorker };
    upgraded = await startLater({
      ...versioned(),
      temporal: stack.temporal,
      ledgerUrl: stack.ledgerUrl,
      keyring: stack.keyring,
      logger: (await import('pino')).default({ level: 'silent' }),
      reconcileEveryMs: 0,
    });
    expect(upgraded.version?.buildId).not.toBe(old.version?.buildId);
    await ended(admin, read('before'));
    await admin.dryRun(read('asked'));
    expect(await tasksOf('before')).toMatchObject({ versions: [old.version?.buildId], failed: 0 });
  });

  test('short workflows are pinned to the version that they began on, and actions are not', async () => {
    for (const [type, behavior, expected] of [
      ['dryRun', 'Pinned', 1],
      // All but the one before there were versions.
      ['trustedAction', 'AutoUpgrade', ACTIONS + 1],
    ] as const) {
      const query = `WorkflowType = '${type}' AND TemporalWorkflowVersioningBehavior = '${behavior}'`;
      const found = await until(
        async () => (await admin.temporal.workflow.count(query)).count,
        (count) => count >= expected,
      );
      expect([type, found]).toEqual([type, expected]);
    }
  });

  test('a version that no worker has is not promoted', async () => {
    const refused = await deployment('promote', 'countersign-00000000');
    expect([refused.code, errorOf(refused).code]).toEqual([2, 'NOT_FOUND']);
    const unknown = await deployment('show', '--name', 'elsewhere');
    expect([unknown.code, errorOf(unknown).code]).toEqual([2, 'NOT_FOUND']);
  });

  test('what waited is approved after it, on the later version, and each effect is made once', async () => {
    const { buildId = '' } = upgraded.version ?? {};
    const promoted = await deployment('promote', buildId);
    expect([promoted.code, promoted.json()]).toMatchObject([0, { current: buildId }]);
    const dora = await stack.approver('dora', ['dba']);
    const outcomes = await inOrder([before, ...waiting], 10, async (action) => {
      await stack.decide(action, dora);
      return action.outcome();
    });
    expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set(['success']));
    const { rows } = await stack.shop.query<{ action: string; n: string }>(
      'SELECT action, count(*) AS n FROM effects GROUP BY action',
    );
    expect(rows).toHaveLength(ACTIONS + 1);
    expect(new Set(rows.map(({ n }) => n))).toEqual(new Set(['1']));
    expect(await tasksOf(before.actionId)).toEqual({ versions: ['none', buildId], failed: 0, timers: 1 });
    const tasks = await inOrder(waiting, 20, ({ actionId }) => tasksOf(actionId));
    for (const one of tasks) expect(one).toEqual({ versions: [old.version?.buildId, buildId], failed: 0, timers: 1 });
  });

  test('the old workers are drained: they can stop, and everything goes on', async () => {
    const open = `TemporalWorkerDeploymentVersion = 'shop:${old.version?.buildId}' AND ExecutionStatus = 'Running'`;
    await until(
      async () => (await admin.temporal.workflow.count(open)).count,
      (count) => count === 0,
    );
    const shown = (await deployment('show')).json() as { versions: readonly { buildId: string; status: string }[] };
    expect(Object.fromEntries(shown.versions.map(({ buildId, status }) => [buildId, status]))).toEqual({
      [old.version?.buildId ?? '']: expect.stringMatching(/^drain(ing|ed)$/) as string,
      [upgraded.version?.buildId ?? '']: 'current',
    });
    await old.stop();
    // What `countersign doctor` counts.
    const { namespace, taskQueue } = stack.temporal;
    expect(await pollers(admin.temporal, namespace, taskQueue)).toBeGreaterThan(0);
    const { status } = await ended(admin, read('after'));
    expect(status).toBe('success');
    expect(await tasksOf('after')).toMatchObject({ versions: [upgraded.version?.buildId], failed: 0 });
  });
});
