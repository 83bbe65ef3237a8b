/** Budgets never overspend; leases never leak: races, crashes, approvals, queues and lost replies. The ledger and the database judge. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DecisionRecord } from '../../src/action/decision-record.js';
import type { Outcome } from '../../src/action/outcome.js';
import type { Countersign } from '../../src/client/countersign.js';
import { decoderOf } from '../../src/client/payloads.js';
import { decisionsInHistories } from '../../src/decisions/from-histories.js';
import { decisionsOf } from '../../src/decisions/from-ledger.js';
import { backtest } from '../../src/policy/backtest/index.js';
import { compilePolicy, loadBundle } from '../../src/policy/index.js';
import { queriedHistories } from '../../src/replay/sources.js';
import { policyFromText } from '../../src/testing/index.js';
import { delegate, issueAgent, signCommand } from '../../src/trust/index.js';
import { journalTool } from '../support/journal-tool.js';
import { ended, pending, shopTool, startStack, TENANT, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';
import { spawnWorker } from '../support/worker-process.js';

/** Of the actions during which a worker dies. */
const CRASHED = ['admitted', 'withdrawn', 'altered', 'made'] as const;

const crashLimits = (table: string): string => `
  ${table}: { kind: budget, scope: tenant, when: '"${table}" in preview.targets', amount: input.set.amount, unit: EUR, max: 100, window: forever }
  ${table}-lease: { kind: concurrency, scope: tenant, when: '"${table}" in preview.targets', max: 1 }`;

/** Each limit has a table of its own, so that the tests do not meet. */
const LIMITS = `
limits:
  raced: { kind: budget, scope: tenant, when: '"raced" in preview.targets', amount: input.set.amount, unit: EUR, max: 10, window: forever }
${CRASHED.map(crashLimits).join('\n')}
  lifted: { kind: budget, scope: tenant, when: '"lifted" in preview.targets', amount: input.set.amount, unit: EUR, max: 10, window: forever, atLimit: approve by dba }
  returned: { kind: budget, scope: tenant, when: '"returned" in preview.targets', amount: input.set.amount, unit: EUR, max: 100, window: forever }
  settled: { kind: budget, scope: tenant, when: '"settled" in preview.targets', amount: input.set.amount, settled: result.rowCount, unit: EUR, max: 100, window: forever }
  asked: { kind: count, scope: tenant, when: '"asked" in preview.targets', max: 0, window: forever }
  turn: { kind: concurrency, scope: tenant, when: '"turns" in preview.targets', max: 1, atLimit: queue for 30s }
  no-turn: { kind: count, scope: tenant, when: '"never" in preview.targets', max: 1, window: forever, atLimit: queue for 1s }
  lost: { kind: count, scope: tenant, when: '"journal" in preview.targets', max: 100, window: forever }
  lost-lease: { kind: concurrency, scope: tenant, when: '"journal" in preview.targets', max: 1 }
`;
const TABLES = ['raced', ...CRASHED, 'lifted', 'returned', 'settled', 'asked', 'turns', 'never'] as const;

let stack: Stack;
let admin: Countersign;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-limits-'));
  stack = await startStack({
    schema: `${TABLES.map(
      (table) => `
        CREATE TABLE ${table} (id int PRIMARY KEY, amount int NOT NULL CHECK (amount <> 55), done boolean NOT NULL DEFAULT false);
        INSERT INTO ${table} (id, amount) SELECT n, 0 FROM generate_series(1, 210) n;`,
    ).join('')}
      CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1.5); RETURN NEW; END $$;
      CREATE TRIGGER wait BEFORE UPDATE ON turns FOR EACH ROW WHEN (NEW.amount = 7) EXECUTE FUNCTION wait();
      CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;
      CREATE TRIGGER hang BEFORE UPDATE ON returned FOR EACH ROW WHEN (NEW.amount = 99) EXECUTE FUNCTION hang();`,
    limits: LIMITS,
    tools: (url) => [
      shopTool(url),
      journalTool({
        name: 'journal',
        file: path.join(folder, 'journal'),
        idempotency: 'none',
        canLookUp: false,
      }),
    ],
  });
  admin = await stack.agent();
});
afterAll(async () => {
  await stack?.stop();
  await rm(folder, { recursive: true, force: true });
});

const pay = (table: (typeof TABLES)[number], id: number, amount: number) => ({
  actionId: randomUUID(),
  tool: 'shop-db',
  input: { op: 'update', table, set: { amount }, where: { id } },
});

