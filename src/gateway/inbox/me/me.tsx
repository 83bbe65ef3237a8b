/** A person's own page: their account, passkeys, standing approvals and role delegations. */
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { StoredPasskey } from '../../../action/passkey.js';
import type { RoleDelegation } from '../../../action/role-delegation.js';
import type { StandingApproval, StandingApprovalUse } from '../../../action/standing-approval.js';
import type { PersonPrincipal } from '../../auth/principal.js';
import { count, either, plural } from '../components/format.js';
import { Sanitized } from '../components/sanitized-text.js';
import { At, Csrf, Environment, Fact, Hash, ReasonField, TimeLeft, When } from '../components/parts.js';

interface MeProps {
  readonly person: PersonPrincipal;
  /** Absent where passkeys are not set up at all. */
  readonly passkeys?: readonly StoredPasskey[] | undefined;
  readonly standing: readonly (StandingApproval & { readonly used: StandingApprovalUse })[];
  readonly delegations: readonly RoleDelegation[];
  readonly now: Date;
}

export function Me({ person, passkeys, standing, delegations, now }: MeProps): JSX.Element {
  const { id, name, tenant, roles, auth, session } = person;
  return (
    <>
      <div class="heading">
        <h1>
          <Sanitized text={name} max={80} />
        </h1>
        <form method="post" action="/logout">
          <Csrf token={session.csrf} />
          <button class="button">Log out</button>
        </form>
      </div>
      <div class="cards">
        <section class="card" aria-labelledby="who">
          <h2 id="who">Your account</h2>
          <dl class="facts">
            <Fact label="id">
              <Sanitized text={id} max={160} />
            </Fact>
            <Fact label="tenant">
              <Sanitized text={tenant} max={63} />
            </Fact>
            <Fact label="roles">
              {roles.length === 0 ? 'none: you may only look' : <Sanitized text={either(roles, 'and')} max={300} />}
            </Fact>
            <Fact label="authenticated by">
              {auth.method === 'dev' ? (
                'the development login, without a password'
              ) : (
                <Sanitized text={`${auth.method}: ${auth.by}`} max={300} />
              )}
            </Fact>
            <Fact label="logged in">
              <When at={session.authenticatedAt} now={now} />
            </Fact>
          </dl>
        </section>
        <section class="card" aria-labelledby="passkeys">
          <h2 id="passkeys">Passkeys</h2>
          <Passkeys person={person} passkeys={passkeys} now={now} />
        </section>
      </div>
      <div class="cards">
        <section class="card" aria-labelledby="standing">
          <h2 id="standing">Standing approvals</h2>
          <p class="note">What people of your tenant approved in advance, within bounds. Each use is on a receipt.</p>
          <ul class="list">
            {standing.map((one) => (
              <StandingItem one={one} person={person} now={now} />
            ))}
          </ul>
          {roles.length === 0 ? null : <GiveStandingApproval person={person} />}
        </section>
        <section class="card" aria-labelledby="role-delegations">
          <h2 id="role-delegations">Role delegations</h2>
          <p class="note">Who holds another person’s role for a while, such as the person on call.</p>
          <ul class="list">
            {delegations.map((delegation) => (
              <DelegationItem delegation={delegation} person={person} now={now} />
            ))}
          </ul>
          {roles.length === 0 ? null : <DelegateRole person={person} />}
        </section>
      </div>
    </>
  );
}

