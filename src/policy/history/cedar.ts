/** Builds `context.history`, by which Cedar policies read what earlier actions came to. Its type is made from the ids of history.yaml. */
import type { CedarValueJson } from '@cedar-policy/cedar-wasm/nodejs';
import { CountersignError } from '../../action/errors.js';
import { MAX_HISTORY_COUNT, type HistoryFigure } from '../../action/history.js';
import type { HistorySet } from './fact.js';

/** What policies read of each fact. */
export type HistoryCount = 'done' | 'possible';

/** The type `History`: a record with an attribute for each fact, so that a policy that misspells one is refused at load. */
export function historyType(ids: readonly string[]): string {
  return `type History = {\n${ids.map((id) => `  ${JSON.stringify(id)}: { done: Long, possible: Long },\n`).join('')}};\n`;
}

/** @throws CountersignError POLICY_ERROR when the facts have no figure of a fact, or none that can be: nothing is taken for granted */
export function historyContext(
  figures: readonly HistoryFigure[] | undefined,
  { facts }: HistorySet,
): Record<string, CedarValueJson> {
  const byId = new Map(figures?.map((figure) => [figure.fact, figure]));
  return Object.fromEntries(
    facts.map(({ id }) => {
      const figure = byId.get(id);
      if (figure === undefined) throw unusable(id, `it is not known what the history fact ${id} was`);
      return [id, { done: count(figure.done, id), possible: count(figure.possible, id) }];
    }),
  );
}

function count(value: unknown, id: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_HISTORY_COUNT) return value;
  throw unusable(id, `a figure of the history fact ${id} is no whole number from 0 to ${MAX_HISTORY_COUNT}`);
}

function unusable(id: string, message: string): CountersignError {
  return new CountersignError('POLICY_ERROR', message, {
    field: `history.${id}`,
    expected: `done and possible, each a whole number from 0 to ${MAX_HISTORY_COUNT}`,
    fix: 'Correct the facts, or decide by a policy that does not read it.',
  });
}
