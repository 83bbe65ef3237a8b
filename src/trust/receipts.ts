/** Receipts: the workers' signed statements of outcomes. */
import { z } from 'zod';
import { ACTION_TYPES } from '../action/decision.js';
import { CountersignError } from '../action/errors.js';
import { digestText, type Digest } from '../action/json.js';
import { OUTCOME_STATUSES } from '../action/outcome.js';
import type { ReceiptClaims } from '../action/receipt.js';
import { openIssued, signToken } from './jws.js';
import { signingKey, type Keyring } from './keys.js';
import {
  actionIdSchema,
  agentIdSchema,
  digestSchema,
  describeShapeError,
  refusalFactory,
  secondsSchema,
  stepDigestsSchema,
  textSchema,
} from './claim-schemas.js';

/** A longer receipt is neither signed nor taken. */
const MAX_RECEIPT_BYTES = 64 * 1024;

const refuse = refusalFactory('RECEIPTS_BROKEN', 'receipt');

/**
 * A receipt also states that something was refused before anybody knew who asked for what: then tenant, action and tool are
 * what the caller wrote, and the tenant of the chain is one that no real tenant can have (a leading underscore).
 */
const claimsSchema: z.ZodType<ReceiptClaims> = z
  .strictObject({
    v: z.literal(1),
    tenant: z.string().regex(/^[a-z0-9_][a-z0-9_-]{0,62}$/),
    seq: z.number().int().min(1),
    prev: digestSchema.nullable(),
    actionId: textSchema.min(1).max(1024),
    proposalDigest: digestSchema,
    status: z.enum(OUTCOME_STATUSES),
    reason: textSchema,
    code: textSchema.min(1).max(64).optional(),
    agent: agentIdSchema.optional(),
    tool: textSchema.max(128),
    environment: textSchema.min(1).max(128).optional(),
    actionType: z.enum(ACTION_TYPES).optional(),
    effect: z.enum(['allow', 'deny', 'require_approval']).optional(),
    policyDigest: digestSchema.optional(),
    approvals: z.array(digestSchema),
    grant: textSchema.min(1).max(128).optional(),
    cause: z.strictObject({ actionId: actionIdSchema, receipt: digestSchema }).optional(),
    preDigest: digestSchema.optional(),
    postDigest: digestSchema.optional(),
    records: stepDigestsSchema.optional(),
    outcomeDigest: digestSchema,
    iat: secondsSchema,
  })
  .refine(({ seq, prev }) => (seq === 1) === (prev === null), { path: ['prev'] });

const form = { type: 'receipt', maxBytes: MAX_RECEIPT_BYTES, claims: claimsSchema, refuse } as const;

/**
 * Signs a receipt. Equal claims give the same text, so a repeated attempt appends the same receipt.
 *
 * @throws CountersignError KEYS_MISSING; INTERNAL when the claims are not what `verifyReceipt` would take (a reason with NUL or a
 *   lone surrogate, a receipt over 64 KiB)
 */
export async function signReceipt(keyring: Keyring, claims: ReceiptClaims): Promise<string> {
  const { key, kid } = signingKey(keyring, 'receipt');
  const parsed = claimsSchema.safeParse(claims);
  if (!parsed.success) {
    const field = `receipt.${parsed.error.issues[0]?.path.join('.') ?? ''}`;
    throw new CountersignError('INTERNAL', `The receipt cannot be signed: ${describeShapeError(parsed.error)}.`, {
      field,
    });
  }
  const token = await signToken('receipt', parsed.data, key, kid);
  if (token.length > MAX_RECEIPT_BYTES) {
    throw new CountersignError('INTERNAL', `The receipt would be longer than ${MAX_RECEIPT_BYTES} bytes.`, {
      field: 'receipt.reason',
      expected: 'a shorter reason',
    });
  }
  return token;
}

/** What the next receipt names as `prev`: SHA-256 over the compact JWS. */
export function hashReceipt(token: string): Digest {
  return digestText(token);
}

/** Verifies one receipt's signature and shape, not its place in the chain. @throws CountersignError RECEIPTS_BROKEN */
export async function verifyReceipt(keyring: Pick<Keyring, 'verify'>, token: string): Promise<ReceiptClaims> {
  return openIssued(token, form, keyring.verify.receipt);
}
