/** The tools of the server that agents may name, as their accepted definitions have them. */
import type { OperationDescription } from '../../action/catalogue.js';
import type { JsonObject } from '../../action/json.js';
import type { Definitions } from '../pinnable.js';
import type { DeclaredTool } from './declared-tool.js';

/** A tool that is not pinned is not offered. What the server says of one is passed on as it was accepted. */
export function describeOperations(
  operations: ReadonlyMap<string, DeclaredTool>,
  pinned: Definitions,
): readonly OperationDescription[] {
  return [...operations.values()].flatMap((operation): OperationDescription[] => {
    const definition = pinned.get(operation.name);
    if (definition === undefined) return [];
    const { name, title, description = '', inputSchema } = definition;
    return [
      {
        operation: name,
        ...(title === undefined ? {} : { title }),
        description,
        actionType: operation.actionType,
        idempotent: operation.actionType === 'READ',
        arguments: withoutKey(inputSchema, operation),
        fixed: { tool: name },
        argumentsIn: 'arguments',
      },
    ];
  });
}

/** The argument that takes the key is not for agents, so they do not see it. */
function withoutKey(schema: JsonObject, { key }: DeclaredTool): JsonObject {
  const [member, ...deeper] = key?.body ?? [];
  const { properties, required, ...others } = schema;
  if (member === undefined || deeper.length > 0 || typeof properties !== 'object') return schema;
  const { [member]: _key, ...shown } = properties as JsonObject;
  const names = (required as readonly string[] | undefined)?.filter((name) => name !== member);
  return { ...others, properties: shown, ...(names === undefined || names.length === 0 ? {} : { required: names }) };
}
