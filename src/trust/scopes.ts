/** Scopes: which tools and operations a credential covers, and whether one list of them lies within another. */
import { z } from 'zod';

/**
 * `tool` or `tool:operation`, each with `*` for any run of characters, the empty one too. A bare `tool` means each of its operations,
 * `*` each tool's. The tool's part is of `A-Z a-z 0-9 . _ - *`, at most 63 characters; the operation's of visible ASCII, at most 128.
 */
const SCOPE = /^[A-Za-z0-9._*-]{1,63}(?::[!-~]{1,128})?$/;

export const scopeSchema = z.string().regex(SCOPE);

/**
 * Whether the text fits the pattern, in which `*` stands for any run of characters. Compares case. It never backtracks: each part
 * between stars is looked for once, as early as it may stand.
 */
export function matchesWildcard(pattern: string, text: string): boolean {
  const [head = '', ...rest] = pattern.split('*');
  const tail = rest.pop();
  if (tail === undefined) return pattern === text;
  const end = text.length - tail.length;
  if (end < head.length || !text.startsWith(head) || !text.endsWith(tail)) return false;
  let at = head.length;
  for (const part of rest) {
    const found = text.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return at <= end;
}

/** Whether one of the scopes covers this operation of the tool; without an operation, whether one covers any of the tool's. */
export function scopeCovers(scopes: readonly string[], tool: string, operation?: string): boolean {
  return scopes.some((scope) => {
    const [tools, operations] = parts(scope);
    return matchesWildcard(tools, tool) && (operation === undefined || matchesWildcard(operations, operation));
  });
}

/**
 * Whether whatever `child` covers is covered by `parent`. Each scope of the child must lie within one of the parent's: sound, and
 * refuses only what several of the parent's together cover.
 */
export function scopesNarrower(child: readonly string[], parent: readonly string[]): boolean {
  // A star of the child, read as a character, is matched by nothing but a star of the parent: then so is all that it stands for.
  return child.every((inner) => {
    const [tools, operations] = parts(inner);
    return parent.some((outer) => {
      const [outerTools, outerOperations] = parts(outer);
      return matchesWildcard(outerTools, tools) && matchesWildcard(outerOperations, operations);
    });
  });
}

function parts(scope: string): readonly [tools: string, operations: string] {
  const colon = scope.indexOf(':');
  return colon === -1 ? [scope, '*'] : [scope.slice(0, colon), scope.slice(colon + 1)];
}
