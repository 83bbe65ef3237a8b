/** What if the worker that has a tool's credentials is not trusted to decide? It gets the tool's key alone, and a task queue of its own. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { ActionRequest } from '../../activities/contract.js';
import type { Countersign } from '../../src/client/countersign.js';
import { narrowedKeyring, parseKeyring } from '../../src/trust/key-file.js';
import { openGrant, signGrant, signingKey } from '../../src/trust/index.js';
import type { RunningWorker } from '../../src/worker/worker.js';
import { prepared, steps } from '../support/steps.js';
import { ended, pending, shopTool, startStack, type Stack } from '../support/stack.js';

let stack: Stack;
let agent: Countersign;
let toolWorker: RunningWorker;

beforeAll(async () => {
  stack = await startStack({
    schema: `
      CREATE TABLE stock (id int PRIMARY KEY, qty int NOT NULL);
      INSERT INTO stock SELECT n, 10 FROM generate_series(1, 300) n;`,
    // The deciding worker knows what the tool is, and not where its system is.
    tools: () => [shopTool('postgres://nobody@127.0.0.1:1/none', { taskQueue: 'shop' })],
  });
  const keyring = await parseKeyring(JSON.stringify(await narrowedKeyring(stack.keys, 'test', ['tool'])), 'test');
  toolWorker = await stack.startWorker({
    keyring,
    config: { policies: stack.policies, tools: [shopTool(stack.shopUrl, { taskQueue: 'shop' })] },
    temporal: { ...stack.temporal, taskQueue: 'shop' },
  });
  agent = await stack.agent();
});
afterAll(async () => {
  await toolWorker?.stop();
  await stack?.stop();
});

const update = (where: object) => ({
  actionId: randomUUID(),
  tool: 'shop-db',
  input: { op: 'update', table: 'stock', set: { qty: 1 }, ...where },
});

test('an action is decided by one worker and made by the other', async () => {
  expect(await ended(agent, update({ where: { id: 1 } }))).toMatchObject({
    status: 'success',
    delta: { operations: 1 },
    checks: expect.arrayContaining([expect.objectContaining({ name: 'derived', ok: true })]) as unknown,
  });
});

test('a dry run looks where the tool is, and is decided where policy is', async () => {
  expect(await agent.dryRun(update({ where: { id: 1 }, rehearse: true }))).toMatchObject({
    effect: 'allow',
    preview: { rows: 1, tables: { stock: { updated: 1 } } },
  });
  expect(await agent.dryRun(update({ all: true }))).toMatchObject({ effect: 'require_approval' });
});

test('people approve what the other worker shows', async () => {
  const action = await pending(agent, update({ all: true }));
  await stack.decide(action, await stack.approver('dora', ['dba']));
  expect(await action.outcome()).toMatchObject({ status: 'success' });
});

describe('a grant that one of them holds', () => {
  /** An update up to its grant, by a worker that has everything. */
  async function granted() {
    const whole = await steps(stack);
    onTestFinished(() => whole.close());
    const request = await whole.request({ op: 'update', table: 'stock', set: { qty: 0 }, where: { id: 2 } });
    const records = await prepared(stack, whole, request);
    const answer = await whole.run(request, whole.activities.authorize, { ...records, lastLook: false });
    if (answer.kind !== 'granted') throw new Error(answer.kind);
    return { request, grant: answer.grant };
  }

  async function executedBy(options: Parameters<typeof steps>[1], request: ActionRequest, grant: string) {
    const alone = await steps(stack, options);
    onTestFinished(() => alone.close());
    return alone.run(request, alone.activities.execute, request.proposal, grant);
  }

  const emptied = async () => (await stack.shop.query('SELECT id FROM stock WHERE qty = 0')).rows;

  test('the worker that decides makes no effect by itself: it has no way into the system', async () => {
    const { request, grant } = await granted();
    const unreachable = { tools: [shopTool('postgres://nobody@127.0.0.1:1/none')] };
    await expect(executedBy(unreachable, request, grant)).rejects.toMatchObject({ type: 'TOOL_UNAVAILABLE' });
    expect(await emptied()).toEqual([]);
  });

  test('the worker that has the credentials makes no effect by itself: no grant that it can sign counts', async () => {
    const { request, grant } = await granted();
    const keyring = await parseKeyring(JSON.stringify(await narrowedKeyring(stack.keys, 'test', ['tool'])), 'test');
    const claims = await openGrant(keyring, grant);
    await expect(signGrant(keyring, claims)).rejects.toMatchObject({ code: 'KEYS_MISSING' });
    const own = await signGrant({ ...keyring, sign: { grant: signingKey(keyring, 'tool') } }, claims);
    expect(await executedBy({ keyring }, request, own)).toMatchObject({
      kind: 'not_done',
      error: { code: 'GRANT_INVALID' },
    });
    expect(await emptied()).toEqual([]);
  });
});

test('a worker with neither all of the deciding keys nor the tool key alone does not start', async () => {
  for (const roles of [['grant', 'receipt'], ['grant', 'tool'], ['issuer']] as const) {
    const part = await parseKeyring(JSON.stringify(await narrowedKeyring(stack.keys, 'test', roles)), 'test');
    await expect(stack.startWorker({ keyring: part })).rejects.toMatchObject({ code: 'KEYS_MISSING' });
  }
});
