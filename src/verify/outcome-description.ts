/** Describes the outcome of an action in words, from the delta and the checks alone, so that it reveals no more than they do. */
import type { Json } from '../action/json.js';
import type { Check } from '../action/outcome.js';
import type { Delta, PatchOperation } from '../action/snapshot.js';

/** The longest description, in UTF-16 code units. */
export const MAX_DESCRIPTION_LENGTH = 2000;

/** The longest value in a description, in UTF-16 code units. */
const MAX_VALUE = 160;

/** Describes an outcome. The text is the same for the same delta and checks, however long anything took. */
export function describeOutcome(delta: Delta, checks: readonly Check[]): string {
  const changes = delta.patch.map((operation) => describeOperation(operation));
  const more = delta.operations - delta.patch.length;
  const lines = [
    ...(delta.operations === 0 ? ['Nothing changed.'] : changes),
    ...(more > 0 ? [`And ${more} more changes.`] : []),
  ];
  const verdict = `Checks that hold: ${checks
    .filter(({ ok }) => ok)
    .map(({ name }) => name)
    .join(', ')}.`;
  return [...fitting(lines, MAX_DESCRIPTION_LENGTH - 200), verdict.slice(0, 200)].join('\n').toWellFormed();
}

function describeOperation({ op, path, value }: PatchOperation): string {
  const names = path
    .split('/')
    .slice(1)
    .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'));
  const field = names.length > 2 ? names.at(-1) : undefined;
  const place = (field === undefined ? names : names.slice(0, -1)).join(' ').slice(0, MAX_VALUE);
  switch (op) {
    case 'remove':
      return field === undefined ? `${place} is gone.` : `${place}: ${field} is gone.`;
    case 'add':
      return field === undefined ? `${place} is new: ${shown(value)}.` : `${place}: ${field} is new: ${shown(value)}.`;
    default:
      return field === undefined ? `${place} is now ${shown(value)}.` : `${place}: ${field} is now ${shown(value)}.`;
  }
}

/** Flat objects read better as a list of their members than as JSON. */
function shown(value: Json | undefined): string {
  if (typeof value === 'string') return cut(value);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return cut(JSON.stringify(value ?? null));
  const members = Object.entries(value).map(
    ([name, member]) => `${name} ${typeof member === 'string' ? member : JSON.stringify(member)}`,
  );
  return cut(members.join(', '));
}

function cut(text: string): string {
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE)}…` : text;
}

/** The first lines that fit, each whole. */
function fitting(lines: readonly string[], limit: number): readonly string[] {
  let room = limit;
  return lines.filter((line) => (room -= line.length + 1) >= 0);
}
