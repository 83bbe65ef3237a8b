/** Regular expressions of OpenAPI documents, which are often written for engines that are not as strict as the validator's. */

/** The same pattern for the Unicode mode of ECMA-262; undefined when it is none. */
export function unicodePattern(pattern: string): string | undefined {
  return [pattern, withoutNeedlessEscapes(pattern)].find(compiles);
}

/** Writes by number what is escaped without need (`\\-`, `\\_`, `\\"`), which the Unicode mode refuses. */
function withoutNeedlessEscapes(pattern: string): string {
  return pattern.replaceAll(/\\[\s\S]/gu, (escape) => {
    const char = escape.slice(1);
    if (/[A-Za-z0-9^$\\.*+?()[\]{}|/]/u.test(char)) return escape;
    return `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`;
  });
}

function compiles(pattern: string): boolean {
  try {
    return new RegExp(pattern, 'u') instanceof RegExp;
  } catch {
    return false;
  }
}
