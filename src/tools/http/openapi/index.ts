/** Makes operations from an OpenAPI 3 document: their requests and responses. The operator adds how they are verified. */
import { asCountersignError, CountersignError } from '../../../action/errors.js';
import type { JsonObject } from '../../../action/json.js';
import type { Method } from '../../../http/options.js';
import type { HttpOperation } from '../options.js';
import { schemaProblem } from '../schema.js';
import { parseTemplate } from '../template.js';
import { bodyOf } from './body.js';
import { quoted, readDocument, unusable, type OpenApiDocument } from './document.js';
import type { OperationImport } from './import.js';
import { allOperations, findOperation, operationAt } from './locate.js';
import { isSetByTool, mergedParameters, parametersOf, urlOf } from './parameters.js';
import { responseOf } from './responses.js';
import { checkServer, serverUrls } from './servers.js';

/** An operation to import, with what the document does not say. What is given here replaces what the document says. */
export interface OpenApiOperation extends Omit<Partial<HttpOperation>, 'method' | 'url'> {
  /** Its `operationId` in the document, or its method and path: `POST /orders/{id}`. Default: its name. */
  readonly from?: string;
  /** The media type of the body, where several are described. Default: JSON, else a form, else a multipart form, else another. */
  readonly bodyType?: string;
  /** Names in its path whose values may hold slashes, as in `input.slashes` of an operation: a document cannot say it. Default none. */
  readonly slashes?: readonly string[];
  /** The server that the document gives this operation alone, to say that `baseUrl` is that server. */
  readonly server?: string;
}

/** Which operations of a document are imported. */
export interface OpenApiOptions {
  /**
   * The operations to import, by the names that proposals use. Operations that are not named are not imported, and nothing in them matters.
   * PUT, PATCH and DELETE of a URL that also has a GET get it as their probe `resource`, unless a probe is given.
   */
  readonly operations: Readonly<Record<string, OpenApiOperation>>;
  /** Called with each named operation that cannot be imported, which is left out. Default: an error that names all of them. */
  readonly onProblem?: (problem: CountersignError, name: string) => void;
}

/** What `describeOpenApi` says of one operation. */
export interface OpenApiOperationDescription {
  /** What `from` takes: the `operationId`, or the method and path where it is missing or not unique. */
  readonly from: string;
  readonly method: Method;
  readonly path: string;
  /** Why it cannot be imported as it is. Absent: it can. */
  readonly problem?: CountersignError;
  /** Optional parameters and bodies that are left out, with the reason. */
  readonly leftOut: readonly string[];
}

/** What a document describes, and what of it can be imported. */
export interface OpenApiDescription {
  /** The servers, with variables at their defaults: what `baseUrl` may be. */
  readonly servers: readonly string[];
  readonly operations: readonly OpenApiOperationDescription[];
}

/**
 * Makes the `operations` of `http`. The document is JSON, YAML or already parsed. Its `servers` and `security` are not used, because the
 * config says where requests go and with which credentials. Nothing of the document is kept but what the operations need.
 *
 * @throws CountersignError CONFIG_INVALID, INVALID_JSON, INVALID_YAML
 */
export function fromOpenApi(
  source: string | JsonObject,
  { operations, onProblem }: OpenApiOptions,
): Record<string, HttpOperation> {
  const document = readDocument(source);
  const problems: CountersignError[] = [];
  const imported = Object.entries(operations).flatMap(([name, declared]): [string, HttpOperation][] => {
    try {
      return [[name, importOperation(document, name, declared)]];
    } catch (thrown) {
      const problem = asCountersignError(thrown, 'CONFIG_INVALID');
      if (onProblem === undefined) problems.push(problem);
      else onProblem(problem, name);
      return [];
    }
  });
  const [first, ...others] = problems;
  if (first === undefined) return Object.fromEntries(imported);
  if (others.length === 0) throw first;
  throw new CountersignError('CONFIG_INVALID', problems.map(({ message }) => message).join(' '), {
    field: problems.map(({ field }) => field).join(', '),
    expected: 'operations that can be imported',
    fix: 'Correct the document, declare these operations by hand, or leave them out by onProblem.',
  });
}

