/** The pages of the reference that are made from the code each time the site is built, so that they cannot be wrong about it. */
import { Sources } from '../code/exports.js';
import type { Page } from '../page.js';
import { cedarSchema } from './cedar-schema.js';
import { commandLine } from './cli.js';
import { configKeys } from './config.js';
import { environmentVariables } from './environment.js';
import { httpApi } from './http-api.js';
import { metrics } from './metrics.js';
import { pythonClient } from './python.js';
import { typescriptApi } from './typescript.js';

interface Generated extends Pick<Page, 'url' | 'title' | 'description'> {
  readonly write: (sources: Sources) => string | Promise<string>;
}

/** In the order of the navigation. */
export const GENERATED: readonly Generated[] = [
  page('cli', 'The command line', 'every command with its help', commandLine),
  page('config-keys', 'Config keys', 'every key of the config, with its type and default', configKeys),
  page('environment', 'Environment variables', 'every variable that is read', environmentVariables),
  page('http-api', 'The HTTP API', 'every route of the gateway, from its OpenAPI document', httpApi),
  page('metrics', 'Metrics', 'every metric, with its names and attributes', metrics),
  page('cedar-schema', 'The Cedar schema', 'what policies know of a decision', ({ root }) => cedarSchema(root)),
  page('typescript', 'TypeScript: countersign', 'what the runtime exports', (sources) => typescriptApi(sources, '.')),
  page('typescript-client', 'TypeScript: countersign-client', 'what agents import', (sources) =>
    typescriptApi(sources, 'clients/typescript'),
  ),
  page('python', 'Python: countersign-client', 'what agents import', ({ root }) => pythonClient(root)),
];

function page(name: string, title: string, description: string, write: Generated['write']): Generated {
  return { url: `reference/${name}.html`, title, description, write };
}

/** Their links are written as from docs/, like those of all pages. */
export async function generatedPages(root: string): Promise<readonly Page[]> {
  const sources = new Sources(root);
  const pages = GENERATED.map(async ({ url, title, description, write }) => ({
    url,
    title,
    description,
    source: `docs/${url.replace(/^reference\//, '').replace(/html$/, 'generated')}`,
    markdown: await write(sources),
  }));
  return await Promise.all(pages);
}
