/** Proofs that stand alone: that one entry is in a signed trail, and that one signed trail is the beginning of another. */
import { z } from 'zod';
import type { CheckpointClaims } from '../action/checkpoint.js';
import { CountersignError } from '../action/errors.js';
import { trailNotFound } from '../action/errors-not-found.js';
import type { Ledger } from '../ledger/index.js';
import { verifyCheckpoint } from '../trust/index.js';
import type { AnchorLine } from './anchored.js';
import { readEntry } from './entry.js';
import { openEvidence } from './evidence.js';
import { wellFormedText } from './format.js';
import type { TrailKeys } from './keys.js';
import { consistencyProof, inclusionProof, leafHash, verifyConsistency, verifyInclusion } from './merkle.js';
import type { TrailProblem } from './problems.js';
import { SignatureTimes } from './signatures.js';

const hex = z.string().regex(/^[0-9a-f]{64}$/);

const proofSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('inclusion'),
    entry: wellFormedText,
    /** What the entry's digest is of. */
    evidence: wellFormedText.exactOptional(),
    proof: z.array(hex).max(64),
    checkpoint: z.string(),
  }),
  z.strictObject({
    type: z.literal('consistency'),
    proof: z.array(hex).max(64),
    /** The older one. */
    first: z.string(),
    second: z.string(),
  }),
]);

export type TrailProof = z.infer<typeof proofSchema>;

type Records = Pick<Ledger, 'trail'>;

/** That an entry is in the trail, by the last checkpoint that covers it. @throws CountersignError NOT_FOUND */
export async function proveEntry({ trail }: Records, tenant: string, seq: number): Promise<TrailProof> {
  const checkpoint = await trail.lastCheckpoint(tenant);
  if (checkpoint === undefined || checkpoint.size < seq || seq < 1) {
    throw trailNotFound(
      `No checkpoint of ${tenant} covers an entry ${seq}.`,
      'Make one: countersign trail checkpoint.',
    );
  }
  const leaves = await leavesOf({ trail }, tenant, checkpoint.size);
  for await (const { entry, evidence } of trail.evidenced(tenant, { after: seq - 1, upTo: seq })) {
    return {
      type: 'inclusion',
      entry,
      ...(evidence === null ? {} : { evidence }),
      proof: inclusionProof(leaves, seq - 1).map((node) => node.toString('hex')),
      checkpoint: checkpoint.jws,
    };
  }
  throw trailNotFound(
    `The trail of ${tenant} has no entry ${seq}.`,
    'Look for what was removed: countersign trail verify.',
  );
}

/** That the trail at one checkpoint is the beginning of the trail at a later one. @throws CountersignError NOT_FOUND */
export async function proveGrowth({ trail }: Records, tenant: string, from: number, to?: number): Promise<TrailProof> {
  const last = await trail.lastCheckpoint(tenant);
  const [first, second] = [
    await trail.checkpoint(tenant, from),
    to === undefined ? last : await trail.checkpoint(tenant, to),
  ];
  if (first === undefined || second === undefined || second.size < first.size) {
    throw trailNotFound(
      `${tenant} has no such two checkpoints.`,
      last === undefined
        ? 'Make one: countersign trail checkpoint.'
        : `Name two sizes that \`countersign trail export\` has checkpoints over; the last is ${last.size}.`,
    );
  }
  const leaves = await leavesOf({ trail }, tenant, second.size);
  const proof = consistencyProof(leaves, first.size).map((node) => node.toString('hex'));
  return { type: 'consistency', proof, first: first.jws, second: second.jws };
}

async function leavesOf({ trail }: Records, tenant: string, upTo: number): Promise<readonly Buffer[]> {
  const leaves: Buffer[] = [];
  for await (const { entry } of trail.entries(tenant, { upTo })) leaves.push(leafHash(entry));
  return leaves;
}

/** What a proof proves, once it holds. */
export type Proven =
  | { readonly type: 'inclusion'; readonly tenant: string; readonly seq: number; readonly size: number }
  | { readonly type: 'consistency'; readonly tenant: string; readonly from: number; readonly to: number };

/** Undefined when the value is no proof. */
export function readProof(value: unknown): TrailProof | undefined {
  return proofSchema.safeParse(value).data;
}

/**
 * Checks a proof with nothing but the public keys: what it proves, and what the entry is about where that is with it.
 *
 * @param anchors checkpoints that were kept elsewhere: they show that one signed with a revoked key is from before
 * @throws CountersignError TRAIL_BROKEN
 */
export async function verifyProof(
  given: TrailProof,
  keys: TrailKeys,
  anchors: readonly AnchorLine[] = [],
): Promise<Proven> {
  const problems: TrailProblem[] = [];
  const times = new SignatureTimes(keys, (problem) => problems.push(problem));
  const kept = new Set(anchors.map(({ jws }) => jws));
  const opened = async (jws: string): Promise<CheckpointClaims> => {
    const claims = await verifyCheckpoint(keys.keyring, jws);
    times.judge(jws, claims.iat, claims.size, claims.size);
    times.vouch(jws, claims, kept.has(jws));
    return claims;
  };
  const proven = given.type === 'inclusion' ? await entryIn(given, opened, keys, times) : await growthOf(given, opened);
  times.finish();
  const [problem] = problems;
  if (problem !== undefined) throw unproven(problem.problem);
  return proven;
}

type Opened = (jws: string) => Promise<CheckpointClaims>;

async function entryIn(
  given: Extract<TrailProof, { type: 'inclusion' }>,
  opened: Opened,
  keys: TrailKeys,
  times: SignatureTimes,
): Promise<Proven> {
  const claims = await opened(given.checkpoint);
  const { tenant, size } = claims;
  const body = readEntry(given.entry);
  const root = rootIn(claims);
  const leaf = leafHash(given.entry);
  if (body?.tenant !== tenant || !verifyInclusion({ leaf, index: body.seq - 1, size, root }, nodesOf(given))) {
    throw unproven(`The proof does not lead from the entry to the root over ${size} entries of ${tenant}.`);
  }
  const { seq } = body;
  if (given.evidence !== undefined) {
    const about = await openEvidence(body, given.evidence, keys);
    if ('problem' in about) throw unproven(about.problem.problem);
    if (about.receipt !== undefined) times.judge(given.evidence, about.receipt.iat, seq, seq);
  }
  return { type: 'inclusion', tenant, seq, size };
}

async function growthOf(given: Extract<TrailProof, { type: 'consistency' }>, opened: Opened): Promise<Proven> {
  const [first, second] = [await opened(given.first), await opened(given.second)];
  const heads = [first, second].map((claims) => ({ size: claims.size, root: rootIn(claims) }));
  const [older, newer] = heads as [(typeof heads)[number], (typeof heads)[number]];
  if (first.tenant !== second.tenant || !verifyConsistency(older, newer, nodesOf(given))) {
    throw unproven(
      `The ${first.size} entries of the first checkpoint are not shown to be the beginning of the second.`,
    );
  }
  return { type: 'consistency', tenant: first.tenant, from: first.size, to: second.size };
}

function nodesOf({ proof }: TrailProof): readonly Buffer[] {
  return proof.map((node) => Buffer.from(node, 'hex'));
}

function rootIn({ root }: CheckpointClaims): Buffer {
  return Buffer.from(root.slice('sha256:'.length), 'hex');
}

function unproven(message: string): CountersignError {
  return new CountersignError('TRAIL_BROKEN', message, { field: 'proof' });
}
