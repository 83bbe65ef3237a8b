/** One proposal, one effect: repeated, raced, changed, terminated, forgotten by Temporal. The database counts the effects. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { argumentsFor } from '../../scripts/program.js';
import type { Countersign } from '../../src/client/countersign.js';
import { proposalDigest, signedProposalDigest } from '../../src/action/proposal.js';
import { issueAgent, signApproval, signProposal, type Credential } from '../../src/trust/index.js';
import { agentEnvironment, ended, pending, ROOT, startStack, TENANT, type Stack } from '../support/stack.js';

let stack: Stack;
let admin: Countersign;

beforeAll(async () => {
  stack = await startStack({
    schema: `CREATE TABLE counters (id int PRIMARY KEY, n int NOT NULL); INSERT INTO counters SELECT i, 0 FROM generate_series(1, 120) i`,
  });
  admin = await stack.agent();
});
afterAll(() => stack?.stop());

/** Each is another action: something else would be done, or promised. */
const OTHER_CONTENT = [
  { input: { op: 'update', table: 'counters', set: { n: 1 }, all: true } },
  { expect: 'delta.rows == 1' },
  { expectedOutcome: 'All counters are reset.' },
  { onMismatch: 'compensate' as const },
];

let nextCounter = 0;

/** An action whose every execution shows: it counts up a counter of its own. */
function increment(by = 1) {
  const id = ++nextCounter;
  return {
    proposal: {
      actionId: randomUUID(),
      tool: 'shop-db',
      input: { op: 'sql', sql: `UPDATE counters SET n = n + ${by} WHERE id = ${id}` },
    },
    effects: async () => {
      const { rows } = await stack.shop.query<{ n: number }>('SELECT n FROM counters WHERE id = $1', [id]);
      return rows[0]?.n;
    },
  };
}

test('a repeated call returns the recorded outcome', async () => {
  const { proposal, effects } = increment();
  const first = await ended(admin, proposal);
  const again = await ended(admin, proposal);
  expect(first.status).toBe('success');
  expect(again).toEqual(first);
  expect(await effects()).toBe(1);
});

test('twelve calls at once make one effect and give one answer', async () => {
  const { proposal, effects } = increment();
  const outcomes = await Promise.all(Array.from({ length: 12 }, () => ended(admin, proposal)));
  expect(new Set(outcomes.map(({ receipt }) => receipt?.seq)).size).toBe(1);
  expect(await effects()).toBe(1);
});

test('two processes that start the same action at once make one effect', async () => {
  const { proposal, effects } = increment();
  const credential = await adminCredential();
  const propose = () =>
    promisify(execFile)(
      process.execPath,
      [...argumentsFor(path.join(ROOT, 'test/support/propose.ts')), JSON.stringify(proposal)],
      {
        cwd: ROOT,
        env: { ...process.env, ...agentEnvironment(stack, credential) },
      },
    );
  const answers = (await Promise.all([propose(), propose()])).map(
    ({ stdout }) => JSON.parse(stdout) as { status: string; receipt: unknown },
  );
  expect(answers.map(({ status }) => status)).toEqual(['success', 'success']);
  expect(answers[0]?.receipt).toEqual(answers[1]?.receipt);
  expect(await effects()).toBe(1);
});

test('the same action id with another content is a conflict after it ended', async () => {
  const { proposal, effects } = increment();
  expect((await ended(admin, proposal)).status).toBe('success');
  const changed = { ...proposal, expect: 'delta.rows == 2' };
  await expect(admin.perform(changed)).rejects.toMatchObject({ code: 'ACTION_CONFLICT' });
  expect(await effects()).toBe(1);
});

test('while an action waits for people, its id with another content is a conflict', async () => {
  const proposal = {
    actionId: randomUUID(),
    tool: 'shop-db',
    input: { op: 'update', table: 'counters', set: { n: 0 }, all: true },
  };
  const action = await pending(admin, proposal);
  for (const other of OTHER_CONTENT) {
    await expect(admin.perform({ ...proposal, ...other })).rejects.toMatchObject({ code: 'ACTION_CONFLICT' });
  }
  expect(await pending(admin, proposal)).toMatchObject({ actionId: action.actionId });
  await admin.cancel(action.actionId);
  expect((await action.outcome()).status).toBe('cancelled');
  // The first call's recorded reply was "pending"; what counts by now is the end.
  expect(await ended(admin, proposal)).toMatchObject({ status: 'cancelled' });
});

