/** Whoever must answer for an action reads its steps in Temporal: by name, in order, each with a line of its own. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ProposalInput } from '../../src/client/countersign.js';
import type { Countersign } from '../../src/client/countersign.js';
import { ended, pending, startStack, TENANT, type Stack } from '../support/stack.js';

let stack: Stack;
let agent: Countersign;

beforeAll(async () => {
  stack = await startStack({
    schema: `
      CREATE TABLE stock (id int PRIMARY KEY, qty int NOT NULL);
      CREATE TABLE users (id int PRIMARY KEY, name text);
      INSERT INTO stock SELECT n, 10 FROM generate_series(1, 300) n;
      CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.qty := OLD.qty; RETURN NEW; END $$;
      CREATE TRIGGER undo BEFORE UPDATE ON stock FOR EACH ROW WHEN (OLD.id = 13) EXECUTE FUNCTION undo();`,
  });
  agent = await stack.agent();
});
afterAll(() => stack?.stop());

const update = (where: object, more: object = {}): ProposalInput & { actionId: string } => ({
  actionId: randomUUID(),
  tool: 'shop-db',
  input: { op: 'update', table: 'stock', set: { qty: 1 }, ...where },
  ...more,
});

type Event = NonNullable<
  Awaited<ReturnType<ReturnType<Countersign['temporal']['workflow']['getHandle']>['fetchHistory']>>['events']
>[number];

async function historyOf(actionId: string): Promise<readonly Event[]> {
  const handle = agent.temporal.workflow.getHandle(`${TENANT}/${actionId}`);
  return (await handle.fetchHistory()).events ?? [];
}

/** The activities of a history in the order in which they came to an end, local and regular ones. */
function activitiesOf(events: readonly Event[]): readonly string[] {
  return events.flatMap((event) => {
    const local = event.markerRecordedEventAttributes;
    if (local?.markerName === 'core_local_activity') {
      const data = local.details?.['data']?.payloads?.[0]?.data;
      return [(JSON.parse(Buffer.from(data ?? []).toString()) as { activity_type: string }).activity_type];
    }
    const name = event.activityTaskScheduledEventAttributes?.activityType?.name;
    return name == null ? [] : [name];
  });
}

/** The current details of an action, as the Temporal UI shows them. */
async function detailsOf(actionId: string): Promise<string> {
  const handle = agent.temporal.workflow.getHandle(`${TENANT}/${actionId}`);
  const { currentDetails } = await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata');
  return currentDetails;
}

test('an allowed action is seven activities by the names of the pipeline, in order, in at most 22 events and 16 KB', async () => {
  const proposal = update({ where: { id: 1 } });
  expect(await ended(agent, proposal)).toMatchObject({ status: 'success' });
  const events = await historyOf(proposal.actionId);
  expect(activitiesOf(events)).toEqual([
    'propose',
    'enforce',
    'capturePreState',
    'authorize',
    'execute',
    'capturePostState',
    'verify',
  ]);
  expect(events.length).toBeLessThanOrEqual(22);
  const { historySize } = await agent.temporal.workflow.getHandle(`${TENANT}/${proposal.actionId}`).describe();
  expect(historySize).toBeLessThanOrEqual(16 * 1024);
});

