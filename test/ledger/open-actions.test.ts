/** What a reconciler sees of actions that nobody ended. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Ledger, OpenAction } from '../../src/ledger/index.js';
import {
  admission,
  grant,
  newTenant,
  proposal,
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

async function all(tenant: string): Promise<OpenAction[]> {
  const found: OpenAction[] = [];
  for (let page = await ledger.actions.listOpen({ olderThanMs: 0 }); ;) {
    found.push(...page.filter((action) => action.tenant === tenant));
    const after = page.at(-1);
    if (after === undefined) return found;
    page = await ledger.actions.listOpen({ olderThanMs: 0, after });
  }
}

test('an open action is found with what was done in its name; an ended one is not', async () => {
  const tenant = newTenant();
  const used = admission({ tenant, actionId: 'used' });
  await ledger.actions.admit(used);
  await ledger.grants.use(useOf(used));
  await ledger.actions.admit(admission({ tenant, actionId: 'live' }));
  await ledger.actions.admit(admission({ tenant, actionId: 'over' }, { grant: grant(-1000) }));
  await ledger.actions.admit(admission({ tenant, actionId: 'ended' }));
  await recordOutcome(ledger, settlement({ tenant, actionId: 'ended' }));
  const common = { tenant, agent: 'agent-1', tool: 'shop-db', environment: 'production' };
  expect(await all(tenant)).toEqual([
    {
      ...common,
      actionId: 'used',
      digest: proposal('used'),
      uses: 1,
      usesInAll: 1,
      liveGrant: false,
      admittedAt: expect.any(String),
    },
    {
      ...common,
      actionId: 'live',
      digest: proposal('live'),
      uses: 0,
      usesInAll: 0,
      liveGrant: true,
      admittedAt: expect.any(String),
    },
    {
      ...common,
      actionId: 'over',
      digest: proposal('over'),
      uses: 0,
      usesInAll: 0,
      liveGrant: false,
      admittedAt: expect.any(String),
    },
  ]);
});

test('pages join exactly, also among actions admitted in one microsecond, and the young are left alone', async () => {
  const tenant = newTenant();
  await at.pool.query(
    `insert into countersign.actions (tenant, action_id, digest, tool, created_at)
     select $1, 'same-' || lpad(n::text, 4, '0'), $2, 't', '2026-01-01T00:00:00.123456Z' from generate_series(1, 250) n`,
    [tenant, proposal('x')],
  );
  const found = await all(tenant);
  expect(found.map(({ actionId }) => actionId)).toEqual(
    Array.from({ length: 250 }, (_, n) => `same-${String(n + 1).padStart(4, '0')}`),
  );
  expect(found[0]?.admittedAt).toBe('2026-01-01T00:00:00.123456Z');
  expect(await ledger.actions.listOpen({ olderThanMs: 0 })).toHaveLength(100);
  await ledger.actions.admit(admission({ tenant, actionId: 'young' }));
  const old = await ledger.actions.listOpen({ olderThanMs: 3_600_000, after: found[249] as OpenAction });
  expect(old.filter((action) => action.tenant === tenant)).toEqual([]);
});

test('once sends are stopped, a grant is unknown to whoever would use it; one that was used stays used, by no attempt any more', async () => {
  const tenant = newTenant();
  const [used, live, other] = [1, 2, 3].map((n) => admission({ tenant, actionId: n < 3 ? 'a-1' : 'a-2' }));
  if (!used || !live || !other) throw new Error('three were made');
  for (const request of [used, live, other]) await ledger.actions.admit(request);
  await ledger.grants.use(useOf(used));
  expect(await ledger.grants.stopSends(tenant, 'a-1')).toBe(1);
  expect(await ledger.grants.stopSends(tenant, 'a-1')).toBe(0);
  expect(await ledger.grants.use(useOf(live))).toEqual({ kind: 'unknown', otherUses: 1 });
  expect(await ledger.grants.use(useOf(used))).toEqual({ kind: 'overtaken', otherUses: 0 });
  for (const attempt of [7, 2 ** 31 - 1, 2 ** 31])
    expect(await ledger.grants.use({ ...useOf(used), attempt })).toEqual({ kind: 'overtaken', otherUses: 0 });
  expect(await ledger.grants.sendRefused(useOf(used))).toBe('overtaken');
  expect(await ledger.grants.use(useOf(other))).toMatchObject({ kind: 'first' });
});

test('using a grant and stopping its sends at once: it is used or void, never both', async () => {
  const tenant = newTenant();
  const outcomes = await times(30, async (n) => {
    const request = admission({ tenant, actionId: `a-${n}` });
    await ledger.actions.admit(request);
    const [use, voided] = await Promise.all([
      ledger.grants.use(useOf(request)),
      ledger.grants.stopSends(tenant, `a-${n}`),
    ]);
    return `${use.kind} ${voided}`;
  });
  expect(outcomes.filter((one) => one !== 'first 0' && one !== 'unknown 1')).toEqual([]);
});