async function paid(table: (typeof TABLES)[number]): Promise<number> {
  const { rows } = await stack.shop.query<{ n: string }>(`SELECT sum(amount) n FROM ${table}`);
  return Number(rows[0]?.n);
}

test('two workers race for the last 10 EUR with twelve actions: one is paid', async () => {
  const { worker: first } = stack;
  const second = await stack.startWorker();
  try {
    const outcomes = await Promise.all(Array.from({ length: 12 }, (_, i) => ended(admin, pay('raced', i + 1, 10))));
    const statuses = outcomes.map(({ status, error }) => error?.code ?? status).sort();
    expect(statuses).toEqual([...Array.from({ length: 11 }, () => 'LIMIT_EXCEEDED'), 'success']);
    expect(await paid('raced')).toBe(10);
    expect(await stack.spent('raced')).toEqual({ used: 10, held: 0 });
  } finally {
    await second.stop();
    stack.worker = first;
  }
});

test('the decision says what was left, and the refusal what is', async () => {
  const outcome = await ended(admin, pay('raced', 50, 1));
  expect(outcome).toMatchObject({
    status: 'denied',
    error: { code: 'LIMIT_EXCEEDED', field: 'limits.raced' },
    decision: { effect: 'deny', violations: [{ policy: 'limit:raced' }] },
    facts: { limits: [{ limit: 'raced', used: 10, left: 0, fits: false, unit: 'EUR' }] },
  });
});

describe('a worker killed with SIGKILL', () => {
  const DEATHS = [
    ['ledger.after-admit', pay('admitted', 1, 5)],
    ['ledger.after-admit', pay('withdrawn', 1, 5)],
    ['execute.before-effect', pay('altered', 1, 5)],
    ['execute.after-effect', pay('made', 1, 5)],
  ] as const;
  const answers = new Map<string, Promise<Outcome>>();
  let spentAtDeath: readonly object[];

  /** One process dies in the middle of four actions, each of which has limits of its own. */
  beforeAll(async () => {
    await stack.worker?.stop();
    const doomed = await spawnWorker(stack, stack.policies, undefined, { stopsAt: DEATHS.map(([point]) => point) });
    // In the order in which an action comes to the points: none comes to one where another is to stop.
    for (const point of new Set(DEATHS.map(([at]) => at))) {
      const stopping = DEATHS.filter(([at]) => at === point);
      for (const [, proposal] of stopping) answers.set(proposal.input.table, ended(admin, proposal));
      await doomed.stopsAt(point, stopping.length);
    }
    await doomed.kill();
    spentAtDeath = await Promise.all(CRASHED.map((table) => stack.spent(table)));
    await stack.shop.query('UPDATE altered SET done = true WHERE id = 1');
    await admin.cancel(DEATHS[1][1].actionId);
    await stack.startWorker();
  });

  test('leaves behind what they held', () => {
    expect(spentAtDeath).toEqual(CRASHED.map(() => ({ used: 0, held: 5 })));
  });

  test.each([
    ['after it was admitted', 'admitted'],
    ['after the effect', 'made'],
  ] as const)('%s holds nothing for ever: it is spent once, and the lease is free', async (_when, table) => {
    expect((await answers.get(table))?.status).toBe('success');
    expect(await stack.spent(table)).toEqual({ used: 5, held: 0 });
    expect(await stack.spent(`${table}-lease`)).toEqual({ used: 0, held: 0 });
  });

  test('before the effect, with the state changed meanwhile: the new grant holds nothing twice', async () => {
    expect(await answers.get('altered')).toMatchObject({
      status: 'success',
      pre: { state: { altered: { '1': { done: true } } } },
    });
    expect(await stack.spent('altered')).toEqual({ used: 5, held: 0 });
    expect(await stack.spent('altered-lease')).toEqual({ used: 0, held: 0 });
  });

  test('between admission and effect, and then cancelled: what was held is given back', async () => {
    expect((await answers.get('withdrawn'))?.status).toBe('cancelled');
    expect(await stack.spent('withdrawn')).toEqual({ used: 0, held: 0 });
    expect(await stack.holdsOf(DEATHS[1][1].actionId)).toMatchObject([{ status: 'released' }, { status: 'released' }]);
  });
});

