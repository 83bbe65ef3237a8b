/** What the workflow does while it waits for people: reminds, escalates, tells, and shows where it stands. */
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Countersign } from '../../src/client/countersign.js';
import type { Channel, Notice } from '../../src/notify/index.js';
import type { Credential } from '../../src/trust/index.js';
import { pending, shopTool, startStack, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';

let stack: Stack;
let bot: Countersign;
let dora: Credential;
let leo: Credential;
const told: Notice[] = [];

const recorder: Channel = {
  name: 'recorder',
  deliver: async (notice) => {
    told.push(notice);
    return { detail: 'kept' };
  },
};

const POLICY = `
@id("patient")
@reason("a change needs people")
@approval("dba, remind=1s, escalate=2s:lead|cto; security, ttl=20s")
forbid (principal, action == Countersign::Action::"WRITE", resource)
when { context.targets.contains("rows") };
`;

beforeAll(async () => {
  stack = await startStack({
    worker: false,
    schema:
      'CREATE TABLE rows (id int PRIMARY KEY, n int NOT NULL); INSERT INTO rows SELECT i, 0 FROM generate_series(1, 20) i;',
  });
  await writeFile(path.join(stack.policies, 'people.cedar'), POLICY);
  await stack.startWorker({
    config: {
      policies: stack.policies,
      tools: [shopTool(stack.shopUrl)],
      notifications: {
        gatewayUrl: 'https://countersign.example.com',
        channels: [recorder],
        routes: [{ channels: ['recorder'], kinds: ['asked', 'reminded', 'escalated', 'decided', 'ended'] }],
      },
    },
  });
  bot = await stack.agent();
  dora = await stack.approver('dora', ['dba']);
  leo = await stack.approver('leo', ['lead']);
});
afterAll(() => stack?.stop());

/** What was told of one action, in the order in which it was announced; once `enough` of it was. */
async function toldOf(actionId: string, enough: (notices: readonly Notice[]) => boolean): Promise<readonly Notice[]> {
  const seen = await until(
    () => Promise.resolve(told.filter((notice) => notice.actionId === actionId)),
    (notices) => enough(notices),
  );
  return seen.toSorted((a, b) => a.n - b.n);
}

const remindedTwice = (notices: readonly Notice[]): boolean =>
  notices.filter(({ kind }) => kind === 'reminded').length === 2;

let row = 0;
function change() {
  row++;
  return {
    actionId: randomUUID(),
    tool: 'shop-db',
    input: { op: 'update', table: 'rows', set: { n: row }, where: { id: row } },
  };
}

test('people are told that they are asked, reminded ever more rarely, and others when it is escalated to them; then of the end', async () => {
  const action = await pending(bot, change());
  expect(action.pending.escalated).toBeUndefined();
  await toldOf(action.actionId, remindedTwice);
  const { pending: now } = await bot.view(action.actionId);
  expect(now?.escalated).toEqual(['cto', 'lead']);

  await stack.decide(action, leo);
  expect(await stack.decide(action, await stack.approver('sam', ['security']))).toMatchObject({ state: 'approved' });
  expect((await action.outcome()).status).toBe('success');
  const notices = await toldOf(action.actionId, (seen) => seen.some(({ kind }) => kind === 'ended'));
  expect(notices.map(({ kind }) => kind)).toEqual(['asked', 'reminded', 'escalated', 'reminded', 'decided', 'ended']);
  expect(notices.map(({ roles }) => roles.toSorted())).toMatchObject([
    ['dba', 'security'],
    ['dba', 'security'],
    ['cto', 'lead'],
    ['cto', 'dba', 'lead', 'security'],
    ['cto', 'dba', 'lead', 'security'],
    ['cto', 'dba', 'lead', 'security'],
  ]);
});

test('nobody is troubled for a requirement that is met: neither by an escalation nor by a reminder', async () => {
  const action = await pending(bot, change());
  await stack.decide(action, dora);
  const notices = await toldOf(action.actionId, remindedTwice);
  expect(notices.map(({ kind }) => kind)).toEqual(['asked', 'reminded', 'reminded']);
  expect(notices.find(({ kind }) => kind === 'reminded')?.roles).toEqual(['security']);
  await bot.cancel(action.actionId);
  expect((await action.outcome()).status).toBe('cancelled');
});

test('an action that nobody is asked about announces nothing, and its history is no longer for it', async () => {
  const actionId = randomUUID();
  const read = { actionId, tool: 'shop-db', input: { op: 'select', table: 'rows', limit: 1 } };
  expect((await bot.perform(read)).status).toBe('success');
  const { events } = await bot.temporal.workflow.getHandle(`acme/${actionId}`).fetchHistory();
  expect(events?.length).toBeLessThanOrEqual(18);
  expect(events?.some((event) => event.startChildWorkflowExecutionInitiatedEventAttributes)).toBe(false);
});
