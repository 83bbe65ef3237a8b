import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { digestText } from '../../src/action/json.js';
import type { ApprovalRequestFilter, Ledger } from '../../src/ledger/index.js';
import { requestFor, MANY_REQUESTS, requirement, token, waits, yes } from './approval-request-fixtures.js';
import {
  admission,
  newTenant,
  outcomeFor,
  recordOutcome,
  settlement,
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

async function listed(tenant: string, filter: ApprovalRequestFilter = {}): Promise<string[]> {
  const { requests } = await ledger.approvalRequests.page({ tenant, filter });
  return requests.map(({ actionId }) => actionId);
}

describe('an approval request', () => {
  test('is listed with its action, who may decide from when, and until when it waits', async () => {
    const tenant = newTenant();
    const requirements = [
      requirement({ roles: ['dba'], escalations: [{ afterSeconds: 600, roles: ['cto', 'lead'] }] }),
      requirement({ policy: 'money', roles: ['lead'], ttlSeconds: 60 }),
    ];
    const ask = await waits(ledger, { tenant, actionId: 'a-1' }, { requirements, revises: 'a-0', via: ['boss'] });
    const { requests, next } = await ledger.approvalRequests.page({ tenant });
    expect(next).toBeUndefined();
    const times = { firstAskedAt: expect.any(String), askedAt: expect.any(String), expiresAt: expect.any(String) };
    const listed = {
      tenant,
      actionId: 'a-1',
      shownDigest: ask.shownDigest,
      policyDigest: digestText('policy'),
      environment: 'production',
      tool: 'shop-db',
      operation: 'update',
      actionType: 'WRITE',
      agent: 'agent-1',
      via: ['boss'],
      roles: [{ role: 'dba' }, { role: 'cto', afterSeconds: 600 }, { role: 'lead' }],
      requirements,
      summary: 'update 3 rows of orders',
      reason: 'A dba must agree.',
      revises: 'a-0',
      decisions: [],
      ...times,
    };
    expect(requests).toEqual([listed]);
    expect(await ledger.approvalRequests.find(tenant, 'a-1')).toEqual({
      ...listed,
      shown: ask.shown,
      decision: ask.decision,
    });
    const [one] = requests;
    expect(one?.firstAskedAt).toBe(one?.askedAt);
    expect(Date.parse(one?.expiresAt ?? '') - Date.parse(one?.askedAt ?? '')).toBe(60_000);
  });

  test('is on no list before it is admitted, nor once it has an outcome or was closed', async () => {
    const tenant = newTenant();
    const names = { tenant, actionId: 'a-1' };
    await ledger.approvalRequests.open(requestFor(names));
    expect(await listed(tenant)).toEqual([]);
    expect(await ledger.approvalRequests.count({ tenant })).toEqual({ count: 0, more: false });
    await ledger.actions.admit(admission(names));
    expect(await listed(tenant)).toEqual(['a-1']);
    expect(await ledger.approvalRequests.close(names)).toBe(true);
    expect(await ledger.approvalRequests.close(names)).toBe(false);
    expect(await listed(tenant)).toEqual([]);
    expect(await ledger.approvalRequests.find(tenant, 'a-1')).toMatchObject({ closedAt: expect.any(String) });
    await ledger.approvalRequests.open(requestFor(names));
    expect(await listed(tenant)).toEqual(['a-1']);
    await recordOutcome(ledger, settlement(names));
    expect(await listed(tenant)).toEqual([]);
    expect(await ledger.approvalRequests.count({ tenant })).toEqual({ count: 0, more: false });
  });

  test('changes nothing when it is opened again; shown anew, it keeps its first time and drops the decisions on what was shown before', async () => {
    const tenant = newTenant();
    const names = { tenant, actionId: 'a-1' };
    const before = await waits(ledger, names);
    await ledger.approvalRequests.recordDecision(yes(before, 'ann'));
    const asked = await ledger.approvalRequests.find(tenant, 'a-1');
    expect(await ledger.approvalRequests.open(before)).toMatchObject({
      askedAt: asked?.askedAt,
      expiresAt: asked?.expiresAt,
    });
    expect(await ledger.approvalRequests.find(tenant, 'a-1')).toEqual(asked);
    expect(asked?.decisions.map(({ approver }) => approver)).toEqual(['ann']);

    const after = requestFor(names, { state: 'as it is now', tool: 'other-db' });
    const times = await ledger.approvalRequests.open(after);
    expect(times.firstAskedAt).toBe(asked?.firstAskedAt);
    expect(times.askedAt >= (asked?.askedAt ?? '~')).toBe(true);
    expect(await ledger.approvalRequests.find(tenant, 'a-1')).toMatchObject({
      shownDigest: after.shownDigest,
      tool: 'other-db',
      decisions: [],
    });
  });

  test('is opened anew when it had expired', async () => {
    const tenant = newTenant();
    const first = await ledger.approvalRequests.open(requestFor({ tenant, actionId: 'a-1' }, { ttlSeconds: 0.001 }));
    const { rows } = await testLedger.pool.query(`select pg_sleep_until($1)`, [first.expiresAt]);
    expect(rows).toHaveLength(1);
    const second = await ledger.approvalRequests.open(requestFor({ tenant, actionId: 'a-1' }));
    expect(second.firstAskedAt).toBe(first.firstAskedAt);
    expect(second.askedAt > first.askedAt).toBe(true);
    expect(Date.parse(second.expiresAt) - Date.parse(second.askedAt)).toBe(3_600_000);
  });

  test('is opened once by twelve workers at once, and all get the same times', async () => {
    const tenant = newTenant();
    for (const actionId of ['a-1', 'a-2', 'a-3']) {
      const opened = await times(12, () => ledger.approvalRequests.open(requestFor({ tenant, actionId })));
      expect(new Set(opened.map((one) => JSON.stringify(one))).size).toBe(1);
    }
  });

  test('is refused when it has no requirement', async () => {
    const ask = requestFor({ tenant: newTenant(), actionId: 'a-1' }, { requirements: [] });
    await expect(ledger.approvalRequests.open(ask)).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    await expect(ledger.approvalRequests.open({ ...ask, ttlSeconds: 60 })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
    });
  });

  test('is opened also with a text that no column holds, and shows it as it is', async () => {
    const tenant = newTenant();
    // Cut at its thousandth unit, the last character would be half of a pair.
    const nasty = `NUL \u0000${'x'.repeat(994)}\u{1f600} and more`;
    const ask = await waits(ledger, { tenant, actionId: 'a-1' }, { summary: nasty, reason: nasty });
    const found = await ledger.approvalRequests.find(tenant, 'a-1');
    expect(found?.shown).toEqual(ask.shown);
    expect(found?.summary).toBe(`NUL \ufffd${'x'.repeat(994)}\ufffd`);
  });

  test('is taken off the list when its action ended and nobody closed it', async () => {
    const tenant = newTenant();
    for (let i = 0; i < 12; i++) {
      const names = { tenant, actionId: `left-${i}` };
      await waits(ledger, names, { ttlSeconds: 0.001 });
      await recordOutcome(ledger, settlement(names, { outcome: outcomeFor(names, { status: 'cancelled' }) }));
    }
    await testLedger.pool.query(`update countersign.approval_requests set closed_at = null where tenant = $1`, [
      tenant,
    ]);
    await waits(ledger, { tenant, actionId: 'late' }, { ttlSeconds: 0.001 });
    await waits(ledger, { tenant, actionId: 'new-1' });
    await waits(ledger, { tenant, actionId: 'new-2' });
    const { rows } = await testLedger.pool.query(
      `select action_id from countersign.approval_requests where tenant = $1 and closed_at is null order by action_id`,
      [tenant],
    );
    // What is over and has not ended is still for people to see.
    expect(rows.map(({ action_id }) => action_id)).toEqual(['late', 'new-1', 'new-2']);
    expect(await listed(tenant)).toEqual(['late', 'new-1', 'new-2']);
  });
});

