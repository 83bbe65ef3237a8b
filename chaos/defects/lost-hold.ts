/** Planted: what was spent is given back to the budget. Loaded before a worker of a test run. */
import { Ledger } from '../../src/ledger/index.js';
import { replace } from './replace.js';

replace(
  Ledger.prototype,
  'settle',
  (settle) =>
    function (this: Ledger, request) {
      return settle.call(this, { ...request, holds: { disposition: 'release' } });
    },
);
