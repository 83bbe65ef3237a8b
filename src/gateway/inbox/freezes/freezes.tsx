/** Freezes: those in force and those lifted, and the forms to freeze and to lift. */
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { Freeze } from '../../../action/freeze.js';
import type { PersonPrincipal } from '../../auth/principal.js';
import { Sanitized } from '../components/sanitized-text.js';
import { Csrf, Empty, ReasonField, Status, When } from '../components/parts.js';

/** What a person may stop within their tenant. */
export const FREEZABLE = ['all', 'agent', 'tool', 'target'] as const;

const LABELS: Readonly<Record<(typeof FREEZABLE)[number], string>> = {
  all: 'everything',
  agent: 'an agent',
  tool: 'a tool',
  target: 'a target (table, endpoint)',
};

interface FreezesProps {
  readonly person: PersonPrincipal;
  readonly freezes: readonly Freeze[];
  readonly mayFreeze: boolean;
  readonly now: Date;
}

export function Freezes({ person, freezes, mayFreeze, now }: FreezesProps): JSX.Element {
  const active = freezes.filter(({ lifted }) => lifted === undefined);
  const over = freezes.filter(({ lifted }) => lifted !== undefined).toReversed();
  return (
    <>
      <div class="heading">
        <h1>Freezes</h1>
      </div>
      <div class="cards">
        <section class="card" aria-labelledby="active">
          <h2 id="active">In force</h2>
          {active.length === 0 ? (
            <Empty title="Nothing is frozen">Agents may act as policy allows.</Empty>
          ) : (
            <ul class="list">
              {active.map((freeze) => (
                <Active freeze={freeze} person={person} now={now} />
              ))}
            </ul>
          )}
        </section>
        <section class="card" aria-labelledby="freeze">
          <h2 id="freeze">Freeze</h2>
          {mayFreeze ? (
            <FreezeForm person={person} />
          ) : (
            <p class="may-not">You may look, but none of your roles may freeze.</p>
          )}
        </section>
      </div>
      {over.length === 0 ? null : (
        <section aria-labelledby="over">
          <h2 id="over">Lifted</h2>
          <ul class="list">
            {over.slice(0, 50).map((freeze) => (
              <Lifted freeze={freeze} now={now} />
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

function FreezeForm({ person }: { readonly person: PersonPrincipal }): JSX.Element {
  return (
    <form class="form" method="post" action="/freezes">
      <Csrf token={person.session.csrf} />
      <p class="note">Nothing that is frozen takes effect any more. Effects that have begun are finished.</p>
      <div class="pair">
        <label>
          What
          <select name="kind">
            {FREEZABLE.map((kind) => (
              <option value={kind}>{LABELS[kind]}</option>
            ))}
          </select>
        </label>
        <label>
          Name <span class="mute">(not for everything)</span>
          <input name="value" maxlength={200} autocomplete="off" />
        </label>
      </div>
      <ReasonField rows={2} />
      <div class="row">
        <button class="button stop">Freeze</button>
      </div>
    </form>
  );
}

function Lifted({ freeze, now }: { readonly freeze: Freeze; readonly now: Date }): JSX.Element {
  const { reason, by, lifted } = freeze;
  return (
    <li>
      <div>
        <strong>
          <Sanitized text={scopeText(freeze)} max={240} />
        </strong>
        <p class="mute">
          “<Sanitized text={reason} max={400} />” by <Sanitized text={by} max={120} />
          {lifted === undefined ? null : (
            <>
              , lifted by <Sanitized text={lifted.by} max={120} /> <When at={lifted.at} now={now} />
            </>
          )}
        </p>
      </div>
    </li>
  );
}

function Active({
  freeze,
  person,
  now,
}: {
  readonly freeze: Freeze;
  readonly person: PersonPrincipal;
  readonly now: Date;
}): JSX.Element {
  const { id, reason, by, at, tenant } = freeze;
  return (
    <li>
      <div>
        <Status status="frozen" />{' '}
        <strong>
          <Sanitized text={scopeText(freeze)} max={240} />
        </strong>
        <p class="mute">
          “<Sanitized text={reason} max={400} />” by <Sanitized text={by} max={120} /> <When at={at} now={now} />
        </p>
      </div>
      {tenant === '*' ? (
        <span class="mute">by the operator, for every tenant</span>
      ) : (
        <details>
          <summary>Lift</summary>
          <form class="form" method="post" action={`/freezes/${id}/lift`}>
            <Csrf token={person.session.csrf} />
            <label>
              Reason for lifting
              <input name="reason" maxlength={2000} required />
            </label>
            <button class="button">Lift the freeze</button>
          </form>
        </details>
      )}
    </li>
  );
}

function scopeText({ scope }: Freeze): string {
  return scope.kind === 'all' || scope.value === undefined ? 'everything' : `${scope.kind} ${scope.value}`;
}
