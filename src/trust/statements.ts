/** Statements: what a person says outside of an approval, once and for one purpose; and how an agent takes back what it delegated. */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { digestText, type Digest } from '../action/json.js';
import type { Resolution } from '../action/outcome.js';
import { MAX_CREDENTIAL_BYTES } from './claims.js';
import type { Credential } from './credentials.js';
import { heldBy, holderKey, verifyHolder, type Held, type Holder } from './holder.js';
import { openHeld, signToken } from './jws.js';
import type { Keyring } from './keys.js';
import {
  actionIdSchema,
  CLOCK_TOLERANCE_SECONDS,
  misshapen,
  REASON_EXPECTED,
  reasonSchema,
  refusing,
  seconds,
  secondsSchema,
  tenantSchema,
  typedText,
  validity,
} from './shapes.js';
import { chainSchema, type CredentialKind } from './standing.js';

/** A longer statement is refused unparsed. Holds a credential, the longest chain of delegations, and 2000 characters of any script. */
export const MAX_STATEMENT_BYTES = 40 * 1024;

const DEFAULT_TTL_SECONDS = 300;
/** It is signed to be handed in at once. */
const MAX_TTL_SECONDS = 600;

const refuse = refusing('STATEMENT_INVALID', 'statement');

const common = { tenant: tenantSchema, reason: reasonSchema };
const unfreeze = { ...common, kind: z.literal('unfreeze'), subject: z.string().regex(/^[1-9]\d{0,9}$/) };
const resolve = {
  ...common,
  kind: z.literal('resolve'),
  subject: actionIdSchema,
  verdict: z.enum(['happened', 'did_not_happen']),
};
const recover = {
  ...common,
  kind: z.literal('recover'),
  subject: actionIdSchema,
  verdict: z.enum(['retry', 'accept']),
};
const revoke = { ...common, kind: z.literal('revoke'), subject: z.string().regex(/^[!-~]{1,128}$/) };

const signed = {
  credential: z.string().max(MAX_CREDENTIAL_BYTES),
  jti: z.uuid(),
  iat: secondsSchema,
  exp: secondsSchema,
};
const byPerson = { ...signed, signer: z.literal('approver') };
/** `below`: the delegations from the signer down to the one that is revoked. */
const byAgent = { ...signed, signer: z.literal('agent'), delegations: chainSchema.optional(), below: chainSchema };

const claimsSchema = z
  .union([
    z.strictObject({ ...unfreeze, ...byPerson }),
    z.strictObject({ ...resolve, ...byPerson }),
    z.strictObject({ ...recover, ...byPerson }),
    z.strictObject({ ...revoke, ...byPerson }),
    z.strictObject({ ...revoke, ...byAgent }),
  ])
  .refine(({ iat, exp }) => exp > iat && exp - iat <= MAX_TTL_SECONDS, { path: ['exp'] });

const ttlSeconds = z.number().int().min(1).max(MAX_TTL_SECONDS).default(DEFAULT_TTL_SECONDS);
const optionsSchema = z.discriminatedUnion('kind', [
  z.strictObject({ ...unfreeze, ttlSeconds }),
  z.strictObject({ ...resolve, ttlSeconds }),
  z.strictObject({ ...recover, ttlSeconds }),
  z.strictObject({ ...revoke, ttlSeconds, delegations: chainSchema.optional() }),
]);

const form = { type: 'statement', maxBytes: MAX_STATEMENT_BYTES, claims: claimsSchema, refuse } as const;

interface Common {
  /** That of the signer. */
  readonly tenant: string;
  /** Why, or how one knows: 1 to 2000 characters, no control characters but tab and line feed. */
  readonly reason: string;
}

/** What may be said. */
export type Said = Common &
  (
    | { readonly kind: 'unfreeze'; /** Number of the freeze. */ readonly subject: string }
    | {
        readonly kind: 'resolve';
        /** The action's id. */ readonly subject: string;
        readonly verdict: Resolution['verdict'];
      }
    | {
        readonly kind: 'recover';
        /** Id of the action that could not be undone. */ readonly subject: string;
        /** To try again, or to leave it at that. */
        readonly verdict: 'retry' | 'accept';
      }
    | { readonly kind: 'revoke'; /** `jti` of the credential or delegation. */ readonly subject: string }
  );

export type StatementOptions = Said & {
  /** How long it may be handed in. Default 5 minutes; at most 10. */
  readonly ttlSeconds?: number | undefined;
  /** Those of the credential that is revoked (`Credential.delegations`), when an agent revokes it. People need the id alone. */
  readonly delegations?: readonly string[] | undefined;
};

