/** Grants of actions that take long to conclude: in the trail before the receipt, and in it once, whoever enters them and whatever happens in between. */
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Ledger } from '../../src/ledger/index.js';
import { digestText, type Digest } from '../../src/action/json.js';
import { exportLines } from '../../src/trail/export-lines.js';
import { trailKeysOf } from '../../src/trail/keys.js';
import { ocsfEvents } from '../../src/trail/ocsf.js';
import { checkpointRound, type RoundReport } from '../../src/trail/round.js';
import { envelopes } from '../../src/trail/statements.js';
import { verifyTrail } from '../../src/trail/verify-lines.js';
import type { TrailReport } from '../../src/trail/report.js';
import type { Keyring } from '../../src/trust/index.js';
import {
  collect,
  newTenant,
  recordOutcome,
  settlement,
  someoneWaitsForLock,
  startLedger,
  times,
  type TestLedger,
} from '../ledger/support.js';
import { concludeAction, newKeyring, refuseConflict, settleAction, useGrant } from './world.js';

let at: TestLedger;
let ledger: Ledger;
let keyring: Keyring;

beforeAll(async () => {
  at = await startLedger();
  ledger = at.ledger;
  keyring = await newKeyring();
});
afterAll(() => at?.stop());

interface Entry {
  readonly kind: string;
  readonly subject: string;
  readonly digest: Digest;
  readonly grants: readonly {
    readonly jti: string;
    readonly entry?: number;
    readonly usedAt?: string;
    readonly returnedAt?: string;
  }[];
}

async function entries(tenant: string): Promise<readonly Entry[]> {
  const all = await collect(ledger.trail.entries(tenant, { upTo: 1e9 }));
  return all.map(({ entry }) => JSON.parse(entry) as Entry);
}

async function verified(tenant: string, overdueBefore?: Date): Promise<TrailReport> {
  const lines = async function* (): AsyncGenerator<string> {
    for await (const line of exportLines(ledger, tenant)) yield JSON.stringify(line);
  };
  return verifyTrail(lines(), { keys: trailKeysOf(keyring), overdueBefore });
}

const round = (tenant: string, enterAfterMs?: number): Promise<RoundReport> =>
  checkpointRound({
    ledger,
    keyring,
    anchors: [],
    tenants: [tenant],
    signal: new AbortController().signal,
    ...(enterAfterMs === undefined ? {} : { enterAfterMs }),
  });

/** Holds the lock that whoever appends to the tenant's trail takes last. @returns what releases it */
async function holdTrail(tenant: string): Promise<() => Promise<void>> {
  const client: pg.PoolClient = await at.pool.connect();
  await client.query('begin');
  await client.query('select pg_advisory_xact_lock(1668178290, hashtext($1))', [tenant]);
  return async () => {
    await client.query('rollback');
    client.release();
  };
}

/** Sets back when every grant of a tenant was used, past the trigger that forbids it. */
async function usedEarlier(tenant: string, seconds: number): Promise<void> {
  await at.pool.query(`begin; set local session_replication_role = replica;
    update countersign.grants set used_at = used_at - interval '${seconds} seconds' where tenant = '${tenant}'; commit`);
}

test('an action that concludes soon writes one entry, with its grants as they were', async () => {
  const tenant = newTenant();
  const { jti } = await useGrant(ledger, 'quick', tenant);
  // Used a moment ago: no round takes it for slow.
  expect(await round(tenant)).toEqual({ entered: 0, checkpoints: [], problems: [] });
  await concludeAction(ledger, keyring, 'quick', { tenant, jti });
  await usedEarlier(tenant, 3600);
  expect(await round(tenant)).toMatchObject({ entered: 0, checkpoints: [{ size: 1 }] });
  const [entry, ...more] = await entries(tenant);
  expect(more).toEqual([]);
  expect(entry).toMatchObject({ kind: 'receipt', grants: [{ jti }] });
  expect(Object.keys(entry?.grants[0] ?? {}).toSorted()).toEqual(['expiresAt', 'issuedAt', 'jti', 'usedAt']);
});

