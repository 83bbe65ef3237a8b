/** Figures as SVG: each has a title, patterns beside colours, and its numbers as a table. */
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { DayFigures } from '../../../ledger/index.js';
import { count } from './format.js';
import { Sanitized } from './sanitized-text.js';

const SERIES = [
  { key: 'allow', label: 'allowed' },
  { key: 'require_approval', label: 'needed approval' },
  { key: 'deny', label: 'denied' },
] as const;

const WIDTH = 1080;
const HEIGHT = 230;
const LEFT = 34;
const BOTTOM = 22;

/** Colour is not all that tells them apart: those that needed approval are striped, those denied are dotted. */
function Patterns({ id }: { readonly id: string }): JSX.Element {
  return (
    <defs>
      <pattern
        id={`${id}-require_approval`}
        width="6"
        height="6"
        patternUnits="userSpaceOnUse"
        patternTransform="rotate(45)"
      >
        <rect width="6" height="6" class="require_approval" />
        <path d="M0 0v6" class="pattern" />
      </pattern>
      <pattern id={`${id}-deny`} width="5" height="5" patternUnits="userSpaceOnUse">
        <rect width="5" height="5" class="deny" />
        <path d="M2 2h1.500" class="pattern" />
      </pattern>
    </defs>
  );
}

function fillOf(id: string, key: string): Readonly<Record<string, string>> {
  return key === 'allow' ? { class: 'allow' } : { fill: `url(#${id}-${key})` };
}

export function DecisionsByDay({ days }: { readonly days: readonly DayFigures[] }): JSX.Element {
  return (
    <figure class="chart">
      <ul class="legend" aria-hidden="true">
        {SERIES.map(({ key, label }) => (
          <li>
            <svg viewBox="0 0 14 14">
              <Patterns id={`legend-${key}`} />
              <rect width="14" height="14" rx="3" {...fillOf(`legend-${key}`, key)} />
            </svg>
            {label}
          </li>
        ))}
      </ul>
      <div class="plot" tabindex={0} role="region" aria-label="Chart">
        <Plot days={days} />
      </div>
      <details>
        <summary>The same as a table</summary>
        <div class="scroll" tabindex={0} role="region" aria-label="Decisions on each day">
          <DayTable days={days} />
        </div>
      </details>
    </figure>
  );
}

/** One bar for each day, its series on top of each other. */
function Plot({ days }: { readonly days: readonly DayFigures[] }): JSX.Element {
  const highest = Math.max(1, ...days.map(decided));
  const top = niceCeiling(highest);
  const slot = (WIDTH - LEFT) / Math.max(1, days.length);
  const scale = (HEIGHT - BOTTOM - 8) / top;
  const every = Math.ceil(days.length / 8);
  const total = days.reduce((sum, day) => sum + decided(day), 0);
  return (
    <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`Decisions on each day; ${count(total)} in all`}>
      <Patterns id="days" />
      {[0, top / 2, top].map((value) => {
        const y = HEIGHT - BOTTOM - value * scale;
        return (
          <>
            <path class="axis" d={`M${LEFT} ${y.toFixed(1)}H${WIDTH}`} />
            <text x={LEFT - 8} y={(y + 4).toFixed(1)} text-anchor="end">
              {count(value)}
            </text>
          </>
        );
      })}
      {days.map((day, at) => {
        let y = HEIGHT - BOTTOM;
        return (
          <g>
            {SERIES.map(({ key }) => {
              const height = day[key] * scale;
              y -= height;
              return height === 0 ? null : (
                <rect
                  x={(LEFT + at * slot + slot * 0.14).toFixed(1)}
                  y={y.toFixed(1)}
                  width={(slot * 0.72).toFixed(1)}
                  height={height.toFixed(1)}
                  {...fillOf('days', key)}
                />
              );
            })}
            {at % every === 0 ? (
              <text x={(LEFT + (at + 0.5) * slot).toFixed(1)} y={HEIGHT - 5} text-anchor="middle">
                {shortDay(day.day)}
              </text>
            ) : null}
          </g>
        );
      })}
    </svg>
  );
}

function decided({ allow, deny, require_approval }: DayFigures): number {
  return allow + deny + require_approval;
}

function DayTable({ days }: { readonly days: readonly DayFigures[] }): JSX.Element {
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Day (UTC)</th>
          {SERIES.map(({ label }) => (
            <th scope="col" class="number">
              {label}
            </th>
          ))}
          <th scope="col" class="number">
            not decided
          </th>
        </tr>
      </thead>
      <tbody>
        {days.map((day) => (
          <tr>
            <th scope="row">{day.day}</th>
            {SERIES.map(({ key }) => (
              <td class="number">{count(day[key])}</td>
            ))}
            <td class="number">{count(day.undecided)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' });

function shortDay(day: string): string {
  return DAY.format(new Date(`${day}T00:00:00Z`));
}

/** The next number that reads well and whose half is a whole number too: 2, 4, 6, 8, 10, 20, 30, 40 … */
function niceCeiling(value: number): number {
  const unit = Math.max(1, 10 ** Math.floor(Math.log10(value)));
  const step = unit === 1 ? 2 : unit;
  return Math.ceil(value / step) * step;
}

interface Rank {
  readonly name: string;
  readonly total: number;
  /** What it is made of, said in words; the total itself where it is of one kind. */
  readonly parts: readonly (readonly [word: string, amount: number])[];
}

/** Names with bars, the longest first. The numbers stand beside them, so no table is needed. */
export function Ranks({ ranks, label }: { readonly ranks: readonly Rank[]; readonly label: string }): JSX.Element {
  const highest = Math.max(1, ...ranks.map(({ total }) => total));
  return (
    <ol class="ranks chart" aria-label={label}>
      {ranks.map(({ name, total, parts }) => (
        <li>
          <span>
            <Sanitized text={name} max={80} />
          </span>
          <span>
            <strong>{count(total)}</strong> <span class="mute">{partsText(parts)}</span>
          </span>
          <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
            <rect class="plain" width={((total / highest) * 100).toFixed(2)} height="8" rx="1" />
          </svg>
        </li>
      ))}
    </ol>
  );
}

/** `3 allowed, 1 denied`; of one kind only its word. */
function partsText(parts: Rank['parts']): string {
  const there = parts.filter(([, amount]) => amount > 0);
  if (there.length === 1) return there[0]?.[0] ?? '';
  return there.map(([word, amount]) => `${count(amount)} ${word}`).join(', ');
}
