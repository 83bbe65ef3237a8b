/**
 * A worker whose clock is wrong. The ledger's clock counts: what such a worker grants lasts no longer and no shorter than what another one grants, it
 * takes nothing that has expired, and it refuses nothing that another worker would take up.
 */
import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import pino from 'pino';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import type { ActionRequest } from '../../activities/contract.js';
import type { Outcome } from '../../src/action/outcome.js';
import { proposalDigest, signedProposalDigest, type Proposal } from '../../src/action/proposal.js';
import type { Countersign } from '../../src/client/countersign.js';
import {
  issueAgent,
  issueApprover,
  signApproval,
  signCommand,
  signProposal,
  type Credential,
} from '../../src/trust/index.js';
import { pending, startStack, TENANT, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';

let stack: Stack;
let agent: Countersign;

beforeAll(async () => {
  stack = await startStack({
    schema: `CREATE TABLE stock (id int PRIMARY KEY, qty int NOT NULL);
      INSERT INTO stock SELECT n, 0 FROM generate_series(1, 200) n`,
  });
  agent = await stack.agent();
});
afterEach(() => void vi.useRealTimers());
afterAll(() => stack?.stop());

/** Of this process, in which the worker runs too; Postgres and Temporal keep the time. */
function clockOffBy(minutes: number): void {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + minutes * 60_000 });
}

function minutesAgo(minutes: number): Date {
  return new Date(Date.now() - minutes * 60_000);
}

async function receiptsOf(actionId: string): Promise<readonly string[]> {
  const own = (await stack.receipts()).filter((claims) => claims.actionId === actionId);
  return own.map(({ tenant, status }) => `${tenant}: ${status}`);
}

let row = 0;
const setOne = () => ({ op: 'update', table: 'stock', set: { qty: 1 }, where: { id: ++row } });

async function signed(credential: Credential, signedAt?: Date): Promise<ActionRequest> {
  const proposal: Proposal = { actionId: randomUUID(), tool: 'shop-db', input: setOne() };
  const signature = await signProposal(credential, signedProposalDigest(proposal), signedAt);
  return { proposal, digest: proposalDigest(proposal), signature };
}

/** As if a client whose clock is right had proposed it. */
function run(request: ActionRequest): Promise<Outcome> {
  return agent.temporal.workflow.execute<(request: ActionRequest) => Promise<Outcome>>('trustedAction', {
    workflowId: `${TENANT}/${request.proposal.actionId}`,
    taskQueue: stack.temporal.taskQueue,
    args: [request],
  });
}

const who = { id: 'agent-1', tenant: TENANT, roles: ['admin_user'], scopes: ['*'] };

test.each([-24 * 60, -60, -10, -1, 1, 10, 60])(
  '%i minutes off: the action is done, under a grant that lasts as long as any other, and has one receipt',
  async (minutes) => {
    const request = await signed(await issueAgent(stack.keyring, who));
    const { actionId } = request.proposal;
    clockOffBy(minutes);
    const { status, error, facts } = await run(request);
    vi.useRealTimers();
    expect({ status, code: error?.code }).toEqual({ status: 'success', code: undefined });
    expect(await receiptsOf(actionId)).toEqual([`${TENANT}: success`]);
    const grants = await stack.database.rows<{ ttl: number; left: number }>({
      name: 'grants_of',
      query: sql`
        select extract(epoch from expires_at - issued_at)::float8 as ttl, extract(epoch from expires_at - used_at)::float8 as left
        from countersign.grants where action_id = ${actionId}`,
    });
    expect(grants).toHaveLength(1);
    const [{ ttl, left } = { ttl: 0, left: 0 }] = grants;
    expect(ttl).toBeGreaterThan(57);
    expect(ttl).toBeLessThanOrEqual(60);
    expect(left).toBeGreaterThan(0);
    // What is decided and recorded has the ledger's time too.
    const receipt = (await stack.receipts()).find((claims) => claims.actionId === actionId);
    for (const at of [Date.parse(facts?.now ?? ''), (receipt?.iat ?? 0) * 1000]) {
      expect(Math.abs(at - Date.now())).toBeLessThan(30_000);
    }
  },
);

