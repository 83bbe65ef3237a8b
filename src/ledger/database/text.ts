/** Texts for people and for searches, as Postgres can keep them. */

const REPLACEMENT = '\u{fffd}';

/** Without what no text column holds (NUL, lone surrogates), and cut: for copies only, never for what is signed. */
export function plain(text: string, most = 1000): string {
  const held = text.replaceAll('\u0000', REPLACEMENT).toWellFormed();
  // Cutting may leave half of a pair.
  return held.length <= most ? held : held.slice(0, most).toWellFormed();
}

/** A pattern for `ilike` that finds exactly this text anywhere. */
export function containing(text: string): string {
  return `%${escaped(text)}%`;
}

/** A pattern for `like` that finds what begins with exactly this text. */
export function beginningWith(text: string): string {
  return `${escaped(text)}%`;
}

function escaped(text: string): string {
  return plain(text).replaceAll(/[\\%_]/g, String.raw`\$&`);
}
