/** What a delegation or a standing approval lets its holder spend, as options say it. */
import { usageError } from './usage-error.js';

export interface CapOptions {
  readonly maxActions?: number;
  readonly maxAmount?: readonly string[];
}

export interface Caps {
  readonly actions?: number;
  readonly amounts?: Readonly<Record<string, number>>;
}

/** Reads `--max-actions` and each `--max-amount`. Empty where there are none. @throws CountersignError USAGE */
export function spendingCaps({ maxActions, maxAmount = [] }: CapOptions): Caps {
  const amounts = maxAmount.map((text): [string, number] => {
    const [, unit, amount] = /^([A-Za-z0-9][\w.-]*)=(\d{1,15}(?:\.\d{1,9})?)$/.exec(text) ?? [];
    if (unit !== undefined) return [unit, Number(amount)];
    throw usageError(`${JSON.stringify(text.slice(0, 40))} is not an amount.`, {
      field: '--max-amount',
      expected: 'a unit, an equals sign and a number, such as EUR=50',
    });
  });
  const units = new Set(amounts.map(([unit]) => unit));
  if (units.size < amounts.length) {
    throw usageError('A unit has two caps.', { field: '--max-amount', expected: 'each unit once' });
  }
  return {
    ...(maxActions === undefined ? {} : { actions: maxActions }),
    ...(amounts.length === 0 ? {} : { amounts: Object.fromEntries(amounts) }),
  };
}
