/** The gateway's HTTP API, from the OpenAPI document that it serves. */
import { api } from '../../src/gateway/api/index.js';
import type { ApiDocument } from '../../src/gateway/api/document.js';
import type { GatewayDependencies } from '../../src/gateway/deps.js';
import { Metrics } from '../../src/gateway/server/metrics.js';
import { Streams } from '../../src/gateway/events/streams.js';
import { cell, code, table } from './table.js';

const PUBLIC_URL = 'https://countersign.example';

interface Operation {
  readonly summary?: string;
  readonly description?: string;
  readonly security?: readonly Readonly<Record<string, unknown>>[];
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
    readonly description?: string;
    readonly schema?: { readonly description?: string };
  }[];
  readonly requestBody?: { readonly content?: Content };
  readonly responses?: Readonly<Record<string, { readonly description?: string; readonly content?: Content }>>;
}
type Content = Readonly<Record<string, { readonly schema?: object }>>;

/** The document of a gateway at that address. Its routes are written down without anything behind them, so nothing can be asked of them. */
export async function apiDocument(publicUrl: string): Promise<ApiDocument> {
  const described = { settings: { publicUrl } } as unknown as GatewayDependencies;
  const routes = api(described, new Streams(described, new Metrics()));
  return (await (await routes.request('/openapi.json')).json()) as ApiDocument;
}

export async function httpApi(): Promise<string> {
  const { info, paths = {}, components } = await apiDocument(PUBLIC_URL);
  const operations = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item as Readonly<Record<string, Operation>>).map(([method, operation]) =>
      described(method, path, operation),
    ),
  );
  const schemas = Object.entries(components?.schemas ?? {}).map(
    ([name, schema]) => `### ${name}\n\n\`\`\`json\n${JSON.stringify(schema, null, 2)}\n\`\`\``,
  );
  return [
    '# The HTTP API',
    `${info.description ?? ''} A gateway serves this document to machines at \`/openapi.json\`, and to people at \`/docs\`. [The gateway](gateway.md) explains how to use it; errors are \`application/problem+json\` with one of [these codes](errors.md).`,
    ...operations,
    '## Schemas',
    ...schemas,
  ].join('\n\n');
}

function described(method: string, path: string, operation: Operation): string {
  const { summary = '', description = '', security = [], parameters = [], requestBody, responses = {} } = operation;
  const who = security.map((one) => (Object.hasOwn(one, 'bearer') ? 'agents' : 'people')).join(' and ');
  const body = schemaLink(requestBody?.content);
  return [
    `## ${method.toUpperCase()} ${path}`,
    `${summary}. For ${who}. ${description}`,
    ...(parameters.length === 0 ? [] : [parameterTable(parameters)]),
    ...(body === '' ? [] : [`Body: ${body}`]),
    table(
      ['status', 'means', 'body'],
      Object.entries(responses).map(([status, { description: about = '', content }]) => [
        code(status),
        cell(about),
        schemaLink(content),
      ]),
    ),
  ].join('\n\n');
}

function parameterTable(parameters: NonNullable<Operation['parameters']>): string {
  const rows = parameters.map(({ name, in: place, required = false, description, schema }) => [
    code(name),
    place,
    required ? 'yes' : 'no',
    cell(description ?? schema?.description ?? ''),
  ]);
  return table(['parameter', 'in', 'required', 'meaning'], rows);
}

/** A schema without a name of its own is shown as it is. */
function schemaLink(content: Content = {}): string {
  const [type, { schema = {} } = {}] = Object.entries(content)[0] ?? [];
  if (type === undefined) return '';
  const name = (schema as { readonly $ref?: string }).$ref?.split('/').at(-1);
  return name === undefined ? code(type) : `[${name}](#${name.toLowerCase()})`;
}
