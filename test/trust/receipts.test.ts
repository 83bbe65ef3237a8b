/** Receipts and their chain: whatever is done to the store shows. */
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Digest } from '../../src/action/json.js';
import type { ReceiptClaims } from '../../src/action/receipt.js';
import {
  verifyChain,
  type ChainOptions,
  type ChainPosition,
  type ChainReport,
  type ChainedReceipt,
} from '../../src/trust/chain.js';
import { signGrant } from '../../src/trust/grants.js';
import { parseKeyring, publicKeyring, type KeyringFile } from '../../src/trust/key-file.js';
import type { Keyring } from '../../src/trust/keys.js';
import { hashReceipt, signReceipt, verifyReceipt } from '../../src/trust/receipts.js';
import { grantClaims, receiptClaims } from './claims.js';
import { digestOf, firstKey, forge, newKeys, refusal } from './support.js';

let keyring: Keyring;
let file: KeyringFile;
beforeAll(async () => {
  ({ keyring, file } = await newKeys());
});

async function chainOf(length: number, change: Partial<ReceiptClaims> = {}, keys = keyring): Promise<ChainedReceipt[]> {
  const chain: ChainedReceipt[] = [];
  let prev: Digest | null = null;
  for (let seq = 1; seq <= length; seq++) {
    const jws = await signReceipt(keys, receiptClaims({ seq, prev, actionId: `action-${seq}`, ...change }));
    prev = hashReceipt(jws);
    chain.push({ seq, hash: prev, jws });
  }
  return chain;
}

async function* stream(chain: readonly ChainedReceipt[]): AsyncGenerator<ChainedReceipt> {
  yield* chain;
}

const headOf = (chain: readonly ChainedReceipt[]): ChainPosition | undefined => chain.at(-1);

function check(chain: readonly ChainedReceipt[], head = headOf(chain), options?: ChainOptions): Promise<ChainReport> {
  return verifyChain(keyring, stream(chain), head, options);
}

const problemsOf = ({ problems }: ChainReport): string =>
  problems.map(({ seq, problem }) => `${seq}: ${problem}`).join('\n');