test('a grant that was used over a minute ago is entered and signed by the next round, and its receipt names the entry', async () => {
  const tenant = newTenant();
  await settleAction(ledger, keyring, 'before', tenant);
  const { jti } = await useGrant(ledger, 'slow', tenant);
  await usedEarlier(tenant, 59);
  expect(await round(tenant)).toMatchObject({ entered: 0, checkpoints: [{ size: 1 }] });
  await usedEarlier(tenant, 2);
  expect(await round(tenant)).toMatchObject({ entered: 1, checkpoints: [{ size: 2, made: true }], problems: [] });
  expect(await round(tenant)).toMatchObject({ entered: 0, checkpoints: [{ size: 2, made: false }] });
  const open = await entries(tenant);
  expect(open[1]).toMatchObject({ kind: 'grant_used', subject: 'slow', grants: [{ jti }] });
  expect(open[1]?.grants[0]?.usedAt).toMatch(/^\d{4}-/);
  expect(await verified(tenant)).toMatchObject({
    ok: true,
    entries: 2,
    covered: 2,
    withheld: 0,
    openGrants: [{ entry: 2, actionId: 'slow', jti, usedAt: open[1]?.grants[0]?.usedAt }],
    openGrantCount: 1,
    overdueGrants: 0,
  });

  await concludeAction(ledger, keyring, 'slow', { tenant, jti });
  expect((await entries(tenant))[2]).toMatchObject({ kind: 'receipt', subject: 'slow', grants: [{ jti, entry: 2 }] });
  expect(Object.keys((await entries(tenant))[2]?.grants[0] ?? {}).toSorted()).toEqual(['entry', 'jti']);
  expect(await verified(tenant)).toMatchObject({
    ok: true,
    entries: 3,
    withheld: 0,
    openGrants: [],
    openGrantCount: 0,
  });
});

test('a tenant whose first action hangs has a trail, without anybody naming the tenant', async () => {
  const tenant = newTenant();
  await useGrant(ledger, 'first', tenant);
  await usedEarlier(tenant, 61);
  const { signal } = new AbortController();
  const { checkpoints } = await checkpointRound({ ledger, keyring, anchors: [], signal });
  expect(checkpoints).toContainEqual(expect.objectContaining({ tenant, size: 1 }));
});

test('a grant that is returned after it was entered: its receipt says so, and its evidence is what it was', async () => {
  const tenant = newTenant();
  const first = await useGrant(ledger, 'twice', tenant);
  expect(await round(tenant, 0)).toMatchObject({ entered: 1 });
  expect(await ledger.grants.return(first)).toBe(true);
  const second = await useGrant(ledger, 'twice', tenant);
  expect(await ledger.grants.return(second)).toBe(true);
  expect(await round(tenant, 0)).toMatchObject({ entered: 1 });
  await concludeAction(ledger, keyring, 'twice', { tenant, jti: second.jti });
  const [one, other, receipt] = await entries(tenant);
  expect(one?.grants[0]).not.toHaveProperty('returnedAt');
  expect(other?.grants[0]).toHaveProperty('returnedAt');
  expect(receipt?.grants).toEqual([
    { jti: first.jti, entry: 1, returnedAt: expect.any(String) as string },
    { jti: second.jti, entry: 2, returnedAt: other?.grants[0]?.returnedAt },
  ]);
  expect(await verified(tenant)).toMatchObject({ ok: true, withheld: 0 });
  const evidence = (await collect(ledger.trail.evidenced(tenant, { upTo: 1 })))[0]?.evidence ?? '';
  expect(digestText(evidence)).toBe(one?.digest);
  expect(JSON.parse(evidence)).toMatchObject({ jti: first.jti, used_by: first.usedBy, action_id: 'twice' });
});

test('open grants are told in the order of the trail, each until its action has a receipt, and which are overdue', async () => {
  const tenant = newTenant();
  const first = await useGrant(ledger, 'hangs', tenant);
  await usedEarlier(tenant, 3600);
  const other = await useGrant(ledger, 'ends', tenant);
  const again = await useGrant(ledger, 'hangs', tenant);
  for (const { jti } of [first, other, again]) await ledger.trail.enterGrants(tenant, [jti]);
  const halfAnHourAgo = new Date(Date.now() - 1_800_000);
  const open = await verified(tenant, halfAnHourAgo);
  expect(open).toMatchObject({ ok: true, openGrantCount: 3, overdueGrants: 1 });
  expect(open.openGrants.map(({ entry, actionId, jti }) => [entry, actionId, jti])).toEqual([
    [1, 'hangs', first.jti],
    [2, 'ends', other.jti],
    [3, 'hangs', again.jti],
  ]);
  expect(await verified(tenant, new Date(open.openGrants[0]?.usedAt ?? ''))).toMatchObject({ overdueGrants: 0 });
  expect(await verified(tenant, new Date(Date.now() + 1000))).toMatchObject({ ok: true, overdueGrants: 3 });
  await concludeAction(ledger, keyring, 'ends', { tenant, jti: other.jti });
  expect((await verified(tenant)).openGrants.map(({ entry }) => entry)).toEqual([1, 3]);
  await concludeAction(ledger, keyring, 'hangs', { tenant, jti: first.jti });
  expect(await verified(tenant, new Date())).toMatchObject({ ok: true, openGrants: [], overdueGrants: 0 });
});

