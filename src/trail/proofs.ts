/** Proofs that stand alone: that one entry is in a signed trail, and that one signed trail is the beginning of another. */
import { z } from 'zod';
import type { CheckpointClaims } from '../action/checkpoint.js';
import { CountersignError } from '../action/errors.js';
import { trailNotFound } from '../action/errors-not-found.js';
import type { Ledger } from '../ledger/index.js';
import { verifyCheckpoint } from '../trust/index.js';
import { readEntry } from './entry.js';
import type { TrailKeys } from './keys.js';
import { consistencyProof, inclusionProof, leafHash, verifyConsistency, verifyInclusion } from './merkle.js';

const hex = z.string().regex(/^[0-9a-f]{64}$/);

const proofSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('inclusion'),
    entry: z.string(),
    /** What the entry's digest is of. */
    evidence: z.string().exactOptional(),
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
  const checkpoints = await trail.checkpoints(tenant);
  const first = checkpoints.find(({ size }) => size === from);
  const second = to === undefined ? checkpoints.at(-1) : checkpoints.find(({ size }) => size === to);
  if (first === undefined || second === undefined || second.size < first.size) {
    const sizes = checkpoints.map(({ size }) => size).join(', ');
    throw trailNotFound(
      `${tenant} has no such two checkpoints.`,
      `Name two of these sizes: ${sizes || '(there are none)'}`,
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

/** Checks a proof with nothing but the public keys. @throws CountersignError TRAIL_BROKEN */
export async function verifyProof(given: TrailProof, { keyring }: TrailKeys): Promise<Proven> {
  const proof = given.proof.map((node) => Buffer.from(node, 'hex'));
  if (given.type === 'inclusion') {
    const claims = await verifyCheckpoint(keyring, given.checkpoint);
    const { tenant, size } = claims;
    const body = readEntry(given.entry);
    const root = rootIn(claims);
    const leaf = leafHash(given.entry);
    if (body?.tenant !== tenant || !verifyInclusion({ leaf, index: body.seq - 1, size, root }, proof)) {
      throw unproven(`The proof does not lead from the entry to the root over ${size} entries of ${tenant}`);
    }
    return { type: 'inclusion', tenant, seq: body.seq, size };
  }
  const [first, second] = [await verifyCheckpoint(keyring, given.first), await verifyCheckpoint(keyring, given.second)];
  const heads = [first, second].map((claims) => ({ size: claims.size, root: rootIn(claims) }));
  const [older, newer] = heads as [(typeof heads)[number], (typeof heads)[number]];
  if (first.tenant !== second.tenant || !verifyConsistency(older, newer, proof)) {
    throw unproven(`The ${first.size} entries of the first checkpoint are not shown to be the beginning of the second`);
  }
  return { type: 'consistency', tenant: first.tenant, from: first.size, to: second.size };
}

function rootIn({ root }: CheckpointClaims): Buffer {
  return Buffer.from(root.slice('sha256:'.length), 'hex');
}

function unproven(message: string): CountersignError {
  return new CountersignError('TRAIL_BROKEN', `${message}.`, { field: 'proof' });
}
