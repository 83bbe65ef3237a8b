/** The error of a configuration that cannot be used. */
import { CountersignError } from './errors.js';

/** `source` is where the configuration was read from: a file, or `the config`. */
export function configInvalid(field: string, expected: string, source = 'the config'): CountersignError {
  return new CountersignError('CONFIG_INVALID', `${field} in ${source} must be ${expected}.`, {
    field,
    expected,
    fix: `Correct ${field} in ${source}.`,
  });
}