/** A verified statement. */
export type Statement = Said & {
  readonly signer: CredentialKind;
  /** The person; or the agent, who then stands above the delegation that it revokes. */
  readonly by: string;
  readonly roles: readonly string[];
  /** When it was signed, RFC 3339 UTC. */
  readonly at: string;
  /** To be used once. */
  readonly jti: string;
  /** From then on it is refused. */
  readonly expiresAt: Date;
  /** Of the statement's text. */
  readonly digest: Digest;
  /** Ids of what the signer's own standing rests on: one revoked, and the statement is worth nothing. */
  readonly credentials: readonly string[];
};

/**
 * Signs a statement. People sign all kinds, agents only `revoke`, and that of what they or agents below them delegated.
 *
 * @throws CountersignError STATEMENT_INVALID naming the field; KEYS_INVALID for a credential that may not say this
 */
export async function signStatement(
  credential: Credential,
  options: StatementOptions,
  now = new Date(),
): Promise<string> {
  const signer = options.kind === 'revoke' ? credential.kind : 'approver';
  const key = await holderKey(credential, signer);
  const parsed = optionsSchema.safeParse({ ...options, reason: typedText(options.reason) });
  if (!parsed.success) {
    const field = parsed.error.issues[0]?.path.join('.') || 'statement';
    throw refuse(misshapen(parsed.error), { field, ...(field === 'reason' ? { expected: REASON_EXPECTED } : {}) });
  }
  const { ttlSeconds: ttl, delegations = [], ...said } = { delegations: undefined, ...parsed.data };
  const own = heldBy(credential);
  const iat = seconds(now);
  const below = signer === 'agent' ? { below: belowOwn(own, delegations) } : {};
  const claims = { ...said, ...own, ...below, signer, jti: randomUUID(), iat, exp: iat + ttl };
  return signToken('statement', claims, key, undefined);
}

function saidIn(claims: z.infer<typeof claimsSchema>): Said {
  const { tenant, subject, reason } = claims;
  switch (claims.kind) {
    case 'resolve':
      return { kind: claims.kind, tenant, subject, verdict: claims.verdict, reason };
    case 'recover':
      return { kind: claims.kind, tenant, subject, verdict: claims.verdict, reason };
    default:
      return { kind: claims.kind, tenant, subject, reason };
  }
}

function belowOwn({ delegations: own = [] }: Held, revoked: readonly string[]): readonly string[] {
  if (revoked.length > own.length && own.every((token, index) => token === revoked[index])) {
    return revoked.slice(own.length);
  }
  throw refuse('An agent can revoke only what was delegated below it', {
    field: 'delegations',
    expected: 'those of a credential that this agent, or one below it, delegated',
    fix: 'Give the delegations of the credential to revoke, or ask an operator to revoke it by its id.',
  });
}

/**
 * Verifies who says what. That it is said once, that the signer has the role, and that their own standing was not revoked, is for
 * the caller. What an agent revokes is known to be a delegation below it.
 *
 * @throws CountersignError STATEMENT_INVALID
 */
export async function verifyStatement(
  keyring: Keyring,
  token: string,
  { now }: { readonly now: Date },
): Promise<Statement> {
  let holder: Holder | undefined;
  const claims = await openHeld(token, form, async (opened) => {
    holder = await verifyHolder(keyring, opened, { kind: opened.signer, now, refuse });
    return holder.key;
  });
  if (holder === undefined) throw refuse('The statement names nobody');
  const { signer, tenant, subject, jti, iat, exp } = claims;
  if (holder.tenant !== tenant) throw refuse('The statement is about another tenant');
  switch (validity(claims, now)) {
    case 'early':
      throw refuse('The statement was signed in the future', {
        fix: "Check the clocks of the signer's machine and the worker's.",
      });
    case 'expired':
      throw refuse('The statement has expired', { fix: 'Sign it again and hand it in at once.' });
    case 'valid':
      break;
  }
  if (claims.signer === 'agent') {
    const { credential, delegations = [], below } = claims;
    const revoked = await verifyHolder(
      keyring,
      { credential, delegations: [...delegations, ...below] },
      { kind: 'agent', now, refuse },
    );
    if (revoked.credentials.at(-1) !== subject) {
      throw refuse('The agent revokes what was not delegated below it');
    }
  }
  return {
    ...saidIn(claims),
    signer,
    by: holder.id,
    roles: holder.roles,
    at: new Date(iat * 1000).toISOString(),
    jti,
    expiresAt: new Date((exp + CLOCK_TOLERANCE_SECONDS) * 1000),
    digest: digestText(token),
    credentials: holder.credentials,
  };
}
