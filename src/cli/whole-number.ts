/** Numbers on the command line. */
import { usageError } from './usage-error.js';

/** A reader of whole numbers for commander's options. @throws CountersignError USAGE */
export function wholeNumber(field: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const number = /^\d{1,12}$/.test(text) ? Number(text) : NaN;
    if (number >= min && number <= max) return number;
    throw usageError(`${JSON.stringify(text.slice(0, 40))} is not a valid value of ${field}.`, {
      field,
      expected: `a whole number from ${min} to ${max}`,
    });
  };
}
