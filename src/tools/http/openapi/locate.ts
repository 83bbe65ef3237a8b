/** Finds operations in a document, by `operationId` or by method and path. */
import { METHODS, type Method } from '../../../http/options.js';
import type { JsonObject } from '../../../action/json.js';
import { follow, isObject, member, unusable, type OpenApiDocument } from './document.js';
import type { Located } from './import.js';

const BY_PATH = /^(?<method>GET|HEAD|POST|PUT|PATCH|DELETE) (?<path>\/.*)$/;

/** All operations. A path that cannot be followed has none: it is of no concern to the others. */
export function allOperations(document: OpenApiDocument): readonly Located[] {
  const { paths } = document.root;
  return Object.keys(isObject(paths) ? paths : {}).flatMap((path) => {
    const item = path.startsWith('/') ? itemAt(document, path) : undefined;
    return item === undefined ? [] : METHODS.flatMap((method) => locatedAt(item, path, method) ?? []);
  });
}

/** The operation that the operator means. @throws CountersignError CONFIG_INVALID when there is none, or more than one */
export function findOperation(document: OpenApiDocument, from: string): Located {
  const { method, path } = BY_PATH.exec(from)?.groups ?? {};
  if (method !== undefined && path !== undefined) {
    const node = member(document.root['paths'], path);
    const item = node === undefined ? undefined : follow(document, node, `paths.${path}`);
    const located = item === undefined ? undefined : locatedAt(item, path, method as Method);
    if (located !== undefined) return located;
    throw unusable('paths', `has no operation ${from}`, 'a method and a path as in the document');
  }
  const found = allOperations(document).filter(({ operation }) => operation['operationId'] === from);
  const [first, second] = found;
  if (first === undefined) throw unusable('paths', `has no operation ${from}`, similar(document, from));
  if (second === undefined) return first;
  const all = found.map((one) => `${one.method} ${one.path}`).join(', ');
  throw unusable('paths', `has the operationId ${from} ${found.length} times`, `from, as one of: ${all}`);
}

/** The operation at a method and a path, if there is one. */
export function operationAt(document: OpenApiDocument, path: string, method: Method): Located | undefined {
  const item = itemAt(document, path);
  return item === undefined ? undefined : locatedAt(item, path, method);
}

function itemAt(document: OpenApiDocument, path: string): JsonObject | undefined {
  try {
    return follow(document, member(document.root['paths'], path), `paths.${path}`);
  } catch {
    return undefined;
  }
}

function locatedAt(item: JsonObject, path: string, method: Method): Located | undefined {
  const operation = item[method.toLowerCase()];
  return isObject(operation) ? { method, path, item, operation } : undefined;
}

const MAX_NAMED = 20;

/** Names that resemble the one that was not found: a large document has a thousand. */
function similar(document: OpenApiDocument, from: string): string {
  const ids = allOperations(document).flatMap(({ operation }) => {
    const id = operation['operationId'];
    return typeof id === 'string' ? [id] : [];
  });
  const wanted = from.toLowerCase();
  const near = ids.filter((id) => id.toLowerCase().includes(wanted) || wanted.includes(id.toLowerCase()));
  const named = (near.length === 0 ? ids : near).slice(0, MAX_NAMED);
  return `one of: ${named.join(', ')}${ids.length > named.length ? ' …' : ''}; or a method and a path, such as "GET /orders"`;
}
