/** Gives CEL a view of JSON data: without a copy, and without any key that the data does not have. */
import type { CelInput, CelMap } from '@bufbuild/cel';
import { cel } from './library.js';

const { celList, celMap } = cel;

type JsonObjectLike = Readonly<Record<string, unknown>>;

/** A JSON object, read in place as the map that CEL sees. Only its own keys exist. */
class ObjectView implements ReadonlyMap<string, CelInput> {
  readonly #object: JsonObjectLike;
  #keys: readonly string[] | undefined;

  constructor(object: JsonObjectLike) {
    this.#object = object;
  }

  get size(): number {
    return this.#keyList().length;
  }

  get(key: unknown): CelInput | undefined {
    return typeof key === 'string' && Object.hasOwn(this.#object, key) ? toCel(this.#object[key]) : undefined;
  }

  has(key: unknown): boolean {
    return typeof key === 'string' && Object.hasOwn(this.#object, key);
  }

  keys(): MapIterator<string> {
    return this.#keyList().values();
  }

  *entries(): MapIterator<[string, CelInput]> {
    for (const key of this.#keyList()) yield [key, toCel(this.#object[key])];
  }

  *values(): MapIterator<CelInput> {
    for (const key of this.#keyList()) yield toCel(this.#object[key]);
  }

  forEach(callback: (value: CelInput, key: string, map: ReadonlyMap<string, CelInput>) => void): void {
    for (const [key, value] of this.entries()) callback(value, key, this);
  }

  [Symbol.iterator](): MapIterator<[string, CelInput]> {
    return this.entries();
  }

  #keyList(): readonly string[] {
    return (this.#keys ??= Object.keys(this.#object));
  }
}

const views = new WeakMap<object, CelInput>();

/**
 * A JSON value as CEL reads it: an integer is an int, any other number a double. The value must not change afterwards, because the view
 * of it is kept for as long as the value is.
 */
export function toCel(value: unknown): CelInput {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof value !== 'object' || value === null) return value as CelInput;
  let view = views.get(value);
  if (view === undefined) {
    view = Array.isArray(value) ? celList(value.map(toCel)) : viewOf(value as JsonObjectLike);
    views.set(value, view);
  }
  return view;
}

function viewOf(value: JsonObjectLike): CelMap {
  const object = new ObjectView(value);
  // The library's own test treats a key whose value is null as absent, which CEL does not.
  return Object.assign(celMap(object), { has: (key: unknown) => object.has(key) });
}
