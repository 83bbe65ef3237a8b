/** The workers' signature over a change of policy: a worker follows no change that no worker signed, whoever wrote it into the ledger. */
import { z } from 'zod';
import type { Digest } from '../action/json.js';
import { POLICY_CHANGES, type OrderedPolicyChange } from '../action/policy-rollout.js';
import { digestSchema, refusalFactory, secondsSchema } from './claim-schemas.js';
import { openIssued, signToken } from './jws.js';
import { signingKey, type Keyring } from './keys.js';

export interface PolicyChangeClaims {
  /** The number of the change: a signature is worth nothing at another place of the history. */
  readonly seq: number;
  readonly kind: OrderedPolicyChange;
  readonly digest: Digest;
  /** Digests of what the people signed who ordered it. */
  readonly statements: readonly Digest[];
  /** Seconds since the epoch. */
  readonly iat: number;
}

/** More people than a promotion can be made to need. */
const MAX_STATEMENTS = 16;
const refuse = refusalFactory('POLICY_INVALID', 'policy.signed');
const [, ...ORDERED] = POLICY_CHANGES;

const claimsSchema: z.ZodType<PolicyChangeClaims> = z.strictObject({
  seq: z.number().int().min(1),
  kind: z.enum(ORDERED),
  digest: digestSchema,
  statements: z.array(digestSchema).min(1).max(MAX_STATEMENTS),
  iat: secondsSchema,
});

const form = { type: 'policyChange', maxBytes: 8192, claims: claimsSchema, refuse } as const;

/** @throws CountersignError KEYS_MISSING on a worker that decides nothing */
export function signPolicyChange(keyring: Keyring, claims: PolicyChangeClaims): Promise<string> {
  const { key, kid } = signingKey(keyring, 'grant');
  return signToken('policyChange', claimsSchema.parse(claims), key, kid);
}

/** What a worker signed, at whatever place of whatever history. @throws CountersignError POLICY_INVALID */
export function openPolicyChange(keyring: Keyring, signed: string): Promise<PolicyChangeClaims> {
  return openIssued(signed, form, keyring.verify.grant);
}

/** It does not expire: it holds until the next change. @throws CountersignError POLICY_INVALID */
export async function verifyPolicyChange(
  keyring: Keyring,
  signed: string,
  {
    seq,
    digest,
    kinds,
  }: Pick<PolicyChangeClaims, 'seq' | 'digest'> & { readonly kinds: readonly OrderedPolicyChange[] },
): Promise<void> {
  const claims = await openPolicyChange(keyring, signed);
  if (claims.seq === seq && claims.digest === digest && kinds.includes(claims.kind)) return;
  throw refuse('The signature is over another change of policy', {
    expected: `change ${seq}, which puts ${digest} there`,
    fix: 'Whoever can write to the ledger may have changed it: verify the receipts, then promote the policy anew.',
  });
}
