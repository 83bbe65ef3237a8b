/** What a person made of a proposal is done once, on the agent's behalf, and decided like any other. The database judges what was done. */
import { randomUUID } from 'node:crypto';
import { WorkflowNotFoundError } from '@temporalio/client';
import { sql } from 'kysely';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Reconciled } from '../../activities/contract.js';
import type { FaultPoint } from '../../activities/index.js';
import { editedProposal, newEditId, type Edit } from '../../src/action/edit.js';
import type { DecideReply, Outcome, PendingView } from '../../src/action/outcome.js';
import { proposalDigest, signedProposalDigest, type Proposal } from '../../src/action/proposal.js';
import type { Countersign, PendingAction } from '../../src/client/countersign.js';
import {
  editedSignature,
  issueAgent,
  peekCredential,
  signApproval,
  signedEdit,
  signProposal,
  type Credential,
} from '../../src/trust/index.js';
import { pending, shopTool, startStack, TENANT, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';

let stack: Stack;
let bot: Countersign;
let own: Credential;
let dora: Credential;
let sam: Credential;
/** What the worker does at a point. */
let reached = async (_point: FaultPoint): Promise<void> => {};

beforeAll(async () => {
  stack = await startStack({
    worker: false,
    schema: ['asked', 'free', 'pair', 'audited']
      .map(
        (table) => `CREATE TABLE ${table} (id int PRIMARY KEY, n int NOT NULL);
          INSERT INTO ${table} SELECT i, 0 FROM generate_series(1, 60) i;`,
      )
      .join('\n'),
  });
  const rule = (table: string, people: string, when = ''): string => `
@id("people-${table}${when === '' ? '' : '-edited'}")
@reason("a change of ${table} needs people")
@approval("${people}")
forbid (principal, action == Countersign::Action::"WRITE", resource)
when { context.targets.contains("${table}")${when} };`;
  const rules = [
    rule('asked', 'dba'),
    rule('pair', 'dba, quorum=2'),
    rule('audited', 'dba'),
    rule('audited', 'security', ' && context.edited'),
  ];
  await writeFile(path.join(stack.policies, 'people.cedar'), rules.join('\n'));
  const config = { policies: stack.policies, tools: [shopTool(stack.shopUrl)] };
  await stack.startWorker({ config, faults: { at: (point) => reached(point) } });
  own = await issueAgent(stack.keyring, { id: 'bot', tenant: TENANT, roles: ['admin_user'], scopes: ['*'] });
  bot = await stack.agentWith(own);
  dora = await stack.approver('dora', ['dba']);
  sam = await stack.approver('sam', ['security', 'dba']);
});
afterAll(() => stack?.stop());

let row = 0;
/** A row of its own for each. */
function change(table = 'asked', more: object = {}) {
  row++;
  const input = { op: 'update', table, set: { n: 1 }, where: { id: row } };
  return { actionId: randomUUID(), tool: 'shop-db', input, ...more };
}

async function valueOf(id: number, table = 'asked'): Promise<number | undefined> {
  const { rows } = await stack.shop.query<{ n: number }>(`SELECT n FROM ${table} WHERE id = $1`, [id]);
  return rows[0]?.n;
}

/** The input of what waits, with another value to be set. */
function withValue({ shown }: PendingView, n: number, table = 'asked'): Edit {
  return { input: { ...shown.proposal.input, table, set: { n } } };
}

interface Signing {
  readonly by?: Credential;
  readonly reason?: string;
  /** What is handed in, where that is not what was signed. */
  readonly handedIn?: (edited: Proposal) => Proposal | undefined;
  /** What is made of the proposal beside the edit. */
  readonly also?: Partial<Proposal>;
}

async function signed(action: PendingAction, edit: Edit, { by = dora, reason, also = {} }: Signing = {}) {
  const { tenant, actionId, pending: view } = action;
  const { proposal } = view.shown;
  const edited = { ...editedProposal(proposal, edit), ...also };
  const token = await signApproval(by, {
    tenant,
    actionId,
    shownDigest: view.shownDigest,
    verdict: 'request_changes',
    edit: signedEdit(proposal, edited),
    ...(reason === undefined ? {} : { reason }),
  });
  return { token, edited };
}

async function edit(action: PendingAction, change: Edit, how: Signing = {}): Promise<DecideReply> {
  const { token, edited } = await signed(action, change, how);
  return bot.decide(action.actionId, token, TENANT, (how.handedIn ?? ((same) => same))(edited));
}

/** The edited action, when it waits for people. */
async function asked(actionId: string): Promise<PendingAction> {
  const view = await until(
    () => bot.view(actionId).catch(() => undefined),
    (found) => found?.pending !== undefined,
  );
  return { tenant: TENANT, actionId, pending: view?.pending as PendingView } as PendingAction;
}

async function edited(action: PendingAction, change: Edit, how?: Signing): Promise<PendingAction> {
  const { revisedBy = '' } = await edit(action, change, how);
  expect(revisedBy).toMatch(/^edit:[0-9a-f]{8}:/);
  return asked(revisedBy);
}

async function untouched(action: PendingAction, id: number): Promise<void> {
  expect((await bot.view(action.actionId)).phase).toBe('pending');
  expect(await valueOf(id)).toBe(0);
}

describe('an edit', () => {
  test('ends the action and begins the edited one, which is decided on what it would do and then done', async () => {
    const action = await pending(bot, change('asked', { reasoning: 'the customer asked', expectedOutcome: 'n is 1' }));
    const id = row;
    const next = await edited(action, withValue(action.pending, 7), { reason: 'seven, not one' });

    const outcome = await action.outcome();
    expect(outcome).toMatchObject({
      status: 'denied',
      error: { code: 'CHANGES_REQUESTED', message: 'dora changed what is to be done: seven, not one' },
      revisedBy: next.actionId,
      approvals: [{ approver: 'dora', verdict: 'request_changes' }],
    });
    const { shown } = next.pending;
    expect(shown).toMatchObject({
      editedBy: 'dora',
      agent: { id: peekCredential(own).id },
      proposal: { revises: action.actionId, reasoning: 'the customer asked', input: { set: { n: 7 } } },
    });
    expect(shown.proposal.expectedOutcome).toBeUndefined();
    expect(await valueOf(id)).toBe(0);

    await stack.decide(next, dora);
    const done = await bot.outcome(next.actionId);
    expect(done).toMatchObject({ status: 'success', facts: { editedBy: 'dora' }, approvals: [{ approver: 'dora' }] });
    expect(await valueOf(id)).toBe(7);
    const receipts = (await stack.receipts()).filter(({ actionId }) => actionId.includes(action.actionId));
    expect(receipts.map(({ actionId, status }) => [actionId, status])).toEqual([
      [action.actionId, 'denied'],
      [next.actionId, 'success'],
    ]);
  });

  test('that policy allows is done without another word, and the agent gets its outcome under the id it is told', async () => {
    const action = await pending(bot, change());
    const { revisedBy = '' } = await edit(action, withValue(action.pending, 5, 'free'));
    await action.outcome();
    expect(await bot.outcome(revisedBy)).toMatchObject({ status: 'success' });
    expect([await valueOf(row), await valueOf(row, 'free')]).toEqual([0, 5]);
  });

  test('is one person’s yes where two are needed', async () => {
    const next = await edited(...(await changed('pair', 3)));
    expect(await stack.decide(next, dora)).toMatchObject({ state: 'waiting' });
    expect(await stack.decide(next, sam)).toMatchObject({ state: 'approved' });
    expect(await bot.outcome(next.actionId)).toMatchObject({ status: 'success' });
    expect(await valueOf(row, 'pair')).toBe(3);
  });

  test('can need other people by policy, which knows that it is one', async () => {
    const next = await edited(...(await changed('audited', 3)));
    expect(next.pending.shown.requirements.flatMap(({ roles }) => roles).sort()).toEqual(['dba', 'security']);
    await bot.cancel(next.actionId);
  });

  test('can be edited in its turn, and rests on both people', async () => {
    const first = await edited(...(await changed('asked', 3)));
    const second = await edited(first, withValue(first.pending, 4), { by: sam });
    expect(second.pending.shown).toMatchObject({ editedBy: 'sam', proposal: { revises: first.actionId } });
    await stack.decide(second, dora);
    expect(await bot.outcome(second.actionId)).toMatchObject({ status: 'success' });
    expect(await valueOf(row)).toBe(4);
  });

  test('keeps what the agent promised unless it is taken back', async () => {
    const promise = `post.asked["${row + 1}"].n == 1`;
    const action = await pending(bot, change('asked', { expect: promise }));
    const id = row;
    const kept = await edited(action, withValue(action.pending, 2));
    expect(kept.pending.shown.proposal.expect).toBe(promise);
    const back = await edited(kept, { ...withValue(kept.pending, 2), expect: null });
    expect(back.pending.shown.proposal.expect).toBeUndefined();
    await stack.decide(back, dora);
    expect(await bot.outcome(back.actionId)).toMatchObject({ status: 'success' });
    expect(await valueOf(id)).toBe(2);
  });

  test('is worth nothing when its author’s credential is revoked before the effect', async () => {
    const gone = await stack.approver('gone', ['dba']);
    const [action, with7] = await changed('asked', 7);
    const next = await edited(action, with7, { by: gone });
    await stack.ledger.controls.revoke({ tenant: TENANT, jti: peekCredential(gone).jti, by: 'olga', reason: 'left' });
    await stack.decide(next, dora);
    expect(await bot.outcome(next.actionId)).toMatchObject({ status: 'denied', error: { code: 'CREDENTIAL_REVOKED' } });
    expect(await valueOf(row)).toBe(0);
  });
});

describe('an edit is refused, and the action waits on,', () => {
  let action: PendingAction;
  let id: number;
  beforeAll(async () => {
    action = await pending(bot, change());
    id = row;
  });
  afterAll(() => bot.cancel(action.actionId));

  const cases: readonly [string, string, Edit | undefined, Signing?][] = [
    ['without what is made of the proposal', 'EDIT_INVALID', undefined, { handedIn: () => undefined }],
    [
      'with something else than what was signed',
      'EDIT_INVALID',
      undefined,
      { handedIn: (one) => ({ ...one, input: { ...one.input, set: { n: 9 } } }) },
    ],
    ['that names another tool', 'EDIT_INVALID', undefined, { also: { tool: 'other-db' } }],
    ['that puts words into the agent’s mouth', 'EDIT_INVALID', undefined, { also: { reasoning: 'dora is right' } }],
    ['that would undo itself', 'EDIT_INVALID', undefined, { also: { onMismatch: 'compensate' } }],
    ['under an id of its own', 'EDIT_INVALID', undefined, { also: { actionId: 'mine' } }],
    ['that the tool cannot read', 'INVALID_INPUT', { input: { op: 'explode' } }],
    ['that is larger than a proposal may be', 'INPUT_TOO_LARGE', { input: { text: 'x'.repeat(300_000) } }],
  ];
  test.each(cases)('%s', async (_what, code, made, how) => {
    await expect(edit(action, made ?? withValue(action.pending, 7), how)).rejects.toMatchObject({ code });
    await untouched(action, id);
  });

  test('that changes nothing', async () => {
    const { input } = action.pending.shown.proposal;
    await expect(edit(action, { input })).rejects.toMatchObject({ code: 'EDIT_INVALID' });
    await untouched(action, id);
  });

  test('of somebody who may not decide', async () => {
    const by = await stack.approver('ida', ['intern']);
    await expect(edit(action, withValue(action.pending, 7), { by })).rejects.toMatchObject({
      code: 'APPROVAL_FORBIDDEN',
    });
    await untouched(action, id);
  });

  test('as a yes', async () => {
    const { shown, shownDigest } = action.pending;
    const edit = signedEdit(shown.proposal, editedProposal(shown.proposal, withValue(action.pending, 7)));
    const yes = signApproval(dora, {
      tenant: TENANT,
      actionId: action.actionId,
      shownDigest,
      verdict: 'approve',
      edit,
    });
    await expect(yes).rejects.toMatchObject({ code: 'APPROVAL_INVALID', field: 'edit' });
    await untouched(action, id);
  });

  test('of a step of a saga, whose other steps would be undone without it', async () => {
    const step = change('asked');
    await bot.saga({ traceId: randomUUID(), steps: [step, change('free')] });
    const asking = await asked(step.actionId);
    await expect(edit(asking, withValue(asking.pending, 7))).rejects.toMatchObject({ code: 'EDIT_INVALID' });
    await stack.decide(asking, dora, 'deny', 'no');
  });
});

describe('whoever can start workflows', () => {
  async function start(proposal: Proposal, signature: string): Promise<Outcome> {
    const handle = await bot.temporal.workflow.start('trustedAction', {
      workflowId: `${TENANT}/${proposal.actionId}`,
      taskQueue: stack.temporal.taskQueue,
      args: [{ proposal, digest: proposalDigest(proposal), signature }],
    });
    return (await handle.result()) as Outcome;
  }

  /** A proposal of the agent's with its signature. */
  async function proposed(): Promise<{ proposal: Proposal; signature: string }> {
    const proposal = change();
    return { proposal, signature: await signProposal(own, signedProposalDigest(proposal)) };
  }

  test('cannot use an edit that no worker took', async () => {
    const { proposal, signature } = await proposed();
    const action = await pending(bot, proposal);
    const { token, edited } = await signed(action, withValue(action.pending, 7, 'free'));
    expect(await start(edited, editedSignature(token, signature))).toMatchObject({
      status: 'denied',
      error: { code: 'INVALID_PROPOSAL', field: 'proposal.revises' },
    });
    // The id is taken now; the action itself is as it was.
    await stack.decide(action, dora, 'deny', 'no');
    expect((await action.outcome()).status).toBe('denied');
    expect(await valueOf(row, 'free')).toBe(0);
  });

  test('cannot use an edit that was signed and not handed in, when the action ended for another request for changes', async () => {
    for (const handedIn of ['in words', 'as an edit'] as const) {
      const { proposal, signature } = await proposed();
      const action = await pending(bot, proposal);
      const { token, edited: kept } = await signed(action, withValue(action.pending, 7, 'free'));
      if (handedIn === 'in words') await stack.decide(action, sam, 'request_changes', 'less');
      else await edit(action, withValue(action.pending, 8), { by: sam });
      expect((await action.outcome()).error?.code).toBe('CHANGES_REQUESTED');
      expect(await start(kept, editedSignature(token, signature))).toMatchObject({
        status: 'denied',
        error: { code: 'INVALID_PROPOSAL', field: 'proposal.revises' },
      });
      expect(await valueOf(row, 'free')).toBe(0);
    }
  });

  test('cannot use another person’s edit under the id of the one that was taken', async () => {
    const { proposal, signature } = await proposed();
    const action = await pending(bot, proposal);
    const taken = await edited(action, withValue(action.pending, 7));
    await bot.temporal.workflow.getHandle(`${TENANT}/${taken.actionId}`).terminate('by hand');
    const by = await stack.approver('ida', ['intern']);
    const also = { actionId: taken.actionId };
    const forged = await signed(action, withValue(action.pending, 9, 'free'), { by, also });
    expect(await start(forged.edited, editedSignature(forged.token, signature))).toMatchObject({
      status: 'denied',
      error: { code: 'ACTION_CONFLICT' },
    });
    expect(await valueOf(row, 'free')).toBe(0);
  });

  /** One that waits, of which an edit is made for each. */
  let waiting: PendingAction;
  let signature: string;
  let id: number;
  beforeAll(async () => {
    const asking = await proposed();
    id = row;
    ({ signature } = asking);
    waiting = await pending(bot, asking.proposal);
  });
  afterAll(() => bot.cancel(waiting.actionId));

  test.each<[string, (parts: { token: string; signature: string; edited: Proposal }) => [Proposal, string]]>([
    [
      'of another proposal',
      ({ token, signature, edited }) => [
        { ...edited, input: { op: 'select', table: 'free' } },
        editedSignature(token, signature),
      ],
    ],
    ['that is signed by the agent alone', ({ signature, edited }) => [edited, signature]],
    ['without the agent', ({ token, edited }) => [edited, `${token}~`]],
    ['by the agent in the person’s place', ({ signature, edited }) => [edited, editedSignature(signature, signature)]],
    ['turned round', ({ token, signature, edited }) => [edited, editedSignature(signature, token)]],
    ['that was edited too often', ({ token, signature, edited }) => [edited, `${`${token}~`.repeat(9)}${signature}`]],
    [
      'with a changed character',
      ({ token, signature, edited }) => [edited, editedSignature(altered(token), signature)],
    ],
  ])('cannot begin an edit %s', async (_what, forge) => {
    const { token, edited } = await signed(waiting, withValue(waiting.pending, 7, 'free'));
    const outcome = await start(...forge({ token, signature, edited }));
    expect(outcome).toMatchObject({ status: 'denied', error: { code: 'AGENT_UNVERIFIED' } });
    expect(await valueOf(id, 'free')).toBe(0);
  });
});

describe('whose workflow is ended from outside right after the record of it', () => {
  function reconcile(): Promise<Reconciled> {
    return bot.temporal.workflow.execute<(options: object) => Promise<Reconciled>>('reconcile', {
      workflowId: `reconcile-${randomUUID()}`,
      taskQueue: stack.temporal.taskQueue,
      args: [{ olderThanMs: 0 }],
    });
  }

  const handleOf = (actionId: string) => bot.temporal.workflow.getHandle(`${TENANT}/${actionId}`);

  /** Returns the id of what is to be done instead; its workflow was not begun. */
  async function endedBetween(n: number): Promise<{ readonly action: PendingAction; readonly revisedBy: string }> {
    let reach = (): void => {};
    let release = (): void => {};
    const there = new Promise<void>((resolve) => (reach = resolve));
    const released = new Promise<void>((resolve) => (release = resolve));
    reached = async (point) => {
      if (point !== 'settle.end') return;
      reach();
      await released;
    };
    const [action, made] = await changed('asked', n);
    const { revisedBy = '' } = await edit(action, made);
    await there;
    await handleOf(action.actionId).terminate('by hand');
    reached = async () => {};
    release();
    expect((await stack.ledger.actions.find(TENANT, action.actionId))?.outcome?.revisedBy).toBe(revisedBy);
    await expect(handleOf(revisedBy).describe()).rejects.toThrow(WorkflowNotFoundError);
    return { action, revisedBy };
  }

  test('is begun by the round that looks after what was left behind: once, and as any other', async () => {
    await reconcile();
    const { action, revisedBy } = await endedBetween(6);
    const id = row;
    expect(await reconcile()).toMatchObject({ edits: 1 });
    const next = await asked(revisedBy);
    expect(next.pending.shown).toMatchObject({ editedBy: 'dora', proposal: { revises: action.actionId } });
    expect(await reconcile()).not.toHaveProperty('edits');
    await stack.decide(next, dora);
    expect(await bot.outcome(revisedBy)).toMatchObject({ status: 'success', facts: { editedBy: 'dora' } });
    expect(await valueOf(id)).toBe(6);
  });

  test('and one that was begun is left to itself, also where it was ended from outside in its turn', async () => {
    await reconcile();
    const next = await edited(...(await changed('asked', 8)));
    await handleOf(next.actionId).terminate('by hand');
    const { runId } = await handleOf(next.actionId).describe();
    expect(await reconcile()).toMatchObject({ edits: 1 });
    expect((await handleOf(next.actionId).describe()).runId).toBe(runId);
    expect(await stack.ledger.edits.due(stack.temporal.taskQueue, 0)).toEqual([]);
  });

  test('cannot be made into another one by whoever writes to the ledger', async () => {
    await reconcile();
    const { revisedBy } = await endedBetween(6);
    const id = row;
    await stack.database.rows({
      name: 'forge_edit',
      query: sql`update countersign.edits set request = jsonb_set(request::jsonb, '{proposal,input,set,n}', '9')::json`,
    });
    await reconcile();
    expect(await handleOf(revisedBy).result()).toMatchObject({ status: 'denied', error: { code: 'AGENT_UNVERIFIED' } });
    expect(await valueOf(id)).toBe(0);
  });
});

test('an agent cannot take the id of an edit', async () => {
  const action = await pending(bot, change());
  const taken = await bot.perform({ ...change('free'), actionId: newEditId(action.actionId) });
  expect(taken).toMatchObject({ status: 'denied', error: { code: 'INVALID_PROPOSAL', field: 'proposal.actionId' } });
  await bot.cancel(action.actionId);
});

async function changed(table: string, n: number): Promise<[PendingAction, Edit]> {
  const action = await pending(bot, change(table));
  return [action, withValue(action.pending, n, table)];
}

/** With one character of its signature changed. */
function altered(token: string): string {
  const at = token.length - 10;
  return `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`;
}
