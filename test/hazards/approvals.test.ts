/** An approval covers exactly what was shown, and only the right people give it. The database judges what was executed. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Countersign, PendingAction } from '../../src/client/countersign.js';
import {
  issueApprover,
  parseKeyring,
  generateKeyringFile,
  signApproval,
  type Credential,
} from '../../src/trust/index.js';
import { pending, startStack, TENANT, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';

let stack: Stack;
let admin: Countersign;
let dba: Credential;

beforeAll(async () => {
  stack = await startStack({
    schema: `CREATE TABLE sessions (id int PRIMARY KEY, note text NOT NULL);
      CREATE TABLE carts (id int PRIMARY KEY);
      CREATE TABLE marks (id int PRIMARY KEY, cart int REFERENCES carts ON DELETE CASCADE);
      CREATE TABLE drafts (id int PRIMARY KEY);
      CREATE TABLE audit_logs (id int PRIMARY KEY, draft int REFERENCES drafts ON DELETE CASCADE)`,
  });
  admin = await stack.agent({ owner: 'owen' });
  dba = await stack.approver('dora', ['dba']);
});
afterAll(() => stack?.stop());
beforeEach(async () => {
  await stack.shop.query("TRUNCATE sessions; INSERT INTO sessions SELECT n, 'stale' FROM generate_series(1, 150) n");
});

const TWO_DBAS = (text: string): string => text.replaceAll('@approval("dba")', '@approval("dba, quorum=2")');

const PURGE = { tool: 'shop-db', input: { op: 'delete', table: 'sessions', where: { note: 'stale' } } } as const;

async function left(): Promise<number> {
  const { rows } = await stack.shop.query<{ n: string }>('SELECT count(*) n FROM sessions');
  return Number(rows[0]?.n);
}

async function token(
  action: PendingAction,
  by: Credential,
  more: Partial<Parameters<typeof signApproval>[1]> = {},
): Promise<string> {
  const { tenant, actionId, pending: shown } = action;
  return signApproval(by, { tenant, actionId, shownDigest: shown.shownDigest, verdict: 'approve', ...more });
}

/** Approves what is no longer as it was shown, and waits until people are asked anew. */
async function approvedInVain(action: PendingAction) {
  await admin.decide(action.actionId, await token(action, dba));
  return await until(
    () => admin.view(action.actionId),
    ({ phase, refusedApprovals }) => phase === 'pending' && refusedApprovals.length > 0,
  );
}

async function stillWaits(action: PendingAction): Promise<void> {
  expect((await admin.view(action.actionId)).phase).toBe('pending');
  expect(await left()).toBe(150);
  await admin.cancel(action.actionId);
  expect((await action.outcome()).status).toBe('cancelled');
  expect(await left()).toBe(150);
}

