/** Planted: what was spent is given back to the budget. Loaded before a worker of a test run. */
import { Receipts } from '../../src/ledger/index.js';
import { replace } from './replace.js';

replace(
  Receipts.prototype,
  'settle',
  (settle) =>
    function (this: Receipts, request) {
      return settle.call(this, { ...request, holds: { disposition: 'release' } });
    },
);
