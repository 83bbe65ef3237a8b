/** The trail under attack: every edit, removal, reordering, truncation and fork is found, and located. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CheckpointClaims } from '../../src/action/checkpoint.js';
import { digest } from '../../src/action/json.js';
import { parseTrailKeys } from '../../src/trail/keys.js';
import { leafHash } from '../../src/trail/merkle.js';
import { proveEntry, proveGrowth, verifyProof, type TrailProof } from '../../src/trail/proofs.js';
import type { TrailReport } from '../../src/trail/report.js';
import { verifyTrail } from '../../src/trail/verify-lines.js';
import { signCheckpoint } from '../../src/trust/index.js';
import { TAMPERINGS, type Presented } from './tampering.js';
import { startTrailWorld, type TrailWorld } from './world.js';

let world: TrailWorld;
let honest: Presented;

beforeAll(async () => {
  world = await startTrailWorld();
  honest = { lines: world.lines, keys: world.keys, anchors: world.anchors };
});
afterAll(() => world?.stop());

async function verify({ lines, keys, anchors }: Presented): Promise<TrailReport> {
  const given = async function* (): AsyncGenerator<string> {
    yield* lines;
  };
  return verifyTrail(given(), {
    keys: await parseTrailKeys(JSON.stringify(keys), 'keys.json'),
    anchors: anchors.map((jws) => ({ jws })),
  });
}

test('an honest trail verifies, up to the last checkpoint and beyond, with its anchors', async () => {
  expect(await verify(honest)).toEqual({
    ok: true,
    tenant: 'acme',
    entries: 12,
    checkpoints: 3,
    covered: 8,
    withheld: 0,
    anchors: 3,
    timestamps: [],
    timestampsUnchecked: 0,
    openGrants: [],
    openGrantCount: 0,
    overdueGrants: 0,
    problems: [],
    problemCount: 0,
  });
});

test('anchors of other tenants are passed over', async () => {
  const claims = { v: 1, tenant: 'beta', size: 99, root: digest('x'), head: digest('y'), prev: null, iat: 1 } as const;
  const anchors = [...world.anchors, await signCheckpoint(world.first, claims)];
  expect(await verify({ ...honest, anchors })).toMatchObject({ ok: true, anchors: 3 });
});

test('keys may overlap, and a key that was revoked later leaves good what an anchor shows to be from before', async () => {
  const [old, fresh] = world.keys.receipt;
  const at = (days: number): string => new Date(Date.now() + days * 86_400_000).toISOString();
  const overlapping = {
    receipt: [
      { ...old, notAfter: at(1) },
      { ...fresh, notBefore: at(-1) },
    ],
  };
  expect(await verify({ ...honest, keys: overlapping })).toMatchObject({ ok: true });
  // Entries 9 to 12 came after the last checkpoint: nothing outside shows when.
  const revoked = { receipt: [{ ...old, revokedAt: at(1) }, fresh as object] } as Presented['keys'];
  expect(await verify({ ...honest, keys: revoked })).toMatchObject({ ok: true });
});

test('a checkpoint that was signed when its key was not good shows nothing of other signatures', async () => {
  const [old, fresh] = world.keys.receipt;
  const at = (days: number): string => new Date(Date.now() + days * 86_400_000).toISOString();
  const keys = {
    receipt: [
      { ...old, revokedAt: at(1) },
      { ...fresh, notAfter: at(-1) },
    ],
  };
  const { problems } = await verify({ ...honest, keys, anchors: world.anchors.slice(2) });
  expect(problems).toContainEqual(expect.objectContaining({ code: 'key_revoked', at: 1 }));
});

test('evidence that is not there any more is counted, and the chain holds without it', async () => {
  const lines = world.lines.map((text) => {
    const { evidence: _erased, ...line } = JSON.parse(text) as { evidence?: string };
    return JSON.stringify(line);
  });
  expect(await verify({ ...honest, lines })).toMatchObject({ ok: true, withheld: 12, covered: 8 });
});

test('one changed character is found, in whatever line it is', async () => {
  const unnoticed: string[] = [];
  for (const [n, line] of world.lines.entries()) {
    for (let at = n; at < line.length; at += 61) {
      const changed = line.slice(0, at) + (line[at] === 'x' ? 'y' : 'x') + line.slice(at + 1);
      const { ok } = await verify({ ...honest, lines: world.lines.with(n, changed) });
      if (ok) unnoticed.push(changed);
    }
  }
  expect(unnoticed).toEqual([]);
});

describe('a proof', () => {
  const revoked = (n: number, revokedAt: string): Presented['keys'] => ({
    receipt: world.keys.receipt.map((key, i) => (i === n ? { ...key, revokedAt } : key)),
  });
  const at = (days: number): string => new Date(Date.now() + days * 86_400_000).toISOString();
  const proven = async (proof: TrailProof, keys = world.keys, anchors: readonly string[] = []) =>
    verifyProof(
      proof,
      await parseTrailKeys(JSON.stringify(keys), 'keys'),
      anchors.map((jws) => ({ jws })),
    );
  const entryOf = (seq: number) =>
    proveEntry(world.ledger, 'acme', seq) as Promise<Extract<TrailProof, { type: 'inclusion' }>>;
  const refused = { code: 'TRAIL_BROKEN' };

  test('of an entry verifies with what the entry is about, and with nothing else in its place', async () => {
    const [own, other] = [await entryOf(2), await entryOf(3)];
    expect(await proven(own)).toMatchObject({ type: 'inclusion', seq: 2 });
    const { evidence: _withheld, ...without } = own;
    expect(await proven(without)).toMatchObject({ seq: 2 });
    await expect(proven({ ...own, evidence: other.evidence as string })).rejects.toMatchObject(refused);
    const freeze = await entryOf(4);
    expect(await proven(freeze)).toMatchObject({ seq: 4 });
    const routine = (freeze.evidence ?? '').replace('looks odd', 'routine');
    await expect(proven({ ...freeze, evidence: routine })).rejects.toMatchObject(refused);
  });

  test('that somebody made with a key that was revoked proves nothing, whatever time is in it', async () => {
    const text = JSON.stringify({
      ...(JSON.parse((await entryOf(1)).entry) as object),
      subject: 'never-happened',
      kind: 'decision',
    });
    const leaf = leafHash(text).toString('hex');
    const claims = { v: 1, tenant: 'acme', size: 1, root: `sha256:${leaf}`, head: `sha256:${leaf}`, prev: null };
    const checkpoint = await signCheckpoint(world.first, { ...claims, iat: 1_700_000_000 } as CheckpointClaims);
    const forged: TrailProof = { type: 'inclusion', entry: text, proof: [], checkpoint };
    await expect(proven(forged, revoked(0, at(-1)))).rejects.toMatchObject({
      ...refused,
      message: expect.stringContaining('revoked') as string,
    });
    const keys = { receipt: world.keys.receipt.map((key) => ({ ...key, notBefore: at(-1) })) };
    await expect(proven(forged, keys)).rejects.toMatchObject(refused);
  });

  test('that is signed with a key that was revoked since counts where its checkpoint was kept elsewhere, or goes on under another', async () => {
    const own = await entryOf(2);
    await expect(proven(own, revoked(1, at(1)))).rejects.toMatchObject(refused);
    expect(await proven(own, revoked(1, at(1)), world.anchors)).toMatchObject({ seq: 2 });
    await expect(proven(own, revoked(1, at(-1)), world.anchors)).rejects.toMatchObject(refused);
    const growth = await proveGrowth(world.ledger, 'acme', 3, 8);
    expect(await proven(growth, revoked(0, at(1)))).toMatchObject({ from: 3, to: 8 });
    await expect(proven(growth, revoked(0, at(-1)))).rejects.toMatchObject(refused);
    await expect(proven(growth, revoked(1, at(1)))).rejects.toMatchObject(refused);
  });
});

describe('is found and located', () => {
  test.each(TAMPERINGS.map((tampering) => [tampering.name, tampering] as const))('%s', async (_, { tamper, found }) => {
    const tampered = await tamper(honest, world);
    expect(tampered).not.toEqual(honest);
    const report = await verify(tampered);
    expect(report.ok).toBe(false);
    const [{ code, at } = {}] = report.problems;
    expect([code, at]).toEqual(found);
  });
});
