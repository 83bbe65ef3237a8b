/** The error of a ledger that cannot take a receipt. */
import { CountersignError } from './errors.js';

/** Retryable, because what waits goes on once the ledger is whole again. */
export function ledgerBroken(
  message: string,
  options: { readonly fix?: string; readonly cause?: unknown } = {},
): CountersignError {
  return new CountersignError('LEDGER_BROKEN', message, {
    field: 'ledger',
    expected: 'a ledger that can take the next receipt',
    fix: 'Nothing new is admitted. `countersign doctor` says what is missing; restore the ledger from a backup that has it.',
    ...options,
    retryable: true,
  });
}
