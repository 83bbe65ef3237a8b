/** Workflows that were terminated, deleted or reset: nothing they held is held for ever, and what is recorded is the truth. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CheckpointRound, Reconciled } from '../../activities/contract.js';
import type { FaultPoint } from '../../activities/index.js';
import type { Countersign, ProposalInput } from '../../src/client/countersign.js';
import { verifyReceipts } from '../../src/receipts/verify.js';
import { RECONCILE_SCHEDULE, RETENTION_SCHEDULE } from '../../src/worker/temporal-side.js';
import { signCommand } from '../../src/trust/index.js';
import { journal, journalTool } from '../support/journal-tool.js';
import { ended, pending, shopTool, startStack, TENANT, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';
import { spawnWorker } from '../support/worker-process.js';

let stack: Stack;
let admin: Countersign;
let folder: string;
/** What the worker of this process does at a point. */
let reached = async (_point: FaultPoint): Promise<void> => {};

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-left-'));
  stack = await startStack({
    schema: `
      CREATE TABLE stock (id int PRIMARY KEY, qty int NOT NULL);
      INSERT INTO stock SELECT n, 10 FROM generate_series(1, 300) n;`,
    limits: `
limits:
  spending: { kind: budget, scope: tenant, when: 'has(input.set)', amount: input.set.qty, unit: EUR, max: 10000, window: forever }
  under-way: { kind: concurrency, scope: tenant, max: 100 }
`,
    tools: (url) => [
      shopTool(url),
      journalTool({ name: 'none', file: path.join(folder, 'none'), idempotency: 'none', canLookUp: false }),
      journalTool({ name: 'owned', file: path.join(folder, 'owned'), idempotency: 'none', canLookUp: false }),
    ],
    worker: false,
  });
  admin = await stack.agent();
  await leaveAllBehind();
  await stack.startWorker({ faults: { at: (point) => reached(point) } });
}, 180_000);
afterAll(async () => {
  await stack?.stop();
  await rm(folder, { recursive: true, force: true });
});

const set = (id: number, qty: number) => ({
  actionId: randomUUID(),
  tool: 'shop-db',
  input: { op: 'update', table: 'stock', set: { qty }, where: { id } },
});

async function qty(id: number): Promise<number | undefined> {
  const { rows } = await stack.shop.query<{ qty: number }>('SELECT qty FROM stock WHERE id = $1', [id]);
  return rows[0]?.qty;
}

function reconcile(): Promise<Reconciled> {
  return admin.temporal.workflow.execute<(options: object) => Promise<Reconciled>>('reconcile', {
    workflowId: `reconcile-${randomUUID()}`,
    taskQueue: stack.temporal.taskQueue,
    args: [{ olderThanMs: 0 }],
  });
}

const handleOf = (actionId: string) => admin.temporal.workflow.getHandle(`${TENANT}/${actionId}`);

type Left = readonly [point: FaultPoint, proposal: ReturnType<typeof set>];

/** In the order in which an action comes to the points. */
const LEFT = {
  admitted: ['ledger.after-admit', set(1, 7)],
  deleted: ['ledger.after-admit', set(5, 7)],
  granted: ['execute.before-effect', set(2, 7)],
  again: ['execute.before-effect', set(4, 7)],
  reset: ['execute.before-effect', set(6, 7)],
  done: ['execute.after-effect', set(3, 7)],
  longAgo: ['execute.after-effect', set(290, 7)],
} as const satisfies Record<string, Left>;

