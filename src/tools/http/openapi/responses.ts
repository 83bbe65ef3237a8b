/** The schema of the answers that say that an operation was done. */
import type { JsonObject } from '../../../action/json.js';
import { isJsonType } from '../request-body.js';
import { follow, isObject, member } from './document.js';
import type { OperationImport } from './import.js';
import { schemaOf } from './schema.js';

/** The schema of all 2xx responses; undefined when the document describes none of them as JSON. @throws CountersignError CONFIG_INVALID */
export function responseOf({ document, located, id }: OperationImport): JsonObject | undefined {
  const { responses } = located.operation;
  const successes = Object.entries(isObject(responses) ? responses : {}).filter(([status]) =>
    /^2(\d\d|XX)$/i.test(status),
  );
  const contents = successes.map(([status, node]) => {
    const field = `${id}.responses.${status}`;
    const { content } = follow(document, node, field);
    const json = Object.entries(isObject(content) ? content : {}).find(([type]) => isJsonType(bareType(type)));
    return { field, content, json: json?.[1] };
  });
  // Without any description of JSON, it is more likely that the document is incomplete than that there is no body.
  if (located.method === 'HEAD' || contents.every(({ json }) => json === undefined)) return undefined;
  const anyOf = contents.map(({ field, content, json }): JsonObject => {
    if (json !== undefined) return schemaOf(document, member(json, 'schema') ?? {}, 'response', field);
    // A body described as something other than JSON may be anything; beside one that is described, no description means that there is none.
    return content === undefined ? { type: 'null' } : {};
  });
  if (anyOf.length === 1) return anyOf[0];
  // Each schema has its own definitions, and references start at the root, so an identifier makes each schema a root.
  return { anyOf: anyOf.map((schema, index) => ({ $id: `urn:countersign:${index}`, ...schema })) };
}

function bareType(type: string): string {
  return type.split(';')[0]?.trim() ?? '';
}