describe('a decision is refused, and the action waits on, when it is', () => {
  test('by a person without the role', async () => {
    const action = await pending(admin, PURGE);
    const intern = await stack.approver('ivan', ['intern']);
    await expect(stack.decide(action, intern)).rejects.toMatchObject({ code: 'APPROVAL_FORBIDDEN' });
    await stillWaits(action);
  });

  test('by the person who answers for the agent', async () => {
    const action = await pending(admin, PURGE);
    const owner = await stack.approver('owen', ['dba']);
    await expect(stack.decide(action, owner)).rejects.toMatchObject({ code: 'APPROVAL_FORBIDDEN' });
    await stillWaits(action);
  });

  test('by a person of the same name as the agent', async () => {
    const action = await pending(admin, PURGE);
    const self = await stack.approver('agent-1', ['dba']);
    await expect(stack.decide(action, self)).rejects.toMatchObject({ code: 'APPROVAL_FORBIDDEN' });
    await stillWaits(action);
  });

  test('by a person of another tenant', async () => {
    const action = await pending(admin, PURGE);
    const foreign = await stack.approver('dora', ['dba'], 'globex');
    const forged = await signApproval(foreign, {
      tenant: 'globex',
      actionId: action.actionId,
      shownDigest: action.pending.shownDigest,
      verdict: 'approve',
    });
    await expect(admin.decide(action.actionId, forged)).rejects.toMatchObject({ code: 'APPROVAL_INVALID' });
    await stillWaits(action);
  });

  test('attested by an issuer that the worker does not know', async () => {
    const action = await pending(admin, PURGE);
    const foreign = await parseKeyring(JSON.stringify(await generateKeyringFile()), 'foreign');
    const impostor = await issueApprover(foreign, { id: 'dora', tenant: TENANT, roles: ['dba'] });
    await expect(stack.decide(action, impostor)).rejects.toMatchObject({ code: 'APPROVAL_INVALID' });
    await stillWaits(action);
  });

  test('signed for another digest', async () => {
    const action = await pending(admin, PURGE);
    const other = await token(action, dba, { shownDigest: `sha256:${'0'.repeat(64)}` });
    await expect(admin.decide(action.actionId, other)).rejects.toMatchObject({ code: 'APPROVAL_STALE' });
    await stillWaits(action);
  });

  test('signed for another action', async () => {
    const action = await pending(admin, PURGE);
    const other = await token(action, dba, { actionId: randomUUID() });
    await expect(admin.decide(action.actionId, other)).rejects.toMatchObject({ code: 'APPROVAL_INVALID' });
    await stillWaits(action);
  });

  test.each(['', 'yes', 'a.b.c', '\u0000', 'x'.repeat(100_000)])('no signature at all: %.20j', async (nonsense) => {
    const action = await pending(admin, PURGE);
    await expect(admin.decide(action.actionId, nonsense)).rejects.toMatchObject({ code: 'APPROVAL_INVALID' });
    await stillWaits(action);
  });
});

test('the same approval handed in twice counts once where two people are needed', async () => {
  await stack.withPolicy('production.cedar', TWO_DBAS, async () => {
    const action = await pending(admin, PURGE);
    const yes = await token(action, dba);
    expect(await admin.decide(action.actionId, yes)).toMatchObject({ state: 'waiting' });
    expect(await admin.decide(action.actionId, yes)).toMatchObject({ state: 'waiting' });
    expect(await admin.decide(action.actionId, await token(action, dba))).toMatchObject({ state: 'waiting' });
    expect(await left()).toBe(150);
    const second = await stack.approver('dirk', ['dba']);
    expect(await admin.decide(action.actionId, await token(action, second))).toMatchObject({ state: 'approved' });
    expect(await action.outcome()).toMatchObject({ status: 'success' });
    expect(await left()).toBe(0);
  });
});

describe('when the policy changes while people think', () => {
  test('to one that asks for more, their yes no longer counts', async () => {
    const action = await pending(admin, PURGE);
    await stack.withPolicy('production.cedar', TWO_DBAS, async () => {
      await stack.decide(action, dba);
      const view = await until(
        () => admin.view(action.actionId),
        ({ phase, refusedApprovals }) => phase === 'pending' && refusedApprovals.length > 0,
      );
      expect(view.refusedApprovals).toMatchObject([{ code: 'APPROVAL_STALE' }]);
      expect(view.pending?.shown.requirements).toMatchObject([{ quorum: 2 }]);
      await stillWaits(action);
    });
  });

  test('to one that forbids, their yes lifts nothing', async () => {
    const action = await pending(admin, PURGE);
    const nothing = (text: string): string =>
      `${text}\n@id("closed") @reason("the shop is closed") forbid (principal, action, resource);`;
    await stack.withPolicy('production.cedar', nothing, async () => {
      await stack.decide(action, dba);
      expect(await action.outcome()).toMatchObject({ status: 'denied', error: { code: 'POLICY_DENIED' } });
      expect(await left()).toBe(150);
    });
  });
});

test('a decision for an action that has ended is refused', async () => {
  const action = await pending(admin, PURGE);
  const yes = await token(action, dba);
  await admin.cancel(action.actionId);
  await action.outcome();
  await expect(admin.decide(action.actionId, yes)).rejects.toMatchObject({
    code: expect.stringMatching(/NOT_FOUND|NOT_PENDING/) as string,
  });
  expect(await left()).toBe(150);
});

