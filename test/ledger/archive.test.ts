import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DecisionEffect } from '../../src/action/decision.js';
import { digestText } from '../../src/action/json.js';
import type { Outcome, OutcomeStatus } from '../../src/action/outcome.js';
import { compensationActionId } from '../../src/action/compensation-ids.js';
import type { ArchiveFilter, ArchivePage, Ledger } from '../../src/ledger/index.js';
import type { UnreceiptedOutcome } from '../../src/action/outcome.js';
import { requestFor, MANY_REQUESTS, token, waits, yes } from './approval-request-fixtures.js';
import {
  admission,
  type Names,
  newTenant,
  outcomeFor,
  recordOutcome,
  settlement,
  signLink,
  startLedger,
  type TestLedger,
  times,
} from './support.js';

let testLedger: TestLedger;
let ledger: Ledger;

beforeAll(async () => {
  testLedger = await startLedger();
  ledger = testLedger.ledger;
});
afterAll(() => testLedger.stop());

/** Ended actions of the last thirty days and open ones that wait for people, put there by SQL as the ledger would have left them. */
async function history(tenant: string, ended: number, open: number): Promise<void> {
  const hash = (what: string): string => `'sha256:' || encode(sha256(convert_to(${what}, 'UTF8')), 'hex')`;
  await testLedger.pool.query(
    `insert into countersign.receipts (tenant, seq, hash, prev, jws, action_id, at)
     select $1, i, ${hash("'r' || i")}, case when i > 1 then ${hash("'r' || (i - 1)")} end, 'r' || i, 'e-' || i,
       now() - interval '30 days' * (1 - i::float8 / $2)
     from generate_series(1, $2::int) as i`,
    [tenant, ended],
  );
  await testLedger.pool.query(
    `insert into countersign.chains (tenant, seq, hash)
     select tenant, seq, hash from countersign.receipts where tenant = $1 order by seq desc limit 1`,
    [tenant],
  );
  await testLedger.pool.query(
    `insert into countersign.actions (tenant, action_id, digest, agent, tool, status, outcome, receipt_seq, receipt_hash, ended_at,
       effect, policies, reason)
     select tenant, action_id, hash, 'agent-1', 'shop-db', case when seq % 3 = 0 then 'denied' else 'success' end, '{}', seq, hash, at,
       'allow', array['policy-' || seq % 7], 'It was done.'
     from countersign.receipts where tenant = $1`,
    [tenant],
  );
  await waits(ledger, { tenant, actionId: 'o' });
  await testLedger.pool.query(MANY_REQUESTS, [tenant, open - 1]);
}

/** The tenant of a long history, which the tests of what a long one costs look at: it takes seconds to make. */
let longHistory: Promise<string> | undefined;
async function ofLongHistory(): Promise<string> {
  const tenant = newTenant();
  await history(tenant, 20_000, 3_000);
  return tenant;
}

interface Ending {
  readonly status?: OutcomeStatus;
  readonly effect?: DecisionEffect;
  readonly policies?: readonly string[];
  readonly reason?: string;
  readonly summary?: string;
  readonly tool?: string;
  readonly agent?: string;
  readonly via?: readonly string[];
  readonly environment?: string;
}

function ending(names: Names, more: Ending = {}): UnreceiptedOutcome {
  const { status = 'success', effect = 'allow', policies = ['base'], reason = 'It was done.', tool = 'shop-db' } = more;
  const { agent = 'agent-1', via, environment = 'production', summary = 'update 3 rows of orders' } = more;
  return outcomeFor(names, {
    status,
    reason,
    tool,
    facts: {
      agent: { id: agent, tenant: names.tenant, roles: [], scopes: ['*'], ...(via === undefined ? {} : { via }) },
      actionType: 'WRITE',
      tool: { name: tool, kind: 'postgres', environment },
      operation: 'update',
      preview: { rows: 3, targets: [], reads: [], schemaChange: false, sample: [], summary },
      now: '2026-01-01T00:00:00.000Z',
    },
    decision: {
      effect,
      reason: 'So says policy.',
      policies,
      constraints: [],
      violations: [],
      requirements: [],
      errors: [],
      policyDigest: digestText('policy'),
    },
    ...(status === 'denied' ? { error: { code: 'POLICY_DENIED' as const, message: reason } } : {}),
  });
}