/** Says of every operation whether it can be imported, and if not, why. @throws CountersignError CONFIG_INVALID, INVALID_JSON, INVALID_YAML */
export function describeOpenApi(source: string | JsonObject): OpenApiDescription {
  const document = readDocument(source);
  const all = allOperations(document);
  const counts = new Map<unknown, number>();
  for (const { operation } of all)
    counts.set(operation['operationId'], (counts.get(operation['operationId']) ?? 0) + 1);
  const operations = all.map((located): OpenApiOperationDescription => {
    const { method, path, operation } = located;
    const id = operation['operationId'];
    const from = typeof id === 'string' && counts.get(id) === 1 ? id : `${method} ${path}`;
    const leftOut: string[] = [];
    try {
      convert({ document, located, id: from, bodyType: undefined, leftOut }, {});
      return { from, method, path, leftOut };
    } catch (thrown) {
      return { from, method, path, leftOut, problem: asCountersignError(thrown, 'CONFIG_INVALID') };
    }
  });
  return { servers: serverUrls(document.root['servers']), operations };
}

function importOperation(document: OpenApiDocument, name: string, declared: OpenApiOperation): HttpOperation {
  const { from = name, bodyType, server, slashes, ...additions } = declared;
  const located = findOperation(document, from);
  const imported = convert({ document, located, id: from, bodyType, leftOut: [] }, { ...additions, server });
  // A copy, because parts of a document keep all of it in memory.
  const copy = JSON.parse(JSON.stringify(imported)) as HttpOperation;
  const complete = { ...copy, ...additions };
  return slashes === undefined ? complete : { ...complete, input: { ...complete.input, slashes } };
}

function convert(
  operation: OperationImport,
  declared: Pick<OpenApiOperation, 'input' | 'response' | 'probes'> & { readonly server?: string | undefined },
): HttpOperation {
  const { document, located, id } = operation;
  const { method, path } = located;
  checkServer(document, located, id, declared.server);
  const url = urlOf(operation);
  const template = parseTemplate(url, `${id}.path`);
  const foreign = template.references.find(([root, ...names]) => root !== 'path' || names.length !== 1);
  if (foreign !== undefined) throw unusable(`${id}.path`, `names {${foreign.join('.')}}`, 'names without a dot');
  const response = declared.response === undefined ? responseOf(operation) : undefined;
  const input = declared.input === undefined ? inputOf(operation, template) : undefined;
  checkSchemas({ ...input, ...(response === undefined ? {} : { response }) }, id);
  const isProbed = ['PUT', 'PATCH', 'DELETE'].includes(method) && isReadable(document, path);
  return {
    method,
    url,
    ...(input === undefined ? {} : { input }),
    ...(response === undefined ? {} : { response }),
    ...(isProbed ? { probes: { resource: { get: url } } } : {}),
  };
}

function inputOf(
  operation: OperationImport,
  template: ReturnType<typeof parseTemplate>,
): NonNullable<HttpOperation['input']> {
  const { styles: parameterStyles, ...parameters } = parametersOf(operation, template);
  const { bodyStyles = {}, ...body } = bodyOf(operation);
  const all = Object.entries({ ...parameterStyles, body: bodyStyles });
  const styles = Object.fromEntries(all.filter(([, one]) => Object.keys(one).length > 0));
  return { ...parameters, ...body, ...(Object.keys(styles).length === 0 ? {} : { styles }) };
}

/** Whether the URL has a GET that needs nothing but the URL. */
function isReadable(document: OpenApiDocument, path: string): boolean {
  const get = operationAt(document, path, 'GET');
  if (get === undefined) return false;
  const all = mergedParameters(document, get, path);
  return !all.some(
    ({ required, in: place, name }) =>
      required === true && place !== 'path' && !(place === 'header' && isSetByTool(quoted(name))),
  );
}

/** @throws CountersignError CONFIG_INVALID when the document's schema is none */
function checkSchemas(
  parts: Pick<NonNullable<HttpOperation['input']>, 'path' | 'query' | 'headers' | 'body'> &
    Pick<HttpOperation, 'response'>,
  id: string,
): void {
  for (const part of ['path', 'query', 'headers', 'body', 'response'] as const) {
    const schema = parts[part];
    const problem = schema === undefined ? undefined : schemaProblem(schema);
    if (problem !== undefined)
      throw unusable(`${id}.${part}`, `holds a schema that is none: ${problem}`, 'JSON Schema');
  }
}