test('one no outweighs a yes', async () => {
  const action = await pending(admin, PURGE);
  await stack.decide(action, dba, 'deny', 'Ask me after the audit.');
  const outcome = await action.outcome();
  expect(outcome).toMatchObject({
    status: 'denied',
    error: { code: 'APPROVAL_DENIED' },
    approvals: [{ verdict: 'deny' }],
  });
  expect(outcome.reason).toContain('Ask me after the audit.');
  expect(await left()).toBe(150);
});

test('when the state changes while people think, their yes no longer counts and they are asked anew', async () => {
  const action = await pending(admin, PURGE);
  await stack.shop.query("UPDATE sessions SET note = 'active' WHERE id <= 20");
  const view = await approvedInVain(action);
  expect(view.refusedApprovals).toMatchObject([{ code: 'APPROVAL_STALE' }]);
  expect(view.pending?.shown.preview.rows).toBe(130);
  expect(view.approvals).toEqual([]);
  expect(await left()).toBe(150);

  await stack.decide(action, dba);
  expect(await action.outcome()).toMatchObject({ status: 'success' });
  expect(await left()).toBe(20);
});

test('of a rehearsed change covers what it does to other tables: one row more there, and people are asked anew', async () => {
  await stack.shop.query(`INSERT INTO carts SELECT generate_series(1, 150); INSERT INTO marks VALUES (1, 1), (2, 1)`);
  const action = await pending(admin, { tool: 'shop-db', input: { op: 'delete', table: 'carts', all: true } });
  const { preview } = action.pending.shown;
  expect(preview).toMatchObject({ rows: 152, targets: ['carts', 'marks'] });
  expect(preview.rehearsal?.tables).toMatchObject({ marks: { deleted: 2 }, carts: { deleted: 150 } });
  await stack.shop.query('INSERT INTO marks VALUES (3, 2)');
  const view = await approvedInVain(action);
  expect(view.refusedApprovals).toMatchObject([{ code: 'APPROVAL_STALE' }]);
  expect(view.pending?.shown.preview.rows).toBe(153);

  await stack.decide(action, dba);
  const outcome = await action.outcome();
  expect(outcome).toMatchObject({ status: 'success', checks: [{ name: 'derived' }, { name: 'frame.affectedTables' }] });
  expect(outcome.delta?.operations).toBe(153);
  const { rows } = await stack.shop.query('SELECT FROM carts UNION ALL SELECT FROM marks');
  expect(rows).toEqual([]);
});

test('a cascade into a protected table is denied, and nobody is asked', async () => {
  await stack.shop.query('INSERT INTO drafts VALUES (1); INSERT INTO audit_logs VALUES (1, 1)');
  const input = { op: 'delete', table: 'drafts', where: { id: 1 } };
  const outcome = await admin.perform({ actionId: randomUUID(), tool: 'shop-db', input });
  expect(outcome).toMatchObject({ status: 'denied', error: { code: 'POLICY_DENIED' } });
  expect(outcome.reason).toContain('protected table');
  const { rows } = await stack.shop.query('SELECT id FROM drafts');
  expect(rows).toEqual([{ id: 1 }]);
});

describe('the signal `decide`, for those who can only signal', () => {
  test('carries the same signed approval', async () => {
    const action = await pending(admin, PURGE);
    await admin.temporal.workflow.getHandle(`${TENANT}/${action.actionId}`).signal('decide', await token(action, dba));
    expect(await action.outcome()).toMatchObject({ status: 'success', approvals: [{ approver: 'dora' }] });
  });

  test('with a forged approval changes nothing, and is listed', async () => {
    const action = await pending(admin, PURGE);
    await admin.temporal.workflow.getHandle(`${TENANT}/${action.actionId}`).signal('decide', 'forged');
    const view = await until(
      () => admin.view(action.actionId),
      ({ refusedApprovals }) => refusedApprovals.length > 0,
    );
    expect(view.refusedApprovals).toMatchObject([{ code: 'APPROVAL_INVALID' }]);
    await stillWaits(action);
  });
});
