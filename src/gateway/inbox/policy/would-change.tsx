/** The smallest changes of an action that would change its decision, in words. */
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { Counterfactual } from '../../../policy/authoring/explain/changes.js';
import type { JudgedEffect } from '../../../policy/authoring/explain/judge.js';
import { Sanitized } from '../components/sanitized-text.js';
import type { TriedDecision } from '../../policy/trial.js';
import { EFFECTS } from './effects.js';

const FIRST = 5;
/** What makes the action possible is what people look for. */
const ORDER: readonly JudgedEffect[] = ['allow', 'queue', 'require_approval', 'deny'];

export function WouldChange({ changes: found, cut }: Pick<TriedDecision, 'changes' | 'cut'>): JSX.Element {
  const changes = found.toSorted((a, b) => ORDER.indexOf(a.effect) - ORDER.indexOf(b.effect));
  const more = changes.slice(FIRST);
  return (
    <>
      <h4>What would change it</h4>
      {changes.length === 0 ? (
        <p class="mute">Nothing that was tried.</p>
      ) : (
        <Changes changes={changes.slice(0, FIRST)} />
      )}
      {more.length === 0 ? null : (
        <details class="plain">
          <summary>{more.length} more</summary>
          <Changes changes={more} />
        </details>
      )}
      {cut ? <p class="mute">There may be others: not all was tried.</p> : null}
    </>
  );
}

function Changes({ changes }: { readonly changes: readonly Counterfactual[] }): JSX.Element {
  return (
    <ul class="would-change">
      {changes.map(({ changes: together, effect }) => (
        <li>
          <strong>{EFFECTS[effect].text}</strong>, if{' '}
          <Sanitized text={together.map(({ text }) => text).join(', and ')} max={400} />
        </li>
      ))}
    </ul>
  );
}
