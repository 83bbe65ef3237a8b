/**
 * What if an action made its effect, its workflow was ended before it had an outcome, and the same proposal, proposed again, is refused?
 * Whatever refuses it, the truth is found first: the effect is never settled as not made, and what it spent is never released.
 */
import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ActionRequest } from '../../activities/contract.js';
import type { FaultPoint } from '../../activities/index.js';
import type { Outcome } from '../../src/action/outcome.js';
import { proposalDigest, type Proposal } from '../../src/action/proposal.js';
import type { Countersign } from '../../src/client/countersign.js';
import { verifyReceipts } from '../../src/receipts/verify.js';
import { issueAgent, signProposal, type Credential } from '../../src/trust/index.js';
import { shopTool, startStack, TENANT, type Stack } from '../support/stack.js';
import { executed, prepared, steps, type Steps } from '../support/steps.js';

let stack: Stack;
let client: Countersign;
let credential: Credential;
/** The worker of the runs that were ended: a step of theirs is one call. */
let earlier: Steps;
/** The point at which everything is frozen, once. */
let freezesAt: FaultPoint | undefined;

async function at(reached: FaultPoint): Promise<void> {
  if (reached !== freezesAt) return;
  freezesAt = undefined;
  await stack.ledger.controls.freeze({ tenant: TENANT, scope: { kind: 'all' }, reason: 'stop', by: 'olga' });
}

const LIMITS = `
limits:
  spending: { kind: budget, scope: tenant, when: 'has(input.set)', amount: input.set.qty, unit: EUR, max: 100000, window: forever }
`;

beforeAll(async () => {
  stack = await startStack({
    schema: `
      CREATE TABLE stock (id int PRIMARY KEY, qty int NOT NULL);
      INSERT INTO stock SELECT n, 0 FROM generate_series(1, 300) n;`,
    limits: LIMITS,
    overrides: { faults: { at } },
    tools: (url) => [shopTool(url), shopTool(url, { name: 'going', effectsSchema: 'going_effects' })],
  });
  credential = await issueAgent(stack.keyring, {
    id: 'agent-1',
    tenant: TENANT,
    roles: ['admin_user'],
    scopes: ['*'],
  });
  client = await stack.agentWith(credential);
  earlier = await steps(stack, {
    tools: [shopTool(stack.shopUrl), shopTool(stack.shopUrl, { name: 'going', effectsSchema: 'going_effects' })],
  });
});
afterAll(async () => {
  await earlier?.close();
  await stack?.stop();
});

let row = 0;
const change = (tool = 'shop-db'): Proposal => ({
  actionId: randomUUID(),
  tool,
  input: { op: 'update', table: 'stock', set: { qty: 7 }, where: { id: ++row } },
});

/** An earlier run: its effect is made, and it was ended before it had an outcome. The steps are the worker's own. */
async function effectMade(proposal: Proposal): Promise<void> {
  const digest = proposalDigest(proposal);
  const request: ActionRequest = { proposal, digest, signature: await signProposal(credential, digest) };
  await executed(stack, earlier, request);
  expect(await stack.holdsOf(proposal.actionId)).toMatchObject([{ limit: 'spending', amount: 7, status: 'held' }]);
}

async function proposeAgain(proposal: Proposal, by = client): Promise<Outcome> {
  const answer = await by.perform(proposal);
  return answer.status === 'pending' ? answer.outcome() : answer;
}

async function receiptsOf(actionId: string): Promise<readonly string[]> {
  const own = (await stack.receipts()).filter((claims) => claims.actionId.endsWith(actionId));
  return own.map(({ status }) => status);
}

