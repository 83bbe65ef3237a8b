/** Ways to tamper with an exported trail, and what a verifier must say of each, and where: for every verifier of the format alike. */
import { createHash } from 'node:crypto';
import type { CheckpointClaims } from '../../src/action/checkpoint.js';
import { digestText } from '../../src/action/json.js';
import { Frontier, leafHash } from '../../src/trail/merkle.js';
import type { TrailProblemCode } from '../../src/trail/problems.js';
import { signCheckpoint, type Keyring } from '../../src/trust/index.js';
import { newKeyring, type PublicKeys, type TrailWorld } from './world.js';

/** What is verified. */
export interface Presented {
  readonly lines: readonly string[];
  readonly keys: PublicKeys;
  readonly anchors: readonly string[];
}

export interface Tampering {
  readonly name: string;
  readonly tamper: (honest: Presented, world: TrailWorld) => Presented | Promise<Presented>;
  /** The first problem that is found. */
  readonly found: readonly [code: TrailProblemCode, at: number];
}

interface EntryLine {
  readonly type: 'entry';
  readonly seq: number;
  readonly hash: string;
  readonly entry: string;
  readonly evidence?: string;
}
type Line = EntryLine | { readonly type: 'checkpoint'; readonly jws: string } | { readonly type: 'trail' | 'end' };

const parsed = (line: string): Line => JSON.parse(line) as Line;
const hashOf = (entry: string): string => `sha256:${leafHash(entry).toString('hex')}`;

/** Changes the lines one by one; what becomes of a line replaces it. */
function mapped(change: (line: Line, text: string) => readonly object[] | undefined): Tampering['tamper'] {
  return (honest) => ({
    ...honest,
    lines: honest.lines.flatMap((text) => change(parsed(text), text)?.map((line) => JSON.stringify(line)) ?? [text]),
  });
}

/** Changes one entry's line. */
function entry(seq: number, change: (line: EntryLine) => readonly object[]): Tampering['tamper'] {
  return mapped((line) => (line.type === 'entry' && line.seq === seq ? change(line) : undefined));
}

/** Changes one member of an entry's text, and its hash with it, as somebody would who knows how it is made. */
function rehashed(seq: number, member: string, value: unknown): Tampering['tamper'] {
  return entry(seq, (line) => {
    const text = JSON.stringify({ ...(JSON.parse(line.entry) as object), [member]: value });
    return [{ ...line, entry: text, hash: hashOf(text) }];
  });
}

/** Changes what an entry says of its grant, and its hash with it. */
function regranted(seq: number, more: object): Tampering['tamper'] {
  return (honest, world) => {
    const line = honest.lines.map(parsed).find((one) => one.type === 'entry' && one.seq === seq) as EntryLine;
    const { grants } = JSON.parse(line.entry) as { grants: readonly object[] };
    return rehashed(seq, 'grants', [{ ...grants[0], ...more }])(honest, world);
  };
}

/** Every entry from `seq` on names the one before it again. */
function relinked(lines: readonly string[]): readonly string[] {
  let prev: string | null = null;
  return lines.map((text) => {
    const line = parsed(text);
    if (line.type !== 'entry') return text;
    const body = JSON.parse(line.entry) as { prev: string | null };
    const same = body.prev === prev;
    const entry = same ? line.entry : JSON.stringify({ ...body, prev });
    prev = hashOf(entry);
    return JSON.stringify({ ...line, entry, hash: prev });
  });
}

/** The nth checkpoint, from 1. */
function checkpoint(n: number, change: (jws: string) => readonly object[]): Tampering['tamper'] {
  let seen = 0;
  return mapped((line) => (line.type === 'checkpoint' && ++seen === n ? change(line.jws) : undefined));
}

