import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FreezeRequest, Ledger } from '../../src/ledger/index.js';
import type { FreezeScope } from '../../src/action/freeze.js';
import {
  admission,
  newTenant,
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

function request(tenant: string, scope: FreezeScope, more: Partial<FreezeRequest> = {}): FreezeRequest {
  return { tenant, scope, reason: 'incident 17', by: 'dana', ...more };
}

const SUBJECT = { agent: 'agent-1', tool: 'shop-db', targets: ['public.orders', 'public.items'] };

describe('a freeze', () => {
  test.each<[string, (tenant: string) => FreezeRequest]>([
    ['its tenant, by all', (tenant) => request(tenant, { kind: 'all' })],
    ['its tenant, by name', (tenant) => request(tenant, { kind: 'tenant', value: tenant })],
    ['its tenant, unnamed', (tenant) => request(tenant, { kind: 'tenant' })],
    ['a tenant named from above', (tenant) => request('*', { kind: 'tenant', value: tenant })],
    ['an agent', (tenant) => request(tenant, { kind: 'agent', value: 'agent-1' })],
    ['a tool', (tenant) => request(tenant, { kind: 'tool', value: 'shop-db' })],
    ['one of the targets', (tenant) => request(tenant, { kind: 'target', value: 'public.items' })],
    ['a target in other letters', (tenant) => request(tenant, { kind: 'target', value: 'Public.Items' })],
  ])('of %s stops admission and first use, until it is lifted', async (_, make) => {
    const names = { tenant: newTenant(), actionId: 'a-1' };
    const before = admission(names, SUBJECT);
    await ledger.actions.admit(before);
    const freeze = await ledger.controls.freeze(make(names.tenant));
    const refused = admission({ ...names, actionId: 'a-2' }, SUBJECT);
    expect(await ledger.actions.admit(refused)).toEqual({ kind: 'frozen', freeze });
    expect(await ledger.grants.use(useOf(before))).toEqual({ kind: 'frozen', otherUses: 0, freeze });
    expect(await ledger.grants.use(useOf(refused))).toEqual({ kind: 'unknown', otherUses: 0 });

    const lifted = await ledger.controls.unfreeze(freeze.id, { by: 'erin', reason: 'over' });
    expect(lifted).toEqual({ ...freeze, lifted: { at: lifted.lifted?.at, by: 'erin', reason: 'over' } });
    expect(await ledger.actions.admit(refused)).toMatchObject({ kind: 'admitted' });
    expect(await ledger.grants.use(useOf(before))).toMatchObject({ kind: 'first', otherUses: 0 });
  });

  test.each<[string, (tenant: string) => FreezeRequest]>([
    ['another tenant', () => request(newTenant(), { kind: 'all' })],
    ['another tenant named from above', () => request('*', { kind: 'tenant', value: newTenant() })],
    ['another agent', (tenant) => request(tenant, { kind: 'agent', value: 'agent-10' })],
    ['another tool', (tenant) => request(tenant, { kind: 'tool', value: 'shop' })],
    ['another target', (tenant) => request(tenant, { kind: 'target', value: 'public.order' })],
    ['a tool that has the name of the agent', (tenant) => request(tenant, { kind: 'tool', value: 'agent-1' })],
    ['a pattern', (tenant) => request(tenant, { kind: 'target', value: 'public.%' })],
  ])('of %s stops nothing here', async (_, make) => {
    const names = { tenant: newTenant(), actionId: 'a-1' };
    await ledger.controls.freeze(make(names.tenant));
    const request = admission(names, SUBJECT);
    expect(await ledger.actions.admit(request)).toMatchObject({ kind: 'admitted' });
    expect(await ledger.grants.use(useOf(request))).toMatchObject({ kind: 'first', otherUses: 0 });
  });

  test('of everything stops every tenant', async () => {
    const freeze = await ledger.controls.freeze(request('*', { kind: 'all' }));
    try {
      const answers = await times(3, () => ledger.actions.admit(admission({ tenant: newTenant(), actionId: 'a-1' })));
      expect(answers).toEqual(answers.map(() => ({ kind: 'frozen', freeze })));
    } finally {
      await ledger.controls.unfreeze(freeze.id, { by: 'dana' });
    }
  });

  test('of one target stops an agent with many targets, and nothing stops an action without targets but the rest', async () => {
    const tenant = newTenant();
    await ledger.controls.freeze(request(tenant, { kind: 'target', value: 'b' }));
    const many = Array.from({ length: 500 }, (_, index) => `t,"{${index}}`);
    const stopped = await ledger.actions.admit(admission({ tenant, actionId: 'a-1' }, { targets: [...many, 'b'] }));
    expect(stopped.kind).toBe('frozen');
    expect(await ledger.actions.admit(admission({ tenant, actionId: 'a-2' }, { targets: many }))).toMatchObject({
      kind: 'admitted',
    });
    expect(await ledger.actions.admit(admission({ tenant, actionId: 'a-3' }, { targets: [] }))).toMatchObject({
      kind: 'admitted',
    });
  });

  test('that comes after the use is reported to the retry, which still learns that it used the grant', async () => {
    const request1 = admission({ tenant: newTenant(), actionId: 'a-1' });
    await ledger.actions.admit(request1);
    await ledger.grants.use(useOf(request1));
    const freeze = await ledger.controls.freeze(request(request1.tenant, { kind: 'all' }));
    expect(await ledger.grants.use(useOf(request1))).toEqual({ kind: 'again', otherUses: 0, freeze });
    expect(await ledger.grants.use(useOf(request1, 'other'))).toMatchObject({ kind: 'replayed' });
  });

  test('a second freeze holds when the first is lifted', async () => {
    const tenant = newTenant();
    const first = await ledger.controls.freeze(request(tenant, { kind: 'all' }));
    const second = await ledger.controls.freeze(request(tenant, { kind: 'tool', value: 'shop-db' }));
    await ledger.controls.unfreeze(first.id, { by: 'dana' });
    expect(await ledger.actions.admit(admission({ tenant, actionId: 'a-1' }))).toEqual({
      kind: 'frozen',
      freeze: second,
    });
  });

  test('a conflict and an end are told before a freeze', async () => {
    const names = { tenant: newTenant(), actionId: 'a-1' };
    const { outcome } = await recordOutcome(ledger, settlement(names));
    await ledger.controls.freeze(request(names.tenant, { kind: 'all' }));
    expect(await ledger.actions.admit(admission(names))).toEqual({ kind: 'ended', outcome });
    expect(
      await ledger.actions.admit(admission(names, { digest: outcome.receipt?.hash as `sha256:${string}` })),
    ).toMatchObject({
      kind: 'conflict',
    });
  });
});

describe('the record of freezes', () => {
  test('keeps the lifted ones, with who and why; lifting again changes nothing', async () => {
    const tenant = newTenant();
    const freeze = await ledger.controls.freeze(request(tenant, { kind: 'agent', value: `it's "quoted" \\ 𝒳` }));
    const lifted = await ledger.controls.unfreeze(freeze.id, { by: 'erin' });
    expect(lifted.lifted).toEqual({ at: expect.stringMatching(/^\d{4}-.*Z$/), by: 'erin' });
    expect(await ledger.controls.unfreeze(freeze.id, { by: 'mallory', reason: 'me' })).toEqual(lifted);
    const ofTenant = (all: readonly { tenant: string }[]): unknown[] => all.filter((one) => one.tenant === tenant);
    expect(ofTenant(await ledger.controls.freezes())).toEqual([lifted]);
    expect(ofTenant(await ledger.controls.freezes({ activeOnly: true }))).toEqual([]);
  });

  test('a hundred lifted at once by two people each have one lifter', async () => {
    const tenant = newTenant();
    const { id } = await ledger.controls.freeze(request(tenant, { kind: 'all' }));
    const answers = await times(30, (index) => ledger.controls.unfreeze(id, { by: `person ${index}` }));
    expect(new Set(answers.map((answer) => answer.lifted?.by)).size).toBe(1);
  });

  test('lifting what is not there says so', async () => {
    await expect(ledger.controls.unfreeze(2_000_000_000, { by: 'dana' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test.each<[string, FreezeRequest, string]>([
    ['all with a value', request('acme', { kind: 'all', value: 'x' }), 'freeze.scope'],
    ['an agent without a name', request('acme', { kind: 'agent' }), 'freeze.scope'],
    ['a target with an empty name', request('acme', { kind: 'target', value: '' }), 'freeze.scope'],
    ['a tenant from another tenant', request('acme', { kind: 'tenant', value: 'other' }), 'freeze.scope'],
    ['every tenant, as a name', request('*', { kind: 'tenant' }), 'freeze.scope'],
    ['a kind that does not exist', request('acme', { kind: 'planet' as 'all' }), 'freeze.scope'],
    ['no reason', request('acme', { kind: 'all' }, { reason: '' }), 'freeze.reason'],
    ['nobody', request('acme', { kind: 'all' }, { by: '' }), 'freeze.by'],
    ['no tenant', request('', { kind: 'all' }), 'freeze.tenant'],
  ])('a freeze that would not hold is refused: %s', async (_, wrong, field) => {
    await expect(async () => ledger.controls.freeze(wrong)).rejects.toMatchObject({ code: 'INVALID_INPUT', field });
  });

  test('text that no database holds is refused', async () => {
    for (const reason of ['nul \u0000', 'half \ud83d']) {
      const wrong = request('acme', { kind: 'all' }, { reason });
      await expect(async () => ledger.controls.freeze(wrong)).rejects.toMatchObject({ code: 'INVALID_TEXT' });
    }
  });

  test('a reason of 256 KiB is kept whole', async () => {
    const reason = 'why "not"? 𝒳'.repeat(20_000);
    const freeze = await ledger.controls.freeze(request(newTenant(), { kind: 'all' }, { reason }));
    const all = await ledger.controls.freezes({ activeOnly: true });
    expect(all.find((one) => one.id === freeze.id)?.reason).toBe(reason);
  });
});
