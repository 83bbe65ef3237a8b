/** What outlasts a session takes a login that is fresh: a session that somebody left open shall not be enough. */
import { CountersignError } from '../../action/errors.js';
import { loginPath } from './login/return-to.js';
import type { PersonPrincipal } from './principal.js';

/** How long ago a person may have proved who they are. */
const RECENT_SECONDS = 15 * 60;

/** @param what they want to do: `enrol a passkey` @throws CountersignError FORBIDDEN */
export function assertRecentLogin({ session }: PersonPrincipal, what: string): void {
  if (Date.parse(session.authenticatedAt) > Date.now() - RECENT_SECONDS * 1000) return;
  throw new CountersignError('FORBIDDEN', `To ${what}, log in again first.`, {
    field: 'session',
    expected: 'a login in the last 15 minutes',
    fix: `Log in again: ${loginPath('/me', { again: true })}`,
  });
}
