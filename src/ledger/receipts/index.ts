/** Receipts: what settles an action, and the chains that they stand in. */
export { Receipts, type AppendReceiptRequest } from './receipts.js';
export type { ChainHead, ChainLink, SignedReceipt, SignReceipt, LedgerReceipt } from './receipt.js';
export type { ResolveRequest, Settled, Settlement, SettleRequest } from './settlement.js';
