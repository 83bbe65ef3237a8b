/** Values that texts quote: however a text spells them, and also where it was cut within one. */

/** A shorter text occurs in others by chance. Characters. */
export const SHORTEST_REPLACED = 4;

/** A text of less than this was cut by nobody, unless it says so. Characters. */
const SHORTEST_CUT = 80;

const CUT = '…';

/** Texts to what stands for them, the longest first. */
export type Replacements = readonly (readonly [from: string, to: string])[];

export function longestFirst(known: ReadonlyMap<string, string>): Replacements {
  return [...known].sort(([one], [other]) => other.length - one.length || (one < other ? -1 : 1));
}

/** As it is; and as it stands in JSON, in SQL, in the path of a difference (RFC 6901), and in a URL or a form. */
export function spellingsOf(text: string): readonly string[] {
  const spelled = [
    text,
    JSON.stringify(text).slice(1, -1),
    text.replaceAll("'", "''"),
    text.replaceAll('~', '~0').replaceAll('/', '~1'),
    ...(text.isWellFormed() ? [encodeURIComponent(text), new URLSearchParams([['', text]]).toString().slice(1)] : []),
  ];
  return [...new Set(spelled)];
}

/** The text without any of them. */
export function withoutQuoted(text: string, known: Replacements): string {
  const replaced = known.reduce((left, [from, to]) => left.replaceAll(from, to), text);
  const parts = replaced.split(CUT);
  const last = parts.length - 1;
  return parts
    .map((part, at) => (at < last || text.length >= SHORTEST_CUT ? withoutBeginning(part, known) : part))
    .map((part, at) => (at > 0 ? withoutEnd(part, known) : part))
    .join(CUT);
}

/** Where the text ends with the beginning of a value, the rest of which was cut off. */
function withoutBeginning(text: string, known: Replacements): string {
  const found = longestOf(known, text.length, (from, length) => text.endsWith(from.slice(0, length)));
  return found === undefined ? text : text.slice(0, -found.length) + found.to;
}

/** Where the text begins with the end of a value. */
function withoutEnd(text: string, known: Replacements): string {
  const found = longestOf(known, text.length, (from, length) => text.startsWith(from.slice(-length)));
  return found === undefined ? text : found.to + text.slice(found.length);
}

function longestOf(
  known: Replacements,
  most: number,
  fits: (from: string, length: number) => boolean,
): { readonly length: number; readonly to: string } | undefined {
  let found: { readonly length: number; readonly to: string } | undefined;
  for (const [from, to] of known) {
    const shortest = found === undefined ? SHORTEST_REPLACED : found.length + 1;
    for (let length = Math.min(from.length - 1, most); length >= shortest; length--) {
      if (!fits(from, length)) continue;
      found = { length, to };
      break;
    }
  }
  return found;
}
