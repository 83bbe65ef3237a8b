/** Which errors say that nothing can be recorded now. The workflow sandbox loads this: types only from elsewhere. */
import type { ErrorCode } from './errors.js';

/** Whether the ledger is away or cannot take a receipt: the same call may succeed once it is back, or whole again. */
export function cannotRecord(code: ErrorCode): boolean {
  return code === 'LEDGER_UNAVAILABLE' || code === 'LEDGER_BROKEN';
}
