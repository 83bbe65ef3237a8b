/** Who sits at the command line, for what is not signed. */
import { usageError } from './usage-error.js';

/** The name that was given, else the login name. @throws CountersignError USAGE */
export async function operatorName(by: string | undefined): Promise<string> {
  if (by !== undefined) return by;
  const { userInfo } = await import('node:os');
  try {
    return userInfo().username;
  } catch {
    throw usageError('Your login name is not known.', { field: '--by', expected: '--by NAME' });
  }
}
