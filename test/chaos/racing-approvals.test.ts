/** Decisions that arrive at once: whatever order they took effect in, the history can be replayed, or the action is stuck with the next worker. */
import { randomUUID } from 'node:crypto';
import { Worker } from '@temporalio/worker';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Countersign } from '../../src/client/countersign.js';
import { workflowBundlePath } from '../../src/worker/bundle.js';
import { pending, startStack, TENANT, type Stack } from '../support/stack.js';

let stack: Stack;
let admin: Countersign;

beforeAll(async () => {
  stack = await startStack({
    schema:
      'CREATE TABLE sessions (id int PRIMARY KEY, part int NOT NULL); INSERT INTO sessions SELECT n, n % 20 FROM generate_series(1, 4000) n',
  });
  admin = await stack.agent();
});
afterAll(() => stack?.stop());

const twoDbas = (text: string): string => text.replaceAll('@approval("dba")', '@approval("dba, quorum=2")');

test.each([1, 2, 3])(
  'six decisions by four people at once, round %i: the action ends, and its history replays',
  async (round) => {
    const people = await Promise.all(['ann', 'ben', 'cid', 'dan'].map((id) => stack.approver(id, ['dba'])));
    const actionId = randomUUID();
    await stack.withPolicy('production.cedar', twoDbas, async () => {
      const action = await pending(admin, {
        actionId,
        tool: 'shop-db',
        input: { op: 'delete', table: 'sessions', where: { part: round } },
      });
      await Promise.allSettled([...people, ...people.slice(0, 2)].map((by) => stack.decide(action, by)));
      expect((await action.outcome({ timeoutMs: 30_000 })).status).toBe('success');
    });
    const history = await admin.temporal.workflow.getHandle(`${TENANT}/${actionId}`).fetchHistory();
    await expect(
      Worker.runReplayHistory({ workflowBundle: { codePath: await workflowBundlePath() } }, history),
    ).resolves.toBeUndefined();
  },
);
