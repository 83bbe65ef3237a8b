/** Standing approvals in the ledger: found for what they are about, never changed, over when they are, never overspent. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { digestText } from '../../src/action/json.js';
import { standingLimit, type HoldRequest } from '../../src/action/limits.js';
import type { Ledger, StandingApprovalQuery } from '../../src/ledger/index.js';
import type { NewAuthorization } from '../../src/action/person-authorization.js';
import type { StandingApproval } from '../../src/action/standing-approval.js';
import { admission, newTenant, startLedger, type TestLedger } from './support.js';

let at: TestLedger;
let ledger: Ledger;

beforeAll(async () => {
  at = await startLedger();
  ledger = at.ledger;
});
afterAll(() => at.stop());

function adding(
  tenant: string,
  more: Partial<NewAuthorization<StandingApproval>> = {},
): NewAuthorization<StandingApproval> {
  const statement = `statement ${randomUUID()}`;
  return {
    tenant,
    id: randomUUID(),
    agent: 'bot',
    tool: 'payments',
    roles: ['dba'],
    until: new Date(Date.now() + 3_600_000).toISOString(),
    by: 'dora',
    credentials: ['dora-1'],
    reason: 'the night shift',
    statement,
    digest: digestText(statement),
    ...more,
  };
}

async function found(tenant: string, more: Partial<StandingApprovalQuery> = {}): Promise<readonly string[]> {
  const wanted = { tenant, agents: ['bot'], tool: 'payments', environment: 'production', rows: 1, ...more };
  return (await ledger.standingApprovals.for(wanted)).map(({ id }) => id);
}

test('a standing approval is found as it was added, with its signed statement', async () => {
  const tenant = newTenant();
  const given = adding(tenant, {
    operation: 'refund*',
    environment: 'production',
    maxRows: 3,
    actions: 10,
    amounts: { EUR: 50.5, 'GB sent': 1 },
  });
  const { statement, ...row } = given;
  const added = await ledger.standingApprovals.add(given);
  expect(added).toEqual({ ...row, at: expect.any(String) });
  expect(await ledger.standingApprovals.find(tenant, given.id)).toEqual(added);
  expect(await ledger.standingApprovals.list({ tenant })).toEqual([
    { ...added, used: { actions: 0, amounts: { EUR: 0, 'GB sent': 0 } } },
  ]);
  const wanted = { tenant, agents: ['bot'], tool: 'payments', environment: 'production', rows: 3 };
  expect(await ledger.standingApprovals.for(wanted)).toEqual([{ ...added, statement }]);
});

test('adding a standing approval again changes nothing; another one under its id is refused', async () => {
  const tenant = newTenant();
  const given = adding(tenant);
  expect(await ledger.standingApprovals.add(given)).toEqual(await ledger.standingApprovals.add(given));
  const other = adding(tenant, { id: given.id, agent: 'mallory' });
  await expect(ledger.standingApprovals.add(other)).rejects.toMatchObject({ code: 'INVALID_INPUT' });
  expect(await ledger.standingApprovals.find(tenant, given.id)).toMatchObject({ agent: 'bot' });
});

test('a standing approval is found for its agents, tool, environment and rows, and for no others', async () => {
  const tenant = newTenant();
  const { id } = await ledger.standingApprovals.add(adding(tenant, { environment: 'production', maxRows: 2 }));
  expect(await found(tenant)).toEqual([id]);
  expect(await found(tenant, { agents: ['bot/helper', 'bot'] })).toEqual([id]);
  expect(await found(tenant, { rows: 2 })).toEqual([id]);
  for (const other of [{ agents: ['bo'] }, { agents: [] }, { tool: 'crm' }, { environment: 'staging' }, { rows: 3 }]) {
    expect(await found(tenant, other)).toEqual([]);
  }
  expect(await found(newTenant())).toEqual([]);
});

test('the standing approvals that end soonest come first', async () => {
  const tenant = newTenant();
  const inMinutes = (minutes: number): string => new Date(Date.now() + minutes * 60_000).toISOString();
  const late = await ledger.standingApprovals.add(adding(tenant, { until: inMinutes(60) }));
  const soon = await ledger.standingApprovals.add(adding(tenant, { until: inMinutes(5) }));
  expect(await found(tenant)).toEqual([soon.id, late.id]);
});

test('a standing approval ends at its time, by the database’s clock', async () => {
  const tenant = newTenant();
  const { rows } = await at.pool.query<{ now: Date }>('select clock_timestamp() as now');
  const now = rows[0]?.now.getTime() ?? 0;
  const over = await ledger.standingApprovals.add(adding(tenant, { until: new Date(now - 1).toISOString() }));
  expect(await found(tenant)).toEqual([]);
  expect(await ledger.standingApprovals.list({ tenant, activeOnly: true })).toEqual([]);
  expect(await ledger.standingApprovals.list({ tenant })).toMatchObject([{ id: over.id }]);
});

test.each(['its id', 'a credential of whoever gave it'])('it is over when %s is revoked', async (what) => {
  const tenant = newTenant();
  const given = await ledger.standingApprovals.add(adding(tenant, { credentials: ['chain', 'dora-1'] }));
  const other = await ledger.standingApprovals.add(adding(tenant, { credentials: ['dave-1'] }));
  await ledger.controls.revoke({ tenant: newTenant(), jti: given.id, reason: 'elsewhere', by: 'dora' });
  expect(await found(tenant)).toHaveLength(2);
  const jti = what === 'its id' ? given.id : 'dora-1';
  await ledger.controls.revoke({ tenant, jti, reason: 'enough', by: 'olga' });
  expect(await found(tenant)).toEqual([other.id]);
  expect(await ledger.standingApprovals.find(tenant, given.id)).toMatchObject({
    ended: { by: 'olga', reason: 'enough', at: expect.any(String) },
  });
  expect((await ledger.standingApprovals.list({ tenant, activeOnly: true })).map(({ id }) => id)).toEqual([other.id]);
});

test.each([
  ['widened', "update countersign.standing_approvals set max_rows = null, until = 'infinity'"],
  ['deleted', 'delete from countersign.standing_approvals'],
  ['emptied', 'truncate countersign.standing_approvals'],
])('the database refuses that it is %s', async (_, query) => {
  await ledger.standingApprovals.add(adding(newTenant()));
  await expect(at.pool.query(query)).rejects.toMatchObject({ code: '23001' });
});

test('a row whose digest is not of its statement is refused', async () => {
  const given = adding(newTenant());
  await expect(ledger.standingApprovals.add({ ...given, statement: 'another' })).rejects.toMatchObject({
    code: 'INTERNAL',
  });
});

test('forty actions at once over a budget for ten: ten are admitted, and the list says what is used', async () => {
  const tenant = newTenant();
  const given = await ledger.standingApprovals.add(adding(tenant, { actions: 10, amounts: { EUR: 1000 } }));
  const holds = (amount: number): readonly HoldRequest[] => [
    { limit: standingLimit(given.id), key: '', kind: 'count', amount: 1, max: 10, unit: 'actions' },
    { limit: standingLimit(given.id, 'EUR'), key: '', kind: 'budget', amount, max: 1000, unit: 'EUR' },
  ];
  const ledgers = [ledger, await at.another(), await at.another()];
  const admitted = await Promise.all(
    Array.from({ length: 40 }, (_, i) => {
      const request = admission({ tenant, actionId: `a-${i}` }, { holds: holds(5) });
      return (ledgers[i % ledgers.length] as Ledger).actions.admit(request);
    }),
  );
  const kinds = admitted.map(({ kind }) => kind).sort();
  expect(kinds).toEqual([
    ...Array.from({ length: 10 }, () => 'admitted'),
    ...Array.from({ length: 30 }, () => 'limited'),
  ]);
  expect(await ledger.standingApprovals.list({ tenant })).toMatchObject([
    { used: { actions: 10, amounts: { EUR: 50 } } },
  ]);
});