test('when Temporal has forgotten an action, the ledger still answers with its outcome, also in other words; another content is a conflict', async () => {
  const { proposal, effects } = increment();
  const { proposal: said, effects: effectsOfSaid } = increment();
  const first = await ended(admin, proposal);
  const firstSaid = await ended(admin, { ...said, reasoning: 'Because.' });
  await stack.afterRetention(async (client) => {
    const changed = { ...proposal, expect: 'delta.rows == 2' };
    await expect(client.perform(changed)).rejects.toMatchObject({ code: 'ACTION_CONFLICT' });
    expect(await ended(client, proposal)).toEqual(first);
    expect(await ended(client, { ...said, reasoning: 'Put differently.' })).toEqual(firstSaid);
  });
  expect([await effects(), await effectsOfSaid()]).toEqual([1, 1]);
});

test('the same action id in another tenant is another action', async () => {
  const { proposal, effects } = increment();
  const other = await stack.agent({ tenant: 'globex' });
  expect((await ended(admin, proposal)).status).toBe('success');
  expect((await ended(other, proposal)).tenant).toBe('globex');
  expect(await effects()).toBe(2);
});

test('an action whose workflow was terminated while it waited executes nothing, and its id is not free for another content', async () => {
  const proposal = {
    actionId: randomUUID(),
    tool: 'shop-db',
    input: { op: 'update', table: 'counters', set: { n: 7 }, all: true },
  };
  const action = await pending(admin, proposal);
  await admin.temporal.workflow.getHandle(`${TENANT}/${action.actionId}`).terminate('operator');
  const { rows } = await stack.shop.query<{ n: string }>('SELECT count(*) n FROM counters WHERE n = 7');
  expect(Number(rows[0]?.n)).toBe(0);
  await expect(action.outcome()).rejects.toMatchObject({ code: 'EFFECT_UNKNOWN' });
  // Nothing was decided for good: the same proposal asks people again.
  expect((await pending(admin, proposal)).actionId).toBe(action.actionId);
  await expect(admin.perform({ ...proposal, ...OTHER_CONTENT[0] })).rejects.toMatchObject({ code: 'ACTION_CONFLICT' });
});

