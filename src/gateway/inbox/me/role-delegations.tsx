/** The role delegations on a person's own page, and the form that makes another. */
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { RoleDelegation } from '../../../action/role-delegation.js';
import type { PersonPrincipal } from '../../auth/principal.js';
import { Sanitized } from '../components/sanitized-text.js';
import { At, Csrf, ReasonField, TimeLeft } from '../components/parts.js';

export function RoleDelegations({
  delegations,
  person,
  now,
}: {
  readonly delegations: readonly RoleDelegation[];
  readonly person: PersonPrincipal;
  readonly now: Date;
}): JSX.Element {
  return (
    <section class="card" aria-labelledby="role-delegations">
      <h2 id="role-delegations">Role delegations</h2>
      <p class="note">Who holds another person’s role for a while, such as the person on call.</p>
      <ul class="list">
        {delegations.map((delegation) => (
          <DelegationItem delegation={delegation} person={person} now={now} />
        ))}
      </ul>
      {person.roles.length === 0 ? null : <DelegateRole person={person} />}
    </section>
  );
}

function DelegationItem({
  delegation,
  person,
  now,
}: {
  readonly delegation: RoleDelegation;
  readonly person: PersonPrincipal;
  readonly now: Date;
}): JSX.Element {
  const { id, person: holder, role, by, since, until, reason } = delegation;
  const begun = Date.parse(since) <= now.getTime();
  return (
    <li>
      <div>
        <strong>
          <Sanitized text={holder} max={120} />
        </strong>{' '}
        is <Sanitized text={role} max={63} /> for <Sanitized text={by} max={120} />
        <p class="mute">
          {begun ? (
            <TimeLeft until={until} now={now} />
          ) : (
            <>
              from <At at={since} /> until <At at={until} />
            </>
          )}{' '}
          · “<Sanitized text={reason} max={300} />”
        </p>
      </div>
      <details>
        <summary>End</summary>
        <form class="form" method="post" action={`/me/role-delegations/${encodeURIComponent(id)}/end`}>
          <Csrf token={person.session.csrf} />
          <ReasonField />
          <button class="button stop">End the delegation</button>
        </form>
      </details>
    </li>
  );
}

function DelegateRole({ person }: { readonly person: PersonPrincipal }): JSX.Element {
  return (
    <details class="plain">
      <summary>Delegate a role</summary>
      <form class="form" method="post" action="/me/role-delegations">
        <Csrf token={person.session.csrf} />
        <div class="pair">
          <label>
            To whom
            <input name="person" maxlength={128} required autocomplete="off" />
          </label>
          <label>
            Your role
            <select name="role">
              {person.roles.map((role) => (
                <option value={role}>{role}</option>
              ))}
            </select>
          </label>
          <label>
            Starts in hours
            <input name="inHours" inputmode="numeric" pattern="[0-9]*" value="0" />
          </label>
          <label>
            Duration in hours
            <input name="hours" inputmode="numeric" pattern="[0-9]+" required value="8" />
          </label>
        </div>
        <ReasonField rows={2} />
        <div class="row">
          <button class="button go">Delegate the role</button>
        </div>
      </form>
    </details>
  );
}