/** A trail of the same entries but one, signed anew from there with the workers' own key: what only who kept a checkpoint elsewhere can tell. */
async function forked(honest: Presented, keyring: Keyring, changedSeq: number): Promise<readonly string[]> {
  const changed = relinked(
    honest.lines.map((text) => {
      const line = parsed(text);
      if (line.type !== 'entry' || line.seq !== changedSeq) return text;
      const body = { ...(JSON.parse(line.entry) as object), at: '2030-01-01T00:00:00.000000Z' };
      return JSON.stringify({ ...line, entry: JSON.stringify(body), hash: hashOf(JSON.stringify(body)) });
    }),
  );
  const tree = new Frontier();
  let [head, before] = ['', undefined as string | undefined];
  const lines: string[] = [];
  for (const text of changed) {
    const line = parsed(text);
    if (line.type === 'entry') {
      tree.append(leafHash(line.entry));
      head = line.hash;
      lines.push(text);
    } else if (line.type === 'checkpoint') {
      const claims = {
        v: 1,
        tenant: 'acme',
        size: tree.size,
        root: `sha256:${tree.root().toString('hex')}`,
        head,
        prev: before === undefined ? null : digestText(before),
        iat: Math.floor(Date.now() / 1000),
      } as CheckpointClaims;
      before = await signCheckpoint(keyring, claims);
      lines.push(JSON.stringify({ type: 'checkpoint', jws: before }));
    } else {
      lines.push(text);
    }
  }
  return lines;
}

const withoutAnchors = (honest: Presented): Presented => ({ ...honest, anchors: [] });

const DAY_MS = 86_400_000;
const days = (n: number): string => new Date(Date.now() + n * DAY_MS).toISOString();

/** The same keys, the nth with these times. */
function keyTimes(honest: Presented, n: number, times: Readonly<Record<string, string>>): Presented {
  return { ...honest, keys: { receipt: honest.keys.receipt.map((key, i) => (i === n ? { ...key, ...times } : key)) } };
}

/** Of a compact JWS, with one bit of the signature changed. */
function missigned(jws: string): string {
  const [head, payload, signature = ''] = jws.split('.');
  const bytes = Buffer.from(signature, 'base64url');
  bytes.writeUInt8(bytes.readUInt8(7) ^ 1, 7);
  return `${head}.${payload}.${bytes.toString('base64url')}`;
}

/** Of a compact JWS, with another member of its claims and the old signature. */
function reclaimed(jws: string, member: string, value: unknown): string {
  const [head, payload = '', signature] = jws.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
  return `${head}.${Buffer.from(JSON.stringify({ ...claims, [member]: value })).toString('base64url')}.${signature}`;
}

const otherDigest = `sha256:${createHash('sha256').update('another').digest('hex')}`;

/** What a checkpoint would claim that no ledger made. */
const madeUp = (tenant: string): CheckpointClaims =>
  ({ v: 1, tenant, size: 4, root: otherDigest, head: otherDigest, prev: null, iat: 1 }) as CheckpointClaims;

