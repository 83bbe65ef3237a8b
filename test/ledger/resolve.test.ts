/** The one way in which an outcome changes. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Ledger } from '../../src/ledger/index.js';
import type { UnreceiptedOutcome } from '../../src/action/outcome.js';
import {
  admission,
  collect,
  type Names,
  newTenant,
  outcomeFor,
  proposal,
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

const unknown = async (names: Names, more: Partial<UnreceiptedOutcome> = {}): Promise<void> => {
  const outcome = outcomeFor(names, { status: 'unknown', reason: 'no reply', ...more });
  await recordOutcome(ledger, settlement(names, { outcome }));
};
const resolved = (names: Names, more: Partial<UnreceiptedOutcome> = {}) => ({
  ...names,
  outcome: outcomeFor(names, { status: 'failed', reason: 'dana looked', ...more }),
  sign: signLink,
});

describe('resolving', () => {
  test('replaces unknown by what was found out, with a receipt of its own, and keeps what it replaced', async () => {
    const names = { tenant: newTenant(), actionId: 'a-1' };
    // Also where the recorded text is one that Postgres cannot parse as JSON.
    await unknown(names, { result: 'nul \u0000' });
    const { outcome, recorded } = await ledger.receipts.resolve(resolved(names));
    expect(recorded).toBe(false);
    expect(outcome).toMatchObject({ status: 'failed', reason: 'dana looked', receipt: { seq: 2 } });
    expect(await ledger.actions.find(names.tenant, 'a-1')).toEqual({
      uses: 0,
      digest: proposal('a-1'),
      status: 'failed',
      outcome,
    });
    expect(await ledger.actions.admit(admission(names))).toEqual({ kind: 'ended', outcome });
    expect(await recordOutcome(ledger, settlement(names))).toEqual({ kind: 'settled', outcome, recorded: true });
    const receipts = await wholeChain(ledger, names.tenant);
    expect(receipts).toHaveLength(2);
    // Each receipt finds the outcome it was signed for.
    expect(await collect(ledger.actions.listEnded(names.tenant))).toMatchObject([
      { actionId: 'a-1', receiptSeq: 1, receiptHash: receipts[0]?.hash, outcome: { status: 'unknown' } },
      { actionId: 'a-1', receiptSeq: 2, receiptHash: receipts[1]?.hash, outcome: { status: 'failed' } },
    ]);
  });

  test('ends what the figures count as unknown', async () => {
    const count = async (): Promise<number> => (await ledger.figures.now()).unknownActions;
    const names = { tenant: newTenant(), actionId: 'a-1' };
    const before = await count();
    await unknown(names);
    expect(await count()).toBe(before + 1);
    await ledger.receipts.resolve(resolved(names));
    expect(await count()).toBe(before);
  });

  test('again, or by many at once, returns what the first one said and signs nothing more', async () => {
    const names = { tenant: newTenant(), actionId: 'a-1' };
    await unknown(names);
    const workers = [ledger, await at.another()];
    const ends = await times(12, (index) =>
      (workers[index % 2] as Ledger).receipts.resolve(
        resolved(names, { status: index % 2 === 0 ? 'success' : 'failed', reason: `said by ${index}` }),
      ),
    );
    expect(ends.filter(({ recorded }) => !recorded)).toHaveLength(1);
    expect(new Set(ends.map(({ outcome }) => outcome.reason)).size).toBe(1);
    expect(await wholeChain(ledger, names.tenant)).toHaveLength(2);
  });

  test('what is open, known, not there or of another proposal is refused, and the chain is free at once', async () => {
    const tenant = newTenant();
    await ledger.actions.admit(admission({ tenant, actionId: 'open' }));
    await recordOutcome(ledger, settlement({ tenant, actionId: 'known' }));
    await unknown({ tenant, actionId: 'unknown' });
    for (const [actionId, code] of [
      ['absent', 'NOT_FOUND'],
      ['open', 'NOT_UNKNOWN'],
      ['known', 'NOT_UNKNOWN'],
    ] as const) {
      await expect(ledger.receipts.resolve(resolved({ tenant, actionId }))).rejects.toMatchObject({
        code,
        retryable: false,
      });
    }
    const names = { tenant, actionId: 'unknown' };
    await expect(ledger.receipts.resolve(resolved(names, { proposalDigest: proposal('else') }))).rejects.toMatchObject({
      code: 'ACTION_CONFLICT',
    });
    for (const status of ['unknown', 'denied', 'expired', 'cancelled'] as const) {
      await expect(ledger.receipts.resolve(resolved(names, { status }))).rejects.toMatchObject({
        code: 'INVALID_INPUT',
      });
    }
    await expect(
      ledger.receipts.resolve({ ...resolved(names), sign: () => Promise.reject(new Error('no key')) }),
    ).rejects.toMatchObject({ message: 'no key' });
    expect(await ledger.receipts.head(tenant)).toMatchObject({ seq: 2 });
    expect((await ledger.receipts.resolve(resolved(names))).outcome.receipt?.seq).toBe(3);
  });

  test.each([
    `update actions set status = 'failed' where action_id = 'u'`,
    `update actions set status = 'failed', outcome = '{}', receipt_seq = 2, receipt_hash = HASH2, ended_at = now() where action_id = 'u'`,
    `update actions set outcome = '{}', resolved_at = now() where action_id = 'u'`,
    `update actions set status = 'denied', outcome = '{}', receipt_seq = 2, receipt_hash = HASH2, ended_at = now(), resolved_at = now() where action_id = 'u'`,
    `update actions set status = 'failed', uses = uses + 1, outcome = '{}', receipt_seq = 2, receipt_hash = HASH2, resolved_at = now() where action_id = 'u'`,
    `update actions set resolved_at = now() where action_id = 'open'`,
    `update actions set status = 'success', outcome = '{}', receipt_seq = 2, receipt_hash = HASH2, resolved_at = now() where action_id = 'failed'`,
    `update actions set status = 'success', outcome = '{}', receipt_seq = 4, receipt_hash = HASH4, resolved_at = now() where action_id = 'twice'`,
    `update actions set resolved_at = null where action_id = 'twice'`,
    `update resolved set outcome = '{}'`,
    `delete from resolved`,
    `truncate resolved`,
  ])('the database itself refuses any other way: %s', async (statement) => {
    const tenant = newTenant();
    await unknown({ tenant, actionId: 'u' });
    await unknown({ tenant, actionId: 'twice' });
    await ledger.receipts.resolve(resolved({ tenant, actionId: 'twice' }));
    await recordOutcome(
      ledger,
      settlement(
        { tenant, actionId: 'failed' },
        { outcome: outcomeFor({ tenant, actionId: 'failed' }, { status: 'failed' }) },
      ),
    );
    await ledger.actions.admit(admission({ tenant, actionId: 'open' }));
    const receipts = await wholeChain(ledger, tenant);
    const client = await at.pool.connect();
    try {
      await client.query('begin');
      await client.query('set local search_path = countersign');
      const text = statement.replace(/HASH(\d)/g, (_, seq) => `'${receipts[Number(seq) - 1]?.hash}'`);
      const where = statement.includes('where') ? ` and tenant = '${tenant}'` : '';
      await expect(client.query(text + where)).rejects.toMatchObject({
        code: expect.stringMatching(/^(23001|23514)$/),
      });
    } finally {
      await client.query('rollback');
      client.release();
    }
  });
});
