/** Puts untrusted text on one line of limited length. */
import { sanitize } from '../presentation/sanitize.js';

/** Escapes characters that could move, hide or reverse text, and turns each run of whitespace into one space. At most `most` characters. */
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
