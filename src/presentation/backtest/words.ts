/** A backtest in words, shared by all of its forms. */
import type { BacktestReport, ChangeKind, Exhausted, Money } from '../../policy/backtest/index.js';

export const KIND_TITLES: Readonly<Record<ChangeKind, string>> = {
  'newly-allowed': 'Newly allowed',
  'newly-askable': 'Newly open to approval',
  'newly-denied': 'Newly denied',
  'newly-asked': 'Newly needing approval',
  'newly-queued': 'Newly waiting for room',
  'no-longer-asked': 'Approvals no longer needed',
  'other-terms': 'As before, on other terms',
};

export const KIND_MEANINGS: Readonly<Record<ChangeKind, string>> = {
  'newly-allowed': 'nobody allowed these, and the candidate does',
  'newly-askable': 'these were denied, and people may allow them under the candidate',
  'newly-denied': 'these went ahead, and the candidate denies them',
  'newly-asked': 'these went ahead, and under the candidate people must be asked first, or more of them',
  'newly-queued': 'these went ahead at once, and under the candidate they wait for room',
  'no-longer-asked': 'people were asked about these, and under the candidate they are not',
  'other-terms': 'these end as before, with other constraints, requirements or rules',
};

export function moneyText(money: Money): string {
  return Object.entries(money)
    .map(([unit, amount]) => `${numberText(amount)} ${unit}`)
    .join(', ');
}

/** At most two digits behind the point, without a locale: the same everywhere. */
function numberText(amount: number): string {
  return String(Number(amount.toFixed(2)));
}

export function countText(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** The report in one sentence. */
export function headline({ summary }: BacktestReport): string {
  const { decisions, redecided, same, undecided, beforePolicy } = summary;
  const changed = redecided - same;
  const others = [
    ...(undecided === 0 ? [] : [`${undecided} could not be decided again`]),
    ...(beforePolicy === 0 ? [] : [`${beforePolicy} never got to policy`]),
  ];
  const tail = others.length === 0 ? '' : `; ${others.join(', ')}`;
  return `Of ${countText(decisions, 'decision')}, ${redecided} were decided again: ${same} stay as they are and ${changed} change${tail}.`;
}

export function exhaustedText({ limit, key, tenant, firstAt, actions, asked }: Exhausted): string {
  const name = [limit, key].filter((part) => part !== '').join(' ');
  const money = asked === undefined ? '' : `, ${numberText(asked.amount)} ${asked.unit} in all`;
  return `${name} of ${tenant}: first at ${firstAt}, for ${countText(actions, 'action')}${money}`;
}
