import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canonical, digest, digestText, type Json } from '../../src/action/json.js';
import { CountersignError } from '../../src/action/errors.js';
import { proposalDigest as digestOfProposal } from '../../src/action/proposal.js';
import type { Outcome } from '../../src/action/outcome.js';
import type { ChainLink, Ledger, SignReceipt } from '../../src/ledger/index.js';
import {
  generateKeyringFile,
  hashReceipt,
  parseKeyring,
  signReceipt,
  verifyChain,
  verifyReceipt,
} from '../../src/trust/index.js';
import {
  admission,
  collect,
  newTenant,
  outcomeFor,
  proposal,
  recordOutcome,
  settlement,
  signLink,
  someoneWaitsForLock,
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

async function outcomeText(tenant: string, actionId: string): Promise<string> {
  const { rows } = await at.pool.query(
    'select outcome::text from countersign.actions where tenant = $1 and action_id = $2',
    [tenant, actionId],
  );
  return rows[0].outcome;
}

describe('settling an action', () => {
  test('records the outcome with its receipt, first in the chain', async () => {
    const names = { tenant: newTenant(), actionId: 'a-1' };
    await ledger.actions.admit(admission(names));
    const links: ChainLink[] = [];
    const sign: SignReceipt = (link) => {
      links.push(link);
      return signLink(link);
    };
    const { outcome, recorded } = await recordOutcome(ledger, settlement(names, { sign }));
    expect(recorded).toBe(false);
    expect(links).toEqual([{ seq: 1, prev: null }]);
    const [receipt] = await wholeChain(ledger, names.tenant);
    expect(outcome).toEqual({
      ...outcomeFor(names),
      receipt: { tenant: names.tenant, seq: 1, hash: receipt?.hash },
    });
    expect(receipt?.actionId).toBe('a-1');
    expect(await ledger.receipts.head(names.tenant)).toEqual({ seq: 1, hash: receipt?.hash });
    expect(await ledger.actions.find(names.tenant, 'a-1')).toEqual({
      digest: proposal('a-1'),
      agent: 'agent-1',
      status: 'success',
      uses: 0,
      outcome,
    });
  });

  test('an action that was refused before it was admitted is registered with its outcome', async () => {
    const names = { tenant: newTenant(), actionId: 'refused' };
    const denied = outcomeFor(names, { status: 'denied', reason: 'no' });
    const { outcome } = await recordOutcome(ledger, settlement(names, { outcome: denied }));
    expect(await ledger.actions.admit(admission(names))).toEqual({ kind: 'ended', outcome });
    expect(await ledger.actions.find(names.tenant, 'refused')).toMatchObject({ status: 'denied' });
  });

  test('settling again returns the first outcome, whatever the second says, and signs nothing', async () => {
    const names = { tenant: newTenant(), actionId: 'a-1' };
    const first = await recordOutcome(ledger, settlement(names));
    const second = await recordOutcome(
      ledger,
      settlement(names, {
        outcome: outcomeFor(names, { status: 'failed', reason: 'another story' }),
        sign: () => Promise.reject(new Error('must not be asked')),
      }),
    );
    expect(second).toEqual({ kind: 'settled', outcome: first.outcome, recorded: true });
    expect(await wholeChain(ledger, names.tenant)).toHaveLength(1);
  });

  test('an outcome for another proposal is a conflict before and after the end, and leaves no receipt', async () => {
    const names = { tenant: newTenant(), actionId: 'a-1' };
    const foreign = settlement(names, { proposalDigest: proposal('something else') });
    await ledger.actions.admit(admission(names));
    await expect(recordOutcome(ledger, foreign)).rejects.toMatchObject({ code: 'ACTION_CONFLICT', retryable: false });
    const { outcome } = await recordOutcome(ledger, settlement(names));
    await expect(recordOutcome(ledger, foreign)).rejects.toMatchObject({ code: 'ACTION_CONFLICT' });
    expect(await ledger.actions.find(names.tenant, 'a-1')).toMatchObject({ outcome });
    expect(await wholeChain(ledger, names.tenant)).toHaveLength(1);
  });

  test('an outcome that came with a receipt of its own gets the one that the chain gives it', async () => {
    const names = { tenant: newTenant(), actionId: 'a-1' };
    const forged: Outcome = { ...outcomeFor(names), receipt: { tenant: 'other', seq: 99, hash: proposal('forged') } };
    const { outcome } = await recordOutcome(ledger, settlement(names, { outcome: forged }));
    expect(outcome.receipt).toMatchObject({ tenant: names.tenant, seq: 1 });
    expect(await outcomeText(names.tenant, 'a-1')).toBe(canonical(outcomeFor(names)));
  });

  test('when signing fails, its error comes through, nothing is written, and the chain is free at once', async () => {
    const names = { tenant: newTenant(), actionId: 'a-1' };
    const ours = new CountersignError('KEYS_MISSING', 'no key');
    await expect(recordOutcome(ledger, settlement(names, { sign: () => Promise.reject(ours) }))).rejects.toBe(ours);
    const theirs = settlement(names, { sign: () => Promise.reject(new Error('ECONNRESET from a key store')) });
    await expect(recordOutcome(ledger, theirs)).rejects.toMatchObject({
      code: 'INTERNAL',
      message: 'ECONNRESET from a key store',
    });
    expect(await ledger.actions.find(names.tenant, 'a-1')).toBeUndefined();
    expect((await recordOutcome(ledger, settlement(names))).outcome.receipt?.seq).toBe(1);
  });

  test('a hash that is not that of the receipt is refused, and nothing of the settling stays', async () => {
    const names = { tenant: newTenant(), actionId: 'a-1' };
    const sign: SignReceipt = () => Promise.resolve({ jws: 'one text', hash: digestText('another text') });
    await expect(recordOutcome(ledger, settlement(names, { sign }))).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(await ledger.actions.find(names.tenant, 'a-1')).toBeUndefined();
    expect(await ledger.receipts.head(names.tenant)).toEqual({ seq: 0, hash: null });
    expect(await ledger.receipts.tenants()).not.toContain(names.tenant);
  });
});

describe('what is recorded is what was given', () => {
  test('numbers, keys and characters come back exactly, and the stored text is the canonical one', async () => {
    const names = { tenant: newTenant(), actionId: 'a-1' };
    const result: Json = {
      numbers: [1e21, 5e-324, 1.7976931348623157e308, 0.1 + 0.2, -0, 1e-7, 9007199254740991, 100],
      '10': 'ten before',
      '9': 'nine',
      'ключ "quoted" \\': "it's; drop table actions; --",
      astral: '𝒳👩‍👩‍👧\u202e\ufeff',
      control: '\u0000\u0001\u001f\u007f\u2028',
      empty: [{}, [], '', null, true],
    };
    const { outcome } = await recordOutcome(ledger, settlement(names, { outcome: outcomeFor(names, { result }) }));
    const given = canonical(outcomeFor(names, { result }));
    expect(await outcomeText(names.tenant, 'a-1')).toBe(given);
    const [ended] = await collect(ledger.actions.listEnded(names.tenant));
    expect(canonical(ended?.outcome)).toBe(given);
    const found = await ledger.actions.find(names.tenant, 'a-1');
    expect(canonical(found?.outcome)).toBe(canonical(outcome));
  });

  test('any JSON keeps its digest on the way through', async () => {
    const tenant = newTenant();
    let count = 0;
    await fc.assert(
      fc.asyncProperty(fc.jsonValue({ depthSize: 'medium', stringUnit: 'binary' }), async (value) => {
        const names = { tenant, actionId: `a-${count++}` };
        const given = outcomeFor(names, { result: value as Json });
        await recordOutcome(ledger, settlement(names, { outcome: given }));
        const found = await ledger.actions.find(tenant, names.actionId);
        expect(digest({ ...found?.outcome, receipt: undefined })).toBe(digest(given));
      }),
      { numRuns: 150 },
    );
  });

  test.each([
    ['quotes', `'"; drop schema countersign cascade; -- $1 \\x00`],
    ['Unicode', '‮𝒳 ﷽ 👩‍👩‍👧 ẞ İ ﬀ é'],
    ['256 KiB', 'x"\\é𝒳'.repeat(256 * 128).slice(0, 256 * 1024)],
  ])('hostile text (%s) in every place is carried as it is', async (_, text) => {
    const short = text.slice(0, 30);
    const names = { tenant: `${short}-${newTenant()}`, actionId: `a ${short}` };
    const request = admission(names, {
      agent: text.slice(0, 500),
      tool: text,
      environment: text,
      targets: [text, '{a,b}', ''],
    });
    expect(await ledger.actions.admit(request)).toMatchObject({ kind: 'admitted' });
    const use = { ...request, jti: request.grant.jti, usedBy: text };
    expect(await ledger.grants.use(use)).toMatchObject({ kind: 'first', otherUses: 0 });
    expect(await ledger.grants.use({ ...use, usedBy: 'else' })).toEqual({
      kind: 'replayed',
      otherUses: 0,
      usedBy: text,
    });
    const given = outcomeFor(names, { reason: text, result: { [text]: text } });
    const { outcome } = await recordOutcome(ledger, settlement(names, { outcome: given }));
    expect((await ledger.actions.find(names.tenant, names.actionId))?.outcome).toEqual(outcome);
    expect(canonical(outcome)).toBe(canonical({ ...given, receipt: outcome.receipt }));
    expect(await ledger.receipts.tenants()).toContain(names.tenant);
  });

  test('text that no database holds is refused by name, and the action stays open', async () => {
    const names = { tenant: newTenant(), actionId: 'a-1' };
    await ledger.actions.admit(admission(names));
    await expect(ledger.actions.admit(admission({ ...names, actionId: 'a\u0000' }))).rejects.toMatchObject({
      code: 'INVALID_TEXT',
    });
    const lone = settlement(names, { outcome: outcomeFor(names, { reason: 'half \ud83d' }) });
    await expect(recordOutcome(ledger, lone)).rejects.toMatchObject({ code: 'INVALID_JSON' });
    expect(await ledger.actions.find(names.tenant, 'a-1')).toMatchObject({ status: 'open' });
  });
});

describe('the chain', () => {
  test('fifty settlings at once, by several workers, make one chain without a gap', async () => {
    const tenant = newTenant();
    const workers = [ledger, await at.another(), await at.another({ poolSize: 2 })];
    const ends = await times(50, (index) =>
      recordOutcome(workers[index % workers.length] as Ledger, settlement({ tenant, actionId: `a-${index}` })),
    );
    expect(ends.map((end) => end.outcome.receipt?.seq).sort((a = 0, b = 0) => a - b)).toEqual(
      Array.from({ length: 50 }, (_, index) => index + 1),
    );
    const receipts = await wholeChain(ledger, tenant);
    expect(receipts).toHaveLength(50);
    expect(await ledger.receipts.head(tenant)).toEqual({ seq: 50, hash: receipts[49]?.hash });
    for (const { outcome } of ends) {
      const receipt = receipts[(outcome.receipt?.seq ?? 0) - 1];
      expect(receipt).toMatchObject({ actionId: outcome.actionId, hash: outcome.receipt?.hash });
    }
  });

  test('settling one action many times at once records it once, and everybody gets that record', async () => {
    const names = { tenant: newTenant(), actionId: 'a-1' };
    const workers = [ledger, await at.another(), await at.another()];
    const ends = await times(30, (index) =>
      recordOutcome(
        workers[index % workers.length] as Ledger,
        settlement(names, { outcome: outcomeFor(names, { reason: `told by ${index}` }) }),
      ),
    );
    expect(ends.filter((end) => !end.recorded)).toHaveLength(1);
    expect(new Set(ends.map((end) => canonical(end.outcome))).size).toBe(1);
    expect(await wholeChain(ledger, names.tenant)).toHaveLength(1);
  });

  test('settling for two proposals at once settles one; the other is a conflict', async () => {
    for (let round = 0; round < 10; round++) {
      const names = { tenant: newTenant(), actionId: 'a-1' };
      const digests = [proposal('one'), proposal('other')];
      const ends = await Promise.allSettled(
        digests.map((proposalDigest) =>
          recordOutcome(ledger, settlement(names, { proposalDigest, outcome: outcomeFor(names, { proposalDigest }) })),
        ),
      );
      const told = ends.map((end) => (end.status === 'fulfilled' ? 'settled' : end.reason.code));
      expect(new Set(told)).toEqual(new Set(['settled', 'ACTION_CONFLICT']));
      expect(await wholeChain(ledger, names.tenant)).toHaveLength(1);
    }
  });

  test('an admission for another proposal that slips in while the receipt is signed wins; no receipt is left', async () => {
    const names = { tenant: newTenant(), actionId: 'a-1' };
    const other = admission(names, { digest: proposal('something else') });
    const sign: SignReceipt = async (link) => {
      expect(await ledger.actions.admit(other)).toMatchObject({ kind: 'admitted' });
      return await signLink(link);
    };
    await expect(recordOutcome(ledger, settlement(names, { sign }))).rejects.toMatchObject({ code: 'ACTION_CONFLICT' });
    expect(await ledger.receipts.head(names.tenant)).toEqual({ seq: 0, hash: null });
    expect(await ledger.actions.find(names.tenant, 'a-1')).toMatchObject({
      digest: other.digest,
      status: 'open',
      uses: 0,
    });
  });

  test('receipts without an action stand in the same chain and settle nothing', async () => {
    const tenant = newTenant();
    await recordOutcome(ledger, settlement({ tenant, actionId: 'a-1' }));
    const before = await ledger.actions.find(tenant, 'a-1');
    const refs = await times(10, () => ledger.receipts.append({ tenant, actionId: 'a-1', sign: signLink }));
    await ledger.receipts.append({ tenant, actionId: 'never admitted', sign: signLink });
    expect(refs.map((ref) => ref.seq).sort((a, b) => a - b)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(await wholeChain(ledger, tenant)).toHaveLength(12);
    expect(await ledger.actions.find(tenant, 'a-1')).toEqual(before);
    expect(await ledger.actions.find(tenant, 'never admitted')).toBeUndefined();
    expect(await collect(ledger.actions.listEnded(tenant))).toHaveLength(1);
  });

  test('chains of different tenants do not wait for each other', async () => {
    const [slow, fast] = [newTenant(), newTenant()];
    let release = (): void => {};
    const released = new Promise<void>((resolve) => (release = resolve));
    let holds = (): void => {};
    const holding = new Promise<void>((resolve) => (holds = resolve));
    const held = recordOutcome(
      ledger,
      settlement(
        { tenant: slow, actionId: 'a-1' },
        {
          sign: async (link) => {
            holds();
            await released;
            return signLink(link);
          },
        },
      ),
    );
    await holding;
    // Also more settlings of the slow tenant than the pool has connections: they may not keep the others out.
    const queue = times(20, (index) => recordOutcome(ledger, settlement({ tenant: slow, actionId: `q-${index}` })));
    await someoneWaitsForLock(at.pool);
    await times(20, (index) => recordOutcome(ledger, settlement({ tenant: fast, actionId: `a-${index}` })));
    expect((await ledger.receipts.head(fast)).seq).toBe(20);
    expect((await ledger.receipts.head(slow)).seq).toBe(0);
    release();
    await Promise.all([held, queue]);
    expect(await wholeChain(ledger, slow)).toHaveLength(21);
  });

  test('with real signatures, what 40 workers at once settled verifies as one chain, and each outcome by its receipt', async () => {
    const keyring = await parseKeyring(JSON.stringify(await generateKeyringFile()), 'test');
    const tenant = newTenant();
    await times(40, (index) => {
      const outcome = outcomeFor({ tenant, actionId: `a-${index}` }, { result: { index, share: index / 7 } });
      const statement = {
        v: 1 as const,
        tenant,
        actionId: outcome.actionId,
        proposalDigest: outcome.proposalDigest,
        status: outcome.status,
        reason: outcome.reason,
        tool: outcome.tool,
        approvals: [],
        outcomeDigest: digest(outcome),
        iat: Math.floor(Date.now() / 1000),
      };
      const sign: SignReceipt = async (link) => {
        const jws = await signReceipt(keyring, { ...statement, ...link });
        return { jws, hash: hashReceipt(jws) };
      };
      return recordOutcome(ledger, settlement(outcome, { outcome, sign }));
    });
    const head = await ledger.receipts.head(tenant);
    const report = await verifyChain(
      keyring,
      ledger.receipts.list(tenant),
      { seq: head.seq, hash: head.hash as string },
      { tenant },
    );
    expect(report).toMatchObject({ ok: true, count: 40 });
    const jws = new Map((await collect(ledger.receipts.list(tenant))).map((receipt) => [receipt.seq, receipt.jws]));
    for (const { outcome, receiptSeq } of await collect(ledger.actions.listEnded(tenant))) {
      expect((await verifyReceipt(keyring, jws.get(receiptSeq) as string)).outcomeDigest).toBe(digest(outcome));
    }
  });
});

describe('reading back', () => {
  test('receipts and ended actions come whole and in order over many pages, or from where one stopped', async () => {
    const tenant = newTenant();
    for (let batch = 0; batch < 11; batch++) {
      await times(50, (index) => recordOutcome(ledger, settlement({ tenant, actionId: `a-${batch}-${index}` })));
    }
    const receipts = await wholeChain(ledger, tenant);
    expect(receipts).toHaveLength(550);
    const ended = await collect(ledger.actions.listEnded(tenant));
    expect(ended.map((action) => action.receiptSeq)).toEqual(receipts.map((receipt) => receipt.seq));
    expect(ended.map((action) => action.actionId)).toEqual(receipts.map((receipt) => receipt.actionId));
    expect(ended.map((action) => action.receiptHash)).toEqual(receipts.map((receipt) => receipt.hash));
    expect(await collect(ledger.receipts.list(tenant, { after: 548 }))).toEqual(receipts.slice(548));
    expect(await collect(ledger.receipts.list(tenant, { after: 550 }))).toEqual([]);
  });

  test('a reader that stops early holds nothing back', async () => {
    const tenant = newTenant();
    await times(3, (index) => recordOutcome(ledger, settlement({ tenant, actionId: `a-${index}` })));
    for await (const receipt of ledger.receipts.list(tenant)) {
      expect(receipt.seq).toBe(1);
      break;
    }
    await recordOutcome(ledger, settlement({ tenant, actionId: 'later' }));
    expect((await ledger.receipts.head(tenant)).seq).toBe(4);
  });

  test('a tenant that never settled has an empty chain', async () => {
    const tenant = newTenant();
    expect(await ledger.receipts.head(tenant)).toEqual({ seq: 0, hash: null });
    expect(await collect(ledger.receipts.list(tenant))).toEqual([]);
    expect(await collect(ledger.actions.listEnded(tenant))).toEqual([]);
    expect(await ledger.receipts.tenants()).not.toContain(tenant);
  });
});

describe('what was proposed', () => {
  const input = { where: { id: 7 }, note: 'kept' };

  test('is kept beside the outcome, comes back after it, and never changes', async () => {
    const names = { tenant: newTenant(), actionId: 'kept' };
    const proposed = { actionId: 'kept', tool: 'shop-db', input, reasoning: 'why' };
    const proposalDigest = digestOfProposal(proposed);
    const outcome = outcomeFor(names, { proposalDigest });
    await recordOutcome(ledger, { ...settlement(names), proposalDigest, outcome, proposal: proposed });
    expect((await ledger.archive.action(names.tenant, 'kept'))?.proposal).toEqual(proposed);
    const change = (to: string) =>
      at.pool.query('update countersign.actions set proposal = $3 where tenant = $1 and action_id = $2', [
        names.tenant,
        names.actionId,
        to,
      ]);
    await expect(change('{}')).rejects.toThrow('refuses UPDATE');
    await expect(
      at.pool.query(`update countersign.actions set proposal = null where action_id = 'kept'`),
    ).rejects.toThrow('refuses UPDATE');
  });

  test('is refused where its digest is another, and not shown where somebody put another there', async () => {
    const names = { tenant: newTenant(), actionId: 'other' };
    const proposed = { actionId: 'other', tool: 'shop-db', input };
    await expect(ledger.receipts.settle({ ...settlement(names), proposal: proposed })).rejects.toMatchObject({
      code: 'INVALID_PROPOSAL',
    });
    await recordOutcome(ledger, settlement(names));
    await at.pool.query(
      `begin; alter table countersign.actions disable trigger final;
       update countersign.actions set proposal = '${JSON.stringify(proposed)}' where action_id = 'other';
       alter table countersign.actions enable trigger final; commit`,
    );
    const record = await ledger.archive.action(names.tenant, 'other');
    expect(record?.outcome).toBeDefined();
    expect(record?.proposal).toBeUndefined();
  });
});
