/** Discriminators: a property whose value says which schema of a `oneOf` or `anyOf` a value has (OpenAPI 3.0.3 and 3.1, Discriminator Object). */
import type { Json, JsonObject } from '../../../action/json.js';
import { isObject } from './document.js';

/**
 * Adds to a converted branch that the property names it: by the mapping, or by the name of the schema that it refers to. So a value that
 * would fit several branches has one, and an error is about the branch that was meant.
 */
export function branchOf(discriminator: JsonObject, schema: Json, branch: Json): Json {
  const { propertyName, mapping } = discriminator;
  const ref = isObject(schema) ? schema['$ref'] : undefined;
  if (typeof propertyName !== 'string' || typeof ref !== 'string') return branch;
  const named = Object.entries(isObject(mapping) ? mapping : {}).filter(
    ([, target]) => target === ref || target === nameOf(ref),
  );
  const values = named.length === 0 ? [nameOf(ref)] : named.map(([value]) => value);
  return {
    allOf: [{ type: 'object', properties: { [propertyName]: { enum: values } }, required: [propertyName] }, branch],
  };
}

function nameOf(ref: string): string {
  return ref.slice(ref.lastIndexOf('/') + 1);
}
