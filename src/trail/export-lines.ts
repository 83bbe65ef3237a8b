/** A tenant's trail as lines, each entry with its evidence and each checkpoint after the last entry that it covers. */
import type { Ledger } from '../ledger/index.js';
import { FORMAT, type TrailLine } from './format.js';

/** Works while actions go on: what is appended meanwhile is left to the next export. @throws CountersignError LEDGER_UNAVAILABLE */
export async function* exportLines({ trail }: Pick<Ledger, 'trail'>, tenant: string): AsyncGenerator<TrailLine> {
  const upTo = await trail.size(tenant);
  // Somebody may have cut the entries: then checkpoints go on after them, and whoever verifies must see that.
  const checkpoints = await trail.checkpoints(tenant);
  yield { type: 'trail', format: FORMAT, tenant };
  let [entries, given] = [0, 0];
  for await (const { seq, entry, hash, evidence } of trail.evidenced(tenant, { upTo })) {
    for (; (checkpoints[given]?.size ?? Infinity) < seq; given++) yield lineOf(checkpoints[given]);
    yield { type: 'entry', seq, hash, entry, ...(evidence === null ? {} : { evidence }) };
    entries++;
  }
  const last = await trail.size(tenant);
  const beyond = last === upTo ? Infinity : upTo;
  for (; given < checkpoints.length && (checkpoints[given]?.size ?? 0) <= beyond; given++)
    yield lineOf(checkpoints[given]);
  yield { type: 'end', entries, checkpoints: given };
}

function lineOf(checkpoint: { readonly jws: string } | undefined): TrailLine {
  return { type: 'checkpoint', jws: checkpoint?.jws ?? '' };
}
