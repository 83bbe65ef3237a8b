/** Receipts and their chain: what is asked of a signer, and what is kept. */
import type { Digest } from '../../action/json.js';

/** The place of a receipt in its tenant's chain. */
export interface ChainLink {
  /** 1, 2, 3 … without a gap. */
  readonly seq: number;
  /** Hash of the receipt before; null for the first. */
  readonly prev: Digest | null;
}

export interface SignedReceipt {
  readonly jws: string;
  /** SHA-256 of the compact JWS; the ledger checks it. */
  readonly hash: Digest;
}

/**
 * Signs a receipt for its place in the chain. The tenant's chain may be locked while it runs: no network in it. It may be called
 * more than once for one receipt, with another link, when somebody else was first at that place or a connection was lost; only the
 * last one counts.
 */
export type SignReceipt = (link: ChainLink) => Promise<SignedReceipt>;

export interface LedgerReceipt {
  readonly seq: number;
  readonly hash: Digest;
  readonly jws: string;
  readonly actionId: string;
  readonly at: string;
}

/** The last receipt of a chain; `seq` 0 and no hash before the first. */
export interface ChainHead {
  readonly seq: number;
  readonly hash: Digest | null;
}
