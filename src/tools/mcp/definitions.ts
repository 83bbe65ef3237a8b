/** What a server says of its tools: the part that models and people see, as a value with a digest. */
import type { Tool as ListedTool } from '@modelcontextprotocol/client';
import { assertJson, digest, withoutUndefined, type Digest } from '../../action/json.js';
import type { Definition, Definitions } from '../pinnable.js';

/** The most tools of one server, and the largest definition of one. */
const MAX_TOOLS = 1_000;
const MAX_DEFINITION_BYTES = 64 * 1024;

/** The definitions by name. A tool that is no plain JSON, is too large or is listed twice is left out, so that it cannot be pinned. */
export function definitionsOf(listed: readonly ListedTool[]): Definitions {
  const found = new Map<string, Definition>();
  const twice = new Set<string>();
  for (const tool of listed.slice(0, MAX_TOOLS)) {
    if (found.has(tool.name)) twice.add(tool.name);
    const definition = definitionOf(tool);
    if (definition !== undefined) found.set(tool.name, definition);
  }
  for (const name of twice) found.delete(name);
  return found;
}

function definitionOf({ name, title, description, inputSchema, outputSchema, annotations }: ListedTool) {
  const definition = withoutUndefined({ name, title, description, inputSchema, outputSchema, annotations });
  try {
    assertJson(definition, 'definition');
  } catch {
    return undefined;
  }
  const size = Buffer.byteLength(JSON.stringify(definition));
  return size > MAX_DEFINITION_BYTES ? undefined : (definition as unknown as Definition);
}

export function definitionDigest(definition: Definition): Digest {
  return digest(definition);
}

/** Of all that is pinned of a tool: what a person signs for, and a worker looks for. */
export function pinsDigest(tool: string, definitions: Definitions): Digest {
  const pins = [...definitions.values()].map((definition) => [definition.name, definitionDigest(definition)] as const);
  return digest({ tool, pins: pins.sort(([a], [b]) => (a < b ? -1 : 1)) });
}
