/** The answer to a login that is refused. */
import type { Context } from 'hono';
import { CountersignError } from '../../../action/errors.js';
import { page } from '../../inbox/layout/layout.js';
import { LoginRefused } from './pages.js';
import { loginPath } from './return-to.js';

/** A page that says why. What is no refusal of this login is thrown on. */
export function refuse(c: Context, thrown: unknown, returnTo = '/'): Response | Promise<Response> {
  if (!(thrown instanceof CountersignError) || thrown.code === 'LEDGER_UNAVAILABLE') throw thrown;
  const status =
    thrown.code === 'UNAUTHENTICATED' ? (thrown.retryable ? 503 : 400) : thrown.code === 'NOT_FOUND' ? 404 : 403;
  // Somebody who may not come in may want to come as somebody else.
  const again = loginPath(returnTo, { again: thrown.code === 'FORBIDDEN' });
  return page(c, { title: 'Not logged in', width: 'narrow' }, <LoginRefused error={thrown} again={again} />, status);
}

export function noLogin(): CountersignError {
  return new CountersignError('NOT_FOUND', 'There is no such login at this gateway.', {
    fix: 'The operator configures an identity provider (OpenID Connect).',
  });
}
