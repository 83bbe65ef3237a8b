/** The difference between two captured states, as an RFC 6902 JSON Patch. */
import { createPatch } from 'rfc6902';
import { CountersignError } from '../action/errors.js';
import type { Json, JsonPrimitive } from '../action/json.js';
import type { Delta, PatchOperation, State } from '../action/snapshot.js';

/** A delta carries at most this many operations … */
export const MAX_PATCH_OPERATIONS = 200;

/** … and at most about this many characters of them, so that one large column cannot swell history. */
export const MAX_PATCH_CHARS = 64 * 1024;

/** The deepest nesting that `assertJson` allows in a state. */
const MAX_DEPTH = 64;

/** Finding the shortest edit of two lists takes quadratic time, so only short lists of scalars get one, and only a few in a delta. */
const MAX_EDITED_LIST = 16;
const MAX_EDITED_LISTS = 50;

/** Names that rfc6902 and others skip or refuse in a path, against prototype pollution. The comparison never descends into them. */
const OPAQUE_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

type JsonMap = Readonly<Record<string, unknown>>;
type Emit = (operation: PatchOperation) => void;

interface Walk {
  readonly emit: Emit;
  editedLists: number;
}

/**
 * Creates the delta from `pre` to `post`. `patch` is the beginning of `fullPatch`: up to 200 operations and about 64 Ki characters;
 * `operations` counts all of them. `latencyMs` is milliseconds, rounded.
 *
 * @throws CountersignError INVALID_JSON when a state nests deeper than 64 levels
 */
export function createDelta(pre: State, post: State, latencyMs: number): Delta {
  const patch: PatchOperation[] = [];
  let operations = 0;
  let room = MAX_PATCH_CHARS;
  compare(pre, post, (operation) => {
    operations++;
    // Only the beginning of the full patch is kept: an operation after one that was left out might not apply.
    if (room <= 0 || patch.length === MAX_PATCH_OPERATIONS) return;
    room -= charsOf(operation);
    if (room > 0) patch.push(operation);
  });
  return { patch, operations, latencyMs: Math.max(0, Math.round(latencyMs)) };
}

/**
 * Every operation from `pre` to `post`, in the order of sorted keys (UTF-16 code units), whatever order the states' own keys have.
 * Applied to `pre` it gives `post`.
 *
 * @throws CountersignError INVALID_JSON when a state nests deeper than 64 levels
 */
export function fullPatch(pre: State, post: State): PatchOperation[] {
  const patch: PatchOperation[] = [];
  compare(pre, post, (operation) => patch.push(operation));
  return patch;
}

function compare(pre: State, post: State, emit: Emit): void {
  if (pre === post) return;
  compareObjects(pre, post, '', 0, { emit, editedLists: 0 });
}

function compareObjects(pre: JsonMap, post: JsonMap, path: string, depth: number, walk: Walk): void {
  if (depth > MAX_DEPTH) {
    throw new CountersignError('INVALID_JSON', `A captured state nests deeper than ${MAX_DEPTH} levels.`, {
      field: 'state',
      expected: `at most ${MAX_DEPTH} levels`,
      fix: 'Let the tool capture a flatter state.',
    });
  }
  const candidates: string[] = [];
  for (const key of Object.keys(pre)) if (pre[key] !== own(post, key)) candidates.push(key);
  for (const key of Object.keys(post)) if (!Object.hasOwn(pre, key)) candidates.push(key);
  for (const key of candidates.sort()) {
    compareMember(own(pre, key), own(post, key), key, `${path}/${escapeToken(key)}`, depth, walk);
  }
}

function compareMember(pre: unknown, post: unknown, key: string, path: string, depth: number, walk: Walk): void {
  // As in JSON, a member that is undefined does not exist.
  if (pre === post) return;
  if (post === undefined) return walk.emit({ op: 'remove', path });
  if (pre === undefined) return walk.emit({ op: 'add', path, value: post as Json });

  if (!OPAQUE_KEYS.has(key) && isPlainObject(pre) && isPlainObject(post)) {
    return compareObjects(pre, post, path, depth + 1, walk);
  }
  if (same(pre, post, depth + 1)) return;
  if (isShortList(pre) && isShortList(post) && walk.editedLists++ < MAX_EDITED_LISTS) {
    return editList(pre, post, path, walk.emit);
  }
  walk.emit({ op: 'replace', path, value: post as Json });
}

function editList(pre: readonly JsonPrimitive[], post: readonly JsonPrimitive[], path: string, emit: Emit): void {
  for (const operation of createPatch(pre, post)) emit({ ...operation, path: path + operation.path });
}

function same(pre: unknown, post: unknown, depth: number): boolean {
  if (pre === post) return true;
  if (Array.isArray(pre) && Array.isArray(post)) {
    return (
      depth <= MAX_DEPTH &&
      pre.length === post.length &&
      pre.every((item: unknown, index) => same(item, post[index], depth + 1))
    );
  }
  if (!isPlainObject(pre) || !isPlainObject(post)) return false;
  let equal = true;
  compareObjects(pre, post, '', depth, { emit: () => (equal = false), editedLists: MAX_EDITED_LISTS });
  return equal;
}

function isShortList(value: unknown): value is readonly JsonPrimitive[] {
  return (
    Array.isArray(value) &&
    value.length <= MAX_EDITED_LIST &&
    value.every((item) => item === null || (typeof item !== 'object' && item !== undefined))
  );
}

/** Two Dates or Buffers have no keys to compare: anything that is not a plain object counts as different, never as equal. */
function isPlainObject(value: unknown): value is JsonMap {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function own(object: JsonMap, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** Escapes a token of a JSON Pointer (RFC 6901, section 3). */
function escapeToken(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}

function charsOf(operation: PatchOperation): number {
  return operation.path.length + (operation.value === undefined ? 0 : JSON.stringify(operation.value).length);
}
