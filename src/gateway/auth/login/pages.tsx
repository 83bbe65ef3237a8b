/** The pages around a login: who to be (development), what went wrong, and the end. */
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { CountersignError } from '../../../action/errors.js';
import type { DevPerson } from '../../deps.js';
import { Sanitized } from '../../inbox/components/sanitized-text.js';
import { Notice } from '../../inbox/components/parts.js';

export function DevLogin({
  people,
  state,
}: {
  readonly people: readonly DevPerson[];
  readonly state: string;
}): JSX.Element {
  return (
    <>
      <h1>Log in for development</h1>
      <Notice tone="warn" title="Not for production">
        <p>
          Nobody is asked for a password here: anyone on this machine can be anybody. Configure an identity provider
          (OpenID Connect) before real approvals depend on it.
        </p>
      </Notice>
      <ul class="people">
        {people.map((person, index) => (
          <li>
            <form method="post" action="/dev-login">
              <input type="hidden" name="state" value={state} />
              <input type="hidden" name="person" value={String(index)} />
              <button type="submit" class="button">
                Be <Sanitized text={person.name} max={60} />
              </button>{' '}
              <span class="note">
                <Sanitized text={person.id} /> of <Sanitized text={person.tenant} />,{' '}
                <Sanitized text={person.roles.length === 0 ? 'no role' : person.roles.join(', ')} />
              </span>
            </form>
          </li>
        ))}
      </ul>
    </>
  );
}

export function LoginRefused({
  error,
  again,
}: {
  readonly error: CountersignError;
  readonly again: string;
}): JSX.Element {
  return (
    <>
      <h1>You are not logged in</h1>
      <Notice tone="bad" title={error.message}>
        {error.expected === undefined ? null : <p>Expected: {error.expected}.</p>}
        {error.fix === undefined ? null : <p>{error.fix}</p>}
        <p class="note">
          <code>{error.code}</code>
        </p>
      </Notice>
      <p>
        <a class="button" href={again}>
          Log in again
        </a>
      </p>
    </>
  );
}

export function LoggedOut({
  provider,
}: {
  readonly provider?: { readonly name: string; readonly url: string } | undefined;
}): JSX.Element {
  return (
    <>
      <h1>You are logged out</h1>
      <p>Your session has ended, also for whoever may have its cookie.</p>
      {provider === undefined ? null : (
        <Notice tone="plain" title={`You may still be logged in at ${provider.name}`}>
          <p>Whoever uses this browser next could then log in here without a password.</p>
          <p>
            <a class="button" href={provider.url} rel="noreferrer">
              Log out there too
            </a>
          </p>
        </Notice>
      )}
      <p>
        <a href="/login">Log in again</a>
      </p>
    </>
  );
}