function Passkeys({ person, passkeys, now }: Pick<MeProps, 'person' | 'passkeys' | 'now'>): JSX.Element {
  if (passkeys === undefined) return <p class="note">Passkeys are not configured at this gateway.</p>;
  const active = passkeys.filter(({ retired }) => retired === undefined);
  return (
    <div class="stack" data-passkeys data-csrf={person.session.csrf}>
      <p class="note">
        A passkey proves that you approved exactly what was shown, on your own device. Some policies require one.
      </p>
      {active.length === 0 ? null : (
        <ul class="list">
          {active.map(({ credentialId, enrolledAt, transports }) => (
            <li>
              <div>
                <Hash value={credentialId} />
                <p class="mute">
                  enrolled <When at={enrolledAt} now={now} />
                  {transports.length === 0 ? null : (
                    <>
                      {' '}
                      · <Sanitized text={transports.join(', ')} max={80} />
                    </>
                  )}
                </p>
              </div>
              <form method="post" action={`/me/passkeys/${encodeURIComponent(credentialId)}/retire`}>
                <Csrf token={person.session.csrf} />
                <button class="button quiet">Retire</button>
              </form>
            </li>
          ))}
        </ul>
      )}
      <div class="row needs-js">
        <button type="button" class="button" data-enrol>
          Enrol a passkey
        </button>
      </div>
      <p class="wrong" role="alert" data-problem hidden></p>
      <p class="note no-js">To enrol a passkey, your browser needs JavaScript.</p>
    </div>
  );
}

function StandingItem({
  one,
  person,
  now,
}: {
  readonly one: StandingApproval & { readonly used: StandingApprovalUse };
  readonly person: PersonPrincipal;
  readonly now: Date;
}): JSX.Element {
  const { id, agent, tool, operation, environment, maxRows, until, by, reason } = one;
  const what = operation === undefined ? tool : `${tool}: ${operation}`;
  return (
    <li>
      <div>
        <strong>
          <Sanitized text={agent} max={120} />
        </strong>{' '}
        may <Sanitized text={what} max={200} /> {environment === undefined ? null : <Environment name={environment} />}
        <p class="mute">
          {bounds(one)}
          {maxRows === undefined ? '' : `at most ${plural(maxRows, 'row')} each · `}
          <TimeLeft until={until} now={now} /> · given by <Sanitized text={by} max={120} />: “
          <Sanitized text={reason} max={300} />”
        </p>
      </div>
      <details>
        <summary>Withdraw</summary>
        <form class="form" method="post" action={`/me/standing/${encodeURIComponent(id)}/withdraw`}>
          <Csrf token={person.session.csrf} />
          <ReasonField />
          <button class="button stop">Withdraw it</button>
        </form>
      </details>
    </li>
  );
}

function bounds({ actions, amounts = {}, used }: StandingApproval & { readonly used: StandingApprovalUse }): string {
  return [
    ...(actions === undefined ? [] : [`${count(used.actions)} of ${count(actions)} actions used · `]),
    ...Object.entries(amounts).map(
      ([unit, most]) => `${count(used.amounts[unit] ?? 0)} of ${count(most)} ${unit} used · `,
    ),
  ].join('');
}

function GiveStandingApproval({ person }: { readonly person: PersonPrincipal }): JSX.Element {
  return (
    <details class="plain">
      <summary>Give a standing approval</summary>
      <form class="form" method="post" action="/me/standing">
        <Csrf token={person.session.csrf} />
        <div class="pair">
          <label>
            Agent
            <input name="agent" maxlength={128} required autocomplete="off" />
          </label>
          <label>
            Tool
            <input name="tool" maxlength={63} required autocomplete="off" />
          </label>
          <label>
            Operation <span class="mute">(any)</span>
            <input name="operation" maxlength={128} autocomplete="off" />
          </label>
          <label>
            Environment <span class="mute">(any)</span>
            <input name="environment" maxlength={128} autocomplete="off" />
          </label>
          <label>
            Rows per action, at most
            <input name="maxRows" inputmode="numeric" pattern="[0-9]*" />
          </label>
          <label>
            Actions in total
            <input name="actions" inputmode="numeric" pattern="[0-9]*" />
          </label>
          <label>
            Amount in total
            <input name="amount" inputmode="decimal" pattern="[0-9]+([.][0-9]+)?" />
          </label>
          <label>
            Unit
            <input name="unit" maxlength={16} placeholder="EUR" autocomplete="off" />
          </label>
          <label>
            Duration in hours
            <input name="hours" inputmode="numeric" pattern="[0-9]+" required value="2" />
          </label>
        </div>
        <ReasonField rows={2} />
        <div class="row">
          <button class="button go">Give the approval</button>
        </div>
      </form>
    </details>
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