test('a receipt that does not end the action, such as for another proposal under its id, closes no grant', async () => {
  const tenant = newTenant();
  const { jti } = await useGrant(ledger, 'hangs', tenant);
  await round(tenant, 0);
  await refuseConflict(ledger, keyring, 'hangs', tenant);
  const refusal = (await entries(tenant)).at(-1);
  expect(refusal).toMatchObject({ kind: 'receipt', subject: 'hangs', receipt: 1 });
  expect(refusal).not.toHaveProperty('grants');
  expect(await verified(tenant)).toMatchObject({ ok: true, openGrants: [{ entry: 1, jti }] });
  await concludeAction(ledger, keyring, 'hangs', { tenant, jti });
  expect(await verified(tenant)).toMatchObject({ ok: true, openGrants: [] });

  // Nor does it say anything wrong of a grant that is kept no longer.
  await at.pool.query('delete from countersign.grants where tenant = $1', [tenant]);
  await refuseConflict(ledger, keyring, 'hangs', tenant);
  expect(await verified(tenant)).toMatchObject({ ok: true, entries: 4, withheld: 1, openGrants: [] });
});

test('the receipt of an unknown end names the entry', async () => {
  const tenant = newTenant();
  const names = { tenant, actionId: 'lost' };
  const { jti } = await useGrant(ledger, 'lost', tenant);
  await round(tenant, 0);
  const { outcome, ...request } = settlement(names);
  await recordOutcome(ledger, { ...request, outcome: { ...outcome, status: 'unknown' } });
  expect(await round(tenant, 0)).toMatchObject({ entered: 0 });
  expect((await entries(tenant)).at(-1)).toMatchObject({ kind: 'receipt', grants: [{ jti, entry: 1 }] });
});

test('the other formats have it', async () => {
  const tenant = newTenant();
  const { jti } = await useGrant(ledger, 'told', tenant);
  await round(tenant, 0);
  const [envelope] = await collect(envelopes(exportLines(ledger, tenant), keyring));
  const statement = JSON.parse(Buffer.from(envelope?.payload ?? '', 'base64').toString()) as object;
  expect(statement).toMatchObject({
    subject: [{ name: `${tenant}/grant_used/told` }],
    predicate: { kind: 'grant_used', evidence: expect.stringContaining(jti) as string },
  });
  const [event] = await collect(ocsfEvents(exportLines(ledger, tenant), '0'));
  expect(event).toMatchObject({
    api: { operation: 'grant_used', request: { uid: 'told' } },
    unmapped: { grants: [{ jti }] },
  });
});

test('a receipt that is being written keeps its grants out of a round, which waits for nobody', async () => {
  const tenant = newTenant();
  const { jti } = await useGrant(ledger, 'racing', tenant);
  const release = await holdTrail(tenant);
  const settling = concludeAction(ledger, keyring, 'racing', { tenant, jti });
  await someoneWaitsForLock(at.pool);
  expect(await ledger.trail.enterGrants(tenant, [jti])).toBe(0);
  await release();
  await settling;
  expect(await ledger.trail.enterGrants(tenant, [jti])).toBe(0);
  expect(await entries(tenant)).toMatchObject([
    { kind: 'receipt', grants: [{ jti, usedAt: expect.any(String) as string }] },
  ]);
});

test('a grant that is being entered: its receipt waits, and names the entry', async () => {
  const tenant = newTenant();
  const { jti } = await useGrant(ledger, 'racing', tenant);
  const release = await holdTrail(tenant);
  const entering = ledger.trail.enterGrants(tenant, [jti]);
  await someoneWaitsForLock(at.pool);
  const settling = concludeAction(ledger, keyring, 'racing', { tenant, jti });
  const beside = await ledger.trail.enterGrants(tenant, [jti]);
  await release();
  await settling;
  expect([await entering, beside]).toEqual([1, 0]);
  expect(await entries(tenant)).toMatchObject([
    { kind: 'grant_used' },
    { kind: 'receipt', grants: [{ jti, entry: 1 }] },
  ]);
  expect(await verified(tenant)).toMatchObject({ ok: true });
});

