/** Verifies what a signer holds, and holds the private key of one's own: both ends of the proof of possession (RFC 7800). */
import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { CountersignError } from '../action/errors.js';
import {
  agentClaimsSchema,
  approverClaimsSchema,
  delegationClaimsSchema,
  MAX_CREDENTIAL_BYTES,
  attestedAgentClaimsSchema,
  attestedApproverClaimsSchema,
} from './claims.js';
import type { Credential } from './credentials.js';
import { keyIdOf, openHeld, openIssued } from './jws.js';
import { importPrivate, importPublic, type PrivateKey, type VerifyingKey } from './ed25519.js';
import type { Keyring } from './keys.js';
import { validity, type RefusalFactory } from './claim-schemas.js';
import {
  chainSchema,
  narrow,
  effectiveCredentialOf,
  type CredentialKind,
  type EffectiveCredential,
} from './effective-credential.js';

/** The issuer's token and what was delegated below it: what a signer embeds in what it signs. */
export interface HeldCredential {
  readonly credential: string;
  readonly delegations?: readonly string[] | undefined;
}

/** Whom a verified credential names, and the key they prove it by. */
export interface Holder extends EffectiveCredential {
  readonly key: VerifyingKey;
}

/** Verified credentials are kept for this many holders per keyring: the same agents propose again and again. */
const CACHED = 1000;

/** Delegates have a cache of their own: whoever may delegate can make any number of them, and shall push nobody else out. */
type CacheName = CredentialKind | 'delegate';

/** By keyring, so that a key taken out of the keys takes its credentials with it. */
const verified = new WeakMap<Keyring, Record<CacheName, LRUCache<string, Holder>>>();

export interface HolderContext {
  readonly kind: CredentialKind;
  /** What the holder signs, as a gateway that attests them must have named it: a digest, or the id of a signed command. */
  readonly signs: string;
  readonly now: Date;
  readonly refuse: RefusalFactory;
}

/**
 * Verifies that the issuer attests the token, or a gateway for this one thing, that each delegation was signed by the one above it and only narrows, and that all
 * of it is valid at `now`.
 *
 * @throws what `refuse` makes
 */
export async function verifyHolder(
  keyring: Keyring,
  held: HeldCredential,
  { kind, signs, now, refuse }: HolderContext,
): Promise<Holder> {
  const { credential, delegations = [] } = held;
  let holder = await remembered(keyring, kind, [credential], () => openCredential(keyring, credential, kind, refuse));
  if (delegations.length > 0) {
    if (kind !== 'agent') throw refuse('Only agents delegate');
    const root = holder;
    holder = await remembered(keyring, 'delegate', [credential, ...delegations], () =>
      follow(root, delegations, refuse),
    );
  }
  if (holder.attestation !== undefined && holder.attestation.for !== signs) {
    throw refuse('The credential was attested to sign something else', {
      expected: 'the one thing that the gateway attested it to sign',
      fix: 'Ask the gateway anew for each proposal, decision and signed command.',
    });
  }
  const state = validity(holder, now);
  if (state === 'early') {
    throw refuse('The credential is not valid yet', { fix: 'Check the clocks of issuer and worker.' });
  }
  if (state === 'expired') {
    throw refuse('The credential has expired', { fix: 'Ask whoever issued it for a new one.' });
  }
  return holder;
}

async function remembered(
  keyring: Keyring,
  name: CacheName,
  texts: readonly string[],
  open: () => Promise<Holder>,
): Promise<Holder> {
  let caches = verified.get(keyring);
  if (caches === undefined) {
    const empty = (): LRUCache<string, Holder> => new LRUCache({ max: CACHED });
    verified.set(keyring, (caches = { agent: empty(), approver: empty(), delegate: empty() }));
  }
  const cache = caches[name];
  const key = createHash('sha256').update(JSON.stringify(texts)).digest('base64');
  const holder = cache.get(key) ?? (await open());
  // What is good for one thing comes hardly twice, and anybody with a token of their own makes as many as they like.
  if (holder.attestation === undefined) cache.set(key, holder);
  return holder;
}

async function openCredential(
  keyring: Keyring,
  token: string,
  kind: CredentialKind,
  refuse: RefusalFactory,
): Promise<Holder> {
  const form = { type: kind, maxBytes: MAX_CREDENTIAL_BYTES, refuse: within('The credential', refuse) };
  const { issuer, gateway } = keyring.verify;
  // By the key that it names, so that what an issuer signs never has the shape of what a gateway signs, nor the other way round.
  if (gateway.has(keyIdOf(token) ?? '')) {
    const claims =
      kind === 'agent'
        ? await openIssued(token, { ...form, claims: attestedAgentClaimsSchema }, gateway)
        : await openIssued(token, { ...form, claims: attestedApproverClaimsSchema }, gateway);
    return withKey(effectiveCredentialOf(claims, token), refuse);
  }
  const claims =
    kind === 'agent'
      ? await openIssued(token, { ...form, claims: agentClaimsSchema }, issuer)
      : await openIssued(token, { ...form, claims: approverClaimsSchema }, issuer);
  return withKey(effectiveCredentialOf(claims, token), refuse);
}

/** Follows the chain down, link by link. */
async function follow(root: Holder, delegations: readonly string[], refuse: RefusalFactory): Promise<Holder> {
  if (!chainSchema.safeParse(delegations).success) throw refuse('The chain of delegations is too long');
  let holder = root;
  for (const [index, token] of delegations.entries()) {
    const inLink = within(`Delegation ${index + 1}`, refuse);
    const above = holder;
    const form = {
      type: 'delegation',
      maxBytes: MAX_CREDENTIAL_BYTES,
      claims: delegationClaimsSchema,
      refuse: inLink,
    } as const;
    const { claims } = await openHeld(token, form, async () => above);
    holder = withKey(narrow(above, claims, token, inLink), inLink);
  }
  return holder;
}

function withKey(effective: EffectiveCredential, refuse: RefusalFactory): Holder {
  try {
    return { ...effective, key: importPublic({ x: effective.keys.at(-1) as string }, 'cnf.jwk') };
  } catch {
    throw refuse('The credential attests a key that cannot be used');
  }
}

function within(what: string, refuse: RefusalFactory): RefusalFactory {
  // Without the field of the claim: the caller's own says where the token was handed in.
  return (problem, details) => {
    const { field: _, ...rest } = details ?? {};
    return refuse(`${what}: ${problem}`, rest);
  };
}

const privateKeys = new WeakMap<Credential, PrivateKey>();

/**
 * The private key of one's own credential.
 *
 * @throws CountersignError KEYS_INVALID when the credential is of the other kind, or its key cannot be used
 */
export async function holderKey(credential: Credential, kind: CredentialKind): Promise<PrivateKey> {
  if (credential.kind !== kind) {
    throw new CountersignError(
      'KEYS_INVALID',
      kind === 'agent'
        ? "An approver's credential cannot propose."
        : "An agent's credential cannot speak for a person.",
      { field: 'credential', expected: `the credential of an ${kind}` },
    );
  }
  let key = privateKeys.get(credential);
  if (key === undefined) {
    key = importPrivate(credential.privateJwk, 'credential.privateJwk');
    privateKeys.set(credential, key);
  }
  return key;
}

/** What a holder embeds in what they sign. */
export function heldCredentialOf({ token, delegations }: Credential): HeldCredential {
  return { credential: token, ...(delegations === undefined ? {} : { delegations }) };
}
