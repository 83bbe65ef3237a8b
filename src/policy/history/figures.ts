/** Figures: history facts as people, agents and policies see them, each with a sentence. */
import type { HistoryFigure, HistoryReading } from '../../action/history.js';
import { MAX_HISTORY_COUNT } from '../../action/history.js';
import { formatDuration } from '../../action/duration.js';
import type { HistoryFact, HistorySet } from './fact.js';

export function historyFigure({ fact, done, underWay, possible }: HistoryReading): HistoryFigure {
  const others = possible - done - underWay;
  const parts = [
    `${countText(done)} done`,
    ...(underWay > 0 ? [`${countText(underWay)} under way`] : []),
    ...(others > 0 ? [`${countText(others)} more that may count`] : []),
  ];
  return { fact, done, underWay, possible, text: `${fact}: ${parts.join(', ')}` };
}

/** What is given of a fact in a test. */
export interface GivenCounts {
  readonly done?: number | undefined;
  readonly underWay?: number | undefined;
  /** Default: `done` and `underWay` together. */
  readonly possible?: number | undefined;
}

/** The figures of a policy whose facts found nothing, but for what is given. */
export function historyFigures(
  { facts }: HistorySet,
  given: Readonly<Record<string, GivenCounts>> = {},
): readonly HistoryFigure[] {
  return facts.map(({ id }) => {
    const { done = 0, underWay = 0, possible = done + underWay } = given[id] ?? {};
    return historyFigure({ fact: id, done, underWay, possible });
  });
}

function countText(count: number): string {
  return count >= MAX_HISTORY_COUNT ? `${MAX_HISTORY_COUNT} or more` : String(count);
}

/** Describes a fact in a sentence: `success of tool ci, operation test, of the same task, with the same input.commit, within 4h`. */
export function historyText({ of, scope, same, outcomes, withinMs, waitMs }: HistoryFact): string {
  const which = Object.entries(of).map(([name, values]) => `${name} ${values.join(' or ')}`);
  const places = scope.map((name) => (name === 'tenant' ? 'of the tenant' : `of the same ${name}`));
  return [
    `${outcomes.join(' or ')} of ${which.join(', ')}`,
    ...places,
    ...(same.length === 0 ? [] : [`with the same ${same.map((path) => `input.${path}`).join(' and ')}`]),
    `within ${formatDuration(withinMs)}`,
    ...(waitMs === undefined ? [] : [`waits for ${formatDuration(waitMs)}`]),
  ].join(', ');
}