test('a credential that has expired by both clocks is refused in nobody’s name', async () => {
  const expired = await issueAgent(stack.keyring, { ...who, id: 'expired', ttlSeconds: 60 }, minutesAgo(60));
  const request = await signed(expired, minutesAgo(60));
  expect(await run(request)).toMatchObject({ status: 'denied', error: { code: 'AGENT_UNVERIFIED' } });
  expect(await receiptsOf(request.proposal.actionId)).toEqual(['_unauthenticated: denied']);
});

test('a credential that expired a minute ago is refused by a worker for which it is still good', async () => {
  const expired = await issueAgent(stack.keyring, { ...who, ttlSeconds: 9 * 60 }, minutesAgo(10));
  const request = await signed(expired, minutesAgo(5));
  clockOffBy(-2);
  expect(await run(request)).toMatchObject({ status: 'denied', error: { code: 'AGENT_UNVERIFIED' } });
  vi.useRealTimers();
  expect(await receiptsOf(request.proposal.actionId)).toEqual(['_unauthenticated: denied']);
});

test('an approval and a signed command that are over are refused by such a worker, and good ones are taken by one that is ahead', async () => {
  const action = await pending(agent, {
    actionId: randomUUID(),
    tool: 'shop-db',
    input: { op: 'delete', table: 'stock', where: { qty: 0 } },
  });
  const person = (id: string, roles: readonly string[]): Promise<Credential> =>
    issueApprover(stack.keyring, { id, tenant: TENANT, roles }, minutesAgo(10));
  const [dora, olga] = [await person('dora', ['dba']), await person('olga', ['operator'])];
  const said = { tenant: TENANT, actionId: action.actionId, shownDigest: action.pending.shownDigest } as const;
  const approving = (ttlSeconds: number, at?: Date): Promise<string> =>
    signApproval(dora, { ...said, verdict: 'approve', ttlSeconds }, at);
  const revoking = (at?: Date): Promise<string> =>
    signCommand(olga, { kind: 'revoke', tenant: TENANT, subject: randomUUID(), reason: 'lost', ttlSeconds: 60 }, at);

  const [over, overCommand] = [await approving(60, minutesAgo(2)), await revoking(minutesAgo(2))];
  clockOffBy(-1.5);
  await expect(agent.decide(action.actionId, over)).rejects.toMatchObject({ code: 'APPROVAL_INVALID' });
  await expect(agent.submitCommand(overCommand)).rejects.toMatchObject({ code: 'COMMAND_INVALID' });
  vi.useRealTimers();

  const [good, goodCommand] = [await approving(600), await revoking()];
  clockOffBy(20);
  expect(await agent.submitCommand(goodCommand)).toMatchObject({ kind: 'revoke' });
  expect(await agent.decide(action.actionId, good)).toMatchObject({ state: 'approved' });
  vi.useRealTimers();
  expect(await action.outcome()).toMatchObject({ status: 'success' });
});

test('the worker says so in its log and in the ledger, where doctor finds it', async () => {
  const logged: Record<string, unknown>[] = [];
  const logger = pino(
    { level: 'warn' },
    { write: (line: string) => logged.push(JSON.parse(line) as Record<string, unknown>) },
  );
  clockOffBy(10);
  const worker = await stack.startWorker({ logger, temporal: { ...stack.temporal, taskQueue: 'elsewhere' } });
  try {
    const [ahead = 0] = await until(
      async () =>
        (await stack.ledger.rollout.workers())
          .filter(({ taskQueue }) => taskQueue === 'elsewhere')
          .flatMap(({ clockAheadMs = [] }) => clockAheadMs),
      (found) => found.length === 1,
    );
    expect(Math.abs(ahead - 600_000)).toBeLessThan(30_000);
    expect(logged.filter(({ alarm }) => alarm === 'clock_off')).toHaveLength(1);
  } finally {
    vi.useRealTimers();
    await worker.stop();
  }
});
