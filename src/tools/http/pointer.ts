/** JSON pointers (RFC 6901), which read only own members of a value. */
import type { Json } from '../../action/json.js';

const SYNTAX = /^(\/([^~/]|~[01])*)*$/u;

export function isPointer(text: string): boolean {
  return SYNTAX.test(text);
}

export function pointerOf(tokens: readonly string[]): string {
  return tokens.map((token) => `/${token.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

export function tokensOf(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** The value that a pointer points to; undefined when there is none. */
export function at(value: Json | undefined, tokens: readonly string[]): Json | undefined {
  let found = value;
  for (const token of tokens) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, token)) return undefined;
    // A list has own members that are not items, such as its length.
    if (Array.isArray(found) && !/^(0|[1-9]\d*)$/.test(token)) return undefined;
    found = (found as Readonly<Record<string, Json>>)[token];
  }
  return found;
}

/** A copy of the value without the part that the tokens lead to. */
export function without(value: Json, [token, ...rest]: readonly string[]): Json {
  if (token === undefined || typeof value !== 'object' || value === null || !Object.hasOwn(value, token)) return value;
  if (Array.isArray(value)) {
    return value.map((item: Json, index) => (String(index) === token ? without(item, rest) : item));
  }
  const { [token]: found, ...others } = value as Readonly<Record<string, Json>>;
  return rest.length === 0 || found === undefined ? others : { ...others, [token]: without(found, rest) };
}

/** Whether `pointer` points to or below `root`. */
export function isWithin(pointer: string, root: string): boolean {
  return pointer === root || pointer.startsWith(`${root}/`);
}
