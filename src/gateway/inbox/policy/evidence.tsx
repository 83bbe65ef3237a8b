/** What backtests found about a bundle, with a chart. */
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { PolicyEvidence } from '../../../action/policy-rollout.js';
import { CHANGE_KINDS } from '../../../policy/backtest/change.js';
import { KIND_MEANINGS, KIND_TITLES, moneyText } from '../../../presentation/backtest/words.js';
import { Ranks } from '../components/charts.js';
import { count, plural } from '../components/format.js';
import { At, Fact, Hash, When } from '../components/parts.js';
import { Sanitized } from '../components/sanitized-text.js';
import { summaryOf, type EvidenceSummary } from './backtest-summary.js';

interface EvidenceProps {
  /** The latest first. */
  readonly evidence: readonly PolicyEvidence[];
  /** Whether all that backtests read was of this tenant: only then are its figures the tenant's own to see. */
  readonly own: boolean;
  readonly now: Date;
}

export function Evidence({ evidence, own, now }: EvidenceProps): JSX.Element {
  const [latest, ...earlier] = evidence;
  return (
    <section class="card" aria-labelledby="evidence">
      <h2 id="evidence">What a backtest found</h2>
      {latest === undefined ? (
        <p class="mute">
          No backtest of it against the bundle in force is recorded. <code>countersign policy backtest</code> makes one.
        </p>
      ) : (
        <Found found={latest} own={own} now={now} />
      )}
      {earlier.length === 0 ? null : <p class="note">{plural(earlier.length, 'earlier backtest')} of the same pair.</p>}
    </section>
  );
}

function Found({
  found,
  own,
  now,
}: {
  readonly found: PolicyEvidence;
  readonly own: boolean;
  readonly now: Date;
}): JSX.Element {
  const summary = own ? summaryOf(found) : undefined;
  return (
    <>
      <dl class="facts">
        <Fact label="made">
          <When at={found.at} now={now} /> by <Sanitized text={found.by} max={120} />
        </Fact>
        <Fact label="report">
          <Hash value={found.report} />
        </Fact>
        {summary?.from === undefined || summary.to === undefined ? null : (
          <Fact label="decisions from">
            <At at={summary.from} /> to <At at={summary.to} />
          </Fact>
        )}
      </dl>
      {summary === undefined ? (
        <p class="note">
          {own
            ? 'Its summary is of another version, and cannot be shown here.'
            : 'This ledger keeps actions of several tenants, and the figures are over all of them: they are not shown here.'}
        </p>
      ) : (
        <Figures summary={summary} />
      )}
    </>
  );
}

function Figures({ summary }: { readonly summary: EvidenceSummary }): JSX.Element {
  const { decisions, redecided, same, undecided, beforePolicy, changes, amounts, exhausted } = summary;
  const kinds = CHANGE_KINDS.filter((kind) => (changes[kind] ?? 0) > 0);
  const text = (kind: (typeof CHANGE_KINDS)[number]): string => moneyText(amounts[kind] ?? {});
  return (
    <>
      <p>
        Of {plural(decisions, 'decision')}, {count(redecided)} were decided again: {count(same)} stay as they are and{' '}
        {count(redecided - same)} change.
        {undecided === 0 ? '' : ` ${count(undecided)} could not be decided again.`}
        {beforePolicy === 0 ? '' : ` ${count(beforePolicy)} never got to policy.`}
        {exhausted === 0 ? '' : ` ${plural(exhausted, 'limit')} would have had no room.`}
      </p>
      {kinds.length === 0 ? null : (
        <>
          <Ranks
            label="Decisions that change, by what changes"
            ranks={kinds.map((kind) => ({
              name: KIND_TITLES[kind],
              total: changes[kind] ?? 0,
              parts: [],
            }))}
          />
          <div class="scroll" tabindex={0} role="region" aria-label="What changes, and what it means">
            <table>
              <thead>
                <tr>
                  <th scope="col">What changes</th>
                  <th scope="col" class="number">
                    Decisions
                  </th>
                  <th scope="col">Amounts</th>
                  <th scope="col">Meaning</th>
                </tr>
              </thead>
              <tbody>
                {kinds.map((kind) => (
                  <tr>
                    <th scope="row">{KIND_TITLES[kind]}</th>
                    <td class="number">{count(changes[kind] ?? 0)}</td>
                    <td>
                      <Sanitized text={text(kind) || '—'} max={120} />
                    </td>
                    <td>{KIND_MEANINGS[kind]}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </>
      )}
    </>
  );
}
