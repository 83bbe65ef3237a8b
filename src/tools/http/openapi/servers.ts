/** The servers of a document. The config says where requests go; an operation with a server of its own must not go elsewhere unseen. */
import type { Json, JsonObject } from '../../../action/json.js';
import { isObject, listOf, unusable, type OpenApiDocument } from './document.js';
import type { Located } from './import.js';

/** The URLs of servers, with their variables at their defaults. */
export function serverUrls(servers: Json | undefined): readonly string[] {
  return listOf(servers).flatMap((server) => {
    const url = isObject(server) ? server['url'] : undefined;
    if (!isObject(server) || typeof url !== 'string') return [];
    const variables = isObject(server['variables']) ? server['variables'] : {};
    return [url.replaceAll(/\{([^{}]+)\}/g, (text, name: string) => defaultOf(variables, name) ?? text)];
  });
}

/** Where a URL leads, whichever protocol is spoken there. */
function place(url: string): string {
  return url.replace(/^[a-z]+:/, '').replace(/\/$/, '');
}

function defaultOf(variables: JsonObject, name: string): string | undefined {
  const variable = Object.hasOwn(variables, name) ? variables[name] : undefined;
  const value = isObject(variable) ? variable['default'] : undefined;
  return typeof value === 'string' ? value : undefined;
}

/**
 * Refuses an operation that the document sends to another server than the rest, unless the operator says that the tool's `baseUrl` is it.
 *
 * @throws CountersignError CONFIG_INVALID
 */
export function checkServer(
  { root }: OpenApiDocument,
  { item, operation }: Located,
  id: string,
  accepted: string | undefined,
): void {
  const own = serverUrls(operation['servers'] ?? item['servers']);
  const usual = serverUrls(root['servers']);
  if (own.every((url) => usual.some((other) => place(other) === place(url)))) return;
  if (accepted !== undefined && own.includes(accepted)) return;
  throw unusable(
    `${id}.servers`,
    `has a server of its own: ${own.join(', ').slice(0, 200)}`,
    'a tool of its own with that baseUrl, and the server repeated as `server` of the operation',
  );
}