describe('the list of approval requests', () => {
  test('has the soonest to expire first, and pages that join without a gap or a repetition, also where many expire at once', async () => {
    const tenant = newTenant();
    await waits(ledger, { tenant, actionId: 'z-first' }, { ttlSeconds: 10 });
    await waits(ledger, { tenant, actionId: 'a-last' }, { ttlSeconds: 1000 });
    await times(30, (i) => waits(ledger, { tenant, actionId: `m-${i}` }, { ttlSeconds: 100 }));
    await testLedger.pool.query(
      `update countersign.approval_requests set expires_at = (select min(expires_at) from countersign.approval_requests where tenant = $1 and action_id like 'm%')
       where tenant = $1 and action_id like 'm%'`,
      [tenant],
    );
    const all: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await ledger.approvalRequests.page({
        tenant,
        limit: 7,
        ...(cursor === undefined ? {} : { cursor }),
      });
      expect(page.requests.length).toBeLessThanOrEqual(7);
      all.push(...page.requests.map(({ actionId }) => actionId));
      cursor = page.next;
    } while (cursor !== undefined);
    expect(all).toHaveLength(32);
    expect(new Set(all).size).toBe(32);
    expect([all[0], all.at(-1)]).toEqual(['z-first', 'a-last']);
  });

  test('is narrowed by environment, tool, agent and text; a wildcard of the text is a character like any other', async () => {
    const tenant = newTenant();
    await waits(
      ledger,
      { tenant, actionId: 'one' },
      { environment: 'staging', agent: 'bot', summary: 'raise by 10% all_of it' },
    );
    await waits(ledger, { tenant, actionId: 'two' }, { tool: 'crm', summary: String.raw`C:\temp`, reason: 'Ärger' });
    await waits(ledger, { tenant, actionId: 'three' }, { summary: '1000 in allXof it' });
    expect(await listed(tenant, { environment: 'staging' })).toEqual(['one']);
    expect(await listed(tenant, { tool: 'crm' })).toEqual(['two']);
    expect(await listed(tenant, { agent: 'bot' })).toEqual(['one']);
    expect(await listed(tenant, { agent: 'bot', tool: 'crm' })).toEqual([]);
    expect(await listed(tenant, { text: '10%' })).toEqual(['one']);
    expect(await listed(tenant, { text: 'ALL_OF' })).toEqual(['one']);
    expect(await listed(tenant, { text: String.raw`c:\t` })).toEqual(['two']);
    expect(await listed(tenant, { text: 'äRG' })).toEqual(['two']);
    expect(await listed(tenant, { text: 'THRE' })).toEqual(['three']);
    expect(await listed(tenant, { text: "'; drop table asks; --\u0000" })).toEqual([]);
    expect((await ledger.approvalRequests.count({ tenant, filter: { tool: 'shop-db' } })).count).toBe(2);
  });

  test('is narrowed to what a person with these roles may decide by now, escalations included', async () => {
    const tenant = newTenant();
    const escalations = [{ afterSeconds: 600, roles: ['cto'] }];
    await waits(ledger, { tenant, actionId: 'dba' }, { requirements: [requirement({ escalations })] });
    await waits(ledger, { tenant, actionId: 'money' }, { requirements: [requirement({ roles: ['finance', 'cto'] })] });
    expect(await listed(tenant, { roles: ['dba'] })).toEqual(['dba']);
    expect(await listed(tenant, { roles: ['dba', 'finance'] })).toEqual(['dba', 'money']);
    expect(await listed(tenant, { roles: ['cto'] })).toEqual(['money']);
    expect(await listed(tenant, { roles: ['nobody'] })).toEqual([]);
    expect(await listed(tenant, { roles: [] })).toEqual([]);
    await testLedger.pool.query(
      `update countersign.approval_requests set first_asked_at = first_asked_at - interval '10 minutes' where tenant = $1`,
      [tenant],
    );
    expect(await listed(tenant, { roles: ['cto'] })).toEqual(['dba', 'money']);
  });

  test('has the decisions on exactly what is shown, once for each person and verdict', async () => {
    const tenant = newTenant();
    const ask = await waits(ledger, { tenant, actionId: 'a-1' }, { requirements: [requirement({ quorum: 3 })] });
    const first = yes(ask, 'ann', {
      reason: 'looks \u0000 right',
      at: '2026-01-02T03:04:05.000Z',
      auth: { method: 'oidc', by: 'https://id.example.com' },
      passkey: 'key-1',
      delegatedRoles: [{ role: 'dba', from: 'bob' }],
    });
    await ledger.approvalRequests.recordDecision(first);
    await ledger.approvalRequests.recordDecision(yes(ask, 'Ann'));
    await ledger.approvalRequests.recordDecision(yes(ask, 'bob', { overRateLimitFrom: 0 }));
    await ledger.approvalRequests.recordDecision(yes(ask, 'carol', { refusedFrom: 0 }));
    await ledger.approvalRequests.recordDecision(yes({ ...ask, shownDigest: token() }, 'dave'));
    const [listed] = (await ledger.approvalRequests.page({ tenant })).requests;
    const waitedSeconds = expect.any(Number);
    expect(listed?.decisions).toEqual([
      {
        approver: 'ann',
        roles: ['dba'],
        verdict: 'approve',
        reason: 'looks \u0000 right',
        at: '2026-01-02T03:04:05.000Z',
        digest: first.digest,
        auth: { method: 'oidc', by: 'https://id.example.com' },
        passkey: 'key-1',
        delegatedRoles: [{ role: 'dba', from: 'bob' }],
        waitedSeconds,
      },
      expect.objectContaining({ approver: 'bob', overRateLimit: true, waitedSeconds }),
    ]);
  });

  test('has the approvals that it was opened with; opened anew, of the decisions before only those that still count', async () => {
    const tenant = newTenant();
    const standing = { approver: 'sue', roles: ['dba'], verdict: 'approve', at: '2026-01-01T00:00:00.000Z' } as const;
    const given = [{ ...standing, digest: token(), standingApproval: 's-1' }];
    const ask = await waits(ledger, { tenant, actionId: 'a-1' });
    const approvers = async (): Promise<string[]> =>
      ((await ledger.approvalRequests.find(tenant, 'a-1'))?.decisions ?? []).map(({ approver }) => approver);
    await ledger.approvalRequests.open({ ...ask, given });
    await ledger.approvalRequests.recordDecision(yes(ask, 'rae'));
    await ledger.approvalRequests.recordDecision(yes(ask, 'ann'));
    expect(await approvers()).toEqual(['sue', 'rae', 'ann']);
    // As it is when nobody looked at it anew.
    await ledger.approvalRequests.open({ ...ask, given });
    expect(await approvers()).toEqual(['sue', 'rae', 'ann']);
    // Somebody's authority was revoked meanwhile.
    const ann =
      (await ledger.approvalRequests.find(tenant, 'a-1'))?.decisions.filter(({ approver }) => approver === 'ann') ?? [];
    await ledger.approvalRequests.open({ ...ask, given: ann, renewed: true });
    expect(await approvers()).toEqual(['ann']);
    await ledger.approvalRequests.recordDecision(yes(ask, 'bea'));
    expect(await approvers()).toEqual(['ann', 'bea']);
    await ledger.approvalRequests.open({ ...ask, given: [], renewed: true });
    expect(await approvers()).toEqual([]);
    expect((await ledger.approvalRequests.page({ tenant })).requests[0]?.decisions).toEqual([]);
  });

  test('refuses a cursor that no page ended with', async () => {
    const tenant = newTenant();
    const forged = [
      '',
      'x',
      'W10',
      'bnVsbA',
      Buffer.from('["never","a"]').toString('base64url'),
      Buffer.from('["2026","a"]').toString('base64url'),
    ];
    for (const cursor of [...forged, Buffer.from(JSON.stringify([new Date(), '\u0000'])).toString('base64url')]) {
      await expect(ledger.approvalRequests.page({ tenant, cursor })).rejects.toMatchObject({
        code: 'INVALID_INPUT',
        field: 'cursor',
      });
    }
  });

  test('of five thousand takes a small multiple of the time that an empty one takes', async () => {
    const [tenant, empty] = [newTenant(), newTenant()];
    await waits(ledger, { tenant, actionId: 'a' });
    await testLedger.pool.query(MANY_REQUESTS, [tenant, 4999]);
    expect(await ledger.approvalRequests.count({ tenant })).toEqual({ count: 1000, more: true });
    expect(await ledger.approvalRequests.count({ tenant, most: 10_000 })).toEqual({ count: 5000, more: false });
    const page = await ledger.approvalRequests.page({ tenant, limit: 50 });
    expect(page.requests).toHaveLength(50);
    const last = await ledger.approvalRequests.page({
      tenant,
      limit: 50,
      cursor: Buffer.from(JSON.stringify(['2100-01-01T00:00:00.000Z', ''])).toString('base64url'),
    });
    expect(last.requests).toEqual([]);

    const took = { [tenant]: [] as number[], [empty]: [] as number[] };
    for (let turn = 0; turn < 40; turn++) {
      for (const whose of [tenant, empty]) {
        const start = performance.now();
        await ledger.approvalRequests.page({ tenant: whose, limit: 50 });
        took[whose]?.push(performance.now() - start);
      }
    }
    const median = (all: readonly number[] = []): number => [...all].sort((a, b) => a - b)[20] ?? Number.NaN;
    // Fifty rows more to carry, not five thousand: read one by one they would be a hundred times as slow.
    expect(median(took[tenant]) / median(took[empty])).toBeLessThan(10);
  });
});

