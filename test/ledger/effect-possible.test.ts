/** What if an outcome says that nothing was done, and an earlier run used a grant? */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { OutcomeStatus } from '../../src/action/outcome.js';
import type { AdmitRequest, Ledger, Settlement, SettleRequest } from '../../src/ledger/index.js';
import {
  admission,
  newTenant,
  outcomeFor,
  recordOutcome,
  settlement,
  signLink,
  someoneWaitsForLock,
  startLedger,
  times,
  useOf,
  wholeChain,
  type Names,
  type TestLedger,
} from './support.js';

let at: TestLedger;
let ledger: Ledger;

beforeAll(async () => {
  at = await startLedger();
  ledger = at.ledger;
});
afterAll(() => at.stop());

const NOT_DONE = ['denied', 'failed', 'cancelled', 'expired'] as const satisfies readonly OutcomeStatus[];

async function admitted(more: Partial<AdmitRequest> = {}): Promise<AdmitRequest> {
  const request = admission({ tenant: newTenant(), actionId: 'a-1' }, more);
  expect(await ledger.actions.admit(request)).toMatchObject({ kind: 'admitted' });
  return request;
}

/** Admitted, and its grant used by an activity of that run. */
async function used(run: string, more: Partial<AdmitRequest> = {}): Promise<AdmitRequest> {
  const request = await admitted(more);
  expect(await ledger.grants.use(useOf(request, `${run}/5`))).toMatchObject({ kind: 'first' });
  return request;
}

function ending({ tenant, actionId }: Names, status: OutcomeStatus, more: Partial<SettleRequest> = {}): SettleRequest {
  const names = { tenant, actionId };
  return settlement(names, { outcome: outcomeFor(names, { status, reason: status }), ...more });
}

const BUDGET = { kind: 'budget', unit: 'EUR', limit: 'spend', key: '', max: 100, amount: 10 } as const;

describe('an outcome that says that nothing was done, after another run used a grant', () => {
  test.each(NOT_DONE)('%s is not recorded, and holds and chain stay as they are', async (status) => {
    const request = await used('run-1', { holds: [BUDGET] });
    const never = { sign: () => Promise.reject(new Error('must not be asked')) };
    expect(await ledger.receipts.settle(ending(request, status, { withoutEffect: ['run-2/5'], ...never }))).toEqual({
      kind: 'effect_possible',
      uses: 1,
    });
    expect(await ledger.actions.find(request.tenant, request.actionId)).toEqual({
      digest: request.digest,
      agent: request.agent,
      status: 'open',
      uses: 1,
    });
    expect(await ledger.receipts.head(request.tenant)).toEqual({ seq: 0, hash: null });
    expect(await ledger.limits.holds(request)).toMatchObject([{ limit: 'spend', amount: 10, status: 'held' }]);
    expect(await ledger.limits.counters(request)).toMatchObject([{ held: 10, used: 0 }]);
  });

  test.each(NOT_DONE)('%s is recorded when the effect is ruled out', async (status) => {
    const request = await used('run-1', { holds: [BUDGET] });
    await recordOutcome(ledger, ending(request, status, { withoutEffect: ['run-2/5'], effectRuledOut: true }));
    expect(await ledger.actions.find(request.tenant, request.actionId)).toMatchObject({ status });
    expect(await ledger.limits.counters(request)).toMatchObject([{ held: 0, used: 0 }]);
  });

  test.each(['success', 'mismatch', 'unknown'] as const)('%s says no such thing, and is recorded', async (status) => {
    const request = await used('run-1');
    await recordOutcome(ledger, ending(request, status, { withoutEffect: ['run-2/5'] }));
    expect(await ledger.actions.find(request.tenant, request.actionId)).toMatchObject({ status });
  });

  test('a worker that believes to be alone at the chain is stopped as well', async () => {
    const tenant = newTenant();
    // So many in a row make the ledger sign ahead for the place it expects.
    for (let n = 0; n < 12; n++) await recordOutcome(ledger, settlement({ tenant, actionId: `before-${n}` }));
    const request = admission({ tenant, actionId: 'a-1' });
    await ledger.actions.admit(request);
    await ledger.grants.use(useOf(request, 'run-1/5'));
    expect(await ledger.receipts.settle(ending(request, 'denied', { withoutEffect: ['run-2/5'] }))).toMatchObject({
      kind: 'effect_possible',
    });
    expect(await wholeChain(ledger, tenant)).toHaveLength(12);
    await recordOutcome(ledger, ending(request, 'unknown', { withoutEffect: ['run-2/5'] }));
    expect(await wholeChain(ledger, tenant)).toHaveLength(13);
  });

  test('what ended before comes back, whoever used a grant', async () => {
    const request = await used('run-1');
    const { outcome } = await recordOutcome(ledger, ending(request, 'success'));
    expect(await ledger.receipts.settle(ending(request, 'denied', { withoutEffect: ['run-2/5'] }))).toEqual({
      kind: 'settled',
      outcome,
      recorded: true,
    });
  });
});

