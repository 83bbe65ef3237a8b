/** Settling with a cached chain head: it is right also when the cache is wrong, and wastes little time on that. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ChainHeadCache } from '../../src/ledger/receipts/chain-head-cache.js';
import type { Ledger, SignReceipt } from '../../src/ledger/index.js';
import { digestText } from '../../src/action/json.js';
import {
  newTenant,
  recordOutcome,
  settlement,
  signLink,
  startLedger,
  type TestLedger,
  times,
  wholeChain,
} from './support.js';

let at: TestLedger;
let ledger: Ledger;

beforeAll(async () => {
  at = await startLedger();
  ledger = at.ledger;
});
afterAll(() => at.stop());

/** How often the receipt of one settling was signed. */
async function signatures(by: Ledger, tenant: string, actionId: string): Promise<number> {
  let count = 0;
  const sign: SignReceipt = (link) => {
    count++;
    return signLink(link);
  };
  await recordOutcome(by, settlement({ tenant, actionId }, { sign }));
  return count;
}

describe('the cache of chain heads', () => {
  const [one, two] = [digestText('1'), digestText('2')];

  test('knows no head before the first receipt, our own after it, and none for a while after another worker wrote', () => {
    const heads = new ChainHeadCache();
    heads.found('t', { seq: 0, hash: null });
    expect(heads.guess('t')).toBeUndefined();
    heads.wrote('t', { seq: 1, prev: null }, { jws: '', hash: one });
    expect(heads.guess('t')).toEqual({ seq: 1, hash: one });
    expect(heads.guess('other')).toBeUndefined();
    heads.found('t', { seq: 2, hash: two });
    for (let turn = 0; turn < 8; turn++) {
      expect(heads.guess('t')).toBeUndefined();
      heads.found('t', { seq: 2, hash: two });
    }
    expect(heads.guess('t')).toEqual({ seq: 2, hash: two });
  });

  test('keeps the heads of the tenants that were used last', () => {
    const heads = new ChainHeadCache();
    for (let tenant = 0; tenant <= 10_000; tenant++) {
      heads.wrote(`t-${tenant}`, { seq: 1, prev: null }, { jws: '', hash: one });
      heads.wrote('always', { seq: 1, prev: null }, { jws: '', hash: one });
    }
    expect(heads.guess('always')).toBeDefined();
    expect(heads.guess('t-0')).toBeUndefined();
    expect(heads.guess('t-10000')).toBeDefined();
  });
});

describe('settling', () => {
  test('signs once while no other worker writes, twice when one did, and once again from then on', async () => {
    const tenant = newTenant();
    const other = await at.another();
    const counts: number[] = [];
    for (const id of ['a', 'b', 'c']) counts.push(await signatures(ledger, tenant, id));
    await recordOutcome(other, settlement({ tenant, actionId: 'other' }));
    for (const id of ['d', 'e', 'f']) counts.push(await signatures(ledger, tenant, id));
    expect(counts).toEqual([1, 1, 1, 2, 1, 1]);
    expect(await wholeChain(ledger, tenant)).toHaveLength(7);
  });

  test('workers that take turns at a chain sign in vain once each, not at every turn', async () => {
    const tenant = newTenant();
    const workers = [ledger, await at.another()];
    let signed = 0;
    for (let turn = 0; turn < 40; turn++) signed += await signatures(workers[turn % 2] as Ledger, tenant, `a-${turn}`);
    expect(signed).toBeLessThanOrEqual(42);
    expect(await wholeChain(ledger, tenant)).toHaveLength(40);
  });

  test('many at once by several workers all get their place, and no worker waits for the others to be done', async () => {
    const tenant = newTenant();
    const workers = [ledger, await at.another(), await at.another({ poolSize: 2 }), await at.another()];
    for (const [index, worker] of workers.entries())
      await recordOutcome(worker, settlement({ tenant, actionId: `warm-${index}` }));
    const order: number[] = [];
    await times(120, async (index) => {
      await recordOutcome(workers[index % 4] as Ledger, settlement({ tenant, actionId: `a-${index}` }));
      order.push(index % 4);
    });
    expect(await wholeChain(ledger, tenant)).toHaveLength(124);
    for (let worker = 0; worker < 4; worker++) expect(order.slice(0, 60)).toContain(worker);
  });

  test('a cached head that was never written leaves no gap', async () => {
    const tenant = newTenant();
    await recordOutcome(ledger, settlement({ tenant, actionId: 'a' }));
    const wrong: SignReceipt = () => Promise.resolve({ jws: 'one text', hash: digestText('another text') });
    for (let again = 0; again < 2; again++) {
      await expect(recordOutcome(ledger, settlement({ tenant, actionId: 'b' }, { sign: wrong }))).rejects.toMatchObject(
        {
          code: 'INTERNAL',
        },
      );
    }
    await ledger.receipts.append({ tenant, actionId: 'r', sign: signLink });
    for (const id of ['b', 'c']) await recordOutcome(ledger, settlement({ tenant, actionId: id }));
    expect(await wholeChain(ledger, tenant)).toHaveLength(4);
  });
});
