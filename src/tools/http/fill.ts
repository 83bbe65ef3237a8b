/** Fills references in values: `{post.refund.id}` becomes what it refers to, with its type. */
import type { Json, JsonObject } from '../../action/json.js';
import { pointerOf, tokensOf } from './pointer.js';
import { referenceOf, scalarAt, valueAt, type TemplateScope } from './template.js';

const WHOLE = /^\{([^{}]+)\}$/;

/** Replaces every reference in a value; undefined when one leads nowhere. A text with more than a reference stays unchanged. */
export function fill(value: Json, scope: TemplateScope): Json | undefined {
  if (typeof value === 'string') {
    const name = WHOLE.exec(value)?.[1];
    return name === undefined ? value : referredTo(scope, name);
  }
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const items = value.map((item: Json) => fill(item, scope));
    return items.includes(undefined) ? undefined : (items as Json[]);
  }
  const filled: Record<string, Json> = {};
  for (const [key, member] of Object.entries(value as JsonObject)) {
    const one = fill(member, scope);
    if (one === undefined) return undefined;
    filled[key] = one;
  }
  return filled;
}

/** `body` alone is the whole body, where the URL has no such name. */
function referredTo(scope: TemplateScope, name: string): Json | undefined {
  const found = valueAt(scope, referenceOf(name));
  return found === undefined && name === 'body' ? scope['body'] : found;
}

/** Replaces the references in a JSON pointer: `/items/{path.id}`. Undefined when one leads nowhere. */
export function fillPointer(pointer: string, scope: TemplateScope): string | undefined {
  const tokens = tokensOf(pointer).map((token) => {
    const name = WHOLE.exec(token)?.[1];
    return name === undefined ? token : scalarAt(scope, referenceOf(name));
  });
  return tokens.includes(undefined) ? undefined : pointerOf(tokens as string[]);
}
