/** Makes the next checkpoint of a trail: from where the last one ended, over entries that follow it without a flaw. */
import type { CheckpointClaims } from '../action/checkpoint.js';
import { CountersignError } from '../action/errors.js';
import { digestText, type Digest } from '../action/json.js';
import type { Ledger, StoredCheckpoint } from '../ledger/index.js';
import { signCheckpoint, verifyCheckpoint, type Keyring } from '../trust/index.js';
import { readEntry } from './entry.js';
import { Frontier, leafHash } from './merkle.js';

export interface Checkpoint {
  readonly jws: string;
  readonly claims: CheckpointClaims;
  /** Whether this call made it. */
  readonly made: boolean;
}

/**
 * The checkpoint over everything that a tenant's trail has now; undefined where it has nothing. Goes on from the one before, and so never
 * signs what came in the place of entries that were signed already.
 *
 * @throws CountersignError TRAIL_BROKEN where the trail does not go on from the last checkpoint; KEYS_MISSING
 */
export async function checkpointTrail(
  tenant: string,
  { ledger: { trail }, keyring }: { readonly ledger: Pick<Ledger, 'trail'>; readonly keyring: Keyring },
): Promise<Checkpoint | undefined> {
  const stored = await trail.lastCheckpoint(tenant);
  const before = stored && (await opened(tenant, stored, keyring));
  const upTo = await trail.size(tenant);
  const from = before?.claims.size ?? 0;
  if (upTo < from) {
    throw broken(tenant, `ends with entry ${upTo}, and a checkpoint covers ${from}`);
  }
  if (upTo === from) return before && { jws: before.jws, claims: before.claims, made: false };

  const tree = before?.tree ?? new Frontier();
  let head: Digest | null = before?.claims.head ?? null;
  for await (const { seq, entry, hash } of trail.entries(tenant, { after: from, upTo })) {
    const leaf = leafHash(entry);
    const body = readEntry(entry);
    const follows = body?.seq === tree.size + 1 && body.prev === head && body.tenant === tenant;
    if (!follows || seq !== body.seq || hash !== `sha256:${leaf.toString('hex')}`) {
      throw broken(tenant, `does not go on after entry ${tree.size}`);
    }
    head = hash;
    tree.append(leaf);
  }
  if (head === null || tree.size !== upTo) throw broken(tenant, `does not go on after entry ${tree.size}`);
  const claims: CheckpointClaims = {
    v: 1,
    tenant,
    size: tree.size,
    root: `sha256:${tree.root().toString('hex')}`,
    head,
    prev: before === undefined ? null : digestText(before.jws),
    iat: Math.floor(Date.now() / 1000),
  };
  const jws = await signCheckpoint(keyring, claims);
  const peaks = tree.peaks.map((peak) => peak.toString('hex'));
  const made = await trail.addCheckpoint(tenant, from, { size: claims.size, jws, peaks });
  // Another worker was first to go on from the same one.
  return made ? { jws, claims, made } : checkpointTrail(tenant, { ledger: { trail }, keyring });
}

/** @throws CountersignError TRAIL_BROKEN where somebody changed it */
async function opened(tenant: string, { size, jws, peaks }: StoredCheckpoint, keyring: Keyring) {
  const claims = await verifyCheckpoint(keyring, jws);
  let tree: Frontier;
  try {
    tree = new Frontier(
      claims.size,
      peaks.map((peak) => Buffer.from(peak, 'hex')),
    );
  } catch {
    throw broken(tenant, `has a checkpoint over ${size} entries that does not fit`);
  }
  if (claims.tenant !== tenant || claims.size !== size || claims.root !== `sha256:${tree.root().toString('hex')}`) {
    throw broken(tenant, `has a checkpoint over ${size} entries that was changed`);
  }
  return { jws, claims, tree };
}

function broken(tenant: string, what: string): CountersignError {
  return new CountersignError('TRAIL_BROKEN', `The trail of ${tenant} ${what}.`, {
    field: 'trail',
    expected: 'entries that follow those of the last checkpoint',
    fix: 'Nothing was signed. Locate it: countersign trail verify --tenant … ; then compare with a backup.',
  });
}