describe('the fingerprint', () => {
  test('changes with every change of the list or of its decisions, and with nothing else', async () => {
    const [tenant, other] = [newTenant(), newTenant()];
    const names = { tenant, actionId: 'a-1' };
    const seen = new Set<string>();
    const next = async (): Promise<boolean> => {
      const now = await ledger.approvalRequests.fingerprint(tenant);
      const isNew = !seen.has(now);
      seen.add(now);
      return isNew;
    };
    expect(await next()).toBe(true);
    const ask = await waits(ledger, names);
    expect(await next()).toBe(true);
    await ledger.approvalRequests.open(ask);
    expect(await next()).toBe(false);
    await ledger.approvalRequests.open(requestFor(names, { state: 'another' }));
    expect(await next()).toBe(true);
    const decision = yes(ask);
    await ledger.approvalRequests.recordDecision(decision);
    expect(await next()).toBe(true);
    await ledger.approvalRequests.recordDecision(decision);
    expect(await next()).toBe(false);
    await waits(ledger, { tenant: other, actionId: 'a-1' });
    await ledger.deliveries.record({
      deliveryId: 'd',
      ...names,
      kind: 'asked',
      channel: 'mail',
      attempts: 1,
      status: 'failed',
      detail: '',
    });
    expect(await next()).toBe(false);
    await ledger.approvalRequests.close(names);
    expect(await next()).toBe(true);
    await ledger.approvalRequests.close(names);
    expect(await next()).toBe(false);
    await ledger.approvalRequests.open(ask);
    expect(await next()).toBe(true);
    await recordOutcome(ledger, settlement(names));
    expect(await next()).toBe(true);
    await recordOutcome(ledger, settlement(names));
    expect(await next()).toBe(false);
    expect(await ledger.approvalRequests.close(names)).toBe(false);
  });

  test('misses none of many changes at once', async () => {
    const tenant = newTenant();
    const asks = await times(40, (i) => waits(ledger, { tenant, actionId: `a-${i}` }));
    const before = Number(await ledger.approvalRequests.fingerprint(tenant));
    await Promise.all(asks.map((ask, i) => ledger.approvalRequests.recordDecision(yes(ask, `person-${i % 4}`))));
    expect(Number(await ledger.approvalRequests.fingerprint(tenant))).toBe(before + 40);
  });
});