describe('a look-up rules out the uses that there were, and none that came since', () => {
  /** Another run uses a grant of its own. */
  async function usedSince(request: AdmitRequest): Promise<void> {
    const next = admission(request);
    await ledger.actions.admit(next);
    expect(await ledger.grants.use(useOf(next, 'run-2/5'))).toMatchObject({ kind: 'first' });
  }
  const ruledOut = (request: AdmitRequest, usesRuledOut: number): SettleRequest =>
    ending(request, 'failed', { effectRuledOut: true, usesRuledOut });

  test('also where one of them was returned meanwhile', async () => {
    const request = await used('run-1');
    await usedSince(request);
    expect(await ledger.receipts.settle(ruledOut(request, 1))).toEqual({ kind: 'effect_possible', uses: 1 });
    expect(await ledger.grants.return(useOf(request, 'run-1/5'))).toBe(true);
    expect(await ledger.receipts.settle(ruledOut(request, 1))).toEqual({ kind: 'effect_possible', uses: 1 });
    await recordOutcome(ledger, ruledOut(request, 2));
    expect(await ledger.actions.find(request.tenant, request.actionId)).toMatchObject({ status: 'failed' });
  });

  test('also for a worker that believes to be alone at the chain', async () => {
    const tenant = newTenant();
    for (let n = 0; n < 12; n++) await recordOutcome(ledger, settlement({ tenant, actionId: `before-${n}` }));
    const request = admission({ tenant, actionId: 'a-1' });
    await ledger.actions.admit(request);
    await ledger.grants.use(useOf(request, 'run-1/5'));
    await usedSince(request);
    expect(await ledger.receipts.settle(ruledOut(request, 1))).toEqual({ kind: 'effect_possible', uses: 1 });
    await recordOutcome(ledger, ruledOut(request, 2));
    expect(await wholeChain(ledger, tenant)).toHaveLength(13);
  });
});

describe('whose uses stand against it', () => {
  test('those known to have had no effect do not; others do, also where the name begins alike', async () => {
    const own = await used('run-1');
    await recordOutcome(ledger, ending(own, 'failed', { withoutEffect: ['run-1/5'] }));
    const alike = await used('run-12');
    expect(await ledger.receipts.settle(ending(alike, 'failed', { withoutEffect: ['run-1/5'] }))).toMatchObject({
      kind: 'effect_possible',
    });
  });

  test('every use does where none is named', async () => {
    const request = await used('run-1');
    expect(await ledger.receipts.settle(ending(request, 'failed'))).toEqual({ kind: 'effect_possible', uses: 1 });
  });

  test('only those of others are counted', async () => {
    const request = await used('run-1');
    for (const run of ['run-2', 'run-3']) {
      const next = admission(request);
      await ledger.actions.admit(next);
      await ledger.grants.use(useOf(next, `${run}/5`));
    }
    expect(await ledger.actions.find(request.tenant, request.actionId)).toMatchObject({ uses: 3 });
    expect(await ledger.receipts.settle(ending(request, 'expired', { withoutEffect: ['run-3/5'] }))).toEqual({
      kind: 'effect_possible',
      uses: 2,
    });
  });

  test('a grant that was never used, or was returned, does not', async () => {
    const unused = await admitted();
    await recordOutcome(ledger, ending(unused, 'denied', { withoutEffect: ['run-2/5'] }));
    const returned = await used('run-1');
    const { jti } = returned.grant;
    const { tenant, actionId } = returned;
    expect(await ledger.grants.return({ jti, tenant, actionId, usedBy: 'run-1/5' })).toBe(true);
    expect(await ledger.actions.find(tenant, actionId)).toMatchObject({ uses: 0 });
    await recordOutcome(ledger, ending(returned, 'denied', { withoutEffect: ['run-2/5'] }));
  });

  test('a use still does when the row of its grant is gone', async () => {
    const request = await used('run-1');
    await at.pool.query('delete from countersign.grants where jti = $1', [request.grant.jti]);
    expect(await ledger.receipts.settle(ending(request, 'denied', { withoutEffect: ['run-1/5'] }))).toMatchObject({
      kind: 'effect_possible',
    });
  });
});

