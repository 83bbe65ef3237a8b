/** Budgets: what is reserved, what is refused, and what becomes of it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { HoldRequest, HoldSettlement } from '../../src/action/limits.js';
import type { OutcomeStatus } from '../../src/action/outcome.js';
import type { Ledger, UseGrantRequest } from '../../src/ledger/index.js';
import { breaker, lease, spend, Tenant, token } from './limit-tenant.js';
import {
  admission,
  outcomeFor,
  recordOutcome,
  settlement,
  startLedger,
  type TestLedger,
  times,
  useOf,
} from './support.js';

let at: TestLedger;
let ledger: Ledger;

beforeAll(async () => {
  at = await startLedger();
  ledger = at.ledger;
});
afterAll(() => at.stop());

describe('a budget', () => {
  test('reserves what fits, refuses what does not, and holds nothing for what it refused', async () => {
    const tenant = new Tenant(at);
    expect(await tenant.admit('a', spend(60))).toMatchObject({
      kind: 'admitted',
      limits: [{ limit: 'spend', key: '', kind: 'budget', max: 100, used: 0, held: 0, left: 100, fits: true }],
    });
    expect(await tenant.admit('b', spend(41))).toMatchObject({
      kind: 'limited',
      limits: [{ used: 0, held: 60, left: 40, fits: false }],
    });
    expect(await tenant.admit('c', spend(40))).toMatchObject({ kind: 'admitted' });
    expect(await tenant.sums()).toEqual({ spend: [0, 100] });
    await tenant.end('a', { disposition: 'release' });
    await tenant.end('c', { disposition: 'consume', amounts: { spend: 12.5 } });
    expect(await tenant.sums()).toEqual({ spend: [12.5, 0] });
    expect(await ledger.limits.holds({ tenant: tenant.name, actionId: 'c' })).toMatchObject([
      { limit: 'spend', amount: 12.5, status: 'consumed', settledAt: expect.any(String) },
    ]);
    expect(await ledger.limits.holds({ tenant: tenant.name })).toEqual([]);
  });

  test('a repeated admission holds nothing twice, and one that asks for more or less holds that', async () => {
    const tenant = new Tenant(at);
    for (let again = 0; again < 3; again++) {
      expect(await tenant.admit('a', spend(60))).toMatchObject({
        kind: 'admitted',
        limits: [{ held: 0, left: 100, fits: true }],
      });
    }
    expect(await tenant.sums()).toEqual({ spend: [0, 60] });
    await tenant.admit('a', spend(90));
    expect(await tenant.sums()).toEqual({ spend: [0, 90] });
    expect(await tenant.admit('a', spend(101))).toMatchObject({ kind: 'limited' });
    expect(await tenant.sums()).toEqual({ spend: [0, 90] });
    await tenant.admit('a', spend(10.1));
    expect(await tenant.sums()).toEqual({ spend: [0, 10.1] });
  });

  test('what is not asked for any more is given back; without a word of holds they stay', async () => {
    const tenant = new Tenant(at);
    await tenant.admit('a', spend(60), lease(1), breaker());
    await ledger.actions.admit(admission({ tenant: tenant.name, actionId: 'a' }));
    expect(await tenant.sums()).toEqual({ spend: [0, 60], 'at-once': [0, 1] });
    await tenant.admit('a', spend(60));
    expect(await tenant.sums()).toEqual({ spend: [0, 60], 'at-once': [0, 0] });
    await tenant.admit('a');
    expect(await tenant.sums()).toEqual({ spend: [0, 0], 'at-once': [0, 0] });
    expect((await ledger.limits.holds({ tenant: tenant.name, actionId: 'a' })).map(({ status }) => status)).toEqual([
      'released',
      'released',
      'released',
    ]);
  });

  test('a demand on several limits that does not fit one of them holds none, leaves no grant, and keeps what was held before', async () => {
    const tenant = new Tenant(at);
    await tenant.admit('first', lease(1), spend(10));
    const request = admission(
      { tenant: tenant.name, actionId: 'second' },
      { holds: [spend(10), breaker(), token(5, 1000), lease(1)] },
    );
    expect(await ledger.actions.admit(request)).toMatchObject({
      kind: 'limited',
      limits: [
        { limit: 'spend', fits: true },
        { limit: 'target', fits: true },
        { limit: 'calls', fits: true },
        { limit: 'at-once', fits: false },
      ],
    });
    expect(await ledger.limits.holds({ tenant: tenant.name, actionId: 'second' })).toEqual([]);
    expect(await ledger.grants.use(useOf(request))).toEqual({ kind: 'unknown', otherUses: 0 });
    expect(await tenant.sums()).toEqual({ spend: [0, 10], 'at-once': [0, 1], calls: [0, 0] });
    // Nor does it disturb a grant and holds that an earlier call of the same action got.
    const earlier = admission({ tenant: tenant.name, actionId: 'third' }, { holds: [spend(20)] });
    await ledger.actions.admit(earlier);
    expect(await tenant.admit('third', spend(20), lease(1))).toMatchObject({ kind: 'limited' });
    expect(await tenant.sums()).toMatchObject({ spend: [0, 30] });
    expect(await ledger.grants.use(useOf(earlier))).toMatchObject({ kind: 'first', otherUses: 0 });
  });

  test('what is given back is spent under no grant that it was held for', async () => {
    const tenant = new Tenant(at);
    const granted = async (actionId: string, ...holds: HoldRequest[]): Promise<UseGrantRequest> => {
      const request = admission({ tenant: tenant.name, actionId }, { holds });
      expect(await ledger.actions.admit(request)).toMatchObject({ kind: 'admitted' });
      return useOf(request);
    };
    const waited = await granted('waited', spend(60));
    await tenant.admit('waited');
    const asked = await granted('less', spend(60), lease(5));
    const less = await granted('less', spend(10), lease(5));
    const same = await granted('same', spend(20));
    await granted('same', spend(20));
    expect(await tenant.sums()).toEqual({ spend: [0, 30], 'at-once': [0, 1] });
    for (const use of [waited, asked]) expect(await ledger.grants.use(use)).toEqual({ kind: 'unknown', otherUses: 0 });
    for (const use of [less, same]) expect(await ledger.grants.use(use)).toMatchObject({ kind: 'first', otherUses: 0 });
  });

  test('of a use of a grant, and an admission that gives back what it holds, at once, one is first', async () => {
    const tenant = new Tenant(at);
    const kinds = await times(20, async (n) => {
      const request = admission({ tenant: tenant.name, actionId: `a-${n}` }, { holds: [spend(1)] });
      await ledger.actions.admit(request);
      const given = admission({ tenant: tenant.name, actionId: `a-${n}` }, { holds: [] });
      const [use] = await Promise.allSettled([ledger.grants.use(useOf(request)), ledger.actions.admit(given)]);
      const [hold] = await ledger.limits.holds({ tenant: tenant.name, actionId: `a-${n}` });
      const used = use.status === 'fulfilled' ? use.value.kind : 'failed';
      return `${used} ${hold?.status}`;
    });
    // What is used stays held.
    expect(kinds.filter((one) => one === 'first released')).toEqual([]);
  });

  test('sums of what binary fractions cannot hold are exact', async () => {
    const tenant = new Tenant(at);
    const tenth = (): HoldRequest => spend(0.1, { max: 0.3 });
    for (const id of ['a', 'b', 'c']) expect(await tenant.admit(id, tenth())).toMatchObject({ kind: 'admitted' });
    expect(await tenant.admit('d', spend(1e-9, { max: 0.3 }))).toMatchObject({ kind: 'limited' });
    for (const id of ['a', 'b', 'c']) await tenant.end(id, { disposition: 'release' });
    expect(await tenant.sums()).toEqual({ spend: [0, 0] });
  });

  test('0.1 and 0.7 of 0.8 fit, and nothing more', async () => {
    const tenant = new Tenant(at);
    const of = (amount: number): HoldRequest => spend(amount, { max: 0.8 });
    expect(await tenant.admit('a', of(0.1))).toMatchObject({ kind: 'admitted' });
    expect(await tenant.admit('b', of(0.7))).toMatchObject({ kind: 'admitted', limits: [{ held: 0.1, left: 0.7 }] });
    expect(await tenant.admit('c', of(0.0001))).toMatchObject({ kind: 'limited', limits: [{ held: 0.8, left: 0 }] });
    await tenant.end('a', { disposition: 'consume' });
    await tenant.end('b', { disposition: 'consume' });
    expect(await tenant.sums()).toEqual({ spend: [0.8, 0] });
  });

  test('people may let something pass that does not fit; it counts all the same, and a demand of nothing always fits', async () => {
    const tenant = new Tenant(at);
    await tenant.admit('a', spend(80));
    expect(await tenant.admit('b', { ...spend(50), over: true })).toMatchObject({
      kind: 'admitted',
      limits: [{ fits: false, left: 20 }],
    });
    expect(await tenant.sums()).toEqual({ spend: [0, 130] });
    expect(await tenant.admit('c', spend(1))).toMatchObject({ kind: 'limited', limits: [{ left: 0 }] });
    expect(await tenant.admit('c', spend(0))).toMatchObject({ kind: 'admitted' });
  });

  test('more can be spent than was held: the next one meets what is true', async () => {
    const tenant = new Tenant(at);
    await tenant.admit('a', spend(10));
    await tenant.end('a', { disposition: 'consume', amounts: { spend: 99.5, other: 7 } });
    expect(await tenant.read(spend(1))).toMatchObject({ used: 99.5, held: 0, left: 0.5, fits: false });
  });

  test('an unknown outcome keeps what is held until it is resolved, either way', async () => {
    const tenant = new Tenant(at);
    for (const id of ['a', 'b']) {
      await tenant.admit(id, spend(30), lease(5));
      await tenant.end(id, { disposition: 'keep' });
    }
    expect(await tenant.sums()).toEqual({ spend: [0, 60], 'at-once': [0, 2] });
    expect(await ledger.limits.holds({ tenant: tenant.name })).toHaveLength(4);
    await tenant.resolve('a', 'failed');
    await tenant.resolve('b', 'success', { disposition: 'consume', amounts: { spend: 25 } });
    expect(await tenant.sums()).toEqual({ spend: [25, 0], 'at-once': [0, 0] });
    expect(await ledger.limits.holds({ tenant: tenant.name })).toEqual([]);
  });

  test('holds that nobody could end later are refused before anything is written', async () => {
    const tenant = new Tenant(at);
    await tenant.admit('a', spend(30));
    const names = { tenant: tenant.name, actionId: 'a' };
    await expect(recordOutcome(ledger, settlement(names, { holds: { disposition: 'keep' } }))).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      field: 'holds.disposition',
    });
    await tenant.end('a', { disposition: 'keep' });
    await expect(tenant.resolve('a', 'success', { disposition: 'keep' })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
    });
    expect(await tenant.sums()).toEqual({ spend: [0, 30] });
  });

  test.each<[OutcomeStatus, [used: number, held: number]]>([
    ['success', [30, 0]],
    ['mismatch', [30, 0]],
    ['unknown', [0, 30]],
    ['failed', [0, 0]],
    ['denied', [0, 0]],
    ['expired', [0, 0]],
    ['cancelled', [0, 0]],
  ])('settling as %s without a word of holds ends them as the status says', async (status, sums) => {
    const tenant = new Tenant(at);
    await tenant.admit('a', spend(30));
    const names = { tenant: tenant.name, actionId: 'a' };
    await recordOutcome(ledger, settlement(names, { outcome: outcomeFor(names, { status }) }));
    expect(await tenant.sums()).toEqual({ spend: sums });
  });

  test('reading is of the state without the reader itself, in the order asked, and writes nothing', async () => {
    const tenant = new Tenant(at);
    await tenant.admit('a', spend(70), lease(1));
    const readings = await ledger.limits.read(tenant.name, 'a', [lease(1), spend(80)]);
    expect(readings).toMatchObject([
      { limit: 'at-once', held: 0, left: 1, fits: true },
      { limit: 'spend', held: 0, left: 100, fits: true },
    ]);
    expect(await ledger.limits.read(tenant.name, 'b', [spend(80), lease(1)])).toMatchObject([
      { limit: 'spend', held: 70, left: 30, fits: false },
      { limit: 'at-once', held: 1, left: 0, fits: false },
    ]);
    expect(await ledger.limits.read(tenant.name, 'a', [])).toEqual([]);
    const other = new Tenant(at);
    await other.read(spend(1));
    expect(await ledger.limits.counters({ tenant: other.name })).toEqual([]);
  });

  test.each<[string, HoldRequest]>([
    ['amount', spend(Number.NaN)],
    ['amount', spend(Number.POSITIVE_INFINITY)],
    ['amount', spend(-1)],
    ['max', spend(1, { max: -1 })],
    ['window.ms', spend(1, { window: { kind: 'fixed', ms: 0 } })],
    ['window.ms', spend(1, { window: { kind: 'sliding', ms: 1e18 } })],
    ['refillMs', token(1, 0)],
    ['capacity', token(-1, 1)],
    ['ratio', breaker({ ratio: 0 })],
    ['probes', breaker({ probes: 0 })],
    ['openMs', breaker({ openMs: -5 })],
    ['kind', { ...lease(1), kind: 'depth' } as unknown as HoldRequest],
    ['limit', { ...lease(1), limit: 'half \ud83d' }],
  ])('what cannot be counted is refused by its name (%s), and nothing is admitted', async (field, demand) => {
    const tenant = new Tenant(at);
    const refused = {
      code: expect.stringMatching(/^INVALID_/),
      field: expect.stringContaining(field),
      retryable: false,
    };
    await expect(tenant.admit('a', demand)).rejects.toMatchObject(refused);
    await expect(tenant.read(demand)).rejects.toMatchObject(refused);
    expect(await ledger.actions.find(tenant.name, 'a')).toBeUndefined();
  });

  test('two demands on one counter are refused: neither would see the other', async () => {
    const tenant = new Tenant(at);
    await expect(tenant.admit('a', spend(60), spend(60))).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    expect(await tenant.admit('a', spend(60), spend(60, { key: 'agent=x' }))).toMatchObject({ kind: 'admitted' });
  });

  test.each<HoldSettlement['amounts']>([{ spend: -1 }, { spend: Number.NaN }, { spend: Number.POSITIVE_INFINITY }])(
    'an amount that cannot have been spent is refused, and the action stays open (%o)',
    async (amounts = {}) => {
      const tenant = new Tenant(at);
      await tenant.admit('a', spend(60));
      await expect(tenant.end('a', { disposition: 'consume', amounts })).rejects.toMatchObject({
        code: expect.stringMatching(/^INVALID_/),
      });
      expect(await ledger.actions.find(tenant.name, 'a')).toMatchObject({ status: 'open' });
    },
  );
});
