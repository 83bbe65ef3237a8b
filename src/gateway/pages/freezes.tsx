/** Freezes: what is stopped now and was stopped before, and how to stop and to let go on. */
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { Freeze } from '../../action/freeze.js';
import type { PersonPrincipal } from '../principal.js';
import { Inert } from './inert.js';
import { Csrf, Empty, SayWhy, Status, When } from './parts.js';

/** What a person may stop within their tenant. */
export const FREEZABLE = ['all', 'agent', 'tool', 'target'] as const;

const LABELS: Readonly<Record<(typeof FREEZABLE)[number], string>> = {
  all: 'everything',
  agent: 'an agent',
  tool: 'a tool',
  target: 'a target (table, endpoint)',
};

export interface FreezesProps {
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
          <h2 id="active">Stopped now</h2>
          {active.length === 0 ? (
            <Empty title="Nothing is frozen">Agents may act within what policy allows.</Empty>
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
            <form class="form" method="post" action="/freezes">
              <Csrf token={person.session.csrf} />
              <p class="note">
                From the next step on nothing of it has an effect. What was begun is brought to its end.
              </p>
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
                  Which <span class="mute">(its name)</span>
                  <input name="value" maxlength={200} autocomplete="off" />
                </label>
              </div>
              <SayWhy rows={2} />
              <div class="row">
                <button class="button stop">Freeze</button>
              </div>
            </form>
          ) : (
            <p class="may-not">You may look, but you have no role that may freeze.</p>
          )}
        </section>
      </div>
      {over.length === 0 ? null : (
        <section aria-labelledby="over">
          <h2 id="over">Lifted</h2>
          <ul class="list">
            {over.slice(0, 50).map((freeze) => (
              <li>
                <div>
                  <strong>
                    <Inert text={scopeText(freeze)} max={240} />
                  </strong>
                  <p class="mute">
                    “<Inert text={freeze.reason} max={400} />” by <Inert text={freeze.by} max={120} />
                    {freeze.lifted === undefined ? null : (
                      <>
                        , lifted by <Inert text={freeze.lifted.by} max={120} /> <When at={freeze.lifted.at} now={now} />
                      </>
                    )}
                  </p>
                </div>
              </li>
            ))}
          </ul>
        </section>
      )}
    </>
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
          <Inert text={scopeText(freeze)} max={240} />
        </strong>
        <p class="mute">
          “<Inert text={reason} max={400} />” by <Inert text={by} max={120} /> <When at={at} now={now} />
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
              Why it may go on
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
