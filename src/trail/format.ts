/** The lines of an exported trail (JSON Lines): a beginning, entries and checkpoints in their order, an end. */
import { z } from 'zod';

export const FORMAT = 'countersign-trail/1';

const count = z.number().int().min(0);

/** Hashes are over UTF-8, in which half a surrogate pair is the same as U+FFFD. */
export const wellFormedText = z.string().refine((value) => value.isWellFormed());

const lineSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('trail'), format: z.literal(FORMAT), tenant: z.string() }),
  z.strictObject({
    type: z.literal('entry'),
    seq: z.number().int().min(1),
    hash: z.string(),
    /** The entry as it is hashed. */
    entry: wellFormedText,
    /** What the entry's digest is of. */
    evidence: wellFormedText.exactOptional(),
  }),
  z.strictObject({ type: z.literal('checkpoint'), jws: z.string() }),
  z.strictObject({ type: z.literal('end'), entries: count, checkpoints: count }),
]);

export type TrailLine = z.infer<typeof lineSchema>;

/** Undefined when the text is none. */
export function readLine(text: string): TrailLine | undefined {
  try {
    return lineSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