describe('the same action in other words', () => {
  /** Needs a dba. Sets all counters to a value of its own. */
  const wide = (n: number) => ({
    actionId: randomUUID(),
    tool: 'shop-db',
    input: { op: 'update', table: 'counters', set: { n }, all: true },
    reasoning: 'The nightly reset.',
  });

  test.each([
    ['reasoning', { reasoning: 'As I said, but put differently.' }],
    ['claims', { claims: { environment: 'test' } }],
    ['a trace of its own', { traceId: 'attempt-2' }],
    ['none of the words', { reasoning: undefined }],
    ['what holds by default', { onMismatch: 'keep' as const }],
  ])('is the same action, done once: %s', async (_what, words) => {
    const { proposal, effects } = increment();
    const first = await ended(admin, { ...proposal, reasoning: 'Because.' });
    expect(await ended(admin, { ...proposal, reasoning: 'Because.', ...words })).toEqual(first);
    expect(await effects()).toBe(1);
  });

  test('at once from many callers makes one effect and one answer', async () => {
    const { proposal, effects } = increment();
    const calls = Array.from({ length: 12 }, (_, n) => ended(admin, { ...proposal, reasoning: `Attempt ${n}.` }));
    const outcomes = await Promise.all(calls);
    expect(new Set(outcomes.map(({ receipt }) => receipt?.seq)).size).toBe(1);
    expect(await effects()).toBe(1);
  });

  test('while people are asked: they see the first words, the history keeps the others, and a yes is for what was shown', async () => {
    const proposal = wide(11);
    const first = await pending(admin, proposal);
    const { shownDigest } = first.pending;
    for (let n = 0; n < 25; n++) {
      const again = await pending(admin, { ...proposal, reasoning: `Harmless, honestly (${n}).` });
      expect(again.pending).toMatchObject({ shownDigest, shown: { proposal: { reasoning: proposal.reasoning } } });
    }
    await pending(admin, { ...proposal, reasoning: 'Harmless, honestly (0).' });
    const kept = await restatements(`${TENANT}/${proposal.actionId}`);
    // As many as an agent may add: it must not fill the history, and people can still decide.
    expect(kept).toHaveLength(20);
    expect(kept[0]).toMatchObject({ words: { reasoning: 'Harmless, honestly (0).' }, signature: expect.any(String) });
    await stack.decide(first, await stack.approver('dora', ['dba']));
    expect(await first.outcome()).toMatchObject({ status: 'success', approvals: [{ approver: 'dora' }] });
    await stack.shop.query('UPDATE counters SET n = 0');
  });

  test('no other words slip under a yes: a run that shows others asks anew', async () => {
    const proposal = wide(12);
    const first = await pending(admin, proposal);
    const dora = await stack.approver('dora', ['dba']);
    const about = { tenant: TENANT, actionId: proposal.actionId, verdict: 'approve' } as const;
    const yes = await signApproval(dora, { ...about, shownDigest: first.pending.shownDigest });
    await admin.temporal.workflow.getHandle(`${TENANT}/${proposal.actionId}`).terminate('operator');
    const second = await pending(admin, { ...proposal, reasoning: 'Deletes nothing that anybody needs.' });
    expect(second.pending.shown.proposal.reasoning).toBe('Deletes nothing that anybody needs.');
    await expect(admin.decide(proposal.actionId, yes)).rejects.toMatchObject({ code: 'APPROVAL_STALE' });
    expect((await admin.view(proposal.actionId)).phase).toBe('pending');
    await admin.cancel(proposal.actionId);
    expect((await second.outcome()).status).toBe('cancelled');
  });

  test('words that the agent did not sign are refused', async () => {
    const { proposal, effects } = increment();
    const credential = await adminCredential();
    const signature = await signProposal(credential, signedProposalDigest(proposal));
    const handle = await admin.temporal.workflow.start('trustedAction', {
      workflowId: `${TENANT}/${proposal.actionId}`,
      taskQueue: stack.temporal.taskQueue,
      args: [{ proposal: { ...proposal, reasoning: 'forged' }, digest: proposalDigest(proposal), signature }],
    });
    expect(await handle.result()).toMatchObject({ status: 'denied', error: { code: 'AGENT_UNVERIFIED' } });
    expect(await effects()).toBe(0);
  });
});

/** The credential of the agent `admin`. */
async function adminCredential(): Promise<Credential> {
  return await issueAgent(stack.keyring, { id: 'agent-1', tenant: TENANT, roles: ['admin_user'], scopes: ['*'] });
}

/** What the history kept of calls in other words. */
async function restatements(workflowId: string): Promise<unknown[]> {
  const { temporal } = admin;
  const { events } = await temporal.workflow.getHandle(workflowId).fetchHistory();
  const { payloadConverter } = temporal.options.loadedDataConverter;
  return (events ?? []).flatMap(({ workflowExecutionUpdateAcceptedEventAttributes: accepted }) => {
    const { name, args } = accepted?.acceptedRequest?.input ?? {};
    const [first] = args?.payloads ?? [];
    return name === 'restate' && first ? [payloadConverter.fromPayload<unknown>(first)] : [];
  });
}

test('a workflow started by hand with a proposal that its agent never signed is refused', async () => {
  const { proposal, effects } = increment();
  const handle = await admin.temporal.workflow.start('trustedAction', {
    workflowId: `${TENANT}/${proposal.actionId}`,
    taskQueue: stack.temporal.taskQueue,
    args: [{ proposal, digest: `sha256:${'0'.repeat(64)}`, signature: 'forged' }],
  });
  expect(await handle.result()).toMatchObject({ status: 'denied', error: { code: 'AGENT_UNVERIFIED' } });
  expect(await effects()).toBe(0);
});
