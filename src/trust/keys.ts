/** The operator's keys: five roles of Ed25519 keys, each good for one purpose only. */
import { CountersignError } from '../action/errors.js';
import type { PrivateKey, VerifyingKey } from './ed25519.js';

/**
 * `issuer` signs credentials of agents and approvers; `grant` and `receipt` are for workers that decide; `tool` is for workers that touch
 * a tool's system, and seals what they read and did; `gateway` attests whom a gateway knows, for one thing at a time, and may be
 * absent where there is no gateway.
 */
export const KEY_ROLES = ['issuer', 'grant', 'receipt', 'tool', 'gateway'] as const;
export type KeyRole = (typeof KEY_ROLES)[number];

export interface SigningKey {
  /** RFC 7638 thumbprint. */
  readonly kid: string;
  readonly key: PrivateKey;
}

/** What a process may sign and verify. Any part of it may be absent: a worker needs no private issuer key, a reader needs public keys only. */
export interface Keyring {
  readonly sign: { readonly [role in KeyRole]?: SigningKey };
  /** Public keys by RFC 7638 thumbprint; several in a role while keys are rotated. */
  readonly verify: { readonly [role in KeyRole]: ReadonlyMap<string, VerifyingKey> };
}

/** The key that signs for a role. @throws CountersignError KEYS_MISSING */
export function signingKey(keyring: Keyring, role: KeyRole): SigningKey {
  const key = keyring.sign[role];
  if (key !== undefined) return key;
  throw new CountersignError('KEYS_MISSING', `This process has no private ${role} key.`, {
    field: role,
    expected: `a private Ed25519 key under "${role}"`,
    fix: 'Add the key to COUNTERSIGN_KEYS or to the file that COUNTERSIGN_KEYS_FILE names.',
  });
}
