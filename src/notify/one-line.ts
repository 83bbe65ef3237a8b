/** Texts of strangers on one line, of a bounded length. */
import { sanitize } from '../presentation/sanitize.js';

/** What could move, hide or reverse text is spelled out; breaks and runs of spaces are one space. At most `most` characters. */
export function oneLine(text: string, most: number): string {
  const line = sanitize(
    text
      .slice(0, 4 * most)
      .replaceAll(/[\s\p{Z}]+/gu, ' ')
      .trim(),
    { max: most },
  );
  return line.length <= most ? line : `${line.slice(0, most - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}
