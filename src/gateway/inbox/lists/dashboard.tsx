/** The dashboard: decisions over time, by policy and by tool; how long people take; mismatches and unknown outcomes. */
import type { JSX } from 'hono/jsx/jsx-runtime';
import { OUTCOME_STATUSES } from '../../../action/outcome.js';
import type { Dashboard as Figures } from '../../../ledger/index.js';
import { DecisionsByDay, Ranks } from '../components/charts.js';
import { coarse, count, plural } from '../components/format.js';
import { Empty } from '../components/parts.js';

export const PERIODS = [7, 30, 90] as const;

export function Dashboard({ figures, days }: { readonly figures: Figures; readonly days: number }): JSX.Element {
  return (
    <>
      <div class="heading">
        <h1>Dashboard</h1>
        <nav class="row" aria-label="Period">
          {PERIODS.map((period) => (
            <a
              class={`button ${period === days ? '' : 'quiet'}`}
              href={`/dashboard?days=${period}`}
              {...(period === days ? { 'aria-current': 'true' } : {})}
            >
              {period} days
            </a>
          ))}
        </nav>
      </div>
      <div>
        <Tiles figures={figures} />
        {figures.total === 0 ? (
          <Empty title="No figures yet">No action ended in this period.</Empty>
        ) : (
          <Charts figures={figures} />
        )}
      </div>
    </>
  );
}

function Tiles({ figures }: { readonly figures: Figures }): JSX.Element {
  const { total, waiting, mismatches, unknowns, statuses } = figures;
  const share = total === 0 ? '' : `${Math.round((statuses.success / total) * 100)} % of ended actions`;
  return (
    <dl class="tiles">
      <Tile label="Ended actions" value={count(total)} />
      <Tile label="Verified successes" value={count(statuses.success)} note={share} />
      <Tile
        label="Median time to decide"
        value={waiting.medianSeconds === undefined ? '—' : coarse(waiting.medianSeconds * 1000)}
        note={waitingNote(waiting)}
      />
      <Tile
        label="Mismatches"
        value={count(mismatches)}
        href={mismatches > 0 ? '/history?status=mismatch' : undefined}
      />
      <Tile
        label="Unknown outcomes"
        value={count(unknowns)}
        href={unknowns > 0 ? '/history?status=unknown' : undefined}
      />
    </dl>
  );
}

function Charts({ figures: { days, policies, tools } }: { readonly figures: Figures }): JSX.Element {
  return (
    <>
      <section class="card" aria-labelledby="by-day">
        <h2 id="by-day">Decisions</h2>
        <DecisionsByDay days={days} />
      </section>
      <div class="cards">
        <section class="card" aria-labelledby="by-policy">
          <h2 id="by-policy">By policy</h2>
          <Ranks
            label="Policies by decisions"
            ranks={policies.map(({ policy, total, allow, deny, require_approval }) => ({
              name: policy,
              total,
              parts: [
                ['allowed', allow],
                ['needed approval', require_approval],
                ['denied', deny],
              ],
            }))}
          />
        </section>
        <section class="card" aria-labelledby="by-tool">
          <h2 id="by-tool">By tool</h2>
          <Ranks
            label="Tools by actions"
            ranks={tools.map(({ tool, total, statuses }) => ({
              name: tool,
              total,
              parts: OUTCOME_STATUSES.map((status) => [status, statuses[status]] as const),
            }))}
          />
        </section>
      </div>
    </>
  );
}

function Tile({
  label,
  value,
  note,
  href,
}: {
  readonly label: string;
  readonly value: string;
  readonly note?: string;
  readonly href?: string | undefined;
}): JSX.Element {
  return (
    <div class="tile">
      <dt>{label}</dt>
      <dd>
        {href === undefined ? value : <a href={href}>{value}</a>}
        {note === undefined || note === '' ? null : <p class="mute">{note}</p>}
      </dd>
    </div>
  );
}

function waitingNote({ count: decided, p90Seconds }: Figures['waiting']): string {
  if (p90Seconds === undefined) return 'no approvals were requested';
  return `90 % within ${coarse(p90Seconds * 1000)}, of ${plural(decided, 'decision')}`;
}
