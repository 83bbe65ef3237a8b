/** Strikes out of a record what nobody is shown elsewhere either: secret columns, and texts that look like credentials. */
import type { DecisionRecord } from '../action/decision-record.js';
import type { Json } from '../action/json.js';
import { strikeSecrets } from '../action/secrets.js';
import { withoutColumns } from '../presentation/secret-columns.js';
import { pointerOf } from './pointer.js';

export function strikeRecord(record: DecisionRecord): DecisionRecord {
  const names = record.facts?.preview.secretColumns ?? [];
  const struck: string[] = [];
  const strike = (value: Json, path: readonly string[], columns: readonly string[]): Json =>
    changed(withoutSecretTexts(withoutColumns(value, columns)), value, path, struck);
  const { proposal, result, facts } = record;
  const own = {
    ...record,
    ...(proposal === undefined
      ? {}
      : { proposal: strike(proposal as unknown as Json, ['proposal'], names) as unknown as typeof proposal }),
    ...(result === undefined ? {} : { result: strike(result, ['result'], names) }),
    ...(facts?.input === undefined
      ? {}
      : { facts: { ...facts, input: strike(facts.input, ['facts', 'input'], names) as typeof facts.input } }),
  };
  return struck.length === 0 ? own : { ...own, scrubbed: [...(record.scrubbed ?? []), ...struck].sort() };
}

/** `after`, with a pointer in `found` to each value of it that differs from `before`: both have the same shape. */
function changed(after: Json, before: Json, path: readonly string[], found: string[]): Json {
  if (typeof after !== 'object' || after === null || typeof before !== 'object' || before === null) {
    if (after !== before) found.push(pointerOf(path));
    return after;
  }
  for (const [key, item] of Object.entries(after)) {
    changed(item, (before as Record<string, Json>)[key] as Json, [...path, key], found);
  }
  return after;
}

function withoutSecretTexts(value: Json): Json {
  if (typeof value === 'string') return strikeSecrets(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item: Json) => withoutSecretTexts(item));
  return Object.fromEntries(
    Object.entries(value).map(([key, item]: [string, Json]) => [key, withoutSecretTexts(item)]),
  );
}
