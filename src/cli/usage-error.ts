/** Errors about how the command was called. */
import { CountersignError, type Problem } from '../action/errors.js';

export function usageError(message: string, problem: Problem = {}): CountersignError {
  return new CountersignError('USAGE', message, { fix: 'See --help of the command.', ...problem });
}
