import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Ledger } from '../../src/ledger/index.js';
import { requestFor, token, waits, yes } from './approval-request-fixtures.js';
import { newTenant, startLedger, times, type TestLedger } from './support.js';

let testLedger: TestLedger;
let ledger: Ledger;

beforeAll(async () => {
  testLedger = await startLedger();
  ledger = testLedger.ledger;
});
afterAll(() => testLedger.stop());

/** An action for which no approval request was opened, for tests where only the decision matters. */
function unasked(tenant: string, actionId: string) {
  return { tenant, actionId, shownDigest: token() };
}

describe('a decision that is recorded', () => {
  test('has waited since the request was first opened, however often it was shown anew', async () => {
    const tenant = newTenant();
    const ask = await waits(ledger, { tenant, actionId: 'a-1' });
    await testLedger.pool.query(
      `update countersign.approval_requests set first_asked_at = first_asked_at - interval '90 seconds' where tenant = $1`,
      [tenant],
    );
    await ledger.approvalRequests.open(requestFor(ask, { state: 'another' }));
    const { waitedSeconds } = await ledger.approvalRequests.recordDecision(yes(ask));
    expect(waitedSeconds).toBeGreaterThanOrEqual(90);
    expect(waitedSeconds).toBeLessThan(120);
    expect(await ledger.approvalRequests.secondsWaited(tenant, 'a-1')).toBeGreaterThanOrEqual(waitedSeconds);
    expect(await ledger.approvalRequests.secondsWaited(tenant, 'a-2')).toBe(0);
  });

  test('has waited no time when there was no request', async () => {
    expect(await ledger.approvalRequests.recordDecision(yes(unasked(newTenant(), 'a-1')))).toEqual({
      waitedSeconds: 0,
      priorApprovals: 0,
      overRateLimit: false,
      refused: false,
    });
  });

  test('gets the answer of its first time whenever it is recorded again', async () => {
    const tenant = newTenant();
    const ask = await waits(ledger, { tenant, actionId: 'a-1' });
    await ledger.approvalRequests.recordDecision(yes(unasked(tenant, 'a-0')));
    const decision = yes(ask, 'ann@example.com', { overRateLimitFrom: 1 });
    const first = await ledger.approvalRequests.recordDecision(decision);
    expect(first).toMatchObject({ priorApprovals: 1, overRateLimit: true });
    for (let i = 2; i < 6; i++) await ledger.approvalRequests.recordDecision(yes(unasked(tenant, `a-${i}`)));
    await ledger.approvalRequests.close(ask);
    await testLedger.pool.query(
      `update countersign.approval_requests set first_asked_at = now() - interval '1 day' where tenant = $1`,
      [tenant],
    );
    expect(
      await ledger.approvalRequests.recordDecision({
        ...decision,
        overRateLimitFrom: 100,
        refusedFrom: 0,
        windowSeconds: 0,
      }),
    ).toEqual(first);
    const again = await testLedger.another();
    expect(await times(5, () => again.approvalRequests.recordDecision(decision))).toEqual(Array(5).fill(first));
  });

  test('simultaneous approvals of one person, from several processes, each count those recorded before them', async () => {
    const tenant = newTenant();
    const other = await testLedger.another();
    const decided = await times(40, (i) =>
      (i % 2 === 0 ? ledger : other).approvalRequests.recordDecision(
        yes(unasked(tenant, `a-${i}`), i % 3 === 0 ? 'Ann@x' : 'ann@x'),
      ),
    );
    expect(decided.map(({ priorApprovals }) => priorApprovals).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 40 }, (_, i) => i),
    );
  });

  test("counts this person's approvals of other actions of this tenant, in the window, and nothing else", async () => {
    const tenant = newTenant();
    const count = async (actionId: string, more: Parameters<typeof yes>[2] = {}): Promise<number> =>
      (await ledger.approvalRequests.recordDecision(yes(unasked(tenant, actionId), 'ann', more))).priorApprovals;
    await ledger.approvalRequests.recordDecision(yes(unasked(tenant, 'x-1'), 'bob'));
    await ledger.approvalRequests.recordDecision(yes(unasked(newTenant(), 'x-2'), 'ann'));
    expect(await count('a-1')).toBe(0);
    // The same action, shown anew or signed twice, is not another one.
    expect(await count('a-1')).toBe(0);
    expect(await count('a-2')).toBe(1);
    expect(await count('a-3', { verdict: 'deny' })).toBe(2);
    expect(await count('a-4', { verdict: 'request_changes' })).toBe(2);
    expect(await count('a-5')).toBe(2);
    expect(await count('a-6', { windowSeconds: 0 })).toBe(0);
    expect(await count('a-7')).toBe(4);
  });

  test('is over the rate limit, then refused, from the given numbers on; a refused approval does not count, and a denial is never either', async () => {
    const tenant = newTenant();
    const limits = { overRateLimitFrom: 2, refusedFrom: 4 };
    const decide = (actionId: string, more = {}) =>
      ledger.approvalRequests.recordDecision(yes(unasked(tenant, actionId), 'ann', { ...limits, ...more }));
    const all = [];
    for (let i = 0; i < 7; i++) all.push(await decide(`a-${i}`));
    expect(all.map(({ priorApprovals }) => priorApprovals)).toEqual([0, 1, 2, 3, 4, 4, 4]);
    expect(all.map(({ overRateLimit }) => overRateLimit)).toEqual([false, false, true, true, true, true, true]);
    expect(all.map(({ refused }) => refused)).toEqual([false, false, false, false, true, true, true]);
    expect(await decide('a-9', { verdict: 'deny' })).toMatchObject({
      priorApprovals: 4,
      overRateLimit: false,
      refused: false,
    });
    expect(await decide('a-10', { overRateLimitFrom: 0, refusedFrom: 100 })).toMatchObject({
      overRateLimit: true,
      refused: false,
    });
  });

  test('a digest that stands for one decision stands for no other', async () => {
    const tenant = newTenant();
    const decision = yes(unasked(tenant, 'a-1'));
    await ledger.approvalRequests.recordDecision(decision);
    const others = [{ actionId: 'a-2' }, { person: 'bob' }, { verdict: 'deny' as const }];
    for (const other of others) {
      await expect(ledger.approvalRequests.recordDecision({ ...decision, ...other })).rejects.toMatchObject({
        code: 'INTERNAL',
      });
    }
    const elsewhere = await ledger.approvalRequests.recordDecision({ ...decision, tenant: newTenant() });
    expect(elsewhere.priorApprovals).toBe(0);
  });

  test('is final: the database refuses to change or to delete it', async () => {
    const tenant = newTenant();
    await ledger.approvalRequests.recordDecision(yes(unasked(tenant, 'a-1')));
    for (const statement of [
      `update countersign.decisions set verdict = 'deny' where tenant = $1`,
      `delete from countersign.decisions where tenant = $1`,
    ]) {
      await expect(testLedger.pool.query(statement, [tenant])).rejects.toThrow('the ledger refuses');
    }
    await expect(testLedger.pool.query('truncate countersign.decisions')).rejects.toThrow('the ledger refuses');
  });
});