test('each step has a line of its own, which says what it came to', async () => {
  const proposal = update({ where: { id: 2 } });
  const outcome = await ended(agent, proposal);
  const details = await detailsOf(proposal.actionId);
  for (const line of [
    /\*\*success\*\*: Done and verified/,
    /- \*\*propose\*\*: update 1 row .* on `shop-db` \(production\)/,
    /- \*\*enforce\*\*: allowed by \S+/,
    /- \*\*capturePreState\*\*: 1 row or object, `sha256:/,
    /- \*\*authorize\*\*: granted/,
    /- \*\*execute\*\*: done/,
    /- \*\*capturePostState\*\*: 1 change/,
    /- \*\*verify\*\*: \d+ checks hold/,
  ]) {
    expect(details).toMatch(line);
  }
  expect(Object.keys(outcome.steps).toSorted()).toEqual(
    ['authorize', 'capturePostState', 'capturePreState', 'enforce', 'execute', 'propose', 'verify'].toSorted(),
  );
});

test('a denied action ends after the step that says no, and its end is recorded', async () => {
  const proposal = { actionId: randomUUID(), tool: 'shop-db', input: { op: 'delete', table: 'users', all: true } };
  expect(await ended(agent, proposal)).toMatchObject({ status: 'denied' });
  expect(activitiesOf(await historyOf(proposal.actionId))).toEqual(['propose', 'enforce', 'settle']);
  expect(await detailsOf(proposal.actionId)).toMatch(/- \*\*enforce\*\*: refused: .*protected/);
});

test('an approved action shows who was asked and who said yes', async () => {
  const action = await pending(agent, update({ all: true }));
  expect(await detailsOf(action.actionId)).toMatch(/Waiting for people/);
  await stack.decide(action, await stack.approver('dora', ['dba']));
  await action.outcome();
  const activities = activitiesOf(await historyOf(action.actionId));
  expect(activities).toEqual([
    'propose',
    'enforce',
    'capturePreState',
    'requestApproval',
    'checkApproval',
    'propose',
    'enforce',
    'capturePreState',
    'requestApproval',
    'authorize',
    'execute',
    'capturePostState',
    'verify',
  ]);
  expect(await detailsOf(action.actionId)).toMatch(/- \*\*requestApproval\*\*: approved by dora/);
});

test('a mismatch says how many checks do not hold', async () => {
  const proposal = update({ where: { id: 13 } });
  expect(await ended(agent, proposal)).toMatchObject({ status: 'mismatch' });
  expect(await detailsOf(proposal.actionId)).toMatch(/- \*\*verify\*\*: \d of \d checks do not hold/);
});

test('a read captures nothing', async () => {
  const proposal = {
    actionId: randomUUID(),
    tool: 'shop-db',
    input: { op: 'select', table: 'stock', where: { id: 1 } },
  };
  expect(await ended(agent, proposal)).toMatchObject({ status: 'success' });
  expect(activitiesOf(await historyOf(proposal.actionId))).toEqual([
    'propose',
    'enforce',
    'authorize',
    'execute',
    'verify',
  ]);
});

test('a read that policy asks people about waits for them, captures nothing, and is done or not as they say', async () => {
  const read = (id: number) => ({
    actionId: randomUUID(),
    tool: 'shop-db',
    input: { op: 'select', table: 'stock', where: { id } },
  });
  const asks = `@id("reads") @reason("reads are looked at") @approval("dba") forbid (principal, action == Countersign::Action::"READ", resource);`;
  await stack.withPolicy(
    'roles.cedar',
    (text) => `${text}\n${asks}\n`,
    async () => {
      const dora = await stack.approver('dora', ['dba']);
      const wanted = await pending(agent, read(2));
      expect(await stack.decide(wanted, dora)).toMatchObject({ state: 'approved' });
      const outcome = await wanted.outcome();
      expect(outcome).toMatchObject({ status: 'success', result: { rows: [{ id: 2 }] } });
      expect(outcome.approvals).toMatchObject([{ approver: 'dora', verdict: 'approve' }]);
      expect(activitiesOf(await historyOf(wanted.actionId))).not.toContain('capturePreState');

      const unwanted = await pending(agent, read(3));
      expect(await stack.decide(unwanted, dora, 'deny', 'not yours')).toMatchObject({ state: 'denied' });
      const denied = await unwanted.outcome();
      expect(denied).toMatchObject({
        status: 'denied',
        error: { code: 'APPROVAL_DENIED', message: 'dora said no: not yours' },
      });
      expect(denied.approvals).toMatchObject([{ approver: 'dora', verdict: 'deny' }]);
    },
  );
});

test("what the workflow returns is what the ledger has, and its receipt's digest is of exactly that", async () => {
  for (const proposal of [update({ where: { id: 3 } }), update({ where: { id: 13 } })]) {
    const outcome = await ended(agent, proposal);
    expect((await stack.ledger.actions.find(TENANT, proposal.actionId))?.outcome).toEqual(outcome);
  }
});
