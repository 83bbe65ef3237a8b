/** Receipts: what settles an action, and the chains that they stand in. */
export { FAULTS } from './broken-chain.js';
export { pinsReceiptId, pinsReceiptPrefix } from './of-pins.js';
export { Receipts } from './receipts.js';
export type { ChainLink, SignReceipt, LedgerReceipt } from './receipt.js';
export type { Settled, Settlement, SettleRequest } from './settlement.js';
