/** A signed statement of how an audit trail stood: over how many entries, and over which. */
import type { Digest } from './json.js';

/** The claims of the checkpoint's JWS. */
export interface CheckpointClaims {
  readonly v: 1;
  /** Whose trail it is; `*` for what is about every tenant. */
  readonly tenant: string;
  /** How many entries it covers, from the first. */
  readonly size: number;
  /** Root of the Merkle tree (RFC 6962, 2.1) over them. */
  readonly root: Digest;
  /** Hash of the last of them. */
  readonly head: Digest;
  /** SHA-256 of the compact JWS of the checkpoint before; null for the first. */
  readonly prev: Digest | null;
  /** Seconds since the epoch. */
  readonly iat: number;
}
