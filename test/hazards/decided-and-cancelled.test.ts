/**
 * A person decides and the action is cancelled in one moment: the workflow hears of both in one task. What the person is told is what is recorded. A
 * no that was taken is never lost in a cancellation.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { FaultPoint } from '../../activities/index.js';
import { editedProposal } from '../../src/action/edit.js';
import type { DecideReply, Outcome } from '../../src/action/outcome.js';
import type { Countersign, PendingAction } from '../../src/client/countersign.js';
import { signApproval, signedEdit, type Credential } from '../../src/trust/index.js';
import { pending, startStack, TENANT, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';

let stack: Stack;
let agent: Countersign;
let dora: Credential;

beforeAll(async () => {
  stack = await startStack({
    worker: false,
    schema: `CREATE TABLE stock (id int PRIMARY KEY, qty int NOT NULL); INSERT INTO stock SELECT n, 0 FROM generate_series(1, 150) n`,
  });
  agent = await stack.agent();
  dora = await stack.approver('dora', ['dba']);
});
afterAll(() => stack?.stop());

const handleOf = (actionId: string) => agent.temporal.workflow.getHandle(`${TENANT}/${actionId}`);

async function eventTypes(actionId: string): Promise<readonly string[]> {
  const { events = [] } = await handleOf(actionId).fetchHistory();
  return (events ?? []).map(({ eventType }) => String(eventType));
}

/** Of `EVENT_TYPE_…`, by number. */
const [CANCEL_REQUESTED, ACTIVITY_COMPLETED, TASK_COMPLETED] = ['20', '12', '7'];

/**
 * Decides, and cancels while the decision is checked and no worker takes tasks of workflows; then the check is answered, and only then a worker
 * hears of both.
 */
async function decidedAndCancelled(
  decide: (action: PendingAction) => Promise<DecideReply>,
): Promise<{ readonly told: DecideReply; readonly action: PendingAction }> {
  let reach = (): void => {};
  let release = (): void => {};
  const reached = new Promise<void>((resolve) => (reach = resolve));
  const released = new Promise<void>((resolve) => (release = resolve));
  const at = async (point: FaultPoint): Promise<void> => {
    if (point !== 'checkApproval.end') return;
    reach();
    await released;
  };
  const worker = await stack.startWorker({ faults: { at } });
  const action = await pending(agent, {
    actionId: randomUUID(),
    tool: 'shop-db',
    input: { op: 'delete', table: 'stock', where: { qty: 0 } },
  });
  const told = decide(action);
  told.catch(() => {});
  await reached;
  // It polls no more, and ends when what it runs is done.
  const stopped = worker.stop();
  await handleOf(action.actionId).cancel();
  release();
  await stopped;
  const before = await until(
    () => eventTypes(action.actionId),
    (types) => types.includes(CANCEL_REQUESTED) && types.includes(ACTIVITY_COMPLETED),
  );
  // Nothing was made of the cancellation before the answer was there.
  const cancelled = before.indexOf(CANCEL_REQUESTED);
  expect(before.slice(cancelled)).not.toContain(TASK_COMPLETED);
  await stack.startWorker();
  return { told: await told, action };
}

async function rows(): Promise<number> {
  const { rows: found } = await stack.shop.query<{ n: number }>('SELECT count(*)::int AS n FROM stock');
  return found[0]?.n ?? 0;
}

async function ended(actionId: string): Promise<Outcome> {
  const outcome = await agent.outcome(actionId);
  expect((await stack.ledger.actions.find(TENANT, actionId))?.outcome).toMatchObject({ status: outcome.status });
  await stack.worker?.stop();
  return outcome;
}

test('a no that the person is told counts is what is recorded', async () => {
  const { told, action } = await decidedAndCancelled((one) => stack.decide(one, dora, 'deny', 'not today'));
  expect(told).toMatchObject({ state: 'denied', recorded: { approver: 'dora', verdict: 'deny' } });
  expect(await ended(action.actionId)).toMatchObject({
    status: 'denied',
    reason: expect.stringContaining('not today') as string,
    approvals: [{ approver: 'dora', verdict: 'deny', digest: told.recorded.digest }],
  });
  expect(await rows()).toBe(150);
});

test('what a person makes of it is begun as they are told', async () => {
  const { told, action } = await decidedAndCancelled(async (one) => {
    const { proposal } = one.pending.shown;
    const edited = editedProposal(proposal, { input: { ...proposal.input, where: { id: 1 } } });
    const token = await signApproval(dora, {
      tenant: TENANT,
      actionId: one.actionId,
      shownDigest: one.pending.shownDigest,
      verdict: 'request_changes',
      edit: signedEdit(proposal, edited),
    });
    return agent.decide(one.actionId, token, TENANT, edited);
  });
  const { revisedBy = '' } = told;
  expect(told).toMatchObject({ state: 'changes_requested', revisedBy: expect.stringMatching(/^edit:/) as string });
  const { pending: shown } = await until(
    () =>
      agent
        .view(revisedBy)
        .catch(() => undefined)
        .then((view) => ({ pending: view?.pending, phase: view?.phase })),
    ({ phase }) => phase === 'pending' || phase === 'ended',
  );
  if (shown !== undefined)
    await stack.decide({ tenant: TENANT, actionId: revisedBy, pending: shown } as PendingAction, dora);
  expect(await agent.outcome(revisedBy)).toMatchObject({ status: 'success' });
  expect(await ended(action.actionId)).toMatchObject({
    status: 'denied',
    revisedBy,
    error: { code: 'CHANGES_REQUESTED' },
  });
  expect(await rows()).toBe(149);
});

test('a yes does not outlive the cancellation: nothing is done', async () => {
  const { told, action } = await decidedAndCancelled((one) => stack.decide(one, dora));
  expect(told).toMatchObject({ state: 'approved' });
  expect(await ended(action.actionId)).toMatchObject({ status: 'cancelled', reason: 'Cancelled before the effect.' });
  expect(await rows()).toBe(149);
});
