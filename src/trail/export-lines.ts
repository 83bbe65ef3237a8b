/** A tenant's trail as lines, each entry with its evidence and each checkpoint after the last entry that it covers. */
import type { Ledger } from '../ledger/index.js';
import { FORMAT, type TrailLine } from './format.js';

/** Works while actions go on: what is appended meanwhile is left to the next export. @throws CountersignError LEDGER_UNAVAILABLE */
export async function* exportLines({ trail }: Pick<Ledger, 'trail'>, tenant: string): AsyncGenerator<TrailLine> {
  const upTo = await trail.size(tenant);
  // Somebody may have cut the entries: then checkpoints go on after them, and whoever verifies must see that.
  const until = (await trail.lastCheckpoint(tenant))?.size ?? 0;
  const checkpoints = trail.checkpoints(tenant, { upTo: until });
  let next = await checkpoints.next();
  yield { type: 'trail', format: FORMAT, tenant };
  let [entries, given] = [0, 0];
  for await (const { seq, entry, hash, evidence } of trail.evidenced(tenant, { upTo })) {
    for (; next.done !== true && next.value.size < seq; given++) {
      yield { type: 'checkpoint', jws: next.value.jws };
      next = await checkpoints.next();
    }
    yield { type: 'entry', seq, hash, entry, ...(evidence === null ? {} : { evidence }) };
    entries++;
  }
  const last = await trail.size(tenant);
  const beyond = last === upTo ? Infinity : upTo;
  for (; next.done !== true && next.value.size <= beyond; given++) {
    yield { type: 'checkpoint', jws: next.value.jws };
    next = await checkpoints.next();
  }
  yield { type: 'end', entries, checkpoints: given };
}
