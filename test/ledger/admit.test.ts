import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Ledger } from '../../src/ledger/index.js';
import {
  admission,
  grant,
  newTenant,
  outcomeFor,
  proposal,
  recordOutcome,
  settlement,
  startLedger,
  times,
  useOf,
} from './support.js';
import type { TestLedger } from './support.js';

let at: TestLedger;
let ledger: Ledger;

beforeAll(async () => {
  at = await startLedger();
  ledger = at.ledger;
});
afterAll(() => at.stop());

async function grantsOf(tenant: string): Promise<number> {
  const { rows } = await at.pool.query('select count(*)::int as count from countersign.grants where tenant = $1', [
    tenant,
  ]);
  return rows[0].count;
}

describe('admitting an action', () => {
  test('registers it, open, with its grant', async () => {
    const names = { tenant: newTenant(), actionId: 'a-1' };
    expect(await ledger.actions.find(names.tenant, names.actionId)).toBeUndefined();
    expect(await ledger.actions.admit(admission(names, { owner: 'ann' }))).toMatchObject({ kind: 'admitted' });
    expect(await ledger.actions.find(names.tenant, names.actionId)).toEqual({
      digest: proposal('a-1'),
      status: 'open',
      uses: 0,
      agent: 'agent-1',
      owner: 'ann',
    });
    expect(await grantsOf(names.tenant)).toBe(1);
    // Whose it is does not change by another grant, nor by whoever writes to the ledger.
    await ledger.actions.admit(admission(names, { owner: 'bob' }));
    expect((await ledger.actions.find(names.tenant, names.actionId))?.owner).toBe('ann');
    const changed = at.pool.query("update countersign.actions set owner = 'bob' where tenant = $1", [names.tenant]);
    await expect(changed).rejects.toThrow(/refuses/i);
  });

  test.each([
    ['alone', {}],
    ['with holds', { holds: [] }],
    ['with history', { history: { checks: [], marks: [] } }],
  ])('(%s) says from when until when the grant is valid, by the clock of the database', async (_how, more) => {
    const names = { tenant: newTenant(), actionId: 'a-1' };
    const request = admission(names, { grant: grant(90), ...more });
    vi.useFakeTimers({ toFake: ['Date'], now: 0 });
    const admitted = await ledger.actions.admit(request);
    vi.useRealTimers();
    const { rows } = await at.pool.query<{ issued: number; expires: number }>(
      `select extract(epoch from date_trunc('second', issued_at))::float8 as issued, extract(epoch from expires_at)::float8 as expires
       from countersign.grants where jti = $1`,
      [request.grant.jti],
    );
    const [{ issued, expires } = { issued: 0, expires: 0 }] = rows;
    expect(admitted).toMatchObject({ kind: 'admitted', issuedAt: expires - 90, expiresAt: expires });
    expect(Math.abs(expires - 90 - issued)).toBeLessThanOrEqual(1);
    // The same grant again is the same time.
    expect(await ledger.actions.admit(request)).toMatchObject({ issuedAt: expires - 90, expiresAt: expires });
  });

  test('the same action again gets another grant; the same grant again changes nothing', async () => {
    const names = { tenant: newTenant(), actionId: 'a-1' };
    const first = admission(names);
    await ledger.actions.admit(first);
    expect(await ledger.actions.admit(admission(names))).toMatchObject({ kind: 'admitted' });
    expect(await ledger.actions.admit(first)).toMatchObject({ kind: 'admitted' });
    expect(await grantsOf(names.tenant)).toBe(2);
  });

  test('one action id in two tenants is two actions', async () => {
    const [one, other] = [newTenant(), newTenant()];
    await ledger.actions.admit(admission({ tenant: one, actionId: 'a-1' }));
    expect(
      await ledger.actions.admit(admission({ tenant: other, actionId: 'a-1' }, { digest: proposal('else') })),
    ).toMatchObject({
      kind: 'admitted',
    });
  });

  test('another proposal under a used action id is a conflict, named by the digest that holds, and gets no grant', async () => {
    const names = { tenant: newTenant(), actionId: 'a-1' };
    await ledger.actions.admit(admission(names));
    const refused = await ledger.actions.admit(admission(names, { digest: proposal('something else') }));
    expect(refused).toEqual({ kind: 'conflict', digest: proposal('a-1') });
    expect(await grantsOf(names.tenant)).toBe(1);
  });

  test('a conflict stays one after the action has ended, and does not give the outcome away', async () => {
    const names = { tenant: newTenant(), actionId: 'a-1' };
    await recordOutcome(ledger, settlement(names));
    const refused = await ledger.actions.admit(admission(names, { digest: proposal('something else') }));
    expect(refused).toEqual({ kind: 'conflict', digest: proposal('a-1') });
  });

  test('an ended action gives its outcome with its receipt, and no grant', async () => {
    const names = { tenant: newTenant(), actionId: 'a-1' };
    await ledger.actions.admit(admission(names));
    const { outcome } = await recordOutcome(ledger, settlement(names));
    expect(await ledger.actions.admit(admission(names))).toEqual({ kind: 'ended', outcome });
    expect(outcome).toMatchObject({ ...outcomeFor(names), receipt: { tenant: names.tenant, seq: 1 } });
    expect(await grantsOf(names.tenant)).toBe(1);
  });

  test("a grant id of another action is refused, and that action's grant stays its own", async () => {
    const tenant = newTenant();
    const mine = admission({ tenant, actionId: 'mine' });
    await ledger.actions.admit(mine);
    for (const theirs of [
      admission({ tenant, actionId: 'theirs' }, { grant: mine.grant }),
      admission({ tenant: newTenant(), actionId: 'mine' }, { grant: mine.grant }),
      admission({ tenant, actionId: 'mine' }, { grant: mine.grant, agent: 'agent-2' }),
      admission({ tenant, actionId: 'mine' }, { grant: mine.grant, tool: 'other-tool' }),
    ]) {
      await expect(ledger.actions.admit(theirs)).rejects.toMatchObject({ code: 'GRANT_INVALID', retryable: false });
    }
    expect(await ledger.grants.use(useOf(mine))).toMatchObject({ kind: 'first', otherUses: 0 });
  });
});

