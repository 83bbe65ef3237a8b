/**
 * Compiles the definitions of a large schema one by one, each when a value first needs it. The answers of some services are described by
 * hundreds of definitions that refer to each other; to compile all of them takes seconds for each operation, and an answer meets a few.
 */
import type { Ajv2020, AnySchema, ValidateFunction } from 'ajv/dist/2020.js';
import { isObject } from './openapi/document.js';
import type { Json, JsonObject } from '../../action/json.js';

/** From this number of definitions on. */
const MANY = 20;
const KEYWORD = 'countersignDefinition';
const DEFINITION = /^#\/\$defs\/([^/~%]+)$/;
/** Keywords whose values are no schemas. */
const VALUES: ReadonlySet<string> = new Set(['enum', 'const', 'default', 'examples']);
/** Keywords whose values are maps of schemas, whose keys are no keywords. */
const MAPS: ReadonlySet<string> = new Set(['properties', 'patternProperties', 'dependentSchemas']);

type Definition = () => ValidateFunction;
type Compile = (schema: AnySchema) => ValidateFunction;

/** Teaches a validator the keyword that stands for a reference. */
export function addLazyDefinitions(ajv: Ajv2020): void {
  ajv.addKeyword({
    keyword: KEYWORD,
    errors: 'full',
    compile: (definition: Definition) => {
      // The context has the path of the value, so that errors name it.
      const check = (...[value, context]: Parameters<ValidateFunction>): boolean => {
        const validate = definition();
        const isValid = validate(value, context);
        Object.assign(check, { errors: validate.errors });
        return isValid;
      };
      return check;
    },
  });
}

/** The schema with its references made lazy; undefined where it has few, or where more than the references depends on them. */
export function lazily(schema: JsonObject, compile: Compile): AnySchema | undefined {
  const text = JSON.stringify(schema);
  if ((text.match(/"\$ref":/g)?.length ?? 0) < MANY || /"(unevaluated\w+|\$dynamicRef|\$anchor)":/.test(text))
    return undefined;
  try {
    return rewritten(schema, new Map(), compile) as AnySchema;
  } catch (error) {
    if (error instanceof ForeignReference) return undefined;
    throw error;
  }
}

class ForeignReference extends Error {}

function rewritten(schema: Json, outer: ReadonlyMap<string, Definition>, compile: Compile): unknown {
  if (Array.isArray(schema)) return schema.map((item: Json) => rewritten(item, outer, compile));
  if (!isObject(schema)) return schema;
  const { $defs, $id, $ref, ...others } = schema;
  const definitions = isObject($defs) ? definitionsOf($defs, compile) : outer;
  const members = Object.entries(others).map(([keyword, value]): [string, unknown] => {
    if (VALUES.has(keyword)) return [keyword, value];
    if (!MAPS.has(keyword) || !isObject(value)) return [keyword, rewritten(value, definitions, compile)];
    return [
      keyword,
      Object.fromEntries(Object.entries(value).map(([name, one]) => [name, rewritten(one, definitions, compile)])),
    ];
  });
  if ($ref !== undefined) {
    const definition = typeof $ref === 'string' ? definitions.get(DEFINITION.exec($ref)?.[1] ?? '') : undefined;
    if (definition === undefined) throw new ForeignReference();
    members.push([KEYWORD, definition]);
  }
  // References within it start there, so its definitions must be its own.
  if ($id !== undefined && !isObject($defs) && JSON.stringify(others).includes('"$ref":')) throw new ForeignReference();
  return Object.fromEntries(members);
}

function definitionsOf(
  $defs: JsonObject,
  compile: (schema: AnySchema) => ValidateFunction,
): ReadonlyMap<string, Definition> {
  const definitions = new Map<string, Definition>();
  for (const [name, schema] of Object.entries($defs)) {
    let compiled: ValidateFunction | undefined;
    definitions.set(name, () => (compiled ??= compile(rewritten(schema, definitions, compile) as AnySchema)));
  }
  return definitions;
}