test('a round that is killed before it commits has entered nothing, and the next one enters it once', async () => {
  const tenant = newTenant();
  const { jti } = await useGrant(ledger, 'killed', tenant);
  const client = new pg.Client({ connectionString: at.url, application_name: 'doomed' });
  client.on('error', () => {});
  await client.connect();
  await client.query('begin');
  await client.query('select countersign.enter_grants($1, $2)', [tenant, [jti]]);
  // Entered, and not committed: neither a receipt nor another round gets past it.
  const settling = concludeAction(ledger, keyring, 'killed', { tenant, jti });
  await someoneWaitsForLock(at.pool);
  expect(await ledger.trail.enterGrants(tenant, [jti])).toBe(0);
  await at.pool.query(`select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'doomed'`);
  await settling;
  await client.end().catch(() => {});
  expect(await entries(tenant)).toMatchObject([
    { kind: 'receipt', grants: [{ jti, usedAt: expect.any(String) as string }] },
  ]);

  const again = await useGrant(ledger, 'rolled-back', tenant);
  await at.pool.query(`begin; select countersign.enter_grants('${tenant}', array['${again.jti}']); rollback`);
  expect(await ledger.trail.enterGrants(tenant, [again.jti])).toBe(1);
  expect(await ledger.trail.enterGrants(tenant, [again.jti])).toBe(0);
  expect(await entries(tenant)).toMatchObject([
    { kind: 'receipt' },
    { kind: 'grant_used', grants: [{ jti: again.jti }] },
  ]);
});

test('many rounds beside many receipts: every grant is in the trail once', async () => {
  const tenant = newTenant();
  const others = await times(2, () => at.another());
  const uses = await times(40, (n) => useGrant(ledger, `a-${n}`, tenant));
  const jtis = uses.map(({ jti }) => jti);
  const entered = await Promise.all([
    ...[ledger, ...others, ledger].map((one) => one.trail.enterGrants(tenant, jtis)),
    ...uses.map(({ actionId, jti }, n) =>
      concludeAction(n % 2 === 0 ? ledger : (others[0] as Ledger), keyring, actionId, { tenant, jti }).then(() => 0),
    ),
    ...others.map((one) => one.trail.enterGrants(tenant, jtis)),
  ]);
  const all = await entries(tenant);
  const own = all.filter(({ kind }) => kind === 'grant_used');
  expect(own).toHaveLength(entered.reduce((sum, count) => sum + count, 0));
  expect(all).toHaveLength(40 + own.length);
  const told = all.flatMap(({ grants }) => grants.filter(({ entry }) => entry === undefined).map(({ jti }) => jti));
  expect(told.toSorted()).toEqual(jtis.toSorted());
  expect(await verified(tenant)).toMatchObject({ ok: true, entries: all.length });
});

test('the database refuses a second entry of a grant, and another number on it', async () => {
  const tenant = newTenant();
  const { jti } = await useGrant(ledger, 'kept', tenant);
  await ledger.trail.enterGrants(tenant, [jti]);
  const refused = { code: '23001' };
  await expect(
    at.pool.query(`update countersign.grants set trail_seq = null where jti = $1`, [jti]),
  ).rejects.toMatchObject(refused);
  await expect(
    at.pool.query(`update countersign.grants set trail_seq = 7 where jti = $1`, [jti]),
  ).rejects.toMatchObject(refused);
  await expect(
    at.pool.query(`select countersign.append_trail($1, 'grant_used', now(), 'kept', $2, null, '{}', $3)`, [
      tenant,
      digestText('x'),
      jti,
    ]),
  ).rejects.toMatchObject({ code: '23505' });
  // An unused grant has none, whoever asks.
  const unused = await useGrant(ledger, 'other', tenant);
  await at.pool.query(`begin; set local session_replication_role = replica;
    update countersign.grants set used_at = null, used_by = null, attempt = null where jti = '${unused.jti}'; commit`);
  expect(await ledger.trail.enterGrants(tenant, [unused.jti])).toBe(0);
  // Nor does one tenant's round enter another's.
  expect(await ledger.trail.enterGrants(newTenant(), [jti])).toBe(0);
});
