/** The length of a text in characters (code points), as JSON Schema and Postgres count it. */
export function hasCharacters(text: string, min: number, max: number): boolean {
  // It has at least half as many characters as code units: what is much too long is not taken apart.
  if (text.length < min || text.length > 2 * max) return false;
  const characters = Array.from(text).length;
  return characters >= min && characters <= max;
}
