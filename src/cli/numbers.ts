/** Numbers on the command line. */
import { usage } from './usage.js';

/** A reader of whole numbers for commander's options. @throws CountersignError USAGE */
export function wholeNumber(field: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const number = /^\d{1,12}$/.test(text) ? Number(text) : NaN;
    if (number >= min && number <= max) return number;
    throw usage(`${JSON.stringify(text.slice(0, 40))} cannot be ${field}.`, {
      field,
      expected: `a whole number from ${min} to ${max}`,
    });
  };
}
