/** Signed commands: what a person says outside of an approval, once and for one purpose; and how an agent takes back what it delegated. */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { digestText, type Digest } from '../action/json.js';
import type { Resolution } from '../action/outcome.js';
import type { Auth } from '../action/principal.js';
import { amountsSchema, MAX_CREDENTIAL_BYTES } from './claims.js';
import type { Credential } from './credentials.js';
import { heldCredentialOf, holderKey, verifyHolder, type HeldCredential, type Holder } from './holder.js';
import { openHeld, signToken } from './jws.js';
import type { Keyring } from './keys.js';
import { credentialIdSchema, MAX_REGISTRATION_CHARACTERS } from './passkeys.js';
import {
  actionIdSchema,
  agentIdSchema,
  CLOCK_TOLERANCE_SECONDS,
  describeShapeError,
  nameSchema,
  principalSchema,
  REASON_EXPECTED,
  reasonSchema,
  refusalFactory,
  seconds,
  secondsSchema,
  tenantSchema,
  textSchema,
  typedText,
  validity,
} from './claim-schemas.js';
import { chainSchema, type CredentialKind } from './effective-credential.js';

/** A longer signed command is refused unparsed. Holds a credential, the longest chain of delegations, and 2000 characters of any script. */
export const MAX_COMMAND_BYTES = 40 * 1024;

const DEFAULT_TTL_SECONDS = 300;
/** It is signed to be handed in at once. */
const MAX_TTL_SECONDS = 600;

const refuse = refusalFactory('COMMAND_INVALID', 'command');

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
const idSchema = z.string().regex(/^[!-~]{1,128}$/);
const revoke = { ...common, kind: z.literal('revoke'), subject: idSchema };
/** RFC 3339 UTC. */
const timeSchema = z.iso.datetime();
const enrolPasskey = {
  ...common,
  kind: z.literal('enrol_passkey'),
  subject: credentialIdSchema,
  response: textSchema.min(1).max(MAX_REGISTRATION_CHARACTERS),
};
const retirePasskey = { ...common, kind: z.literal('retire_passkey'), subject: credentialIdSchema };
const createStandingApproval = {
  ...common,
  kind: z.literal('create_standing_approval'),
  subject: agentIdSchema,
  /** `*` stands for any run of characters, as in scopes. */
  tool: z.string().regex(/^[A-Za-z0-9._*-]{1,63}$/),
  operation: idSchema.exactOptional(),
  environment: textSchema.min(1).max(128).exactOptional(),
  maxRows: z.number().int().min(0).exactOptional(),
  actions: z.number().int().min(1).exactOptional(),
  amounts: amountsSchema.exactOptional(),
  until: timeSchema,
};
const withdrawStandingApproval = { ...common, kind: z.literal('withdraw_standing_approval'), subject: idSchema };
const delegateRole = {
  ...common,
  kind: z.literal('delegate_role'),
  subject: principalSchema,
  role: nameSchema,
  from: timeSchema,
  until: timeSchema,
};
const endRoleDelegation = { ...common, kind: z.literal('end_role_delegation'), subject: idSchema };

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
    z.strictObject({ ...enrolPasskey, ...byPerson }),
    z.strictObject({ ...retirePasskey, ...byPerson }),
    z.strictObject({ ...createStandingApproval, ...byPerson }),
    z.strictObject({ ...withdrawStandingApproval, ...byPerson }),
    z.strictObject({ ...delegateRole, ...byPerson }),
    z.strictObject({ ...endRoleDelegation, ...byPerson }),
  ])
  .refine((claims) => claims.kind !== 'delegate_role' || endsLater(claims), { path: ['until'] })
  .refine(({ iat, exp }) => exp > iat && exp - iat <= MAX_TTL_SECONDS, { path: ['exp'] });

const signingOptions = {
  ttlSeconds: z.number().int().min(1).max(MAX_TTL_SECONDS).default(DEFAULT_TTL_SECONDS),
  jti: z.uuid().optional(),
};
const optionsSchema = z
  .discriminatedUnion('kind', [
    z.strictObject({ ...unfreeze, ...signingOptions }),
    z.strictObject({ ...resolve, ...signingOptions }),
    z.strictObject({ ...recover, ...signingOptions }),
    z.strictObject({ ...revoke, ...signingOptions, delegations: chainSchema.optional() }),
    z.strictObject({ ...enrolPasskey, ...signingOptions }),
    z.strictObject({ ...retirePasskey, ...signingOptions }),
    z.strictObject({ ...createStandingApproval, ...signingOptions }),
    z.strictObject({ ...withdrawStandingApproval, ...signingOptions }),
    z.strictObject({ ...delegateRole, ...signingOptions }),
    z.strictObject({ ...endRoleDelegation, ...signingOptions }),
  ])
  .refine((options) => options.kind !== 'delegate_role' || endsLater(options), { path: ['until'] });

function endsLater({ from, until }: { readonly from: string; readonly until: string }): boolean {
  return Date.parse(from) < Date.parse(until);
}

const form = { type: 'command', maxBytes: MAX_COMMAND_BYTES, claims: claimsSchema, refuse } as const;

interface Common {
  /** That of the signer. */
  readonly tenant: string;
  /** Why, or how one knows: 1 to 2000 characters, no control characters but tab and line feed. */
  readonly reason: string;
}

