/** Where a page of a list ended: opaque to whoever asks for the next one. */
import { CountersignError } from '../../action/errors.js';

export function cursorText(place: readonly string[]): string {
  return Buffer.from(JSON.stringify(place)).toString('base64url');
}

/** @throws CountersignError INVALID_INPUT when the text is none of ours */
export function placeIn(cursor: string): readonly string[] {
  try {
    const place: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (
      Array.isArray(place) &&
      place.every((part) => typeof part === 'string' && part.isWellFormed() && !part.includes('\u0000'))
    )
      return place;
  } catch {
    // Not JSON: not ours.
  }
  throw notOurs();
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,6}Z$/;

/** Whether Postgres reads it as a time, as we write them. */
export function isTime(text: string): boolean {
  return TIME.test(text) && !text.startsWith('0000') && !Number.isNaN(Date.parse(text));
}

/** How many a page has, whatever is asked for. */
export function pageSize(limit: number): number {
  return Math.min(200, Math.max(1, Math.trunc(limit) || 1));
}

/** The place after a time and an id. @throws CountersignError INVALID_INPUT */
export function timeAndId(cursor: string): readonly [time: string, id: string] {
  const [time = '', id] = placeIn(cursor);
  if (id === undefined || !isTime(time)) throw notOurs();
  return [time, id];
}

export function notOurs(): CountersignError {
  return new CountersignError('INVALID_INPUT', 'The cursor is not one that a page ended with.', {
    field: 'cursor',
    expected: 'the `next` of the page before',
    fix: 'Begin again without a cursor.',
  });
}
