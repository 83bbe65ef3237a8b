/** Planted: what was spent is given back to the budget. */
import { Receipts } from '../../src/ledger/index.js';
import { replace } from './replace.js';

export function lostHold(): () => void {
  return replace(
    Receipts.prototype,
    'settle',
    (settle) =>
      function (this: Receipts, request) {
        return settle.call(this, { ...request, holds: { disposition: 'release' } });
      },
  );
}
