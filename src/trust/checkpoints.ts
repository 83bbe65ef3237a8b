/** Checkpoints of the audit trail: signed by workers, with the key that signs receipts. */
import { z } from 'zod';
import type { CheckpointClaims } from '../action/checkpoint.js';
import { CountersignError } from '../action/errors.js';
import { describeShapeError, digestSchema, refusalFactory, secondsSchema } from './claim-schemas.js';
import { openIssued, signToken } from './jws.js';
import { signingKey, type Keyring } from './keys.js';

/** A longer one is not taken. */
const MAX_CHECKPOINT_BYTES = 4 * 1024;

const refuse = refusalFactory('TRAIL_BROKEN', 'checkpoint');

const claimsSchema: z.ZodType<CheckpointClaims> = z.strictObject({
  v: z.literal(1),
  tenant: z.string().regex(/^(?:\*|[a-z0-9_][a-z0-9_-]{0,62})$/),
  size: z.number().int().min(1),
  root: digestSchema,
  head: digestSchema,
  prev: digestSchema.nullable(),
  iat: secondsSchema,
});

const form = { type: 'checkpoint', maxBytes: MAX_CHECKPOINT_BYTES, claims: claimsSchema, refuse } as const;

/** @throws CountersignError KEYS_MISSING; INTERNAL when the claims are not what `verifyCheckpoint` would take */
export async function signCheckpoint(keyring: Keyring, claims: CheckpointClaims): Promise<string> {
  const { key, kid } = signingKey(keyring, 'receipt');
  const parsed = claimsSchema.safeParse(claims);
  if (parsed.success) return signToken('checkpoint', parsed.data, key, kid);
  throw new CountersignError('INTERNAL', `The checkpoint cannot be signed: ${describeShapeError(parsed.error)}.`);
}

/** Verifies a checkpoint's signature and shape, not what it says of a trail. @throws CountersignError TRAIL_BROKEN */
export function verifyCheckpoint({ verify }: Pick<Keyring, 'verify'>, token: string): Promise<CheckpointClaims> {
  return openIssued(token, form, verify.receipt);
}