export const TAMPERINGS: readonly Tampering[] = [
  // Each field of an entry.
  {
    name: 'the time of an entry, hash and all',
    tamper: rehashed(2, 'at', '2030-01-01T00:00:00.000000Z'),
    found: ['entry_link', 3],
  },
  {
    name: 'the subject of an entry, hash and all',
    tamper: rehashed(2, 'subject', 'action-9'),
    found: ['receipt_place', 2],
  },
  {
    name: 'the subject of an entry, which ends with that of its receipt',
    tamper: rehashed(2, 'subject', 'other/action-2'),
    found: ['receipt_place', 2],
  },
  {
    name: 'the text of an entry holds half a surrogate pair, which is hashed as U+FFFD is',
    tamper: entry(4, (line) => {
      const text = line.entry.replace('freeze', 'freeze\ud800');
      return [{ ...line, entry: text, hash: hashOf(text) }];
    }),
    found: ['line', 6],
  },
  { name: 'the grants of an entry are no list', tamper: rehashed(2, 'grants', {}), found: ['entry_shape', 2] },
  { name: 'the version of an entry is another kind of one', tamper: rehashed(2, 'v', true), found: ['entry_shape', 2] },
  {
    name: 'the number of an entry is beyond what every reader counts',
    tamper: (honest) => ({
      ...honest,
      lines: honest.lines.map((text) => (parsed(text).type === 'end' ? text.replace('12', '9007199254740993') : text)),
    }),
    found: ['line', 17],
  },
  { name: 'the kind of an entry, hash and all', tamper: rehashed(4, 'kind', 'revocation'), found: ['fork', 4] },
  { name: 'the digest of an entry, hash and all', tamper: rehashed(6, 'digest', otherDigest), found: ['evidence', 6] },
  { name: 'the tenant of an entry, hash and all', tamper: rehashed(3, 'tenant', 'beta'), found: ['entry_tenant', 3] },
  { name: 'the number of an entry, hash and all', tamper: rehashed(3, 'seq', 12), found: ['entry_seq', 3] },
  { name: 'what an entry names as the one before', tamper: rehashed(5, 'prev', otherDigest), found: ['entry_link', 5] },
  { name: 'the number of the receipt of an entry', tamper: rehashed(7, 'receipt', 5), found: ['receipt_place', 7] },
  { name: 'the grants of an entry', tamper: rehashed(7, 'grants', []), found: ['entry_link', 8] },
  { name: 'the version of an entry', tamper: rehashed(2, 'v', 2), found: ['entry_shape', 2] },
  {
    name: 'the text of an entry, and not its hash',
    tamper: entry(4, (line) => [{ ...line, entry: line.entry.replace('freeze', 'Freeze') }]),
    found: ['entry_hash', 4],
  },
  {
    name: 'the hash of an entry',
    tamper: entry(4, (line) => [{ ...line, hash: otherDigest }]),
    found: ['entry_hash', 4],
  },
  { name: 'the number of a line', tamper: entry(5, (line) => [{ ...line, seq: 6 }]), found: ['entry_seq', 6] },
  {
    name: 'an entry, and every hash after it',
    tamper: async (honest, world) => {
      const changed = await rehashed(2, 'at', '2030-01-01T00:00:00.000000Z')(honest, world);
      return withoutAnchors({ ...changed, lines: relinked(changed.lines) });
    },
    found: ['root', 3],
  },
  {
    name: 'an entry that only the last checkpoint covers, and every hash after it',
    tamper: async (honest, world) => {
      const changed = await rehashed(6, 'at', '2030-01-01T00:00:00.000000Z')(honest, world);
      return withoutAnchors({ ...changed, lines: relinked(changed.lines) });
    },
    found: ['root', 8],
  },
  // Grants with entries of their own.
  {
    name: 'the receipt of a slow action names no entry of its grant',
    tamper: rehashed(12, 'grants', []),
    found: ['grant_entry', 12],
  },
  {
    name: 'the receipt of a slow action names another entry as that of its grant',
    tamper: regranted(12, { entry: 10 }),
    found: ['grant_entry', 12],
  },
  {
    name: 'the receipt of a slow action names the entry as that of another grant',
    tamper: regranted(12, { jti: 'another' }),
    found: ['grant_entry', 12],
  },
  {
    name: 'the receipt of an action that was not slow names an entry of its grant',
    tamper: regranted(10, { entry: 9 }),
    found: ['grant_entry', 10],
  },
  { name: 'an entry of no grant', tamper: rehashed(11, 'grants', []), found: ['entry_shape', 11] },
  {
    name: 'an entry of a grant without an id',
    tamper: rehashed(11, 'grants', [{ jti: 7 }]),
    found: ['entry_shape', 11],
  },
  { name: 'an entry that names entry 0', tamper: regranted(12, { entry: 0 }), found: ['entry_shape', 12] },
  {
    name: 'the entry of a grant is there a second time, under a number of its own',
    tamper: (honest) => {
      const at = honest.lines.findIndex((text) => (parsed(text) as { seq?: number }).seq === 11);
      const moved = honest.lines.slice(at).map((text) => {
        const line = parsed(text);
        if (line.type !== 'entry') return JSON.stringify({ type: 'end', entries: 13, checkpoints: 3 });
        const entry = JSON.stringify({ ...(JSON.parse(line.entry) as object), seq: line.seq + 1 });
        return JSON.stringify({ ...line, seq: line.seq + 1, entry });
      });
      return { ...honest, lines: relinked([...honest.lines.slice(0, at + 1), ...moved]) };
    },
    found: ['grant_entry', 12],
  },
  // What entries are about.
  {
    name: 'the text of a freeze',
    tamper: entry(4, (line) => [{ ...line, evidence: (line.evidence ?? '').replace('looks odd', 'routine') }]),
    found: ['evidence', 4],
  },
  {
    name: 'a receipt, for that of another action',
    tamper: (honest, world) => {
      const third = honest.lines.map(parsed).find((line) => line.type === 'entry' && line.seq === 3) as EntryLine;
      return entry(2, (line) => [{ ...line, evidence: third.evidence }])(honest, world);
    },
    found: ['evidence', 2],
  },
  {
    name: 'the outcome in a receipt, and every digest of it',
    tamper: entry(2, (line) => {
      const evidence = reclaimed(line.evidence ?? '', 'status', 'denied');
      const text = JSON.stringify({ ...(JSON.parse(line.entry) as object), digest: digestText(evidence) });
      return [{ ...line, evidence, entry: text, hash: hashOf(text) }];
    }),
    found: ['receipt_signature', 2],
  },
  {
    name: 'the signature of a receipt, and every digest of it',
    tamper: entry(2, (line) => {
      const evidence = missigned(line.evidence ?? '');
      const text = JSON.stringify({ ...(JSON.parse(line.entry) as object), digest: digestText(evidence) });
      return [{ ...line, evidence, entry: text, hash: hashOf(text) }];
    }),
    found: ['receipt_signature', 2],
  },
  // Which entries there are.
  { name: 'an entry is removed', tamper: entry(5, () => []), found: ['missing', 5] },
  { name: 'the first entry is removed', tamper: entry(1, () => []), found: ['missing', 1] },
  {
    name: 'an entry is removed, and the others close the gap',
    tamper: (honest) => {
      const kept = honest.lines.filter((text) => {
        const line = parsed(text);
        return line.type !== 'entry' || line.seq !== 6;
      });
      const renumbered = kept.map((text) => {
        const line = parsed(text);
        if (line.type !== 'entry' || line.seq < 6) return text;
        const body = { ...(JSON.parse(line.entry) as object), seq: line.seq - 1 };
        return JSON.stringify({ ...line, seq: line.seq - 1, entry: JSON.stringify(body) });
      });
      return withoutAnchors({ ...honest, lines: relinked(renumbered) });
    },
    found: ['truncated', 8],
  },
  { name: 'an entry is there twice', tamper: entry(5, (line) => [line, line]), found: ['order', 5] },
  {
    name: 'two entries have changed places',
    tamper: (honest) => {
      const lines = [...honest.lines];
      const [a, b] = [6, 7].map((seq) => lines.findIndex((text) => (parsed(text) as { seq?: number }).seq === seq)) as [
        number,
        number,
      ];
      [lines[a], lines[b]] = [lines[b] as string, lines[a] as string];
      return { ...honest, lines };
    },
    found: ['missing', 6],
  },
  {
    name: 'the file is cut off',
    tamper: (honest) => ({ ...honest, lines: honest.lines.slice(0, -5) }),
    found: ['end', 8],
  },
  {
    name: 'the last entries are removed, and the end says so',
    tamper: (honest) => {
      const kept = honest.lines.slice(0, -1).filter((text) => ((parsed(text) as { seq?: number }).seq ?? 0) < 7);
      return { ...honest, anchors: [], lines: [...kept, JSON.stringify({ type: 'end', entries: 6, checkpoints: 3 })] };
    },
    found: ['truncated', 8],
  },
  {
    name: 'the last entries and their checkpoint are removed, and the end says so: an anchor remembers',
    tamper: (honest) => {
      const at = honest.lines.findIndex((text) => (parsed(text) as { seq?: number }).seq === 7);
      const end = JSON.stringify({ type: 'end', entries: 6, checkpoints: 2 });
      return { ...honest, lines: [...honest.lines.slice(0, at), end] };
    },
    found: ['truncated', 8],
  },
  {
    name: 'another trail, signed with the workers’ own key: an anchor remembers',
    tamper: async (honest, world) => ({ ...honest, lines: await forked(honest, world.second, 6) }),
    found: ['fork', 8],
  },
  // The file.
  {
    name: 'a line is missing, before a checkpoint',
    tamper: (honest) => ({ ...honest, lines: honest.lines.toSpliced(3, 1) }),
    found: ['truncated', 3],
  },
  {
    name: 'a line is no JSON',
    tamper: (honest) => ({ ...honest, lines: honest.lines.toSpliced(3, 0, '{"type":"entry"') }),
    found: ['line', 4],
  },
  {
    name: 'the beginning is missing',
    tamper: (honest) => ({ ...honest, lines: honest.lines.slice(1) }),
    found: ['format', 1],
  },
  {
    name: 'the end counts fewer entries',
    tamper: mapped((line) => (line.type === 'end' ? [{ type: 'end', entries: 9, checkpoints: 3 }] : undefined)),
    found: ['end', 12],
  },
  // Checkpoints.
  { name: 'a checkpoint is removed', tamper: checkpoint(2, () => []), found: ['checkpoint_link', 8] },
  {
    name: 'the signature of a checkpoint',
    tamper: checkpoint(2, (jws) => [{ type: 'checkpoint', jws: missigned(jws) }]),
    found: ['checkpoint_signature', 4],
  },
  {
    name: 'the root of a checkpoint',
    tamper: checkpoint(1, (jws) => [{ type: 'checkpoint', jws: reclaimed(jws, 'root', otherDigest) }]),
    found: ['checkpoint_signature', 3],
  },
  {
    name: 'the signatures of two checkpoints are swapped',
    tamper: (honest, world) => {
      const [one = '', two = ''] = world.anchors.map((jws) => jws.split('.')[2] as string);
      const jws = (world.anchors[1] as string).replace(two, one);
      return checkpoint(2, () => [{ type: 'checkpoint', jws }])(honest, world);
    },
    found: ['checkpoint_signature', 4],
  },
  {
    name: 'an older checkpoint is replayed as the last',
    tamper: (honest, world) => checkpoint(3, () => [{ type: 'checkpoint', jws: world.anchors[0] }])(honest, world),
    found: ['checkpoint_order', 3],
  },
  {
    name: 'a checkpoint is there twice',
    tamper: checkpoint(2, (jws) => [
      { type: 'checkpoint', jws },
      { type: 'checkpoint', jws },
    ]),
    found: ['checkpoint_order', 4],
  },
  {
    name: 'a checkpoint of another tenant',
    tamper: async (honest, world) => {
      const jws = await signCheckpoint(world.first, madeUp('beta'));
      return checkpoint(2, () => [{ type: 'checkpoint', jws }])(honest, world);
    },
    found: ['checkpoint_tenant', 4],
  },
  {
    name: 'a checkpoint of a stranger',
    tamper: async (honest, world) => {
      const jws = await signCheckpoint(await newKeyring(), madeUp('acme'));
      return checkpoint(2, () => [{ type: 'checkpoint', jws }])(honest, world);
    },
    found: ['checkpoint_signature', 4],
  },
  {
    name: 'an anchor whose signature is another',
    tamper: (honest) => ({ ...honest, anchors: [missigned(honest.anchors[0] as string)] }),
    found: ['anchor_signature', 1],
  },
  // Keys.
  {
    name: 'the old key is not known',
    tamper: (honest) => withoutAnchors({ ...honest, keys: { receipt: honest.keys.receipt.slice(1) } }),
    found: ['receipt_signature', 1],
  },
  {
    name: 'the old key was over before it signed',
    tamper: (honest) => keyTimes(honest, 0, { notAfter: days(-1) }),
    found: ['key_period', 1],
  },
  {
    name: 'the new key was not good yet when it signed',
    tamper: (honest) => keyTimes(honest, 1, { notBefore: days(1) }),
    found: ['key_period', 7],
  },
  {
    name: 'the new key was revoked before it signed',
    tamper: (honest) => keyTimes(honest, 1, { revokedAt: days(-1) }),
    found: ['key_revoked', 7],
  },
  {
    name: 'the old key was revoked after it signed, and a key that was over shows that it did before',
    tamper: (honest) => {
      const revoked = keyTimes(keyTimes(honest, 0, { revokedAt: days(1) }), 1, { notAfter: days(-1) });
      return { ...revoked, anchors: honest.anchors.slice(2) };
    },
    found: ['key_period', 7],
  },
  {
    name: 'the new key was revoked after it signed, and nothing outside shows that it did before',
    tamper: (honest) => keyTimes(withoutAnchors(honest), 1, { revokedAt: days(1) }),
    found: ['key_revoked', 7],
  },
];
