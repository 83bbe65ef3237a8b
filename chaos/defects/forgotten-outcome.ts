/** Planted: outcomes are told and never written. */
import { Receipts } from '../../src/ledger/index.js';
import { replace } from './replace.js';

export function forgottenOutcome(): () => void {
  return replace(Receipts.prototype, 'settle', () => async ({ outcome }) => ({
    kind: 'settled',
    outcome,
    recorded: false,
  }));
}
