/** What if two act for one action at once: an attempt that was taken for dead comes back, or a run begins while the one before is settled? */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Reconciled } from '../../activities/contract.js';
import type { FaultPoint } from '../../activities/index.js';
import type { Outcome } from '../../src/action/outcome.js';
import { proposalDigest, type Proposal } from '../../src/action/proposal.js';
import type { Countersign } from '../../src/client/countersign.js';
import { verifyReceipts } from '../../src/receipts/verify.js';
import { journal, journalTool } from '../support/journal-tool.js';
import { ended, startStack, TENANT, type Stack } from '../support/stack.js';
import { authorizedOf, prepared, steps, type Steps } from '../support/steps.js';
import { until } from '../support/until.js';

let stack: Stack;
let admin: Countersign;
let folder: string;
let worker: Steps;
/** What happens at each point that the worker passes. */
let at: (point: FaultPoint) => Promise<void> | void = () => {};

const FILE = (): string => path.join(folder, 'journal');
const tools = () => [
  journalTool({ name: 'journal', file: FILE(), idempotency: 'lookup' }),
  journalTool({ name: 'no-look-up', file: path.join(folder, 'other'), idempotency: 'none', canLookUp: false }),
];

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-overtaken-'));
  stack = await startStack({
    schema: 'CREATE TABLE nothing (id int PRIMARY KEY)',
    tools,
    overrides: { faults: { at: async (point) => at(point) } },
  });
  admin = await stack.agent();
  worker = await steps(stack, { tools: tools() });
});
afterEach(() => {
  at = () => {};
});
afterAll(async () => {
  await worker?.close();
  await stack?.stop();
  await rm(folder, { recursive: true, force: true });
});

function append(tool = 'journal'): Proposal {
  return { actionId: randomUUID(), tool, input: { line: randomUUID() } };
}

/** How often the line of the proposal was written. */
async function effectsOf({ input }: Proposal): Promise<number> {
  const { line } = input as { readonly line: string };
  return (await journal(FILE())).filter(([, written]) => written === line).length;
}

async function recorded({ actionId }: Proposal): Promise<Outcome | undefined> {
  return (await stack.ledger.actions.find(TENANT, actionId))?.outcome;
}

interface Gate {
  readonly open: () => void;
  readonly opened: Promise<void>;
}