async function ends(names: Names, more: Ending = {}): Promise<Outcome> {
  const settled = await recordOutcome(ledger, settlement(names, { outcome: ending(names, more) }));
  return settled.outcome;
}

/** Ended as many days ago. The chain's times are the ledger's own: a test that needs others sets the triggers aside. */
async function age(tenant: string, days: number): Promise<void> {
  const client = await testLedger.pool.connect();
  try {
    await client.query(`begin; set local session_replication_role = replica`);
    for (const [table, column] of [
      ['receipts', 'at'],
      ['actions', 'ended_at'],
      ['decisions', 'decided_at'],
    ]) {
      await client.query(
        `update countersign.${table} set ${column} = ${column} - $2 * interval '1 day' where tenant = $1 and ${column} is not null`,
        [tenant, days],
      );
    }
    await client.query('commit');
  } finally {
    client.release();
  }
}

async function found(tenant: string, filter: ArchiveFilter = {}): Promise<string[]> {
  const { actions } = await ledger.archive.search({ tenant, ...filter });
  return actions.map(({ actionId }) => actionId);
}

describe('searching the archive', () => {
  test('finds open actions first, the latest first, then the ended, the latest ended first', async () => {
    const tenant = newTenant();
    for (const actionId of ['a', 'b', 'c', 'd']) await ledger.actions.admit(admission({ tenant, actionId }));
    await ends({ tenant, actionId: 'c' });
    await ends({ tenant, actionId: 'a' });
    expect(await found(tenant)).toEqual(['d', 'b', 'a', 'c']);
  });

  test('tells of each what it was, and whether it waits for people', async () => {
    const tenant = newTenant();
    await waits(ledger, { tenant, actionId: 'waiting' });
    await ledger.actions.admit(admission({ tenant, actionId: 'running' }));
    await waits(ledger, { tenant, actionId: 'answered' });
    await ledger.approvalRequests.close({ tenant, actionId: 'answered' });
    const { receipt } = await ends(
      { tenant, actionId: 'denied' },
      { status: 'denied', effect: 'deny', reason: 'Not at night.' },
    );
    await recordOutcome(ledger, settlement({ tenant, actionId: 'early' }));
    const { actions } = await ledger.archive.search({ tenant });
    const open = {
      tenant,
      tool: 'shop-db',
      agent: 'agent-1',
      environment: 'production',
      resolved: false,
      proposedAt: expect.any(String),
    };
    expect(actions).toEqual([
      { ...open, actionId: 'answered', status: 'open' },
      { ...open, actionId: 'running', status: 'open' },
      {
        ...open,
        actionId: 'waiting',
        status: 'pending',
        effect: 'require_approval',
        reason: 'A dba must agree.',
        summary: 'update 3 rows of orders',
        expiresAt: expect.any(String),
      },
      {
        tenant,
        actionId: 'early',
        status: 'success',
        tool: 'shop-db',
        reason: 'done',
        resolved: false,
        proposedAt: expect.any(String),
        endedAt: expect.any(String),
        receipt: expect.objectContaining({ seq: 2 }),
      },
      {
        ...open,
        actionId: 'denied',
        status: 'denied',
        effect: 'deny',
        reason: 'Not at night.',
        code: 'POLICY_DENIED',
        summary: 'update 3 rows of orders',
        endedAt: expect.any(String),
        receipt,
      },
    ]);
  });

  test('is narrowed by status, tool, agent, environment, effect and policy', async () => {
    const tenant = newTenant();
    await waits(ledger, { tenant, actionId: 'waiting' }, { tool: 'crm' });
    await ledger.actions.admit(admission({ tenant, actionId: 'running' }));
    await ends({ tenant, actionId: 'done' }, { environment: 'staging', policies: ['base', 'night'] });
    await ends({ tenant, actionId: 'wrong' }, { status: 'mismatch', agent: 'bot', tool: 'crm' });
    await ends({ tenant, actionId: 'no' }, { status: 'denied', effect: 'deny', policies: ['night'] });
    expect(await found(tenant, { status: 'pending' })).toEqual(['waiting']);
    expect(await found(tenant, { status: 'open' })).toEqual(['running']);
    expect(await found(tenant, { status: ['open', 'pending'] })).toEqual(['running', 'waiting']);
    expect(await found(tenant, { status: ['pending', 'mismatch'] })).toEqual(['waiting', 'wrong']);
    expect(await found(tenant, { status: 'success' })).toEqual(['done']);
    expect(await found(tenant, { status: 'expired' })).toEqual([]);
    expect(await found(tenant, { tool: 'crm' })).toEqual(['waiting', 'wrong']);
    expect(await found(tenant, { agent: 'bot' })).toEqual(['wrong']);
    expect(await found(tenant, { environment: 'staging' })).toEqual(['done']);
    expect(await found(tenant, { effect: 'deny' })).toEqual(['no']);
    expect(await found(tenant, { policy: 'night' })).toEqual(['no', 'done']);
    expect(await found(tenant, { policy: 'night', effect: 'allow', tool: 'crm' })).toEqual([]);
  });

  test("finds for an agent what it did itself and what was done through those below it, and nobody else's", async () => {
    const tenant = newTenant();
    await waits(ledger, { tenant, actionId: 'below, waiting' }, { agent: 'boss/helper', via: ['boss'] });
    await waits(ledger, { tenant, actionId: 'own, waiting' }, { agent: 'boss' });
    await waits(ledger, { tenant, actionId: 'other, waiting' }, { agent: 'bossy' });
    await ends({ tenant, actionId: 'below' }, { agent: 'boss/helper', via: ['boss'] });
    await ends({ tenant, actionId: 'own' }, { agent: 'boss' });
    await ends({ tenant, actionId: 'other' }, { agent: 'helper', via: ['bossy'] });
    expect(await found(tenant, { accountable: 'boss' })).toEqual(['own, waiting', 'below, waiting', 'own', 'below']);
    expect(await found(tenant, { accountable: 'helper' })).toEqual(['other']);
  });

  test('finds a text in agent, tool, reason and summary, and at the beginning of an id; wildcards and quotes are characters like others', async () => {
    const tenant = newTenant();
    await ends({ tenant, actionId: 'refund-100%' }, { reason: 'Ännä said 50% off' });
    await ends({ tenant, actionId: 'order_1' }, { agent: 'Billing-Bot', summary: "delete o'brien" });
    await ends({ tenant, actionId: 'orderX1' }, { tool: 'ledger-db', reason: 'nothing' });
    expect(await found(tenant, { text: 'refund' })).toEqual(['refund-100%']);
    expect(await found(tenant, { text: 'fund' })).toEqual([]);
    expect(await found(tenant, { text: 'order_' })).toEqual(['order_1']);
    expect(await found(tenant, { text: '%' })).toEqual(['refund-100%']);
    expect(await found(tenant, { text: 'äNNÄ' })).toEqual(['refund-100%']);
    expect(await found(tenant, { text: 'billing' })).toEqual(['order_1']);
    expect(await found(tenant, { text: "o'BRIEN" })).toEqual(['order_1']);
    expect(await found(tenant, { text: 'LEDGER' })).toEqual(['orderX1']);
    expect(await found(tenant, { text: String.raw`\%` })).toEqual([]);
    expect(await found(tenant, { text: "') or true --\u0000\ud800" })).toEqual([]);
    expect(await found(tenant, { text: '' })).toHaveLength(3);
  });

  test('has pages that join without a gap or a repetition, from the open ones into the ended', async () => {
    const tenant = newTenant();
    await times(9, (i) => ledger.actions.admit(admission({ tenant, actionId: `open-${i}` })));
    for (let i = 0; i < 10; i++) await ends({ tenant, actionId: `ended-${i}` });
    for (const limit of [1, 3, 9, 10, 19, 200]) {
      const all: string[] = [];
      let page: ArchivePage = await ledger.archive.search({ tenant, limit });
      for (;;) {
        all.push(...page.actions.map(({ actionId }) => actionId));
        expect(page.actions.length).toBeLessThanOrEqual(limit);
        if (page.next === undefined) break;
        page = await ledger.archive.search({ tenant, limit, cursor: page.next });
      }
      expect(all).toEqual(await found(tenant, {}));
      expect(all.slice(9)).toEqual(Array.from({ length: 10 }, (_, i) => `ended-${9 - i}`));
    }
  });

  test('an action that ends between two pages is missed by neither', async () => {
    const tenant = newTenant();
    for (let i = 0; i < 6; i++) await ledger.actions.admit(admission({ tenant, actionId: `a-${i}` }));
    const first = await ledger.archive.search({ tenant, limit: 3 });
    await ends({ tenant, actionId: 'a-0' });
    await ends({ tenant, actionId: 'a-5' });
    const second = await ledger.archive.search({ tenant, limit: 100, cursor: first.next ?? '' });
    const all = [...first.actions, ...second.actions].map(({ actionId }) => actionId);
    expect(new Set(all).size).toBe(6);
    expect(second.actions.map(({ actionId }) => actionId)).toEqual(['a-2', 'a-1', 'a-5', 'a-0']);
  });

  test('is narrowed to a period, exactly, wherever in the chain it lies', async () => {
    const tenant = newTenant();
    for (let day = 0; day < 12; day++) {
      await ends({ tenant, actionId: `a-${day}` });
      await age(tenant, 1);
    }
    const now = Date.now();
    const ago = (days: number): Date => new Date(now - days * 86_400_000);
    const all = Array.from({ length: 12 }, (_, i) => `a-${11 - i}`);
    for (let from = 12.5; from >= 0; from--) {
      for (let to = from; to >= 0; to--) {
        const expected = all.filter((_, i) => i + 1 < from && i + 1 > to);
        expect(await found(tenant, { from: ago(from), to: ago(to) })).toEqual(expected);
      }
    }
    const [{ endedAt } = { endedAt: '' }] = (await ledger.archive.search({ tenant, text: 'a-3' })).actions;
    const at = new Date(endedAt ?? '');
    const after = new Date(at.getTime() + 1);
    expect(await found(tenant, { from: at, to: after })).toEqual(['a-3']);
    expect(await found(tenant, { from: after, to: ago(8.5) })).toEqual([]);
    expect(await found(tenant, { to: at, from: ago(10.5) })).toEqual(['a-2']);
  });

  test('refuses a cursor that no page ended with, and a time that is none', async () => {
    const tenant = newTenant();
    const forged = [
      [],
      ['ended'],
      ['ended', 'x'],
      ['ended', '1e999'],
      ['open', 'never', 'a'],
      ['open', '2026', 'a'],
      ['open'],
      ['neither', '1'],
    ];
    for (const place of ['x', ...forged.map((one) => Buffer.from(JSON.stringify(one)).toString('base64url'))]) {
      const refused = ledger.archive.search({ tenant, cursor: place });
      await expect(refused).rejects.toMatchObject({ code: 'INVALID_INPUT', field: 'cursor' });
    }
    const never = ledger.archive.search({ tenant, from: new Date(Number.NaN) });
    await expect(never).rejects.toMatchObject({ code: 'INVALID_INPUT', field: 'from' });
  });

  test('a page of a long history takes about as long as one of a short history', async () => {
    const [long, short] = [await (longHistory ??= ofLongHistory()), newTenant()];
    await history(short, 60, 60);
    // As autovacuum does within a minute.
    await testLedger.pool.query('analyze countersign.actions, countersign.approval_requests');
    const filters: readonly ArchiveFilter[] = [
      {},
      { status: 'success' },
      { status: 'pending' },
      { policy: 'policy-3' },
      { status: 'denied', from: new Date(Date.now() - 20 * 86_400_000), to: new Date(Date.now() - 10 * 86_400_000) },
    ];
    for (const filter of filters) {
      const took = { [long]: [] as number[], [short]: [] as number[] };
      for (let turn = 0; turn < 15; turn++) {
        for (const tenant of [long, short]) {
          const start = performance.now();
          const page = await ledger.archive.search({ tenant, limit: 5, ...filter });
          took[tenant]?.push(performance.now() - start);
          expect(page.actions).toHaveLength(5);
        }
      }
      const median = (all: readonly number[] = []): number => [...all].sort((a, b) => a - b)[7] ?? Number.NaN;
      // Read as a whole, it would take a hundred times as long.
      expect(median(took[long]) / median(took[short])).toBeLessThan(10);
    }
    const { total, waiting } = await ledger.archive.dashboard(long, { from: new Date(Date.now() - 60 * 86_400_000) });
    expect([total, waiting.count]).toEqual([20_000, 0]);
  });
});