/** What is told is what is recorded, in one receipt; and the effect's budget is spent for good. */
async function agrees(proposal: Proposal, outcome: Outcome): Promise<void> {
  const { actionId } = proposal;
  expect(['unknown', 'success', 'mismatch']).toContain(outcome.status);
  expect((await stack.ledger.actions.find(TENANT, actionId))?.outcome).toEqual(outcome);
  expect(await receiptsOf(actionId)).toEqual([outcome.status]);
  expect(await stack.holdsOf(actionId)).toMatchObject([{ status: 'consumed' }]);
  const { rows } = await stack.shop.query('SELECT count(*)::int AS n FROM stock WHERE qty = 7 AND id = $1', [
    (proposal.input as { where: { id: number } }).where.id,
  ]);
  expect(rows).toEqual([{ n: 1 }]);
}

describe('an effect was made by a run that was ended, and the next run', () => {
  test.each([
    ['agent', 'agent-1'],
    ['tool', 'shop-db'],
    ['target', 'stock'],
    ['tenant', TENANT],
  ] as const)('meets a freeze of the %s', async (kind, value) => {
    const proposal = change();
    await effectMade(proposal);
    const freeze = await stack.ledger.controls.freeze({
      tenant: TENANT,
      scope: { kind, value },
      reason: 'stop',
      by: 'olga',
    });
    try {
      await agrees(proposal, await proposeAgain(proposal));
    } finally {
      await stack.ledger.controls.unfreeze(freeze.id, { by: 'olga' });
    }
  });

  test('meets a freeze at the gate of the effect', async () => {
    const proposal = change();
    await effectMade(proposal);
    freezesAt = 'execute.begin';
    await agrees(proposal, await proposeAgain(proposal));
    expect(freezesAt).toBeUndefined();
    for (const { id } of await stack.ledger.controls.freezes({ activeOnly: true })) {
      await stack.ledger.controls.unfreeze(id, { by: 'olga' });
    }
  });

  test('is denied by a policy that has changed', async () => {
    const proposal = change();
    await effectMade(proposal);
    const forbid = (text: string): string =>
      `${text}\n@id("closed")\n@reason("closed")\nforbid (principal, action, resource);\n`;
    const file = (await policyFile()) as string;
    await stack.withPolicy(file, forbid, async () => agrees(proposal, await proposeAgain(proposal)));
  });

  test('is asked of people, who say no', async () => {
    const proposal = change();
    await effectMade(proposal);
    await askingPeople('dba', async () => {
      const action = await client.perform(proposal);
      if (action.status !== 'pending') throw new Error(action.reason);
      await stack.decide(action, await stack.approver('dora', ['dba']), 'deny', 'not now');
      await agrees(proposal, await action.outcome());
    });
  });

  test('is asked of people, and taken back', async () => {
    const proposal = change();
    await effectMade(proposal);
    await askingPeople('dba', async () => {
      const action = await client.perform(proposal);
      if (action.status !== 'pending') throw new Error(action.reason);
      await client.cancel(proposal.actionId);
      await agrees(proposal, await action.outcome());
    });
  });

  test('is asked of people, of whom nobody decides in time', async () => {
    const proposal = change();
    await effectMade(proposal);
    await askingPeople('dba, ttl=1s', async () => {
      await agrees(proposal, await proposeAgain(proposal));
    });
  });

  test('has a credential that was revoked', async () => {
    const own = await issueAgent(stack.keyring, {
      id: 'agent-r',
      tenant: TENANT,
      roles: ['admin_user'],
      scopes: ['*'],
    });
    const proposal = change();
    const digest = proposalDigest(proposal);
    const request: ActionRequest = { proposal, digest, signature: await signProposal(own, digest) };
    const { grant } = await executed(stack, earlier, request);
    expect(grant).toBeDefined();
    const jti = JSON.parse(Buffer.from(own.token.split('.')[1] as string, 'base64url').toString()) as { jti: string };
    await stack.ledger.controls.revoke({ tenant: TENANT, jti: jti.jti, reason: 'lost', by: 'olga' });
    await agrees(proposal, await proposeAgain(proposal, await stack.agentWith(own)));
  });

  test('has a credential that has expired', async () => {
    const own = await issueAgent(stack.keyring, {
      id: 'agent-x',
      tenant: TENANT,
      roles: ['admin_user'],
      scopes: ['*'],
      ttlSeconds: 2,
    });
    const proposal = change();
    const digest = proposalDigest(proposal);
    const request: ActionRequest = { proposal, digest, signature: await signProposal(own, digest) };
    await executed(stack, earlier, request);
    await delay(3_000);
    const again = await client.temporal.workflow.execute<(request: ActionRequest) => Promise<Outcome>>(
      'trustedAction',
      {
        workflowId: `${TENANT}/${proposal.actionId}`,
        taskQueue: stack.temporal.taskQueue,
        args: [request],
      },
    );
    await agrees(proposal, again);
  });

  test('has no room left in a limit', async () => {
    const proposal = change();
    await effectMade(proposal);
    const none = (): string => LIMITS.replace('max: 100000', 'max: 1');
    await stack.withPolicy('limits.yaml', none, async () => agrees(proposal, await proposeAgain(proposal)));
  });

  test('finds its tool taken away, and leaves it to a person', async () => {
    const proposal = change('going');
    await effectMade(proposal);
    const { actionId } = proposal;
    await stack.worker?.stop();
    await stack.startWorker({ config: { policies: stack.policies, tools: [shopTool(stack.shopUrl)] } });
    const outcome = await proposeAgain(proposal);
    expect(['unknown', 'success', 'mismatch']).toContain(outcome.status);
    expect((await stack.ledger.actions.find(TENANT, actionId))?.outcome).toEqual(outcome);
    expect((await stack.holdsOf(actionId)).map(({ status }) => status)).toEqual(['kept']);
    await stack.worker?.stop();
    await stack.startWorker();
  });
});