describe('a receipt', () => {
  test('comes back as it was signed, with public keys alone', async () => {
    const token = await signReceipt(keyring, receiptClaims());
    const reader = await parseKeyring(JSON.stringify(await publicKeyring(keyring)), 'public', { publicOnly: true });
    expect(await verifyReceipt(reader, token)).toEqual(receiptClaims());
  });

  test('is the same text for the same claims, so that a repeated settlement appends no second one', async () => {
    const claims = receiptClaims();
    const reversed = Object.fromEntries(Object.entries(claims).toReversed()) as unknown as ReceiptClaims;
    const [one, two] = [
      await signReceipt(keyring, claims),
      await signReceipt(keyring, { ...reversed, code: undefined }),
    ];
    expect(two).toBe(one);
    expect(hashReceipt(one)).toMatch(/^sha256:[0-9a-f]{64}$/);
  });

  test('states the refusal of a stranger, in a chain that no tenant can have', async () => {
    const claims = receiptClaims({
      tenant: '_unauthenticated',
      actionId: 'x/y z',
      tool: 'undefined',
      agent: undefined,
      status: 'denied',
    });
    expect(await verifyReceipt(keyring, await signReceipt(keyring, claims))).toMatchObject({
      tenant: '_unauthenticated',
    });
  });

  test.each([
    ['a first one with a predecessor', { prev: digestOf('x') }],
    ['a second one without', { seq: 2, prev: null }],
    ['number zero', { seq: 0 }],
    ['another status', { status: 'fine' }],
    ['another version', { v: 2 }],
    ['a reason with NUL', { reason: 'a\u0000' }],
    ['a reason with a lone surrogate', { reason: 'a\ud800' }],
    ['a tool with a lone surrogate', { tool: '\udc00' }],
    ['a claim that does not belong there', { secret: 1 }],
    ['a far too long reason', { reason: 'x'.repeat(100_000) }],
  ])('%s is neither signed nor taken', async (_, change) => {
    const claims = { ...receiptClaims(), ...change } as ReceiptClaims;
    expect((await refusal(signReceipt(keyring, claims), 'INTERNAL')).field).toMatch(/^receipt\./);
    const key = firstKey(file, 'receipt');
    const forged = forge({ alg: 'EdDSA', typ: 'countersign-receipt+jwt', kid: key.kid }, claims, key);
    await refusal(verifyReceipt(keyring, forged), 'RECEIPTS_BROKEN');
  });

  test('that cannot be signed is told by the place of what is wrong', async () => {
    const field = async (changes: object) =>
      (await refusal(signReceipt(keyring, { ...receiptClaims(), ...changes }), 'INTERNAL')).field;
    expect(await field({ status: 'fine' })).toBe('receipt.status');
    expect(await field({ cause: { actionId: 'a', receipt: 'x' } })).toBe('receipt.cause.receipt');
  });

  test('signed by the grant key, or a grant instead of it, is refused', async () => {
    const key = firstKey(file, 'grant');
    const forged = forge({ alg: 'EdDSA', typ: 'countersign-receipt+jwt', kid: key.kid }, receiptClaims(), key);
    await refusal(verifyReceipt(keyring, forged), 'RECEIPTS_BROKEN');
    await refusal(verifyReceipt(keyring, await signGrant(keyring, grantClaims())), 'RECEIPTS_BROKEN');
  });

  test('has one spelling: another text of the same signature does not verify under another hash', async () => {
    const token = await signReceipt(keyring, receiptClaims());
    for (const put of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_') {
      if (put !== token.at(-1)) await refusal(verifyReceipt(keyring, token.slice(0, -1) + put), 'RECEIPTS_BROKEN');
    }
    for (const put of ['=', '\n', ' ', '\u0000', 'A'])
      await refusal(verifyReceipt(keyring, token + put), 'RECEIPTS_BROKEN');
  });
});

