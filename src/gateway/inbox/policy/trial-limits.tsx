/** The limits that a trial falls under, with the figures it was decided on and where each is from. */
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { FigureSource, PolicyTrial } from '../../policy/trial.js';
import { At, Fact } from '../components/parts.js';
import { Sanitized } from '../components/sanitized-text.js';

const SOURCES: Readonly<Record<FigureSource, string>> = {
  record: 'as recorded',
  given: 'as pasted',
  now: 'as it is now',
  action: 'of the action itself',
};

export function TrialLimits({ trial: { limits, at, unasked } }: { readonly trial: PolicyTrial }): JSX.Element {
  return (
    <section class="card" aria-labelledby="trial-limits">
      <h3 id="trial-limits">The limits that it was decided on</h3>
      <p class="mute">
        As of <At at={at} />. {limits.length === 0 ? 'It falls under none. ' : ''}
        Nothing is held of a limit by a trial.
      </p>
      {limits.length === 0 ? null : (
        <dl class="facts">
          {limits.map(({ text, from, fits }) => (
            <Fact label={SOURCES[from]}>
              <Sanitized text={text} max={300} />
              {fits ? null : <strong class="wrong"> does not fit</strong>}
            </Fact>
          ))}
        </dl>
      )}
      {unasked.length === 0 ? null : (
        <p class="wrong">
          Not used, because it does not fall under them: <Sanitized text={unasked.join(', ')} max={400} />
        </p>
      )}
    </section>
  );
}