describe('over a limit that people may lift', () => {
  test('nothing is held while they think; what they approve counts beyond the limit', async () => {
    const dba = await stack.approver('dora', ['dba']);
    expect((await ended(admin, pay('lifted', 1, 8))).status).toBe('success');
    const action = await pending(admin, pay('lifted', 2, 5));
    expect(action.pending.shown.requirements).toMatchObject([{ policy: 'limit:lifted', roles: ['dba'] }]);
    expect(await stack.spent('lifted')).toEqual({ used: 8, held: 0 });
    // Others may still use what is left.
    expect((await ended(admin, pay('lifted', 3, 2))).status).toBe('success');
    await stack.decide(action, dba);
    expect(await action.outcome()).toMatchObject({ status: 'success', approvals: [{ approver: 'dora' }] });
    expect(await stack.spent('lifted')).toEqual({ used: 15, held: 0 });
    expect(await paid('lifted')).toBe(15);
  });

  test('nobody is asked about what another limit would deny anyway', async () => {
    const outcome = await ended(admin, {
      actionId: randomUUID(),
      tool: 'shop-db',
      input: { op: 'update', table: 'asked', set: { amount: 1 }, all: true },
    });
    expect(outcome).toMatchObject({ status: 'denied', error: { code: 'LIMIT_EXCEEDED' } });
  });
});

describe('what did not happen is given back', () => {
  test('when the tool refuses', async () => {
    const outcome = await ended(admin, {
      actionId: randomUUID(),
      tool: 'shop-db',
      input: { op: 'update', table: 'returned', set: { amount: 55 }, where: { id: 1 } },
    });
    expect(outcome.status).toBe('failed');
    expect(await stack.spent('returned')).toEqual({ used: 0, held: 0 });
  });

  test('when the effect is cancelled while it runs, and until then it is held', async () => {
    const proposal = pay('returned', 3, 99);
    const answer = ended(admin, proposal);
    await until(
      async () => (await stack.shop.query("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'")).rowCount,
      (sleeping) => sleeping === 1,
    );
    expect(await stack.spent('returned')).toEqual({ used: 0, held: 99 });
    await admin.cancel(proposal.actionId);
    expect((await answer).status).toBe('cancelled');
    expect(await stack.spent('returned')).toEqual({ used: 0, held: 0 });
  });

  test('beyond what the tool says was really spent', async () => {
    expect((await ended(admin, pay('settled', 1, 60))).status).toBe('success');
    expect(await stack.spent('settled')).toEqual({ used: 1, held: 0 });
  });
});

describe('an action that may wait for room', () => {
  const waits = async (actionId: string) =>
    until(
      () => admin.view(actionId).catch(() => undefined),
      (view) => view?.phase === 'queued',
    );
  /** An action that has the only turn, for a second and a half. */
  async function takeTurn(id: number): Promise<{ done: Promise<unknown> }> {
    const done = ended(admin, pay('turns', id, 7));
    await until(
      () => stack.spent('turn'),
      ({ held }) => held === 1,
    );
    return { done };
  }

  test('is queued, says so, and goes on by itself when the one before has ended', async () => {
    const first = await takeTurn(1);
    const proposal = pay('turns', 201, 1);
    const second = ended(admin, proposal);
    await waits(proposal.actionId);
    expect(await stack.holdsOf(proposal.actionId)).toEqual([]);
    expect(await second).toMatchObject({ status: 'success' });
    await first.done;
    expect(await stack.spent('turn')).toEqual({ used: 0, held: 0 });
  });

  test('can be cancelled while it waits, and never happens', async () => {
    const first = await takeTurn(2);
    const proposal = pay('turns', 202, 1);
    const second = ended(admin, proposal);
    await waits(proposal.actionId);
    await admin.cancel(proposal.actionId);
    expect(await second).toMatchObject({
      status: 'cancelled',
      error: { message: 'Cancelled while it waited for room.' },
      facts: { limits: [{ limit: 'turn' }] },
    });
    await first.done;
  });

  test('is denied when its patience is over', async () => {
    expect((await ended(admin, pay('never', 1, 1))).status).toBe('success');
    const start = Date.now();
    const outcome = await ended(admin, pay('never', 2, 1));
    expect(outcome).toMatchObject({
      status: 'denied',
      error: { code: 'LIMIT_EXCEEDED' },
      decision: { effect: 'deny' },
    });
    expect(Date.now() - start).toBeGreaterThanOrEqual(1000);
    expect(await stack.spent('no-turn')).toEqual({ used: 1, held: 0 });
  });
});

