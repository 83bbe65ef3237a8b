/** Signed commands: what a person says outside of an approval, once and for one purpose; and how an agent takes back what it delegated. */
import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import { digestText, type Digest } from '../action/json.js';
import type { Auth } from '../action/principal.js';
import { CLOCK_TOLERANCE_SECONDS, refusalFactory, seconds, typedText } from './claim-schemas.js';
import { commandClaimsSchema, commandOptionsSchema, type Command, type CommandOptions } from './commands.js';
import type { Credential } from './credentials.js';
import type { CredentialKind } from './effective-credential.js';
import { heldCredentialOf, holderKey, verifyHolder, type HeldCredential } from './holder.js';
import { openHeld, signToken } from './jws.js';
import type { Keyring } from './keys.js';
import { assertInTime, checkedOptions, type StatementKind } from './statements.js';

/** A longer signed command is refused unparsed. Holds a credential, the longest chain of delegations, and 2000 characters of any script. */
export const MAX_COMMAND_BYTES = 40 * 1024;

const refuse = refusalFactory('COMMAND_INVALID', 'command');
const statement: StatementKind = {
  name: 'signed command',
  field: 'command',
  signer: 'signer',
  renewal: 'Sign it again and hand it in at once.',
  refuse,
};

const form = { type: 'command', maxBytes: MAX_COMMAND_BYTES, claims: commandClaimsSchema, refuse } as const;

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
 * @param now when it is signed; default the clock's
 * @throws CountersignError COMMAND_INVALID naming the field; KEYS_INVALID for a credential that may not say this
 */
export async function signCommand(credential: Credential, options: CommandOptions, now = new Date()): Promise<string> {
  const signer = options.kind === 'revoke' ? credential.kind : 'approver';
  const key = await holderKey(credential, signer);
  const given = checkedOptions(commandOptionsSchema, { ...options, reason: typedText(options.reason) }, statement);
  const { ttlSeconds: ttl, jti = randomUUID(), delegations = [], ...command } = { delegations: undefined, ...given };
  const own = heldCredentialOf(credential);
  const iat = seconds(now);
  const below = signer === 'agent' ? { below: delegatedBelow(own, delegations) } : {};
  const claims = { ...command, ...own, ...below, signer, jti, iat, exp: iat + ttl };
  return signToken('command', claims, key, undefined);
}

function commandIn(claims: z.infer<typeof commandClaimsSchema>): Command {
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
  const { claims, holder } = await openHeld(token, form, (opened) =>
    verifyHolder(keyring, opened, { kind: opened.signer, signs: opened.jti, now, refuse }),
  );
  const { signer, tenant, subject, jti, iat, exp } = claims;
  if (holder.tenant !== tenant) throw refuse('The signed command is about another tenant');
  assertInTime(claims, now, statement);
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