/** Each action is where a worker died, which another process than this one was: with its workflow ended or begun anew, and nobody who looked. */
async function leaveAllBehind(): Promise<void> {
  const left: readonly Left[] = Object.values(LEFT);
  const doomed = await spawnWorker(stack, stack.policies, undefined, { stopsAt: left.map(([point]) => point) });
  for (const point of new Set(left.map(([at]) => at))) {
    const stopping = left.filter(([at]) => at === point);
    // Whoever proposes is told when the workflow is ended from outside; that is not the point here.
    for (const [, proposal] of stopping) admin.perform(proposal).catch(() => {});
    await doomed.stopsAt(point, stopping.length);
  }
  await doomed.kill();
  expect((await stack.spent('spending')).held).toBe(7 * left.length);

  const { workflowService, options } = admin.temporal;
  const { namespace } = options;
  const executionOf = ({ actionId }: { actionId: string }) => ({ workflowId: `${TENANT}/${actionId}` });
  for (const [, proposal] of [LEFT.admitted, LEFT.granted, LEFT.again, LEFT.done, LEFT.longAgo])
    await handleOf(proposal.actionId).terminate('operator');

  const [, deleted] = LEFT.deleted;
  await workflowService.deleteWorkflowExecution({ namespace, workflowExecution: executionOf(deleted) });
  await until(
    () =>
      handleOf(deleted.actionId)
        .describe()
        .then(
          () => 'there',
          () => 'gone',
        ),
    (seen) => seen === 'gone',
  );

  const [, reset] = LEFT.reset;
  const { runId } = await handleOf(reset.actionId).describe();
  await workflowService.resetWorkflowExecution({
    namespace,
    workflowExecution: { ...executionOf(reset), runId },
    reason: 'operator',
    // Right after the first workflow task: `prepare` was done, and the effect is asked for again.
    workflowTaskFinishEventId: 4,
    requestId: randomUUID(),
  } as never);

  const superuser = new pg.Client({ connectionString: stack.ledgerUrl });
  await superuser.connect();
  await superuser.query(`set session_replication_role = replica;
    update countersign.grants set used_at = used_at - interval '61 seconds' where action_id = '${LEFT.longAgo[1].actionId}'`);
  await superuser.end();
}

/** Of each hold of the action: what became of it. */
async function holds({ actionId }: { actionId: string }): Promise<readonly string[]> {
  return (await stack.holdsOf(actionId)).map(({ status }) => status);
}

async function nothingIsHeld(): Promise<void> {
  expect((await stack.spent('spending')).held).toBe(0);
  expect((await stack.spent('under-way')).held).toBe(0);
}

describe('left behind by a worker that died, before anybody looked', () => {
  test('terminated before the effect, and proposed again: it goes on from what the ledger knows, with one effect', async () => {
    const [, proposal] = LEFT.again;
    expect(await ended(admin, proposal)).toMatchObject({ status: 'success' });
    expect(await holds(proposal)).not.toContain('held');
    expect(await qty(4)).toBe(7);
  });

  test('terminated after the effect, over a minute ago: the trail has the grant, signed, before anybody has said how it ended', async () => {
    const [, { actionId }] = LEFT.longAgo;
    const round = await admin.temporal.workflow.execute<() => Promise<CheckpointRound>>('checkpointTrails', {
      workflowId: `checkpoint-${randomUUID()}`,
      taskQueue: stack.temporal.taskQueue,
    });
    expect(round).toMatchObject({ entered: 1, problems: [] });
    const [entered = 0, ...more] = await stack.ledger.trail.about(TENANT, actionId);
    expect(more).toEqual([]);
    expect((await stack.ledger.trail.lastCheckpoint(TENANT))?.size).toBeGreaterThanOrEqual(entered);
  });
});

describe('left behind by a worker that died, once the round has looked', () => {
  let settled: number;
  beforeAll(async () => {
    ({ settled } = await reconcile());
    await admin.outcome(LEFT.reset[1].actionId);
  });

  test('all that was ended is settled, and what it held is given back or spent', async () => {
    // All but what was proposed again, and what runs again.
    expect(settled).toBe(5);
    await nothingIsHeld();
    // What happened: `again`, `reset`, `done` and `longAgo`.
    expect((await stack.spent('spending')).used).toBe(4 * 7);
  });

  test('terminated after admission: nothing happened, all is given back, and proposing it again says so', async () => {
    const [, proposal] = LEFT.admitted;
    expect(await holds(proposal)).toEqual(['released', 'released']);
    expect(await ended(admin, proposal)).toMatchObject({ status: 'cancelled', error: { code: 'CANCELLED' } });
    expect(await admin.outcome(proposal.actionId)).toMatchObject({ status: 'cancelled' });
    expect(await qty(1)).toBe(10);
  });

  test('terminated before the effect but with its grant used: the database says that it did not happen', async () => {
    const [, proposal] = LEFT.granted;
    expect(await ended(admin, proposal)).toMatchObject({ status: 'failed', error: { code: 'TOOL_FAILED' } });
    expect(await holds(proposal)).toEqual(['released', 'released']);
    expect(await qty(2)).toBe(10);
  });

  test('terminated after the effect: it is spent, and nobody calls it done', async () => {
    const [, proposal] = LEFT.done;
    expect(await ended(admin, proposal)).toMatchObject({ status: 'unknown', error: { code: 'EFFECT_UNKNOWN' } });
    expect(await holds(proposal)).not.toContain('held');
    expect(await qty(3)).toBe(7);
  });

  test('and its receipt names the entry of its grant', async () => {
    const [, proposal] = LEFT.longAgo;
    expect(await ended(admin, proposal)).toMatchObject({ status: 'unknown', error: { code: 'EFFECT_UNKNOWN' } });
    const [entered = 0, last = 0] = await stack.ledger.trail.about(TENANT, proposal.actionId);
    for await (const { entry } of stack.ledger.trail.entries(TENANT, { after: last - 1, upTo: last })) {
      expect(JSON.parse(entry)).toMatchObject({ kind: 'receipt', grants: [{ entry: entered }] });
    }
    expect(last).toBeGreaterThan(entered);
  });

  test('deleted: the ledger alone knows of it, and settles it', async () => {
    const [, proposal] = LEFT.deleted;
    expect(await holds(proposal)).toEqual(['released', 'released']);
    expect(await ended(admin, proposal)).toMatchObject({ status: 'cancelled' });
    expect(await qty(5)).toBe(10);
  });

  test('reset: it runs again, so it is left alone, and makes one effect', async () => {
    const [, { actionId }] = LEFT.reset;
    expect(await admin.outcome(actionId)).toMatchObject({ status: 'success' });
    expect(await qty(6)).toBe(7);
  });
});