function gate(): Gate {
  let open: () => void = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

/** Counts how often each point was passed. */
function counted(): { readonly passed: (point: FaultPoint) => number; readonly note: (point: FaultPoint) => number } {
  const times = new Map<FaultPoint, number>();
  return {
    passed: (point) => times.get(point) ?? 0,
    note(point) {
      const nth = (times.get(point) ?? 0) + 1;
      times.set(point, nth);
      return nth;
    },
  };
}

test('an attempt that was taken for dead while the next one made the effect makes none when it comes back', async () => {
  const done = gate();
  const points = counted();
  at = async (point) => {
    const nth = points.note(point);
    // The first attempt says nothing for as long as it takes until a second one has made the effect.
    if (point === 'execute.before-effect' && nth === 1) await done.opened;
    if (point === 'execute.after-effect') done.open();
  };
  const proposal = append();
  const outcome = await ended(admin, proposal);
  await until(
    () => Promise.resolve(points.passed('execute.end')),
    (ends) => ends === 2,
  );
  expect(await effectsOf(proposal)).toBe(1);
  expect(outcome).toMatchObject({ status: 'success' });
  expect(await recorded(proposal)).toEqual(outcome);
});

test('an attempt that comes back after its action was settled as not done makes no effect', async () => {
  const settled = gate();
  const points = counted();
  at = async (point) => {
    const nth = points.note(point);
    if (point === 'execute.before-effect' && nth === 1) await settled.opened;
  };
  const proposal = append();
  const answer = ended(admin, proposal);
  await until(
    () => Promise.resolve(points.passed('execute.before-effect')),
    (reached) => reached === 1,
  );
  await admin.cancel(proposal.actionId);
  const outcome = await answer;
  expect(outcome).toMatchObject({ status: 'cancelled' });
  settled.open();
  await until(
    () => Promise.resolve(points.passed('execute.end')),
    (ends) => ends === 1,
  );
  expect(await effectsOf(proposal)).toBe(0);
  expect(await recorded(proposal)).toEqual(outcome);
});

test('a cancellation that comes too late is answered with what the effect came to, also where the tool cannot look it up', async () => {
  const cancelled = gate();
  at = async (point) => {
    if (point === 'execute.before-effect') await cancelled.opened;
  };
  const proposal = append('no-look-up');
  const { actionId } = proposal;
  const answer = ended(admin, proposal);
  await until(
    () => admin.view(actionId).catch(() => undefined),
    (view) => view?.phase === 'executing',
  );
  await admin.cancel(actionId);
  await until(
    () => admin.view(actionId),
    (view) => view.cancelRequested,
  );
  cancelled.open();
  expect(await answer).toMatchObject({ status: 'success' });
  expect((await recorded(proposal))?.status).toBe('success');
});

test('an effect that is being looked up is begun by no attempt any more', async () => {
  const request = await worker.request({ line: randomUUID() }, { tool: 'journal' });
  const { run, activities } = worker;
  const records = await prepared(stack, worker, request);
  const granted = await run(request, activities.authorize, { ...records, lastLook: false });
  if (granted.kind !== 'granted') throw new Error(granted.kind);
  const [, payload = ''] = granted.grant.split('.');
  const { jti } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { jti: string };
  const { actionId } = request.proposal;
  const usedBy = `run-of-${actionId}/1`;
  const who = { tenant: TENANT, actionId, agent: 'agent-1', tool: 'journal', targets: ['journal'] };
  expect(await stack.ledger.grants.use({ ...who, jti, usedBy })).toMatchObject({ kind: 'first' });

  const error = { code: 'INTERNAL', message: 'The worker was lost.' } as const;
  const report = { kind: 'unknown', error, at: 0, tookMs: 0 } as const;
  const authorized = authorizedOf(records, granted.grant);
  const post = await run(request, activities.capturePostState, { request, authorized, report });
  expect(post).toMatchObject({ kind: 'not_made' });

  await expect(run(request, activities.execute, request.proposal, granted.grant)).rejects.toMatchObject({
    type: 'EFFECT_UNKNOWN',
    nonRetryable: false,
  });
  if (post.kind === 'other_task_queue') throw new Error(post.kind);
  const input = { request, authorized, report, post, attempts: [], steps: {} };
  expect(await run(request, activities.verify, input)).toMatchObject({ ending: { status: 'failed' } });
  expect(await effectsOf(request.proposal)).toBe(0);
});

test('a run that makes the effect while the one before is settled as not made is not contradicted', async () => {
  const proposal = append();
  const { actionId, tool } = proposal;
  const grant = { jti: randomUUID(), ttlSeconds: 60 };
  const who = { tenant: TENANT, actionId, agent: 'agent-1', tool, targets: ['journal'] };
  // An earlier run used a grant, made nothing, and is gone.
  await stack.ledger.actions.admit({ ...who, digest: proposalDigest(proposal), environment: 'staging', grant });
  await stack.ledger.grants.use({ ...who, jti: grant.jti, usedBy: 'dead/1' });

  const [made, swept] = [gate(), gate()];
  let answer: Promise<Outcome> | undefined;
  at = async (point) => {
    if (point === 'reconcile.before-settle') {
      answer ??= ended(admin, proposal);
      await made.opened;
    }
    if (point === 'execute.after-effect') made.open();
    if (point === 'verify.begin') await swept.opened;
  };
  const { settled } = await admin.temporal.workflow.execute<(options: object) => Promise<Reconciled>>('reconcile', {
    workflowId: `reconcile-${randomUUID()}`,
    taskQueue: stack.temporal.taskQueue,
    args: [{ olderThanMs: 0 }],
  });
  swept.open();
  const outcome = await answer;
  expect(await effectsOf(proposal)).toBe(1);
  expect(outcome).toMatchObject({ status: 'success' });
  expect(settled).toBe(0);
  expect(await recorded(proposal)).toEqual(outcome);
});

test('a step of a saga whose workflow is ended again and again is not told as refused: it may have had its effect', async () => {
  const step = { tool: 'journal', input: { line: randomUUID() } };
  const traceId = randomUUID();
  const actionId = `${traceId}:1`;
  const known = gate();
  const points = counted();
  at = async (point) => {
    points.note(point);
    // The effect is made, and whether it is as promised is not known yet.
    if (point === 'verify.begin') await known.opened;
  };
  const saga = admin.saga({ traceId, steps: [step] });
  for (let nth = 1; nth <= 4; nth++) {
    await until(
      () => Promise.resolve(points.passed('verify.begin')),
      (begun) => begun >= nth,
    );
    if (nth < 4) await admin.temporal.workflow.getHandle(`${TENANT}/${actionId}`).terminate('operator');
  }
  known.open();
  const [told] = (await saga).steps;
  expect(await effectsOf({ actionId, ...step })).toBe(1);
  expect(['success', 'mismatch']).toContain(told?.status);
  expect((await recorded({ actionId, ...step }))?.status).toBe(told?.status);
});

test.each([
  ['no worker took up did not happen, also where the tool cannot look it up', false, 'cancelled'],
  ['a worker took up may have happened', true, 'unknown'],
])('an effect that was cancelled and that %s', async (_what, used, status) => {
  const request = await worker.request({ line: randomUUID() }, { tool: 'no-look-up' });
  const { run, activities } = worker;
  const records = await prepared(stack, worker, request);
  const granted = await run(request, activities.authorize, { ...records, lastLook: false });
  if (granted.kind !== 'granted') throw new Error(granted.kind);
  const authorized = authorizedOf(records, granted.grant);
  if (used) await run(request, activities.execute, request.proposal, granted.grant);
  const error = { code: 'CANCELLED', message: 'The step was cancelled.' } as const;
  const report = { kind: 'unknown', error, at: 0, tookMs: 0 } as const;
  const post = await run(request, activities.capturePostState, { request, authorized, report });
  if (post.kind === 'other_task_queue') throw new Error(post.kind);
  const rest = { request, authorized, report, attempts: [], steps: {} };
  // The tool's system may be out of reach for too long to be asked.
  const concluded = await run(request, activities.verify, used ? { ...rest, post } : rest);
  expect(concluded).toMatchObject({ kind: 'verified', ending: { status } });
  // What is told is what is recorded; and nothing can be made under the grant any more.
  expect((await recorded(request.proposal))?.status).toBe(status);
  expect(await run(request, activities.execute, request.proposal, granted.grant)).not.toMatchObject({ kind: 'done' });
});

test('the receipts of all this verify', async () => {
  const report = await verifyReceipts({ ledger: stack.ledger, keyring: stack.keyring, temporal: admin.temporal });
  expect(report.tenants.flatMap(({ problems }) => problems)).toEqual([]);
});
