import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Ledger } from '../../src/ledger/index.js';
import type { DeliveryRequest } from '../../src/action/delivery.js';
import { newTenant, startLedger, times, type TestLedger } from './support.js';

let testLedger: TestLedger;
let ledger: Ledger;

beforeAll(async () => {
  testLedger = await startLedger();
  ledger = testLedger.ledger;
});
afterAll(() => testLedger.stop());

function attempt(tenant: string, more: Partial<DeliveryRequest> = {}): DeliveryRequest {
  return {
    deliveryId: 'd-1',
    tenant,
    actionId: 'a-1',
    kind: 'asked',
    channel: 'mail',
    attempts: 1,
    status: 'failed',
    detail: '451 try again later',
    ...more,
  };
}

describe('a delivery', () => {
  test('that failed is replaced by the next attempt; one that arrived stays so, whatever comes late', async () => {
    const tenant = newTenant();
    expect(await ledger.deliveries.record(attempt(tenant))).toEqual({ ...attempt(tenant), at: expect.any(String) });
    const third = attempt(tenant, { attempts: 3, detail: 'timed out' });
    await ledger.deliveries.record(third);
    expect(await ledger.deliveries.record(attempt(tenant, { attempts: 2 }))).toMatchObject(third);
    const arrived = await ledger.deliveries.record(
      attempt(tenant, { attempts: 4, status: 'delivered', detail: '250 ok' }),
    );
    expect(arrived).toMatchObject({ attempts: 4, status: 'delivered', detail: '250 ok' });
    expect(await ledger.deliveries.record(attempt(tenant, { attempts: 5 }))).toEqual(arrived);
    expect(await ledger.deliveries.record(attempt(tenant, { attempts: 5, status: 'delivered' }))).toEqual(arrived);
    expect(await ledger.deliveries.list(tenant, 'a-1')).toEqual([arrived]);
  });

  test('whose worker hears late that an earlier attempt arrived has arrived', async () => {
    const tenant = newTenant();
    await ledger.deliveries.record(attempt(tenant, { attempts: 3 }));
    const late = await ledger.deliveries.record(attempt(tenant, { attempts: 2, status: 'delivered', detail: 'ok' }));
    expect(late).toMatchObject({ status: 'delivered', attempts: 2 });
  });

  test('is recorded once by any number of workers at once', async () => {
    const tenant = newTenant();
    const recorded = await times(10, () => ledger.deliveries.record(attempt(tenant, { status: 'delivered' })));
    expect(new Set(recorded.map(({ at }) => at)).size).toBe(1);
    expect(await ledger.deliveries.list(tenant, 'a-1')).toHaveLength(1);
  });

  test('is listed with the others of its action, oldest first, and with those of no other', async () => {
    const tenant = newTenant();
    const kinds = ['asked', 'reminded', 'escalated', 'decided', 'ended'] as const;
    for (const [i, kind] of kinds.entries())
      await ledger.deliveries.record(attempt(tenant, { deliveryId: `d-${9 - i}`, kind }));
    await ledger.deliveries.record(attempt(tenant, { deliveryId: 'd-0', actionId: 'a-2' }));
    expect((await ledger.deliveries.list(tenant, 'a-1')).map(({ kind }) => kind)).toEqual(kinds);
  });

  test('cannot become one about something else', async () => {
    const tenant = newTenant();
    await ledger.deliveries.record(attempt(tenant));
    const others: Partial<DeliveryRequest>[] = [{ actionId: 'a-2' }, { kind: 'ended' }, { channel: 'slack' }];
    for (const other of others) {
      const request = attempt(tenant, { ...other, attempts: 9, status: 'delivered' });
      await expect(ledger.deliveries.record(request)).rejects.toMatchObject({ code: 'INTERNAL' });
    }
    expect(await ledger.deliveries.list(tenant, 'a-1')).toMatchObject([
      { kind: 'asked', channel: 'mail', attempts: 1 },
    ]);
  });

  test('keeps what the receiver said, cut and without what no column holds', async () => {
    const tenant = newTenant();
    const { detail } = await ledger.deliveries.record(attempt(tenant, { detail: `\u0000\ud800${'x'.repeat(9000)}` }));
    expect(detail).toBe(`\ufffd\ufffd${'x'.repeat(1998)}`);
  });

  test('that arrived can neither be changed nor forgotten in the database', async () => {
    const tenant = newTenant();
    await ledger.deliveries.record(attempt(tenant, { status: 'delivered' }));
    for (const statement of [
      `update countersign.deliveries set status = 'failed' where tenant = $1`,
      `delete from countersign.deliveries where tenant = $1`,
    ]) {
      await expect(testLedger.pool.query(statement, [tenant])).rejects.toThrow('the ledger refuses');
    }
  });
});
