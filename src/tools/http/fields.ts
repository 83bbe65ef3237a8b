/** Writes the members of a query or a form as pairs of a name and a text, so that no value can leave its place. */
import type { Json, JsonObject } from '../../action/json.js';

/**
 * How a list or an object is written. Texts, numbers and booleans are `a=v` in every style but `json`.
 * - `repeat`: `a=1&a=2`; members of an object `a[k]=v`;
 * - `brackets`: `a[]=1&a[]=2`, `a[k]=v`;
 * - `indices`: `a[0]=1&a[1]=2`, `a[k]=v`. OpenAPI's `deepObject`;
 * - `form`: `a=1&a=2`, with an object in the list as JSON; members of an object each by their own name, `k=v`. OpenAPI's `form`;
 * - `comma`, `space`, `pipe`: `a=1,2`, `a=1 2`, `a=1|2`; an object as its names and values in turn, `a=k,v`;
 * - `json`: `a={"k":1}`.
 */
export type FieldStyle = 'repeat' | 'brackets' | 'indices' | 'form' | 'comma' | 'space' | 'pipe' | 'json';

export const FIELD_STYLES: readonly FieldStyle[] = [
  'repeat',
  'brackets',
  'indices',
  'form',
  'comma',
  'space',
  'pipe',
  'json',
];

/** How a list or an object is written in a header: `a,b` and, of an object, `k,v` (`comma`) or `k=v` (`pairs`). */
export type HeaderStyle = 'comma' | 'pairs';

export const HEADER_STYLES: readonly HeaderStyle[] = ['comma', 'pairs'];

export type Field = readonly [name: string, text: string];

/** A value that cannot be written in its style. */
export class UnwritableField extends Error {
  override readonly name = 'UnwritableField';
  readonly path: readonly string[];

  constructor(path: readonly string[], message: string) {
    super(message);
    this.path = path;
  }
}

const SEPARATORS: Readonly<Partial<Record<FieldStyle, string>>> = { comma: ',', space: ' ', pipe: '|' };

/** Characters that servers read as the structure of a name. */
const STRUCTURE = /[[\]]/;

/**
 * Writes all members of a query or a form. A member without a style of its own takes `fallback`; without a fallback it must be a text, a
 * number, a boolean or a list of them.
 *
 * @throws UnwritableField
 */
export function fieldsOf(
  values: JsonObject,
  styles: Readonly<Record<string, FieldStyle>>,
  fallback?: FieldStyle,
): readonly Field[] {
  const written = Object.entries(values).flatMap(([name, value]) => {
    const style = Object.hasOwn(styles, name) ? styles[name] : undefined;
    if (style === undefined && STRUCTURE.test(name)) {
      throw new UnwritableField([name], 'has a bracket in its name, which no style declares');
    }
    if (style === undefined && fallback === undefined && !isFlat(value)) {
      throw new UnwritableField([name], 'must be a text, a number or a boolean, or a list of them');
    }
    return fieldsOfMember(name, value, style ?? fallback ?? 'repeat').map((field) => ({ owner: name, field }));
  });
  checkOwners(written.map(({ owner, field: [name] }) => ({ owner, name })));
  return written.map(({ field }) => field);
}

/** Refuses a field that two members write: the member of an object under its own name would stand for another field. */
function checkOwners(written: readonly { readonly owner: string; readonly name: string }[]): void {
  const owners = new Map<string, string>();
  for (const { owner, name } of written) {
    if ((owners.get(name) ?? owner) !== owner)
      throw new UnwritableField([owner], `is written as ${name}, which is another field`);
    owners.set(name, owner);
  }
}

function fieldsOfMember(name: string, value: Json, style: FieldStyle): readonly Field[] {
  if (style === 'json') return [[name, JSON.stringify(value)]];
  if (style === 'form') return formFields(name, value);
  const separator = SEPARATORS[style];
  if (separator !== undefined) return [[name, joined([name], value, separator)]];
  return nested([name], name, value, style);
}

/** Brackets for each level: `a[k][0]`. */
function nested(path: readonly string[], written: string, value: Json, style: FieldStyle): readonly Field[] {
  if (Array.isArray(value)) {
    const items = value as readonly Json[];
    if (items.length === 0) throw empty(path);
    return items.flatMap((item, index) => {
      const suffix = style === 'indices' ? `[${index}]` : style === 'brackets' ? '[]' : '';
      // Without its index, nobody could tell which members belong to which item.
      if (style !== 'indices' && typeof item === 'object' && item !== null) {
        throw new UnwritableField(
          [...path, String(index)],
          'can be told from its neighbours in the style indices only',
        );
      }
      return nested([...path, String(index)], `${written}${suffix}`, item, style);
    });
  }
  if (typeof value !== 'object' || value === null) return [[written, textOf(path, value)]];
  const members = Object.entries(value as JsonObject);
  if (members.length === 0) throw empty(path);
  return members.flatMap(([key, member]) => {
    if (key === '' || STRUCTURE.test(key)) {
      throw new UnwritableField([...path, key], 'has a name that would lead to another field');
    }
    return nested([...path, key], `${written}[${key}]`, member, style);
  });
}

function formFields(name: string, value: Json): readonly Field[] {
  if (typeof value !== 'object' || value === null) return [[name, textOf([name], value)]];
  if (Array.isArray(value)) {
    const items = value as readonly Json[];
    if (items.length === 0) throw empty([name]);
    return items.map((item, index) => [
      name,
      typeof item === 'object' && item !== null ? JSON.stringify(item) : textOf([name, String(index)], item),
    ]);
  }
  const members = Object.entries(value as JsonObject);
  if (members.length === 0) throw empty([name]);
  return members.map(([key, member]) => {
    if (key === '' || STRUCTURE.test(key)) {
      throw new UnwritableField([name, key], 'has a name that would lead to another field');
    }
    return [key, textOf([name, key], member)];
  });
}

function joined(path: readonly string[], value: Json, separator: string): string {
  if (typeof value !== 'object' || value === null) return textOf(path, value);
  const items = Array.isArray(value) ? (value as readonly Json[]) : Object.entries(value as JsonObject).flat();
  if (items.length === 0) throw empty(path);
  return items
    .map((item) => {
      const text = textOf(path, item);
      if (text.includes(separator)) {
        throw new UnwritableField(path, `holds ${JSON.stringify(separator)}, which separates the items of the list`);
      }
      return text;
    })
    .join(separator);
}

function textOf(path: readonly string[], value: Json): string {
  if (value === null) throw new UnwritableField(path, 'is null, which cannot be written here: leave it out');
  if (typeof value === 'object') throw new UnwritableField(path, 'nests deeper than its style can write');
  return String(value);
}

function empty(path: readonly string[]): UnwritableField {
  return new UnwritableField(path, 'is empty, so nothing of it would be sent: leave it out');
}

function isFlat(value: Json): boolean {
  const items = Array.isArray(value) ? (value as readonly Json[]) : [value];
  return items.every((item) => item !== null && typeof item !== 'object');
}