describe('an effect that may have happened keeps what it holds', () => {
  test.each([
    ['did_not_happen', 'before', 'failed', 0],
    ['happened', 'after', 'success', 1],
  ] as const)('until a person says that it %s', async (verdict, lose, status, spentThen) => {
    const before = await stack.spent('lost');
    const proposal = { actionId: randomUUID(), tool: 'journal', input: { line: verdict, lose } };
    expect((await ended(admin, proposal)).status).toBe('unknown');
    expect(await stack.spent('lost')).toEqual({ used: before.used, held: 1 });
    expect((await stack.holdsOf(proposal.actionId)).map(({ status }) => status)).toEqual(['kept', 'kept']);
    // The lease is held too: nothing may run beside what may still be running.
    const beside = { actionId: randomUUID(), tool: 'journal', input: { line: 'beside' } };
    expect(await ended(admin, beside)).toMatchObject({ status: 'denied', error: { code: 'LIMIT_EXCEEDED' } });

    const olga = await stack.approver('olga', ['operator']);
    const { actionId } = proposal;
    const said = { kind: 'resolve', tenant: TENANT, subject: actionId, verdict, reason: 'I looked.' } as const;
    const done = await admin.submitCommand(await signCommand(olga, said));
    expect(done).toMatchObject({ kind: 'resolve', outcome: { status, resolution: { verdict, by: 'olga' } } });
    expect(await stack.spent('lost')).toEqual({ used: before.used + spentThen, held: 0 });
    expect(await stack.spent('lost-lease')).toEqual({ used: 0, held: 0 });
    expect(await ended(admin, proposal)).toMatchObject({ status, resolution: { evidence: 'I looked.' } });
    // Once it is known, it is known.
    await expect(admin.submitCommand(await signCommand(olga, said))).rejects.toMatchObject({ code: 'NOT_UNKNOWN' });
  });
});

test('what an agent may delegate is counted: the delegate’s second action is one too many, and the delegator goes on', async () => {
  const parent = await issueAgent(stack.keyring, {
    id: 'parent',
    tenant: TENANT,
    roles: ['admin_user'],
    scopes: ['*'],
  });
  const child = await delegate(parent, {
    id: 'child',
    roles: ['admin_user'],
    scopes: ['shop-db'],
    caps: { actions: 1 },
  });
  const client = await stack.agentWith(child);
  expect((await ended(client, pay('settled', 11, 1))).status).toBe('success');
  const outcome = await ended(client, pay('settled', 12, 1));
  expect(outcome).toMatchObject({
    status: 'denied',
    error: { code: 'LIMIT_EXCEEDED' },
    facts: { agent: { via: ['parent'] } },
  });
  expect(outcome.reason).toContain('delegation:');
  expect((await ended(await stack.agentWith(parent), pay('settled', 13, 1))).status).toBe('success');
});

test('a backtest finds the same in the histories of all of this as in the ledger', async () => {
  const candidate = compilePolicy(await loadBundle(stack.policies));
  const narrower = policyFromText({
    ...candidate.bundle.files,
    'limits.yaml': LIMITS.replace(
      'settled: result.rowCount, unit: EUR, max: 100',
      'settled: result.rowCount, unit: EUR, max: 2',
    ),
  });
  const { records, policies } = await decisionsOf(stack.ledger, stack.keyring);
  const ended = async () =>
    (await admin.temporal.workflow.count(`WorkflowType = 'trustedAction' AND ExecutionStatus = 'Completed'`)).count;
  await until(ended, (count) => count >= records.length);
  const found = await decisionsInHistories(queriedHistories(admin.temporal, `WorkflowType = 'trustedAction'`), {
    decode: decoderOf(admin.temporal),
    keyring: stack.keyring,
    filesOf: (digest) => stack.ledger.content.getPolicy(digest),
  });
  expect(found.unread).toEqual([]);
  expect(found.policies).toEqual(policies);
  const held = (all: readonly DecisionRecord[]) =>
    all
      // What a person resolved later is in the ledger only, and so is what a worker held that died before history had it.
      .filter(({ facts }) => facts?.tool.name !== 'journal')
      .map(({ actionId, attempted, approvals, result, status, holds }) => ({
        actionId,
        attempted,
        approvals,
        result,
        status,
        holds: holds
          .filter(({ status: settled }) => settled !== 'released')
          .map(({ placedAt: _placed, settledAt: _settled, ...hold }) => hold),
      }))
      .sort((one, other) => (one.actionId < other.actionId ? -1 : 1));
  expect(held(found.records)).toEqual(held(records));
  for (const policy of [candidate, narrower]) {
    const fromLedger = backtest(records, { candidate: policy, recordedUnder: policies });
    expect(fromLedger.summary.undecided).toBe(0);
    expect(backtest(found.records, { candidate: policy, recordedUnder: policies })).toEqual(fromLedger);
  }
});