test('an effect that an earlier run did not make is refused as if there had been no earlier run', async () => {
  const proposal = change();
  const digest = proposalDigest(proposal);
  const request: ActionRequest = { proposal, digest, signature: await signProposal(credential, digest) };
  const records = await prepared(stack, earlier, request);
  const granted = await earlier.run(request, earlier.activities.authorize, { ...records, lastLook: false });
  if (granted.kind !== 'granted') throw new Error(granted.kind);
  // The grant is used, and the worker dies before it sends anything.
  const [, payload = ''] = granted.grant.split('.');
  const { jti } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { jti: string };
  const who = { tenant: TENANT, actionId: proposal.actionId, agent: 'agent-1', tool: 'shop-db', targets: ['stock'] };
  expect(await stack.ledger.grants.use({ ...who, jti, usedBy: 'dead/1' })).toMatchObject({ kind: 'first' });
  const scope = { kind: 'tool', value: 'shop-db' } as const;
  const freeze = await stack.ledger.controls.freeze({ tenant: TENANT, scope, reason: 'stop', by: 'olga' });
  const outcome = await proposeAgain(proposal);
  await stack.ledger.controls.unfreeze(freeze.id, { by: 'olga' });
  expect(outcome).toMatchObject({ status: 'denied', error: { code: 'FROZEN' } });
  expect(await receiptsOf(proposal.actionId)).toEqual(['denied']);
  expect(await stack.holdsOf(proposal.actionId)).toMatchObject([{ status: 'released' }]);
});

test('the receipts of all this verify', async () => {
  const report = await verifyReceipts({ ledger: stack.ledger, keyring: stack.keyring, temporal: client.temporal });
  expect(report.tenants.flatMap(({ problems }) => problems)).toEqual([]);
});

async function policyFile(): Promise<string | undefined> {
  return (await readdir(stack.policies)).find((name) => name.endsWith('.cedar'));
}

/** Meanwhile policy asks people, on these terms. */
async function askingPeople(terms: string, body: () => Promise<void>): Promise<void> {
  const rule = `\n@id("ask")\n@reason("ask")\n@approval("${terms}")\nforbid (principal, action, resource);\n`;
  await stack.withPolicy((await policyFile()) as string, (text) => text + rule, body);
}
