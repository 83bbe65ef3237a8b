/** Puts untrusted text on one line of limited length. */
import { sanitize } from '../presentation/sanitize.js';

/** Of a longer text only the two ends are read. */
const MAX_READ = 64 * 1024;

/** As many blanks in a row are no mistake of typing: they are told rather than dropped. */
const LONG_BLANK = 16;

/** How much of the end stays, where there is room for both ends. */
const TAIL = 60;

/**
 * Escapes characters that could move, hide or reverse text, and turns each run of whitespace into one space; a long one is told. At most
 * `most` characters: of more, the beginning and the end stay.
 */
export function oneLine(text: string, most: number): string {
  const line = sanitize(
    ends(text)
      .replaceAll(/[\s\p{Z}]+/gu, (blank) => (blank.length < LONG_BLANK ? ' ' : blank))
      .trim(),
    { max: Infinity },
  );
  if (line.length <= most) return line;
  const tail = most < 3 * TAIL ? '' : ` ${line.slice(-TAIL).replace(/^[\udc00-\udfff]/, '')}`;
  return `${line.slice(0, most - 1 - tail.length).replace(/[\ud800-\udbff]$/, '')}…${tail}`;
}

/** Whether `oneLine` leaves something out. */
export function isCut(text: string, most: number): boolean {
  return oneLine(text, Infinity).length > most;
}

function ends(text: string): string {
  if (text.length <= MAX_READ) return text;
  return `${text.slice(0, MAX_READ / 2)}…${text.slice(-MAX_READ / 2)}`.toWellFormed();
}
