/** Delegation: the holder of an agent's credential signs a narrower one for another agent, which may do the same. */
import { z } from 'zod';
import { CountersignError } from '../action/errors.js';
import type { DelegationCap } from '../action/principal.js';
import { capsSchema, MAX_CREDENTIAL_BYTES, rolesSchema, scopesSchema } from './claims.js';
import { checked, unique, unreadable, type Credential } from './credentials.js';
import { holderKey } from './holder.js';
import { signToken } from './jws.js';
import { generateKey } from './ed25519.js';
import { MAX_AGENT_ID, principalSchema, seconds, type RefusalFactory } from './claim-schemas.js';
import {
  chainSchema,
  MAX_CHAIN_BYTES,
  narrow,
  readEffectiveCredential,
  type EffectiveCredential,
} from './effective-credential.js';

const DEFAULT_TTL_SECONDS = 3600;

const optionsSchema = z.strictObject({
  id: principalSchema,
  roles: rolesSchema,
  scopes: scopesSchema,
  caps: capsSchema.optional(),
  ttlSeconds: z.number().int().min(1).optional(),
});

/** What another agent may do of what the delegator may. Nothing in it can be more. */
export interface DelegateOptions {
  /** The delegate's name among those of its delegator: its whole id is `<delegator's id>/<id>`. */
  readonly id: string;
  /** Some of the delegator's roles. */
  readonly roles: readonly string[];
  /** Each within one of the delegator's; at least one. */
  readonly scopes: readonly string[];
  /** What it may spend in its whole life, together with all below it. The delegator's own caps count besides. */
  readonly caps?: Omit<DelegationCap, 'jti'> | undefined;
  /** How long it is good. Seconds, not beyond the delegator's own end. Default 3,600, or until then. */
  readonly ttlSeconds?: number | undefined;
}

/**
 * Makes a narrower credential, with a key of its own, for another agent to keep. It can be delegated from in turn, until the chain
 * is longer than 16 KiB or the id longer than 255 characters.
 *
 * @param now when it is issued; default the clock's
 * @throws CountersignError CONFIG_INVALID naming the field that is misshapen or wider than the delegator's; KEYS_INVALID for a
 *   credential that is not an agent's
 */
export async function delegate(parent: Credential, options: DelegateOptions, now = new Date()): Promise<Credential> {
  const key = await holderKey(parent, 'agent');
  const above = readEffectiveCredential(parent, unreadable);
  const { id, roles, scopes, caps, ttlSeconds } = checked(optionsSchema, options);
  const iat = seconds(now);
  if (!(iat < above.exp)) {
    throw refusal(above)('Its own credential has expired', {
      field: 'credential',
      expected: 'a credential that is still valid',
      fix: 'Ask whoever issued it for a new one.',
    });
  }
  const privateJwk = await generateKey();
  const { kty, crv, x } = privateJwk;
  const claims = {
    parent: above.digest,
    sub: id,
    roles: unique(roles),
    scopes: unique(scopes),
    ...(caps === undefined ? {} : { caps }),
    iat,
    exp: ttlSeconds === undefined ? Math.min(iat + DEFAULT_TTL_SECONDS, above.exp) : iat + ttlSeconds,
    cnf: { jwk: { kty, crv, x } },
  } as const;
  const token = await signToken('delegation', claims, key, undefined);
  narrow(above, claims, token, refusal(above));
  const delegations = [...(parent.delegations ?? []), token];
  if (!chainSchema.safeParse(delegations).success) {
    throw refusal(above)('The delegation would be too long', {
      field: 'scopes',
      expected: `at most ${MAX_CREDENTIAL_BYTES} bytes, and ${MAX_CHAIN_BYTES} with all those above it`,
      fix: 'Give fewer or shorter roles and scopes, or delegate from higher up.',
    });
  }
  return { kind: 'agent', token: parent.token, delegations, privateJwk };
}

function refusal(above: EffectiveCredential): RefusalFactory {
  const ceiling: Readonly<Record<string, string>> = {
    id: `a name that makes an id of at most ${MAX_AGENT_ID} characters`,
    roles: `some of: ${above.roles.join(', ') || '(none)'}`,
    scopes: `scopes within: ${above.scopes.join(', ')}`,
    expires: `an end at ${new Date(above.exp * 1000).toISOString()} or before`,
    caps: `caps within: ${above.caps.map(({ actions, amounts }) => JSON.stringify({ actions, ...amounts })).join(', ')}`,
  };
  return (problem, details) => {
    const field = details?.field ?? 'delegation';
    const expected = ceiling[field] ?? 'a narrower credential';
    const fix = `A delegation can only narrow: ask for ${expected}.`;
    const message = `${above.id} cannot delegate this. ${problem}.`;
    return new CountersignError('CONFIG_INVALID', message, { field, expected, fix, ...details });
  };
}
