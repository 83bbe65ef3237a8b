/** A backtest as one page that needs nothing else: no script, no font, no picture from elsewhere. Every value is escaped. */
import { CHANGE_KINDS, type BacktestReport, type ChangeKind } from '../../policy/backtest/index.js';
import { sanitize } from '../sanitize.js';
import { countText, exhaustedText, headline, KIND_MEANINGS, KIND_TITLES, moneyText } from './words.js';

const MOST_GROUPS = 50;
const MOST_DAYS = 120;

const COLOURS: Readonly<Record<ChangeKind, string>> = {
  'newly-allowed': '#b42318',
  'newly-askable': '#b54708',
  'newly-denied': '#1d4ed8',
  'newly-asked': '#6941c6',
  'newly-queued': '#0e7090',
  'no-longer-asked': '#067647',
  'other-terms': '#667085',
};

export function backtestHtml(report: BacktestReport): string {
  const { summary, groups, exhausted, undecided, assumptions, changes } = report;
  const kinds = CHANGE_KINDS.filter((kind) => summary.changes[kind] > 0);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Policy backtest</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>Policy backtest</h1>
<p>${escape(headline(report))}</p>
<p class="small">${summary.from === undefined ? '' : `Decided from ${escape(summary.from)} to ${escape(summary.to ?? '')}. `}Candidate <code>${escape(summary.candidate)}</code></p>
${kinds.length === 0 ? '<p>Nothing changes.</p>' : `<h2>What changes</h2>\n${kindsChart(report, kinds)}\n${kindsTable(report, kinds)}`}
${report.days.length > 1 ? `<h2>Decisions by day</h2>\n${daysChart(report)}` : ''}
${(['rule', 'agent', 'tool'] as const)
  .map((by) => {
    const own = groups.filter((group) => group.by === by).slice(0, MOST_GROUPS);
    if (own.length === 0) return '';
    const rows = own.map(({ name, kind, count, amounts, examples }) => [
      name,
      KIND_TITLES[kind],
      String(count),
      moneyText(amounts),
      examples.slice(0, 3).join(', '),
    ]);
    return `<h2>By ${by}</h2>\n${table([by, 'what changes', 'decisions', 'amounts', 'for example'], rows)}`;
  })
  .join('\n')}
${exhausted.length === 0 ? '' : `<h2>Limits that would have had no room</h2>\n${list(exhausted.slice(0, MOST_GROUPS).map(exhaustedText))}`}
${undecided.length === 0 ? '' : `<h2>Could not be decided again</h2>\n${list(undecided.map(({ why, count }) => `${countText(count, 'decision')}: ${why}`))}`}
${
  changes.length === 0
    ? ''
    : `<h2>Examples</h2>\n${table(
        ['action', 'what changes', 'before', 'under the candidate'],
        changes
          .slice(0, MOST_GROUPS)
          .map(({ tenant, actionId, kind, before, after }) => [
            `${tenant}/${actionId}`,
            KIND_TITLES[kind],
            before.reason,
            after.reason,
          ]),
      )}`
}
<h2>What this rests on</h2>
${list(assumptions)}
<p class="small">Report <code>${escape(summary.report)}</code></p>
</main>
</body>
</html>
`;
}

function kindsChart({ summary }: BacktestReport, kinds: readonly ChangeKind[]): string {
  const most = Math.max(...kinds.map((kind) => summary.changes[kind]));
  const bars = kinds.map((kind, index) => {
    const count = summary.changes[kind];
    const width = Math.max(2, Math.round((count / most) * 420));
    const y = index * 34;
    return `<text x="0" y="${y + 20}">${escape(KIND_TITLES[kind])}</text><rect x="220" y="${y + 4}" width="${width}" height="22" fill="${COLOURS[kind]}"/><text x="${226 + width}" y="${y + 20}">${count}</text>`;
  });
  const label = kinds.map((kind) => `${KIND_TITLES[kind]}: ${summary.changes[kind]}`).join('; ');
  return svg(720, kinds.length * 34, label, bars.join(''));
}

function kindsTable({ summary }: BacktestReport, kinds: readonly ChangeKind[]): string {
  return table(
    ['what changes', 'decisions', 'amounts', 'meaning'],
    kinds.map((kind) => [
      KIND_TITLES[kind],
      String(summary.changes[kind]),
      moneyText(summary.amounts[kind]),
      KIND_MEANINGS[kind],
    ]),
  );
}

/** For each day all decisions, and on top of that bar those that change. */
function daysChart({ days }: BacktestReport): string {
  const shown = days.slice(-MOST_DAYS);
  const totals = shown.map(({ before }) => before.allow + before.require_approval + before.deny);
  const most = Math.max(1, ...totals);
  const step = 700 / shown.length;
  const height = (count: number): number => Math.round((count / most) * 120);
  const bars = shown.map(({ day, changed }, index) => {
    const total = totals[index] ?? 0;
    const [x, width] = [Math.round(index * step), Math.max(1, Math.floor(step) - 1)];
    const [all, some] = [height(total), changed === 0 ? 0 : Math.max(1, height(changed))];
    const title = `<title>${escape(`${day}: ${total} decisions, ${changed} change`)}</title>`;
    return `<g>${title}<rect x="${x}" y="${130 - all}" width="${width}" height="${all}" fill="#98a2b3"/><rect x="${x}" y="${130 - some}" width="${width}" height="${some}" fill="#b42318"/></g>`;
  });
  const [first, last] = [shown[0]?.day ?? '', shown.at(-1)?.day ?? ''];
  const axis = `<text x="0" y="150">${escape(first)}</text><text x="700" y="150" text-anchor="end">${escape(last)}</text>`;
  const label = `Decisions by day from ${first} to ${last}: all in grey, those that change in red`;
  return `${svg(720, 156, label, bars.join('') + axis)}\n<p class="small">Grey: all decisions of the day. Red: those that change.</p>`;
}

function svg(width: number, height: number, label: string, content: string): string {
  return `<svg role="img" viewBox="0 0 ${width} ${height}" aria-label="${escape(label)}">${content}</svg>`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (items: readonly string[], tag: string, more = ''): string =>
    items.map((item) => `<${tag}${more}>${escape(item)}</${tag}>`).join('');
  const body = rows.map((row) => `<tr>${cells(row, 'td')}</tr>`).join('\n');
  return `<div class="wide" tabindex="0" role="region" aria-label="${escape(head.join(', '))}"><table><thead><tr>${cells(head, 'th', ' scope="col"')}</tr></thead>\n<tbody>${body}</tbody></table></div>`;
}

function list(items: readonly string[]): string {
  return `<ul>${items.map((item) => `<li>${escape(item)}</li>`).join('')}</ul>`;
}

function escape(text: string): string {
  return sanitize(text, { max: 400 }).replaceAll(/[&<>"']/g, (char) => `&#${char.codePointAt(0)};`);
}

const STYLE = `
:root { color-scheme: light; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: #101828; background: #fff; }
main { max-width: 64rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.75rem; } h2 { font-size: 1.25rem; margin-top: 2rem; }
.small { font-size: .875rem; color: #475467; }
code { font-size: .875em; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9375rem; }
th, td { text-align: left; padding: .375rem .75rem .375rem 0; border-bottom: 1px solid #e4e7ec; vertical-align: top; overflow-wrap: anywhere; }
svg { width: 100%; max-width: 45rem; height: auto; font: 14px system-ui, sans-serif; }
`;
