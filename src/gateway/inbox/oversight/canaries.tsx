/** What became of canaries that are over. Of those that wait there is no word: whoever decides must not know that one does. */
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { CanaryGroup, CanaryOversight } from '../../../action/canary-figures.js';
import { secondsText } from '../../../presentation/oversight-text.js';
import { count } from '../components/format.js';
import { Sanitized } from '../components/sanitized-text.js';
import { FiguresTable } from './figures-table.js';

const COLUMNS = ['shown', 'refused', 'approved', 'expired', 'median time'];

export function Canaries({
  canaries: { total, approvers, roles, rules },
  own,
}: {
  readonly canaries: CanaryOversight;
  readonly own: boolean;
}): JSX.Element {
  const groups: readonly (readonly [what: string, members: readonly CanaryGroup[]])[] = [
    ['approver', own ? [] : approvers],
    ['role', roles],
    ['rule', rules],
  ];
  return (
    <section class="card" aria-labelledby="canaries">
      <h2 id="canaries">Canaries</h2>
      <p class="note">
        {total.shown === 0
          ? 'None was over in this period.'
          : 'Requests that nobody proposed and that should be refused. One that was approved is a reason to talk, and none to blame.'}{' '}
        One is counted here when it is over, and not before.
      </p>
      {groups.map(([what, members]) =>
        members.length === 0 ? null : (
          <FiguresTable label={`Canaries by ${what}`} what={what} columns={COLUMNS}>
            {members.map(({ name, shown, refused, approved, ignored, medianSeconds }) => (
              <tr>
                <th scope="row">
                  <Sanitized text={name} max={80} />
                </th>
                {[shown, refused, approved, ignored].map((value) => (
                  <td class="number">{count(value)}</td>
                ))}
                <td class="number">{medianSeconds === undefined ? '—' : secondsText(medianSeconds)}</td>
              </tr>
            ))}
          </FiguresTable>
        ),
      )}
    </section>
  );
}