/** What may be said. */
export type Command = Common &
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
    | {
        readonly kind: 'enrol_passkey';
        /** Id of the person's new passkey. */ readonly subject: string;
        /** The browser's registration as JSON text, made for `registrationChallengeOf` with this signed command's `jti`. */
        readonly response: string;
      }
    | { readonly kind: 'retire_passkey'; /** Id of the passkey. */ readonly subject: string }
    | {
        readonly kind: 'create_standing_approval';
        /** The agent's id. */ readonly subject: string;
        /** `*` stands for any run of characters, in the operation too. */
        readonly tool: string;
        /** Default any. */
        readonly operation?: string;
        /** Default any. */
        readonly environment?: string;
        /** Rows or objects that one action may touch. Default as many as policy lets it. */
        readonly maxRows?: number;
        /** Actions in all. */
        readonly actions?: number;
        /** Amounts in all, by unit: `{EUR: 50}`. */
        readonly amounts?: Readonly<Record<string, number>>;
        /** RFC 3339 UTC. */
        readonly until: string;
      }
    | { readonly kind: 'withdraw_standing_approval'; /** Id of the standing approval. */ readonly subject: string }
    | {
        readonly kind: 'delegate_role';
        /** Who gets it: a person's id. */ readonly subject: string;
        /** Of the signer's. */
        readonly role: string;
        /** RFC 3339 UTC. */
        readonly from: string;
        /** RFC 3339 UTC. */
        readonly until: string;
      }
    | { readonly kind: 'end_role_delegation'; /** Id of the role delegation. */ readonly subject: string }
  );

export type CommandOptions = Command & {
  /** How long it may be handed in. Default 5 minutes; at most 10. */
  readonly ttlSeconds?: number | undefined;
  /** A UUID: the one that a gateway attested, or that a passkey was made for. Default a new one. */
  readonly jti?: string | undefined;
  /** Those of the credential that is revoked (`Credential.delegations`), when an agent revokes it. People need the id alone. */
  readonly delegations?: readonly string[] | undefined;
};

/** What a gateway is asked to say for somebody: the tenant is theirs. */
export type CommandInput<S extends CommandOptions = CommandOptions> = S extends unknown ? Omit<S, 'tenant'> : never;

/** A verified signed command. */
export type SignedCommand = Command & {
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
  /** Of the signed command's text. */
  readonly digest: Digest;
  /** Ids of what the signer's own standing rests on: one revoked, and the signed command is worth nothing. */
  readonly credentials: readonly string[];
  /** Set when a gateway attests the signer: how it knew them. */
  readonly auth?: Auth;
};

/**
 * Signs a signed command. People sign all kinds, agents only `revoke`, and that of what they or agents below them delegated.
 *
 * @throws CountersignError COMMAND_INVALID naming the field; KEYS_INVALID for a credential that may not say this
 */
export async function signCommand(credential: Credential, options: CommandOptions, now = new Date()): Promise<string> {
  const signer = options.kind === 'revoke' ? credential.kind : 'approver';
  const key = await holderKey(credential, signer);
  const parsed = optionsSchema.safeParse({ ...options, reason: typedText(options.reason) });
  if (!parsed.success) {
    const field = parsed.error.issues[0]?.path.join('.') || 'command';
    throw refuse(describeShapeError(parsed.error), {
      field,
      ...(field === 'reason' ? { expected: REASON_EXPECTED } : {}),
    });
  }
  const {
    ttlSeconds: ttl,
    jti = randomUUID(),
    delegations = [],
    ...command
  } = { delegations: undefined, ...parsed.data };
  const own = heldCredentialOf(credential);
  const iat = seconds(now);
  const below = signer === 'agent' ? { below: delegatedBelow(own, delegations) } : {};
  const claims = { ...command, ...own, ...below, signer, jti, iat, exp: iat + ttl };
  return signToken('command', claims, key, undefined);
}

function commandIn(claims: z.infer<typeof claimsSchema>): Command {
  const {
    credential: _credential,
    delegations: _delegations,
    below: _below,
    ...unsigned
  } = {
    delegations: undefined,
    below: undefined,
    ...claims,
  };
  const { signer: _signer, jti: _jti, iat: _iat, exp: _exp, ...command } = unsigned;
  return command;
}

function delegatedBelow({ delegations: own = [] }: HeldCredential, revoked: readonly string[]): readonly string[] {
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
 * @throws CountersignError COMMAND_INVALID
 */
export async function verifyCommand(
  keyring: Keyring,
  token: string,
  { now }: { readonly now: Date },
): Promise<SignedCommand> {
  let holder: Holder | undefined;
  const claims = await openHeld(token, form, async (opened) => {
    holder = await verifyHolder(keyring, opened, { kind: opened.signer, signs: opened.jti, now, refuse });
    return holder.key;
  });
  if (holder === undefined) throw refuse('The signed command names nobody');
  const { signer, tenant, subject, jti, iat, exp } = claims;
  if (holder.tenant !== tenant) throw refuse('The signed command is about another tenant');
  switch (validity(claims, now)) {
    case 'early':
      throw refuse('The signed command was signed in the future', {
        fix: "Check the clocks of the signer's machine and the worker's.",
      });
    case 'expired':
      throw refuse('The signed command has expired', { fix: 'Sign it again and hand it in at once.' });
    case 'valid':
      break;
  }
  if (claims.signer === 'agent') {
    const { credential, delegations = [], below } = claims;
    const revoked = await verifyHolder(
      keyring,
      { credential, delegations: [...delegations, ...below] },
      { kind: 'agent', signs: jti, now, refuse },
    );
    if (revoked.credentials.at(-1) !== subject) {
      throw refuse('The agent revokes what was not delegated below it');
    }
  }
  return {
    ...commandIn(claims),
    signer,
    by: holder.id,
    roles: holder.roles,
    at: new Date(iat * 1000).toISOString(),
    jti,
    expiresAt: new Date((exp + CLOCK_TOLERANCE_SECONDS) * 1000),
    digest: digestText(token),
    credentials: holder.credentials,
    ...(holder.attestation === undefined ? {} : { auth: holder.attestation.auth }),
  };
}
