/** A backtest for a pull request, in GitHub's Markdown. What comes from agents and from files can form no markup. */
import { CHANGE_KINDS, type BacktestReport } from '../../policy/backtest/index.js';
import { sanitize } from '../sanitize.js';
import { exhaustedText, headline, KIND_MEANINGS, KIND_TITLES, moneyText } from './words.js';

const MOST_GROUPS = 20;

export function backtestMarkdown(report: BacktestReport): string {
  const { summary, groups, exhausted, undecided, assumptions } = report;
  const lines = [
    '## Policy backtest',
    '',
    headline(report),
    '',
    ...table(
      ['what changes', 'decisions', 'amounts', 'meaning'],
      CHANGE_KINDS.filter((kind) => summary.changes[kind] > 0).map((kind) => [
        KIND_TITLES[kind],
        String(summary.changes[kind]),
        moneyText(summary.amounts[kind]),
        KIND_MEANINGS[kind],
      ]),
    ),
  ];
  for (const by of ['rule', 'agent', 'tool'] as const) {
    const own = groups.filter((group) => group.by === by).slice(0, MOST_GROUPS);
    if (own.length === 0) continue;
    lines.push(`### By ${by}`, '');
    lines.push(
      ...table(
        [by, 'what changes', 'decisions', 'amounts', 'for example'],
        own.map(({ name, kind, count, amounts, examples }) => [
          code(name),
          KIND_TITLES[kind],
          String(count),
          moneyText(amounts),
          examples.slice(0, 2).map(code).join(', '),
        ]),
      ),
    );
  }
  if (exhausted.length > 0) {
    lines.push('### Limits that would have had no room', '');
    lines.push(...exhausted.slice(0, MOST_GROUPS).map((one) => `- ${plain(exhaustedText(one))}`), '');
  }
  if (undecided.length > 0) {
    lines.push('### Could not be decided again', '');
    lines.push(
      ...undecided.map(
        ({ why, count, examples }) => `- ${count}: ${plain(why)} (${examples.slice(0, 2).map(code).join(', ')})`,
      ),
      '',
    );
  }
  lines.push('<details><summary>What this rests on</summary>', '');
  lines.push(...assumptions.map((assumption) => `- ${plain(assumption)}`), '', '</details>', '');
  lines.push(`Candidate ${code(summary.candidate)}, report ${code(summary.report)}.`);
  return `${lines.join('\n')}\n`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  if (rows.length === 0) return [];
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', String.raw`\|`)).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line), ''];
}

/** Text in which nothing means anything to Markdown or HTML. */
function plain(text: string): string {
  return sanitize(text).replaceAll(/[\\`*_{}[\]<>()#+!|&@~-]/g, (char) => `&#${char.codePointAt(0)};`);
}

/** A span of code: a backtick in it would end it. */
function code(text: string): string {
  return `\`${sanitize(text).replaceAll('`', 'ˋ').replaceAll('|', '¦')}\``;
}