describe('terminated', () => {
  test('during an effect that nothing can tell of: whoever answers for the agent does not resolve it', async () => {
    const agent = await stack.agent({ owner: 'owen' });
    const proposal = { actionId: randomUUID(), tool: 'owned', input: { line: 'left behind' } };
    const { actionId } = proposal;
    await terminatedAt('execute.before-effect', proposal, agent);
    await reconcile();
    const { facts, status } = await ended(agent, proposal);
    expect([facts, status]).toEqual([undefined, 'unknown']);

    const said = {
      kind: 'resolve',
      tenant: TENANT,
      subject: actionId,
      verdict: 'did_not_happen',
      reason: 'x',
    } as const;
    const by = async (id: string) => signCommand(await stack.approver(id, ['operator']), said);
    for (const id of ['owen', 'agent-1']) {
      await expect(admin.submitCommand(await by(id))).rejects.toMatchObject({ code: 'APPROVAL_FORBIDDEN' });
    }
    expect(await admin.submitCommand(await by('olga'))).toMatchObject({ outcome: { status: 'failed' } });
  });

  test('while people think: it is over, nobody can approve it any more, and another content does not take its place', async () => {
    const proposal = {
      actionId: randomUUID(),
      tool: 'shop-db',
      input: { op: 'update', table: 'stock', set: { qty: 1 }, all: true },
    };
    const action = await pending(admin, proposal);
    await handleOf(action.actionId).terminate('operator');
    const other = admin.perform({ ...proposal, input: { ...proposal.input, set: { qty: 2 } } });
    await expect(other).rejects.toMatchObject({ code: 'ACTION_CONFLICT' });
    await reconcile();
    expect(await ended(admin, proposal)).toMatchObject({ status: 'cancelled' });
    await expect(stack.decide(action, await stack.approver('dora', ['dba']))).rejects.toMatchObject({
      code: expect.stringMatching(/NOT_FOUND|NOT_PENDING/) as string,
    });
  });

  /** Terminates the action when a worker of this process comes to the point, while the agent waits for its answer. */
  async function terminatedAt(
    point: FaultPoint,
    proposal: ProposalInput & { readonly actionId: string },
    agent = admin,
  ): Promise<unknown> {
    let reach = (): void => {};
    let release = (): void => {};
    const there = new Promise<void>((resolve) => (reach = resolve));
    const released = new Promise<void>((resolve) => (release = resolve));
    reached = async (where) => {
      if (where !== point) return;
      reach();
      await released;
    };
    const answer = agent.perform(proposal).catch((error: unknown) => error);
    await there;
    await handleOf(proposal.actionId).terminate('operator');
    const told = await answer;
    reached = async () => {};
    release();
    return told;
  }

  test('while the agent waits: it is told so, and that asking again finds out what happened', async () => {
    const proposal = set(7, 7);
    expect(await terminatedAt('execute.before-effect', proposal)).toMatchObject({
      code: 'EFFECT_UNKNOWN',
      message: expect.stringContaining('ended from outside') as string,
      fix: expect.stringContaining('propose it again with the same actionId') as string,
      retryable: true,
    });
    const again = await ended(admin, proposal);
    expect(await admin.outcome(proposal.actionId)).toMatchObject({ status: again.status });
  });

  test('while the agent waits, when its end is on record already: it is told that end', async () => {
    const proposal = set(8, 7);
    expect(await terminatedAt('verify.end', proposal)).toMatchObject({
      status: 'success',
      receipt: { tenant: TENANT },
    });
    expect(await qty(8)).toBe(7);
  });
});