describe('the whole record of an action', () => {
  test('has everything that is recorded of it', async () => {
    const tenant = newTenant();
    const names = { tenant, actionId: 'a-1' };
    const demand = { limit: 'refunds', key: '', kind: 'count', amount: 1, max: 10 } as const;
    const ask = requestFor(names, { revises: 'a-0' });
    await ledger.approvalRequests.open(ask);
    await waits(ledger, { tenant, actionId: 'a-2' }, { revises: 'a-1' });
    await ledger.actions.admit(admission(names, { holds: [{ ...demand, windowSeconds: 60, slots: 1 } as never] }));
    const stale = yes({ ...ask, shownDigest: token() }, 'bob', { verdict: 'request_changes', reason: 'Fewer.' });
    await ledger.approvalRequests.recordDecision(stale);
    const tooFast = yes(ask, 'carol', { refusedFrom: 0 });
    await ledger.approvalRequests.recordDecision(tooFast);
    const good = yes(ask, 'ann');
    await ledger.approvalRequests.recordDecision(good);
    const delivery = await ledger.deliveries.record({
      ...names,
      deliveryId: 'd-1',
      kind: 'asked',
      channel: 'mail',
      attempts: 1,
      status: 'delivered',
      detail: '250 ok',
    });
    const outcome = await ends(names);
    const undo = compensationActionId('a-1', 2);
    await ledger.actions.admit(admission({ tenant, actionId: undo }));

    const record = await ledger.archive.action(tenant, 'a-1');
    expect(record).toMatchObject({
      actionId: 'a-1',
      status: 'success',
      proposalDigest: digestText('a-1'),
      outcome,
      revises: 'a-0',
      revisedBy: ['a-2'],
      undoneBy: [undo],
      deliveries: [delivery],
      receipts: [{ seq: outcome.receipt?.seq, hash: outcome.receipt?.hash, at: expect.any(String) }],
      holds: await ledger.limits.holds({ tenant, actionId: 'a-1' }),
    });
    expect(record?.holds).toHaveLength(1);
    expect(record?.approvalRequest?.shown).toEqual(ask.shown);
    expect(record?.decisions).toMatchObject([
      { approver: 'bob', verdict: 'request_changes', reason: 'Fewer.', shownDigest: stale.shownDigest, refused: false },
      { approver: 'carol', refused: true, digest: tooFast.digest },
      { approver: 'ann', refused: false, digest: good.digest, priorApprovals: 0 },
    ]);
    expect(record).not.toHaveProperty('previously');
    expect(record).not.toHaveProperty('undoes');
  });

  test('of a resolved action has both outcomes and both receipts', async () => {
    const tenant = newTenant();
    const names = { tenant, actionId: 'a-1' };
    const before = await ends(names, { status: 'unknown', reason: 'The reply was lost.' });
    await ends({ tenant, actionId: 'a-2' });
    const resolved = ending(names, { status: 'failed', reason: 'It did not happen.' });
    const { outcome } = await ledger.receipts.resolve({ ...names, outcome: resolved, sign: signLink });
    expect(await ledger.archive.action(tenant, 'a-1')).toMatchObject({
      status: 'failed',
      reason: 'It did not happen.',
      resolved: true,
      outcome,
      previously: before,
      receipts: [{ seq: 1 }, { seq: 3 }],
    });
    expect(await found(tenant, { text: 'did not' })).toEqual(['a-1']);
    expect(await found(tenant)).toEqual(['a-1', 'a-2']);
  });

  test('of an action that undoes another names it', async () => {
    const tenant = newTenant();
    const names = { tenant, actionId: compensationActionId('a-1', 1) };
    const undoing = ending(names);
    const { facts } = undoing;
    if (facts === undefined) throw new Error('there are facts');
    const cause = { actionId: 'a-1', agent: 'agent-1', receipt: token() };
    await recordOutcome(
      ledger,
      settlement(names, { outcome: { ...undoing, facts: { ...facts, compensates: cause } } }),
    );
    expect(await ledger.archive.action(tenant, names.actionId)).toMatchObject({ undoes: 'a-1', undoneBy: [] });
  });

  test('is there while the action is open, and undefined when there is none', async () => {
    const tenant = newTenant();
    await ledger.actions.admit(admission({ tenant, actionId: 'a-1' }));
    expect(await ledger.archive.action(tenant, 'a-1')).toMatchObject({
      status: 'open',
      decisions: [],
      deliveries: [],
      holds: [],
      receipts: [],
      revisedBy: [],
      undoneBy: [],
    });
    expect(await ledger.archive.action(tenant, 'a-2')).toBeUndefined();
    expect(await ledger.archive.action(newTenant(), 'a-1')).toBeUndefined();
  });
});

