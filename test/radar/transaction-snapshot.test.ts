/** Whether a look at the catalog saw a transaction that the log names by the last 32 bits of its number. */
import { describe, expect, test } from 'vitest';
import { TransactionSnapshot } from '../../src/tools/postgres/radar/transaction-snapshot.js';

const CYCLE = 2n ** 32n;

test.each([
  ['it was over when the oldest that ran began', '748:752:748,750', 747n, true],
  ['it was over when others ran', '748:752:748,750', 749n, true],
  ['it ran', '748:752:748,750', 750n, false],
  ['it was the next to begin', '748:752:748,750', 752n, false],
  ['it began later', '748:752:748,750', 800n, false],
  ['nothing ran', '752:752:', 751n, true],
  ['nothing ran and it is the next', '752:752:', 752n, false],
])('where %s', (_case, text, xid, sees) => {
  expect(new TransactionSnapshot(text).sees(String(xid))).toBe(sees);
});

describe('when the numbers in the log have begun anew', () => {
  const text = `${CYCLE - 5n}:${CYCLE + 10n}:${CYCLE - 5n},${CYCLE + 4n}`;

  test.each([
    ['the last before that', CYCLE - 1n, true],
    ['one before that which ran', CYCLE - 5n, false],
    ['one after that', 3n, true],
    ['one after that which ran', 4n, false],
    ['one that began later', 10n, false],
  ])('%s', (_case, xid, sees) => {
    expect(new TransactionSnapshot(text).sees(String(xid))).toBe(sees);
  });
});

test('nothing was seen where nothing is known', () => {
  expect(new TransactionSnapshot('').sees('5')).toBe(false);
});
