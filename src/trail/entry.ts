/** An entry of the audit trail, as it stands in the text that is hashed. */
import { z } from 'zod';
import type { Digest } from '../action/json.js';

const digest = z.custom<Digest>((value) => typeof value === 'string' && /^sha256:[0-9a-f]{64}$/.test(value));

/** The kind of an entry about a grant that was used, of an action that had not ended yet. */
export const GRANT_USED = 'grant_used';

/** A grant in the trail: when it was issued, used and returned. */
const grantSchema = z.looseObject({
  jti: z.string(),
  /** The entry that says so already. Only a receipt names one. */
  entry: z.number().int().min(1).optional(),
});

const entrySchema = z
  .looseObject({
    v: z.literal(1),
    /** `*` for what is about every tenant. */
    tenant: z.string(),
    /** 1, 2, 3 … without a gap. */
    seq: z.number().int().min(1),
    /** Hash of the entry before; null for the first. */
    prev: digest.nullable(),
    kind: z.string(),
    /** RFC 3339 UTC, the database's time. */
    at: z.string(),
    /** What it is about: an action's id, a freeze's number. */
    subject: z.string(),
    /** Of the evidence: for a receipt its compact JWS, for a row its text. */
    digest,
    /** Number of the receipt, where it is about one. */
    receipt: z.number().int().min(1).optional(),
    /** Of its action, where it is about a receipt; the one that it is about, where it is about a grant. */
    grants: z.array(grantSchema).optional(),
  })
  .refine(({ kind, grants }) => kind !== GRANT_USED || grants?.length === 1);

export type EntryBody = z.infer<typeof entrySchema>;

/** Undefined when the text is no entry. */
export function readEntry(text: string): EntryBody | undefined {
  try {
    return entrySchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