describe('what people decided', () => {
  test('comes with the roles and rules that they were asked by, the latest first, and says where it was cut', async () => {
    const tenant = newTenant();
    const ask = await waits(ledger, { tenant, actionId: 'asked' });
    await ledger.approvalRequests.recordDecision({ ...yes(ask, 'Ann'), roles: ['dba', 'cook'] });
    await ledger.approvalRequests.recordDecision({
      ...yes({ ...ask, actionId: 'never asked' }, 'bob'),
      roles: ['cook'],
    });
    const [requirement] = ask.shown.requirements;
    const since = new Date(Date.now() - 60_000);
    const { decisions, more } = await ledger.archive.overseenDecisions(tenant, since);
    expect(more).toBe(false);
    expect(decisions).toEqual([
      {
        person: 'bob',
        verdict: 'approve',
        roles: ['cook'],
        rules: [],
        overRateLimit: false,
        refused: false,
        at: expect.any(String),
      },
      {
        person: 'ann',
        verdict: 'approve',
        roles: ['dba'],
        rules: [requirement?.policy],
        waitedSeconds: expect.any(Number),
        overRateLimit: false,
        refused: false,
        at: expect.any(String),
      },
    ]);
    expect(await ledger.archive.overseenDecisions(tenant, since, { most: 1 })).toEqual({
      decisions: [decisions[0]],
      more: true,
    });
    expect((await ledger.archive.overseenDecisions(tenant, new Date(Date.now() + 60_000))).decisions).toEqual([]);
    expect((await ledger.archive.overseenDecisions(newTenant(), since)).decisions).toEqual([]);
  });
});

