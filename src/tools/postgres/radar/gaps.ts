/** Times of which the log does not tell what was written, each with why. `since`: up to where it was judged, an LSN. Pure. */
import type { Gap } from '../../../radar/source.js';
import { lsnOf } from './decode.js';
import type { SlotStanding } from './slot.js';

/** There is no slot any more. */
export function lostGap(since: string, { flushed, now }: SlotStanding, why = 'somebody dropped the slot'): Gap {
  const detail = `Nobody knows what was written between ${since} and the new beginning after ${flushed}: ${why}.`;
  return { position: `gap/${since}`, at: now, detail };
}

/** The slot is further than what was judged: its log was given to somebody else, or somebody made the slot anew. */
export function takenGap(since: string | undefined, { confirmed, now }: SlotStanding): readonly Gap[] {
  if (since === undefined || since === '' || lsnOf(confirmed) <= lsnOf(since)) return [];
  const detail = `Nobody knows what was written between ${since} and ${confirmed}: somebody else read the log with the slot, moved it on, or made it anew.`;
  return [{ position: `taken/${since}`, at: now, detail }];
}

/** Tables whose changes may not have been published for a while. */
export function withdrawnGap(
  since = '',
  tables: readonly string[],
  { now }: Pick<SlotStanding, 'now'>,
): readonly Gap[] {
  if (tables.length === 0) return [];
  const detail = `Since ${since}, changes of ${tables.join(', ')} may not have been published: somebody changed the publication, or made the table anew.`;
  return [{ position: `withdrawn/${since}/${tables.join()}`, at: now, detail }];
}
