/** Text from agents and from systems they can write to, made harmless for a terminal: nothing in it can move, colour, hide or reverse. */

/**
 * Control and format characters (escape sequences begin with one; bidi overrides and zero-width characters are others), private
 * and unassigned code points, lone surrogates, and whatever else is by default not drawn. U+FE0F only makes a symbol colourful.
 */
export const UNSAFE = /(?!\uFE0F)[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/** More marks than any script stacks on one letter: they would be drawn over the lines above and below. */
export const STACKED_MARKS = /(?<=\p{M}{4})\p{M}/gu;

const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

interface SanitizeOptions {
  /** Longer text is cut, and says so. Characters, default 2000. */
  readonly max?: number;
}

/**
 * One line of text that can do nothing but be read. What is unsafe is not dropped but shown as its code point, `\u{202E}`, so that
 * two texts never look the same because of it.
 */
export function sanitize(text: string, { max = 2000 }: SanitizeOptions = {}): string {
  const { kept, dropped } = cut(text, max);
  const shown = kept.replace(UNSAFE, spelled).replace(STACKED_MARKS, spelled);
  return dropped === 0 ? shown : `${shown}… (${dropped} more characters)`;
}

/** The same for text of several lines. */
export function sanitizeLines(
  text: string,
  { max = 4000, maxLines = 40 }: SanitizeOptions & { maxLines?: number } = {},
): string[] {
  const { kept, dropped } = cut(text, max);
  const lines = kept.split(/\r\n|\n|\r/).map((line) => sanitize(line.replaceAll('\t', '  '), { max: Infinity }));
  const shown = lines.slice(0, maxLines);
  const hidden = lines.length - shown.length;
  if (hidden > 0) shown.push(`… (${hidden} more lines)`);
  if (dropped > 0) shown.push(`… (${dropped} more characters)`);
  return shown;
}

/** Never between the halves of a surrogate pair. */
function cut(text: string, max: number): { kept: string; dropped: number } {
  if (text.length <= max) return { kept: text, dropped: 0 };
  const code = text.charCodeAt(max - 1);
  const end = code >= 0xd800 && code <= 0xdbff ? max - 1 : max;
  return { kept: text.slice(0, end), dropped: text.length - end };
}

function spelled(character: string): string {
  return NAMED[character] ?? `\\u{${(character.codePointAt(0) ?? 0).toString(16).toUpperCase()}}`;
}
