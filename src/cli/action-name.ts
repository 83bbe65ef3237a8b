/** Names given on the command line, checked before they go anywhere. */
import { ACTION_ID_PATTERN, TENANT_PATTERN } from '../action/proposal.js';
import { usageError } from './usage-error.js';

/** @throws CountersignError USAGE */
export function checkTenant(tenant: string): string {
  return matching(tenant, TENANT_PATTERN, '--tenant', 'a tenant: 1 to 63 of a-z 0-9 _ -, a letter or digit first');
}

/** Reads `actionId` or `<tenant>/<actionId>`. @throws CountersignError USAGE */
export function splitAction(name: string): { tenant: string | undefined; actionId: string } {
  const slash = name.indexOf('/');
  const actionId = matching(
    name.slice(slash + 1),
    ACTION_ID_PATTERN,
    'actionId',
    'an action id: 1 to 128 of A-Z a-z 0-9 . _ : -, or <tenant>/<actionId>',
  );
  return { tenant: slash === -1 ? undefined : checkTenant(name.slice(0, slash)), actionId };
}

function matching(text: string, pattern: RegExp, field: string, expected: string): string {
  if (pattern.test(text)) return text;
  throw usageError(`${JSON.stringify(text.slice(0, 160))} is not a valid name.`, { field, expected });
}
