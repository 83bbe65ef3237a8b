/** What differs between two bundles, in words. */
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { PolicyDifference } from '../../../policy/diff.js';
import { plural } from '../components/format.js';
import { Sanitized, SanitizedBlock } from '../components/sanitized-text.js';

const MARKS: Readonly<Record<PolicyDifference['what'], { readonly sign: string; readonly tone: string }>> = {
  added: { sign: '+', tone: 'added' },
  removed: { sign: '−', tone: 'removed' },
  changed: { sign: '~', tone: 'changed' },
};
const MOST_SHOWN = 200;

/** @param differences of another bundle from the one in force: what would be added, removed and changed */
export function Differences({ differences }: { readonly differences: readonly PolicyDifference[] }): JSX.Element {
  if (differences.length === 0) return <p>Both say the same, in whatever layout.</p>;
  const shown = differences.slice(0, MOST_SHOWN);
  return (
    <>
      <ul class="differences">
        {shown.map(({ part, what, name, sentences }) => (
          <li class={MARKS[what].tone}>
            <p>
              <span class="sign" aria-hidden="true">
                {MARKS[what].sign}
              </span>{' '}
              {part}{' '}
              <strong>
                <Sanitized text={name} max={160} />
              </strong>{' '}
              is {what}
            </p>
            {sentences.map((sentence) => (
              <SanitizedBlock text={sentence} max={1200} label={`The whole difference of ${name}`} />
            ))}
          </li>
        ))}
      </ul>
      {differences.length > shown.length ? (
        <p class="note">… and {plural(differences.length - shown.length, 'more')}: countersign policy diff.</p>
      ) : null}
    </>
  );
}
