/** A person's own page: their account, passkeys, standing approvals and role delegations. */
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { StoredPasskey } from '../../../action/passkey.js';
import type { RoleDelegation } from '../../../action/role-delegation.js';
import type { PersonPrincipal } from '../../auth/principal.js';
import { either } from '../components/format.js';
import { Sanitized } from '../components/sanitized-text.js';
import { Csrf, Fact, Hash, When } from '../components/parts.js';
import { RoleDelegations } from './role-delegations.js';
import { StandingApprovals, type UsedStandingApproval } from './standing-approvals.js';

interface MeProps {
  readonly person: PersonPrincipal;
  /** Absent where passkeys are not set up at all. */
  readonly passkeys?: readonly StoredPasskey[] | undefined;
  readonly standing: readonly UsedStandingApproval[];
  readonly delegations: readonly RoleDelegation[];
  readonly now: Date;
}

export function Me({ person, passkeys, standing, delegations, now }: MeProps): JSX.Element {
  return (
    <>
      <div class="heading">
        <h1>
          <Sanitized text={person.name} max={80} />
        </h1>
        <form method="post" action="/logout">
          <Csrf token={person.session.csrf} />
          <button class="button">Log out</button>
        </form>
      </div>
      <div class="cards">
        <Account person={person} now={now} />
        <section class="card" aria-labelledby="passkeys">
          <h2 id="passkeys">Passkeys</h2>
          <Passkeys person={person} passkeys={passkeys} now={now} />
        </section>
      </div>
      <div class="cards">
        <StandingApprovals standing={standing} person={person} now={now} />
        <RoleDelegations delegations={delegations} person={person} now={now} />
      </div>
    </>
  );
}

function Account({ person, now }: Pick<MeProps, 'person' | 'now'>): JSX.Element {
  const { id, tenant, roles, auth, session } = person;
  return (
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
      <p>
        <a href="/oversight">How you decide</a>
      </p>
    </section>
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
