/** How OpenAPI says that lists and objects are written (Parameter Object and Encoding Object), in the styles of the tool. */
import type { Json, JsonObject } from '../../../action/json.js';
import type { FieldStyle } from '../fields.js';
import { isObject, listOf, member, resolve, type OpenApiDocument } from './document.js';

type Kind = 'scalar' | 'list' | 'object';

/** The style of a query parameter or a field with `style` and `explode`; undefined when there is no such style. */
export function styleOf({ style = 'form', explode }: JsonObject): FieldStyle | undefined {
  if (style === 'deepObject') return 'indices';
  const isExploded = typeof explode === 'boolean' ? explode : style === 'form';
  if (style === 'form') return isExploded ? 'form' : 'comma';
  if (style === 'spaceDelimited') return isExploded ? 'form' : 'space';
  if (style === 'pipeDelimited') return isExploded ? 'form' : 'pipe';
  return undefined;
}

/** Which kinds of values a schema describes, as far as its types say. Empty: it does not say. */
export function kindsOf(document: OpenApiDocument, schema: Json | undefined): ReadonlySet<Kind> {
  const kinds = new Set<Kind>();
  for (const one of alternatives(document, schema)) {
    const { type } = one;
    for (const name of typeof type === 'string' ? [type] : listOf(type)) {
      if (name === 'array') kinds.add('list');
      else if (name === 'object') kinds.add('object');
      else if (name !== 'null') kinds.add('scalar');
    }
    if (type === undefined && ('properties' in one || 'additionalProperties' in one)) kinds.add('object');
    if (type === undefined && 'items' in one) kinds.add('list');
    if (type === undefined && ('enum' in one || 'const' in one)) kinds.add('scalar');
  }
  return kinds;
}

/** The properties that an object's schema describes, with those of the schemas that it is combined from. */
export function propertiesOf(document: OpenApiDocument, schema: Json | undefined): ReadonlyMap<string, Json> {
  const properties = new Map<string, Json>();
  for (const one of alternatives(document, schema)) {
    const own = one['properties'];
    for (const [name, property] of Object.entries(isObject(own) ? own : {})) {
      if (!properties.has(name)) properties.set(name, property);
    }
  }
  return properties;
}

/** The schema and all that it combines or refers to for the same value, each once. */
function alternatives(document: OpenApiDocument, schema: Json | undefined): ReadonlySet<JsonObject> {
  const found = new Set<JsonObject>();
  const waiting: (Json | undefined)[] = [schema];
  while (waiting.length > 0) {
    const one = waiting.pop();
    if (!isObject(one) || found.has(one)) continue;
    found.add(one);
    const ref = member(one, '$ref');
    if (typeof ref === 'string') waiting.push(resolve(document.root, ref, 'schema'));
    waiting.push(...listOf(one['allOf']), ...listOf(one['anyOf']), ...listOf(one['oneOf']));
  }
  return found;
}
