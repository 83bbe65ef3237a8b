/** Every key of the config, and every option of the tools, channels and anchors in it, from the types that the config is written in. */
import { DEFAULT_RETENTION_DAYS } from '../../src/config/retention.js';
import type { Sources } from '../code/exports.js';
import { optionsOf, type Option } from '../code/options.js';
import { code, cell, table } from './table.js';

interface Section {
  readonly title: string;
  readonly file: string;
  readonly name: string;
  readonly about: string;
}

const MAKERS: readonly Section[] = [
  maker('postgres()', 'src/tools/index.ts', 'PostgresOptions', 'A [tool on a Postgres database](postgres-tool.md).'),
  maker('http()', 'src/tools/index.ts', 'HttpOptions', 'A [tool on an HTTP API](http-tool.md).'),
  maker('fromOpenApi()', 'src/tools/index.ts', 'OpenApiOptions', 'The same, from an OpenAPI document.'),
  maker('mcp()', 'src/tools/index.ts', 'McpOptions', "An [MCP server's tools](mcp.md)."),
  maker('webhook()', 'src/notify/index.ts', 'WebhookOptions', 'A channel of [notifications](notifications.md).'),
  maker('slack()', 'src/notify/index.ts', 'SlackOptions', 'A channel of [notifications](notifications.md).'),
  maker('email()', 'src/notify/index.ts', 'EmailOptions', 'A channel of [notifications](notifications.md).'),
  maker('fileAnchor()', 'src/trail/index.ts', 'FileAnchorOptions', 'An anchor of the [audit trail](trail.md).'),
  maker('webhookAnchor()', 'src/trail/index.ts', 'WebhookAnchorOptions', 'An anchor of the [audit trail](trail.md).'),
  maker('gitAnchor()', 'src/trail/index.ts', 'GitAnchorOptions', 'An anchor of the [audit trail](trail.md).'),
  maker(
    'timestampAnchor()',
    'src/trail/index.ts',
    'TimestampAnchorOptions',
    'Another, of [time stamps](trail.md#time-stamps).',
  ),
];

function maker(title: string, file: string, name: string, about: string): Section {
  return { title: `\`${title}\``, file, name, about };
}

/** Those of the config itself. The types do not spell out the members of `retention`: it has one for each kind. */
export function configOptions(sources: Sources): readonly Option[] {
  const retention = Object.entries(DEFAULT_RETENTION_DAYS).map(([kind, days]) => ({
    key: `retention.${kind}`,
    required: false,
    type: 'number | false',
    doc: `Days. Default ${days}.`,
  }));
  return [...optionsOf(sources, 'src/config/config.ts', 'CountersignConfig'), ...retention];
}

export function configKeys(sources: Sources): string {
  return [
    '# Config keys',
    'Every key that `countersign.config.mjs` may have, and every option of what is made in it, with their types. [The config](config.md) explains them and has an example. `[]` stands for each item of a list, `*` for a name of your choice.',
    '## `defineConfig()`',
    listed(configOptions(sources)),
    ...MAKERS.flatMap(({ title, about, file, name }) => [`## ${title}`, about, listed(optionsOf(sources, file, name))]),
  ].join('\n\n');
}

function listed(options: readonly Option[]): string {
  const rows = options.map(({ key, required, type, doc }) => {
    const { meaning, byDefault } = split(doc);
    return [code(key), code(type), required ? 'required' : cell(byDefault), cell(meaning)];
  });
  return table(['key', 'type', 'default', 'meaning'], rows);
}

/** `… Seconds from 5 to 3,600, default 60.` */
function split(doc: string): { readonly meaning: string; readonly byDefault: string } {
  const found = /(?:^|[.,;] )(?:and )?[Dd]efault:? (?<value>.+?)(?:\.(?= |$)|$)/.exec(doc);
  const value = found?.groups?.['value'] ?? '';
  return { meaning: doc, byDefault: value.length > 40 ? 'as described' : value };
}