describe('the dashboard', () => {
  test('counts decisions by day, policy and tool, outcomes by status, and how long people took', async () => {
    const tenant = newTenant();
    const end = (name: string, more: Ending): Promise<Outcome> => ends({ tenant, actionId: name }, more);
    await end('old', { tool: 'forgotten' });
    await age(tenant, 40);
    await end('a', { effect: 'allow', policies: ['base'] });
    await end('b', { effect: 'require_approval', policies: ['base', 'money'], status: 'mismatch', tool: 'crm' });
    const early = await waits(ledger, { tenant, actionId: 'b' });
    await ledger.approvalRequests.recordDecision(yes(early, 'ann'));
    await ledger.approvalRequests.recordDecision(yes({ ...early, actionId: 'nobody was asked' }, 'ann'));
    await age(tenant, 2);
    await end('c', { effect: 'deny', policies: ['money'], status: 'denied' });
    await end('d', { status: 'unknown' });
    await recordOutcome(
      ledger,
      settlement({ tenant, actionId: 'e' }, { outcome: outcomeFor({ tenant, actionId: 'e' }, { status: 'denied' }) }),
    );
    for (const seconds of [10, 20, 100]) {
      const ask = await waits(ledger, { tenant, actionId: `w-${seconds}` });
      await testLedger.pool.query(
        `update countersign.approval_requests set first_asked_at = first_asked_at - $3 * interval '1 second' where tenant = $1 and action_id = $2`,
        [tenant, ask.actionId, seconds],
      );
      await ledger.approvalRequests.recordDecision(yes(ask, 'bob'));
      await ledger.approvalRequests.recordDecision(yes(ask, 'carol'));
    }
    const to = new Date(Date.now() + 1000);
    const from = new Date(to.getTime() - 7 * 86_400_000);
    const seen = await ledger.archive.dashboard(tenant, { from, to });
    expect(seen).toMatchObject({
      from: from.toISOString(),
      to: to.toISOString(),
      total: 5,
      mismatches: 1,
      unknowns: 1,
      denied: 2,
    });
    expect(seen.statuses).toEqual({
      success: 1,
      mismatch: 1,
      failed: 0,
      denied: 2,
      expired: 0,
      cancelled: 0,
      unknown: 1,
    });
    expect(seen.days).toHaveLength(8);
    const today = seen.days.findLast(({ deny }) => deny > 0);
    expect(today).toEqual({ day: expect.any(String), allow: 1, deny: 1, require_approval: 0, undecided: 1 });
    const before = seen.days.findLast(({ require_approval }) => require_approval > 0);
    expect(before).toEqual({ day: expect.any(String), allow: 1, deny: 0, require_approval: 1, undecided: 0 });
    expect(Date.parse(today?.day ?? '') - Date.parse(before?.day ?? '')).toBe(2 * 86_400_000);
    expect(seen.policies).toEqual([
      { policy: 'base', total: 3, allow: 2, deny: 0, require_approval: 1 },
      { policy: 'money', total: 2, allow: 0, deny: 1, require_approval: 1 },
    ]);
    expect(seen.tools.map(({ tool, total }) => [tool, total])).toEqual([
      ['shop-db', 4],
      ['crm', 1],
    ]);
    expect(seen.tools[1]?.statuses.mismatch).toBe(1);
    expect(seen.waiting.count).toBe(4);
    expect(seen.waiting.medianSeconds).toBeGreaterThan(14);
    expect(seen.waiting.medianSeconds).toBeLessThan(18);
    expect(seen.waiting.p90Seconds).toBeGreaterThan(70);
    expect(seen.standing).toEqual([]);
  });

  test('of a tenant without anything is empty, and says every day', async () => {
    const seen = await ledger.archive.dashboard(newTenant());
    expect(seen.days).toHaveLength(30);
    expect(seen.days.at(-1)?.day).toBe(new Date().toISOString().slice(0, 10));
    expect(seen.days.every((day) => day.allow + day.deny + day.require_approval + day.undecided === 0)).toBe(true);
    expect(seen).toMatchObject({ total: 0, policies: [], tools: [], waiting: { count: 0 } });
    expect(seen.waiting).not.toHaveProperty('medianSeconds');
  });

  test('has no more than ten policies and tools, those of most actions', async () => {
    const tenant = newTenant();
    for (let i = 0; i < 13; i++) {
      const more = { tool: `tool-${i}`, policies: [`policy-${i}`] };
      for (let n = 0; n <= (i === 12 ? 1 : 0); n++) await ends({ tenant, actionId: `a-${i}-${n}` }, more);
    }
    const { policies, tools } = await ledger.archive.dashboard(tenant);
    expect(policies).toHaveLength(10);
    expect(tools).toHaveLength(10);
    expect([policies[0]?.policy, tools[0]?.tool]).toEqual(['policy-12', 'tool-12']);
  });

  test('is over a period that ends after it begins, of a year at most', async () => {
    const tenant = newTenant();
    const now = new Date();
    const year = new Date(now.getTime() - 366 * 86_400_000);
    await expect(ledger.archive.dashboard(tenant, { from: year, to: now })).resolves.toBeDefined();
    for (const period of [
      { from: now, to: now },
      { from: new Date(year.getTime() - 1), to: now },
      { from: new Date(Number.NaN), to: now },
      { from: now, to: new Date(Number.NaN) },
    ]) {
      await expect(ledger.archive.dashboard(tenant, period)).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    }
  });
});