describe('a use and a settling at once', () => {
  test('of any number, the later one sees the earlier', async () => {
    const workers = [ledger, await at.another(), await at.another()];
    const race = async (n: number): Promise<string> => {
      const request = admission({ tenant: newTenant(), actionId: `a-${n}` });
      await ledger.actions.admit(request);
      const [one, other] = [workers[n % 3] as Ledger, workers[(n + 1) % 3] as Ledger];
      const settle = (): Promise<Settlement> =>
        other.receipts.settle(ending(request, 'denied', { withoutEffect: ['run-2/5'] }));
      const early = n % 2 === 0 ? settle() : undefined;
      const [use, settled] = await Promise.all([one.grants.use(useOf(request, 'run-1/5')), early ?? settle()]);
      return `${use.kind} ${settled.kind}`;
    };
    const ends: string[] = [];
    for (let n = 0; n < 300; n += 30) ends.push(...(await times(30, (index) => race(n + index))));
    expect(new Set(ends)).toEqual(new Set(['first effect_possible', 'ended settled']));
  });

  test('a settling that waits while a grant is being used finds the effect possible', async () => {
    const request = await admitted();
    const user = await at.pool.connect();
    // The use by another worker, stopped before its commit.
    await user.query('begin');
    await user.query('update countersign.actions set uses = uses + 1 where tenant = $1', [request.tenant]);
    await user.query(
      `update countersign.grants set used_at = clock_timestamp(), used_by = 'run-1/5', attempt = 1 where jti = $1`,
      [request.grant.jti],
    );
    const settling = ledger.receipts.settle(ending(request, 'denied', { withoutEffect: ['run-2/5'] }));
    await someoneWaitsForLock(at.pool);
    await user.query('commit');
    user.release();
    expect(await settling).toEqual({ kind: 'effect_possible', uses: 1 });
  });

  test("a settling does not take a returned grant of its own run for one that makes room for another's", async () => {
    for (let round = 0; round < 40; round++) {
      const own = await used('run-2');
      const foreign = admission(own);
      await ledger.actions.admit(foreign);
      const { tenant, actionId } = own;
      const returning = { jti: own.grant.jti, tenant, actionId, usedBy: 'run-2/5' };
      const [, use, settled] = await Promise.all([
        ledger.grants.return(returning),
        ledger.grants.use(useOf(foreign, 'run-1/5')),
        ledger.receipts.settle(ending(own, 'failed', { withoutEffect: ['run-2/5'] })),
      ]);
      expect([use.kind, settled.kind]).toEqual(
        use.kind === 'first' ? ['first', 'effect_possible'] : ['ended', 'settled'],
      );
    }
  });
});

describe('the refusal of a grant', () => {
  test.each(['frozen', 'revoked', 'expired', 'unknown', 'replayed', 'returned'] as const)(
    '(%s) tells how many other grants of the action were used',
    async (kind) => {
      const before = await used('run-1');
      const { tenant, actionId } = before;
      const credentials = { credentials: ['credential-1'] };
      const request = admission(before, kind === 'expired' ? { grant: { jti: newTenant(), ttlSeconds: -60 } } : {});
      await ledger.actions.admit(request);
      const use = { ...useOf(request, 'run-2/5'), ...credentials };
      const stopped = {
        frozen: () => ledger.controls.freeze({ tenant, scope: { kind: 'all' }, reason: 'stop', by: 'ops' }),
        revoked: () => ledger.controls.revoke({ tenant, jti: 'credential-1', reason: 'stop', by: 'ops' }),
        expired: () => Promise.resolve(),
        unknown: () => at.pool.query('delete from countersign.grants where jti = $1', [request.grant.jti]),
        replayed: () => ledger.grants.use({ ...use, usedBy: 'run-3/5' }),
        returned: async () => {
          await ledger.grants.use(use);
          await ledger.grants.return({ jti: use.jti, tenant, actionId, usedBy: use.usedBy });
        },
      };
      await stopped[kind]();
      expect(await ledger.grants.use(use)).toMatchObject({ kind, otherUses: 1 });
    },
  );

  test('because the action has ended tells it too', async () => {
    const before = await used('run-1');
    const request = admission(before);
    await ledger.actions.admit(request);
    await ledger.receipts.settle(settlement(before, { sign: signLink }));
    expect(await ledger.grants.use(useOf(request, 'run-2/5'))).toEqual({ kind: 'ended', otherUses: 1 });
  });
});