test('those that run are left alone, however long they take', async () => {
  const action = await pending(admin, {
    actionId: randomUUID(),
    tool: 'shop-db',
    input: { op: 'update', table: 'stock', set: { qty: 2 }, all: true },
  });
  expect(await reconcile()).toMatchObject({ settled: 0 });
  expect((await admin.view(action.actionId)).phase).toBe('pending');
  await admin.cancel(action.actionId);
});

test('what nobody can look up stays unknown and keeps what it holds, until a person resolves it', async () => {
  const proposal = { actionId: randomUUID(), tool: 'none', input: { line: 'once' } };
  const digest = `sha256:${'0'.repeat(64)}` as const;
  // As a worker leaves it that died during the effect, with a workflow that is gone.
  const grant = { jti: randomUUID(), ttlSeconds: 60 };
  const who = { tenant: TENANT, actionId: proposal.actionId, agent: 'agent-1', tool: 'none', targets: ['journal'] };
  const holds = [{ limit: 'under-way', key: '', kind: 'concurrency', max: 100 }] as const;
  await stack.ledger.actions.admit({ ...who, digest, environment: 'staging', grant, holds });
  await stack.ledger.grants.use({ ...who, jti: grant.jti, usedBy: 'the dead' });
  await reconcile();
  expect((await stack.ledger.actions.find(TENANT, proposal.actionId))?.status).toBe('unknown');
  expect(await stack.holdsOf(proposal.actionId)).toMatchObject([{ status: 'kept' }]);
  expect(await journal(path.join(folder, 'none'))).toEqual([]);
});

describe('the schedule', () => {
  test('is made by the worker, by several of them too, and a paused one stays paused', async () => {
    await stack.worker?.stop();
    const first = await stack.startWorker({ reconcileEveryMs: 3_600_000 });
    const id = `${RECONCILE_SCHEDULE}/${stack.temporal.taskQueue}`;
    const schedule = admin.temporal.schedule.getHandle(id);
    expect((await schedule.describe()).action).toMatchObject({ workflowType: 'reconcile' });
    await schedule.pause('maintenance');
    const second = await stack.startWorker({ reconcileEveryMs: 60_000 });
    const described = await schedule.describe();
    expect(described.state).toMatchObject({ paused: true, note: 'maintenance' });
    expect(described.spec.intervals).toMatchObject([{ every: 60_000 }]);
    await first.stop();
    await schedule.unpause();
    await schedule.trigger();
    const run = await until(
      async () => (await schedule.describe()).info.recentActions[0]?.action,
      (action) => action !== undefined,
    );
    const workflowId = run?.type === 'startWorkflow' ? run.workflow.workflowId : '';
    expect(await admin.temporal.workflow.getHandle(workflowId).result()).toMatchObject({
      settled: expect.any(Number) as number,
    });
    await schedule.delete();

    const forgetting = admin.temporal.schedule.getHandle(`${RETENTION_SCHEDULE}/${stack.temporal.taskQueue}`);
    await forgetting.trigger();
    const forgot = await until(
      async () => (await forgetting.describe()).info.recentActions[0]?.action,
      (action) => action !== undefined,
    );
    const forgotId = forgot?.type === 'startWorkflow' ? forgot.workflow.workflowId : '';
    const nothing = { approvalRequests: 0, counters: 0, effects: 0, grants: 0, holds: 0, sessions: 0, snapshots: 0 };
    expect(await admin.temporal.workflow.getHandle(forgotId).result()).toEqual({ gone: nothing, more: false });
    await forgetting.delete();
    await second.stop();
  });
});

test('the receipts of all this verify', async () => {
  const report = await verifyReceipts({ ledger: stack.ledger, keyring: stack.keyring, temporal: admin.temporal });
  expect(report.tenants.flatMap(({ problems }) => problems)).toEqual([]);
});
