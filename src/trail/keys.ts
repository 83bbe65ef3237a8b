/** The public keys that a trail is verified with: those of the workers' receipts, each with the time in which it was good. */
import { z } from 'zod';
import { CountersignError } from '../action/errors.js';
import { parseJson } from '../action/parse.js';
import { parseKeyring, type Keyring } from '../trust/index.js';

/** When a key was good. RFC 3339; each absent where it says nothing. */
export interface KeyPeriod {
  readonly notBefore?: string;
  /** Keys overlap while one replaces the other. */
  readonly notAfter?: string;
  /** Since then somebody else may have it: what it signed counts only where others saw it before. */
  readonly revokedAt?: string;
}

export interface TrailKeys {
  readonly keyring: Pick<Keyring, 'verify'>;
  /** By key id. */
  readonly periods: ReadonlyMap<string, KeyPeriod>;
}

const time = z.iso.datetime({ offset: true });
const fileSchema = z.looseObject({
  receipt: z
    .array(
      z.looseObject({
        x: z.string(),
        notBefore: time.optional(),
        notAfter: time.optional(),
        revokedAt: time.optional(),
      }),
    )
    .min(1),
});

/**
 * Reads the output of `countersign keys public`, to whose receipt keys `notBefore`, `notAfter` and `revokedAt` may have been added.
 *
 * @throws CountersignError KEYS_INVALID
 */
export async function parseTrailKeys(text: string, source: string): Promise<TrailKeys> {
  const parsed = fileSchema.safeParse(parseJson(text, source));
  if (!parsed.success) {
    const field = `${source}.${parsed.error.issues[0]?.path.join('.') ?? 'receipt'}`;
    throw new CountersignError('KEYS_INVALID', `${field} is not what a file of public keys holds there.`, {
      field,
      expected: '{"receipt": […]}: public keys as `countersign keys public` prints them; times as 2030-01-31T12:00:00Z',
    });
  }
  const plain = parsed.data.receipt.map(({ notBefore: _from, notAfter: _to, revokedAt: _since, ...key }) => key);
  const keyring = await parseKeyring(JSON.stringify({ receipt: plain }), source, { publicOnly: true });
  const byKey = new Map(parsed.data.receipt.map((key) => [key.x, key]));
  const periods = [...keyring.verify.receipt].map(([kid, { x }]) => [kid, byKey.get(x) ?? {}] as const);
  return { keyring, periods: new Map(periods as [string, KeyPeriod][]) };
}

/** The keys of this process, good at any time. */
export function trailKeysOf(keyring: Pick<Keyring, 'verify'>): TrailKeys {
  return { keyring, periods: new Map() };
}
