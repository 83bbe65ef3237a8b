/** The radar: what was written past every action, and how far each system was looked at. */
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { RadarAlert, RadarStanding } from '../../../action/radar.js';
import { writersText } from '../../../notify/radar-alert.js';
import type { PersonPrincipal } from '../../auth/principal.js';
import { Csrf, Empty, Notice, When } from '../components/parts.js';
import { Sanitized } from '../components/sanitized-text.js';

interface RadarProps {
  readonly person: PersonPrincipal;
  readonly sources: readonly RadarStanding[];
  readonly open: { readonly alerts: readonly RadarAlert[]; readonly next?: string };
  readonly past: readonly RadarAlert[];
  readonly now: Date;
}

export function RadarPage({ person, sources, open, past, now }: RadarProps): JSX.Element {
  return (
    <>
      <div class="heading">
        <h1>Radar</h1>
      </div>
      {sources
        .filter(({ state }) => state !== 'watching')
        .map((source) => (
          <Blind source={source} now={now} />
        ))}
      <section aria-labelledby="open">
        <h2 id="open">Not acknowledged</h2>
        {open.alerts.length === 0 ? (
          <Empty title="Nothing is unexplained">
            Every write that was seen was made by an action, or by a writer who is declared.
          </Empty>
        ) : (
          <>
            <ul class="list">
              {open.alerts.map((alert) => (
                <Alert alert={alert} person={person} now={now} />
              ))}
            </ul>
            {open.next === undefined ? null : <a href={`/radar?cursor=${open.next}`}>Older ones</a>}
          </>
        )}
      </section>
      <section aria-labelledby="watched">
        <h2 id="watched">Watched</h2>
        {sources.length === 0 ? (
          <Empty title="No tool is watched">The option radar of a tool has its system watched.</Empty>
        ) : (
          <ul class="list">
            {sources.map((source) => (
              <Source source={source} now={now} />
            ))}
          </ul>
        )}
      </section>
      {past.length === 0 ? null : (
        <section aria-labelledby="past">
          <h2 id="past">Acknowledged</h2>
          <ul class="list">
            {past.map((alert) => (
              <Alert alert={alert} person={person} now={now} />
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

function Blind({
  source: { source, state, problem, seenAt },
  now,
}: {
  readonly source: RadarStanding;
  readonly now: Date;
}): JSX.Element {
  return (
    <Notice tone="warn" title={`The radar of ${source} does not look`} id={`off-${source}`}>
      <p>
        {state === 'stale' ? 'No worker has read it' : <Sanitized text={problem ?? ''} max={1000} />}{' '}
        <When at={seenAt} now={now} />
      </p>
    </Notice>
  );
}

function Alert({
  alert,
  person,
  now,
}: {
  readonly alert: RadarAlert;
  readonly person: PersonPrincipal;
  readonly now: Date;
}): JSX.Element {
  const { id, source, at, detail, writers, transaction, effectKey, acknowledged } = alert;
  return (
    <li>
      <div>
        <strong>
          <Sanitized text={detail} max={600} />
        </strong>
        <p class="mute">
          <Sanitized text={source} max={80} /> <When at={at} now={now} />
          {writers.length === 0 ? null : (
            <>
              , by <Sanitized text={writersText(writers)} max={240} />
            </>
          )}
          {transaction === undefined ? null : (
            <>
              , transaction <Sanitized text={transaction} max={40} />
            </>
          )}
          {effectKey === undefined ? null : (
            <>
              , as <Sanitized text={effectKey} max={240} />
            </>
          )}
        </p>
        {acknowledged === undefined ? null : (
          <p class="mute">
            “<Sanitized text={acknowledged.note} max={400} />” by <Sanitized text={acknowledged.by} max={120} />{' '}
            <When at={acknowledged.at} now={now} />
          </p>
        )}
      </div>
      {acknowledged === undefined ? (
        <details>
          <summary>Acknowledge</summary>
          <form class="form" method="post" action={`/radar/${id}/acknowledge`}>
            <Csrf token={person.session.csrf} />
            <label>
              What it was
              <input name="note" maxlength={2000} required />
            </label>
            <button class="button">Acknowledge</button>
          </form>
        </details>
      ) : null}
    </li>
  );
}

function Source({ source: standing, now }: { readonly source: RadarStanding; readonly now: Date }): JSX.Element {
  const { source, watched, unseen, position, lagBytes, seenAt } = standing;
  return (
    <li>
      <div>
        <strong>
          <Sanitized text={source} max={80} />
        </strong>
        <p class="mute">
          judged up to <Sanitized text={position || 'nothing yet'} max={80} /> <When at={seenAt} now={now} />
          {lagBytes === undefined ? '' : `, ${lagBytes} bytes of log held back`};{' '}
          <Sanitized text={watched.slice(0, 20).join(', ')} max={600} />
          {watched.length > 20 ? ` and ${watched.length - 20} more` : ''}
        </p>
        {unseen.slice(0, 20).map((one) => (
          <p>
            Not seen: <Sanitized text={one} max={600} />
          </p>
        ))}
      </div>
    </li>
  );
}
