/** Grants: the workers' signed permission for one execution. */
import { z } from 'zod';
import { ACTION_TYPES } from '../action/decision.js';
import { CountersignError } from '../action/errors.js';
import type { GrantClaims } from '../action/grant.js';
import { openIssued, signToken } from './jws.js';
import { signingKey, type Keyring } from './keys.js';
import {
  actionIdSchema,
  agentIdSchema,
  CLOCK_TOLERANCE_SECONDS,
  digestSchema,
  describeShapeError,
  nameSchema,
  refusalFactory,
  seconds,
  secondsSchema,
  tenantSchema,
  textSchema,
} from './claim-schemas.js';

/** A longer grant is neither signed nor taken. */
export const MAX_GRANT_BYTES = 32 * 1024;

const refuse = refusalFactory('GRANT_INVALID', 'grant');

const constraintSchema = z.strictObject({
  name: textSchema.min(1).max(128),
  value: z.union([textSchema, z.number(), z.boolean()]),
  policy: textSchema.max(256),
});

const claimsSchema: z.ZodType<GrantClaims> = z
  .strictObject({
    jti: textSchema.min(1).max(128),
    tenant: tenantSchema,
    actionId: actionIdSchema,
    agent: agentIdSchema,
    tool: nameSchema,
    environment: textSchema.min(1).max(128),
    actionType: z.enum(ACTION_TYPES),
    proposalDigest: digestSchema,
    policyDigest: digestSchema,
    preDigest: digestSchema,
    planDigest: digestSchema,
    approvals: z.array(digestSchema).refine(ascending),
    constraints: z.array(constraintSchema),
    targets: z.array(textSchema),
    credentials: z.array(textSchema.min(1).max(128)).exactOptional(),
    rows: z.number().int().min(0),
    rehearsal: digestSchema.exactOptional(),
    iat: secondsSchema,
    exp: secondsSchema,
  })
  .refine(({ iat, exp }) => exp > iat, { path: ['exp'] });

const form = { type: 'grant', maxBytes: MAX_GRANT_BYTES, claims: claimsSchema, refuse } as const;

function ascending(values: readonly string[]): boolean {
  return values.every((value, i) => i === 0 || (values[i - 1] as string) < value);
}

/** @throws CountersignError KEYS_MISSING, or INTERNAL when the claims are not what `verifyGrant` would take */
export async function signGrant(keyring: Keyring, claims: GrantClaims): Promise<string> {
  const { key, kid } = signingKey(keyring, 'grant');
  const parsed = claimsSchema.safeParse(claims);
  if (!parsed.success) {
    const field = `grant.${parsed.error.issues[0]?.path.join('.') ?? ''}`;
    throw new CountersignError('INTERNAL', `The grant cannot be signed: ${describeShapeError(parsed.error)}.`, {
      field,
    });
  }
  const token = await signToken('grant', parsed.data, key, kid);
  if (token.length > MAX_GRANT_BYTES) {
    throw new CountersignError('INTERNAL', `The grant would be longer than ${MAX_GRANT_BYTES} bytes.`, {
      field: 'grant',
      expected: 'fewer constraints and approvals',
    });
  }
  return token;
}

/** Reads a grant by its signature and shape alone. Whether it is for this action, and unused, is for `execute`. @throws CountersignError GRANT_INVALID */
export function openGrant(keyring: Keyring, token: string): Promise<GrantClaims> {
  return openIssued(token, form, keyring.verify.grant);
}

/**
 * Whether a grant is valid at a time, which is the ledger's: what was granted by one worker is used by another, and neither's clock is right.
 *
 * @throws CountersignError GRANT_INVALID before it was issued; GRANT_EXPIRED from `exp` on, to the second
 */
export function assertGrantInTime({ iat, exp }: Pick<GrantClaims, 'iat' | 'exp'>, now: Date): void {
  if (!(iat <= seconds(now) + CLOCK_TOLERANCE_SECONDS)) {
    throw refuse('The grant is not valid yet', { fix: "Check the clock of the ledger's database." });
  }
  if (seconds(now) < exp) return;
  throw new CountersignError('GRANT_EXPIRED', `The grant expired at ${new Date(exp * 1000).toISOString()}.`, {
    field: 'grant.exp',
    expected: 'a grant that is still valid',
    fix: 'Decide the action again; a new grant is then signed.',
  });
}