describe('a chain', () => {
  let chain: ChainedReceipt[];
  beforeAll(async () => {
    chain = await chainOf(6);
  });

  test('that nobody touched is in order', async () => {
    expect(await check(chain)).toEqual({
      ok: true,
      count: 6,
      problems: [],
      problemCount: 0,
      head: { seq: 6, hash: chain[5]?.hash },
    });
    expect(
      await check(chain, headOf(chain), { tenant: 'acme', anchors: [{ seq: 3, hash: chain[2]!.hash }] }),
    ).toMatchObject({ ok: true });
  });

  test('that is empty is in order, unless its head says otherwise', async () => {
    expect(await check([], undefined)).toEqual({ ok: true, count: 0, problems: [], problemCount: 0, head: undefined });
    expect(problemsOf(await check([], { seq: 6, hash: chain[5]!.hash }))).toBe('6: Receipts 1 to 6 are missing.');
  });

  test.each([1, 2, 3, 4, 5])('with receipt %d removed has a gap', async (seq) => {
    const report = await check(chain.filter((receipt) => receipt.seq !== seq));
    expect(report).toMatchObject({ ok: false, count: 5 });
    expect(problemsOf(report)).toBe(`${seq + 1}: Receipt ${seq} is missing.`);
  });

  test('with a gap closed by renumbering the rows is found out', async () => {
    const renumbered = chain.filter(({ seq }) => seq !== 3).map((receipt, i) => ({ ...receipt, seq: i + 1 }));
    const report = await check(renumbered, renumbered.at(-1));
    expect(problemsOf(report)).toContain('The receipt stored as 3 was signed as 4.');
    expect(problemsOf(report)).toContain('Receipt 3 does not name the receipt before it.');
  });

  test('with its tail removed is found out by its head', async () => {
    expect(problemsOf(await check(chain.slice(0, 4), headOf(chain)))).toBe('6: Receipts 5 to 6 are missing.');
    expect(problemsOf(await check(chain.slice(0, 5), headOf(chain)))).toBe('6: Receipt 6 is missing.');
  });

  test('with tail and head set back together is found out by a reference that somebody kept', async () => {
    const cut = chain.slice(0, 4);
    expect((await check(cut)).ok).toBe(true);
    const report = await check(cut, headOf(cut), { anchors: [{ seq: 5, hash: chain[4]!.hash }] });
    expect(problemsOf(report)).toBe('5: Receipt 5 was issued and is missing.');
  });

  test('rewritten with the stolen key is found out by a reference that somebody kept', async () => {
    const rewritten = await chainOf(6, { reason: 'All was well.' });
    expect((await check(rewritten)).ok).toBe(true);
    const report = await check(rewritten, headOf(rewritten), { anchors: [{ seq: 2, hash: chain[1]!.hash }] });
    expect(problemsOf(report)).toBe('2: Receipt 2 is not the one that was issued.');
  });

  test('whose head is missing, behind or another is found out', async () => {
    expect(problemsOf(await verifyChain(keyring, stream(chain), undefined))).toBe(
      '6: The head of the chain is missing.',
    );
    expect(problemsOf(await check(chain, chain[3]))).toContain('goes on to receipt 6 after its head, 4');
    expect(problemsOf(await check(chain, { seq: 6, hash: chain[0]!.hash }))).toContain('not the hash of receipt 6');
  });

  test('in another order is found out', async () => {
    const [a, b, c, ...rest] = chain as [ChainedReceipt, ChainedReceipt, ChainedReceipt, ...ChainedReceipt[]];
    const report = await check([a, c, b, ...rest]);
    expect(report.ok).toBe(false);
    expect(problemsOf(report)).toContain('out of order');
    expect(problemsOf(await check([a, b, b, c, ...rest]))).toContain('repeated');
  });

  test('with the texts of two receipts exchanged is found out at both', async () => {
    const exchanged = chain.map((receipt) => {
      const from = receipt.seq === 2 ? 4 : receipt.seq === 4 ? 2 : receipt.seq;
      return { ...chain[from - 1]!, seq: receipt.seq };
    });
    const report = await check(exchanged);
    expect(problemsOf(report)).toContain('The receipt stored as 2 was signed as 4.');
    expect(problemsOf(report)).toContain('The receipt stored as 4 was signed as 2.');
  });

  test('with an edited receipt is found out, even when its row hash is made to match', async () => {
    const [head, payload, signature] = chain[2]!.jws.split('.') as [string, string, string];
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as ReceiptClaims;
    const edited = `${head}.${Buffer.from(JSON.stringify({ ...claims, status: 'failed' })).toString('base64url')}.${signature}`;
    const plain = await check(chain.with(2, { ...chain[2]!, jws: edited }));
    expect(problemsOf(plain)).toContain('3: The stored hash of receipt 3 is not that of its text.');
    expect(problemsOf(plain)).toContain('3: Receipt 3 does not verify: The signature does not verify.');
    const matched = await check(chain.with(2, { seq: 3, hash: hashReceipt(edited), jws: edited }));
    expect(problemsOf(matched)).not.toContain('stored hash');
    expect(problemsOf(matched)).toContain('3: Receipt 3 does not verify');
    expect(problemsOf(matched)).toContain('4: Receipt 4 does not name the receipt before it.');
  });

  test('with only a stored hash changed is found out', async () => {
    const report = await check(chain.with(1, { ...chain[1]!, hash: digestOf('x') }));
    expect(problemsOf(report)).toBe('2: The stored hash of receipt 2 is not that of its text.');
  });

  test('with a receipt that names another predecessor is found out', async () => {
    const jws = await signReceipt(keyring, receiptClaims({ seq: 4, prev: digestOf('elsewhere') }));
    const report = await check(chain.slice(0, 3).concat({ seq: 4, hash: hashReceipt(jws), jws }));
    expect(problemsOf(report)).toBe('4: Receipt 4 does not name the receipt before it.');
  });

  test('with a receipt of another tenant is found out; so is a whole chain of another tenant', async () => {
    const jws = await signReceipt(keyring, receiptClaims({ tenant: 'other', seq: 4, prev: chain[2]!.hash as Digest }));
    const report = await check(chain.slice(0, 3).concat({ seq: 4, hash: hashReceipt(jws), jws }));
    expect(problemsOf(report)).toBe('4: Receipt 4 belongs to another tenant.');
    expect((await check(chain, headOf(chain), { tenant: 'other' })).problemCount).toBe(6);
  });

  test('by a foreign key is found out at each receipt', async () => {
    const foreign = await chainOf(3, {}, (await newKeys()).keyring);
    const report = await check(foreign);
    expect(report.problemCount).toBe(3);
    expect(problemsOf(report)).toContain('not known here');
  });

  test('of garbage yields twenty problems and their number, not an error', async () => {
    const garbage = Array.from({ length: 100 }, (_, i) => ({
      seq: i + 1,
      hash: 'x',
      jws: i % 2 ? '' : 'A'.repeat(70_000),
    }));
    const report = await check(garbage, { seq: 100, hash: 'x' });
    expect(report).toMatchObject({ ok: false, count: 100, problemCount: 201 });
    expect(report.problems).toHaveLength(20);
  });

  test('that cannot be read to its end is an error, not a report', async () => {
    async function* broken(): AsyncGenerator<ChainedReceipt> {
      yield chain[0]!;
      throw new Error('connection lost');
    }
    await expect(verifyChain(keyring, broken(), headOf(chain))).rejects.toThrow('connection lost');
  });

  test('whatever single thing is done to the stored rows, it is found out', async () => {
    const head = headOf(chain);
    const at = fc.nat({ max: 5 });
    const edit = fc.oneof(
      at.map((i) => (rows: ChainedReceipt[]) => rows.toSpliced(i, 1)),
      fc.tuple(at, at).map(
        ([i, j]) =>
          (rows: ChainedReceipt[]) =>
            rows.toSpliced(i, 0, rows[j]!),
      ),
      fc.tuple(at, at).map(
        ([i, j]) =>
          (rows: ChainedReceipt[]) =>
            rows.with(i, rows[j]!).with(j, rows[i]!),
      ),
      fc.tuple(at, at).map(
        ([i, j]) =>
          (rows: ChainedReceipt[]) =>
            rows.with(i, { ...rows[i]!, jws: rows[j]!.jws }),
      ),
      fc.tuple(at, at).map(
        ([i, j]) =>
          (rows: ChainedReceipt[]) =>
            rows.with(i, { ...rows[i]!, hash: rows[j]!.hash }),
      ),
      fc.tuple(at, fc.nat({ max: 8 })).map(
        ([i, seq]) =>
          (rows: ChainedReceipt[]) =>
            rows.with(i, { ...rows[i]!, seq }),
      ),
      fc
        .tuple(at, fc.nat({ max: 900 }), fc.constantFrom('A', 'Q', '7', '_'))
        .map(([i, position, put]) => (rows: ChainedReceipt[]) => {
          const { jws } = rows[i]!;
          return rows.with(i, { ...rows[i]!, jws: jws.slice(0, position) + put + jws.slice(position + 1) });
        }),
    );
    await fc.assert(
      fc.asyncProperty(edit, async (apply) => {
        const rows = apply(chain);
        fc.pre(JSON.stringify(rows) !== JSON.stringify(chain));
        expect((await check(rows, head)).ok).toBe(false);
      }),
      { numRuns: 300 },
    );
  });
});

test('a tenant without receipts has a chain that holds, and a head without them has lost them', async () => {
  const none = { ok: true, count: 0, problems: [], problemCount: 0, head: undefined };
  expect(await verifyChain(keyring, stream([]), undefined)).toEqual(none);
  const lost = await verifyChain(keyring, stream([]), { seq: 2, hash: digestOf('head') });
  expect(lost.problems).toEqual([{ seq: 2, problem: 'Receipts 1 to 2 are missing.' }]);
});