describe('races', () => {
  test('of many proposals that claim one action id at once, exactly one is admitted', async () => {
    const clients = await times(4, () => at.another());
    for (let round = 0; round < 10; round++) {
      const names = { tenant: newTenant(), actionId: 'contested' };
      const answers = await times(40, (index) =>
        (clients[index % clients.length] as Ledger).actions.admit(
          admission(names, { digest: proposal(`claim ${index}`), agent: `agent-${index}` }),
        ),
      );
      const admitted = answers.flatMap((answer, index) =>
        answer.kind === 'admitted' ? [proposal(`claim ${index}`)] : [],
      );
      expect(admitted).toHaveLength(1);
      const conflicts = answers.filter((answer) => answer.kind === 'conflict');
      expect(conflicts).toHaveLength(39);
      expect(new Set(conflicts.map((conflict) => conflict.digest))).toEqual(new Set(admitted));
      expect(await grantsOf(names.tenant)).toBe(1);
    }
  });

  test('repeating one admission at once gives every caller a grant of its own', async () => {
    const names = { tenant: newTenant(), actionId: 'a-1' };
    const answers = await times(30, () => ledger.actions.admit(admission(names)));
    expect(answers).toMatchObject(answers.map(() => ({ kind: 'admitted' })));
    expect(await grantsOf(names.tenant)).toBe(30);
  });

  test('whoever is admitted while the action is being settled holds a grant that is dead', async () => {
    const tenant = newTenant();
    const answers = await times(25, async (index) => {
      const names = { tenant, actionId: `a-${index}` };
      const request = admission(names, { grant: grant() });
      const [admitted] = await Promise.all([ledger.actions.admit(request), recordOutcome(ledger, settlement(names))]);
      const use = await ledger.grants.use(useOf(request));
      return { admitted: admitted.kind, use: use.kind };
    });
    for (const { admitted, use } of answers) {
      expect({ admitted, use }).toEqual({ admitted, use: admitted === 'admitted' ? 'ended' : 'unknown' });
      expect(['admitted', 'ended']).toContain(admitted);
    }
  });
});
