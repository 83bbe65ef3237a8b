/** A backtest for a terminal. What comes from agents and from files is made harmless. */
import { CHANGE_KINDS, type BacktestReport } from '../../policy/backtest/index.js';
import { sanitize } from '../sanitize.js';
import { countText, exhaustedText, headline, KIND_MEANINGS, KIND_TITLES, moneyText } from './words.js';

/** How many groups of one kind are listed. */
const MOST_GROUPS = 12;

export function backtestText(report: BacktestReport): string {
  const { summary, groups, exhausted, undecided, assumptions } = report;
  const lines = [
    headline(report),
    `candidate ${summary.candidate}`,
    ...(summary.from === undefined ? [] : [`decided from ${summary.from} to ${summary.to ?? ''}`]),
  ];
  for (const kind of CHANGE_KINDS) {
    const count = summary.changes[kind];
    if (count === 0) continue;
    const money = moneyText(summary.amounts[kind]);
    lines.push('', `${KIND_TITLES[kind]}: ${count}${money === '' ? '' : ` (${money})`} · ${KIND_MEANINGS[kind]}`);
    const own = groups.filter((group) => group.kind === kind);
    for (const { by, name, count: some, amounts, examples } of own.slice(0, MOST_GROUPS)) {
      const sum = moneyText(amounts);
      lines.push(
        `  ${by} ${sanitize(name)}: ${some}${sum === '' ? '' : `, ${sanitize(sum)}`}; ${example(examples, some)}`,
      );
    }
    if (own.length > MOST_GROUPS) lines.push(`  … ${own.length - MOST_GROUPS} more groups: see --format json`);
  }
  if (exhausted.length > 0) {
    lines.push('', `${countText(exhausted.length, 'limit')} would have had no room:`);
    for (const one of exhausted.slice(0, MOST_GROUPS)) lines.push(`  ${sanitize(exhaustedText(one))}`);
  }
  if (undecided.length > 0) {
    lines.push('', 'Could not be decided again:');
    for (const { why, count, examples } of undecided)
      lines.push(`  ${count}: ${sanitize(why)}; ${example(examples, count)}`);
  }
  lines.push(
    '',
    'What this rests on:',
    ...assumptions.map((assumption) => `  - ${assumption}`),
    '',
    `report ${summary.report}`,
  );
  return lines.join('\n');
}

function example(examples: readonly string[], count: number): string {
  const shown = examples.slice(0, 3).map((id) => sanitize(id));
  return `such as ${shown.join(', ')}${count > shown.length ? ' …' : ''}`;
}