describe('what rules did', () => {
  test('is counted by rule and effect, of what ended since, and bundles are those that the latest decisions name', async () => {
    const tenant = newTenant();
    const end = (name: string, more: Ending): Promise<Outcome> => ends({ tenant, actionId: name }, more);
    await end('old', { policies: ['forgotten'] });
    await age(tenant, 40);
    await end('a', { policies: ['base', 'base'] });
    await end('b', { effect: 'require_approval', policies: ['base', 'money'] });
    await end('c', { effect: 'deny', policies: ['money'], status: 'denied', reason: 'NUL \u0000' });
    await recordOutcome(ledger, settlement({ tenant, actionId: 'undecided' }));
    const since = new Date(Date.now() - 30 * 86_400_000);
    expect(await ledger.archive.ruleFigures(tenant, since)).toEqual({
      rules: [
        { policy: 'base', total: 2, allow: 1, deny: 0, require_approval: 1 },
        { policy: 'money', total: 2, allow: 0, deny: 1, require_approval: 1 },
      ],
      counted: 4,
      more: false,
    });
    expect(await ledger.archive.ruleFigures(tenant, since, 2)).toMatchObject({ counted: 2, more: true });
    expect(await ledger.archive.bundlesInUse(tenant)).toEqual([
      { digest: digestText('policy'), lastAt: expect.any(String) },
    ]);
  });

  test('of a tenant without anything is nothing', async () => {
    const tenant = newTenant();
    expect(await ledger.archive.ruleFigures(tenant, new Date(0))).toEqual({ rules: [], counted: 0, more: false });
    expect(await ledger.archive.bundlesInUse(tenant)).toEqual([]);
    expect(await ledger.archive.isOnlyTenant(tenant)).toBe(false);
  });

  test('takes as long for the latest of a long history as for all of a short one', async () => {
    const [long, short] = [await (longHistory ??= ofLongHistory()), newTenant()];
    await history(short, 200, 1);
    await testLedger.pool.query('analyze countersign.actions');
    const took = { [long]: [] as number[], [short]: [] as number[] };
    for (let turn = 0; turn < 15; turn++) {
      for (const tenant of [long, short]) {
        const start = performance.now();
        const { counted, more } = await ledger.archive.ruleFigures(tenant, new Date(0), 200);
        took[tenant]?.push(performance.now() - start);
        expect([counted, more]).toEqual([200, tenant === long]);
      }
    }
    const median = (all: readonly number[] = []): number => all.toSorted((a, b) => a - b)[7] ?? Number.NaN;
    // Read as a whole, it would take many times as long.
    expect(median(took[long]) / median(took[short])).toBeLessThan(4);
  });
});

test('an outcome is recorded whatever its texts hold, and found by what is left of them', async () => {
  const tenant = newTenant();
  const nasty = `NUL \u0000 ${'x'.repeat(3000)}`;
  const outcome = await ends({ tenant, actionId: 'a-1' }, { reason: nasty, summary: nasty, policies: ['p\u0000'] });
  expect(await found(tenant, { text: 'nul' })).toEqual(['a-1']);
  expect((await ledger.archive.action(tenant, 'a-1'))?.outcome).toEqual(outcome);
  expect((await ledger.archive.dashboard(tenant)).policies.map(({ policy }) => policy)).toEqual(['p\ufffd']);
});
