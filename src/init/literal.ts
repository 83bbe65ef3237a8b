/** Texts as they stand in JavaScript. */

/**
 * A string literal of nothing but printable ASCII: what a database calls its tables can neither end the literal nor look like something
 * else in an editor.
 */
export function literal(text: string): string {
  const json = JSON.stringify(text).replaceAll(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return /["'\\]/.test(json.slice(1, -1)) ? json : `'${json.slice(1, -1)}'`;
}

/** A list of literals: on one line where it is short, else one on each. */
export function literalList(texts: readonly string[], indent: string): string {
  const literals = texts.map(literal);
  const line = `[${literals.join(', ')}]`;
  if (indent.length + line.length <= 100) return line;
  return `[\n${literals.map((each) => `${indent}  ${each},\n`).join('')}${indent}]`;
}
