/** docs/getting-started: its commands and flags are those of the command line, and what init writes is so. Its scripts run in clients.test.ts. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from 'commander';
import { expect, test } from 'vitest';
import { createProgram } from '../../src/cli/program.js';
import { configText } from '../../src/init/config-text.js';
import { mcpSnippets } from '../../src/init/snippets.js';
import { ROOT } from '../support/root.js';
import { snippetsOf, waysIn } from './support.js';

const pages = await waysIn();
const SNIPPETS = snippetsOf(...Object.values(pages));

function snippet(name: string): string {
  const code = SNIPPETS.get(name);
  if (code === undefined) throw new Error(`docs/getting-started has no snippet ${name}`);
  return code;
}

test('mcp-servers.json and vscode-mcp.json are what init prints, which test/cli/init.test.ts starts', () => {
  const app = '/home/ann/app';
  const program = `${app}/node_modules/countersign/dist/src/cli/main.js`;
  const printed = mcpSnippets({ envFile: `${app}/.env.agent`, program });
  const onPage = (name: string): unknown =>
    JSON.parse(snippet(name).replace('"/usr/local/bin/node"', JSON.stringify(process.execPath)));
  expect(onPage('mcp-servers.json')).toEqual(printed.mcpServers);
  expect(onPage('vscode-mcp.json')).toEqual(printed.vscode);
});

test('countersign.config.mjs is what init writes', () => {
  const written = configText({
    tool: 'shop-db',
    environment: 'production',
    schema: 'public',
    tables: ['customers', 'orders'],
    leftOut: [{ name: 'logs', why: 'no key' }],
    variable: 'SHOP_DATABASE_URL',
    gatewayPort: 8787,
  });
  expect(snippet('countersign.config.mjs')).toBe(written);
});

test('propose.py is that of docs/clients.md, which npm run check:python runs', async () => {
  const clients = await readFile(path.join(ROOT, 'docs/clients.md'), 'utf8');
  expect(clients).toContain(`\`\`\`python propose.py\n${snippet('propose.py')}\`\`\``);
});

/** The command that the words name, and its own options with those of all commands. */
function commandOf(words: readonly string[]): { readonly name: string; readonly options: readonly string[] } {
  let command: Command = createProgram();
  const options = command.options.map(({ long }) => long ?? '');
  for (const word of words) {
    const next = command.commands.find((each) => each.name() === word);
    if (next === undefined) break;
    command = next;
  }
  return { name: command.name(), options: [...options, ...command.options.map(({ long }) => long ?? '')] };
}

const COMMANDS = Object.values(pages).flatMap((page) => [
  ...new Set([...page.matchAll(/npx countersign ([^\n`]+)/g)].map(([, line]) => line as string)),
]);

test.each(COMMANDS)('countersign %s', (line) => {
  const words = line.split(' ');
  const { name, options } = commandOf(words);
  expect(words).toContain(name);
  expect(options).toEqual(expect.arrayContaining(words.filter((word) => word.startsWith('--'))));
});

test('the flags of init are all listed, and no other', () => {
  const listed = [...(pages['own-database.md'] ?? '').matchAll(/^\| `(--[\w-]+)`/gm)].map(([, flag]) => flag as string);
  const init = createProgram().commands.find((command) => command.name() === 'init');
  expect(listed).toEqual(init?.options.map(({ long }) => long));
});

test('the installation is that of the README', async () => {
  const readme = await readFile(path.join(ROOT, 'README.md'), 'utf8');
  const lines = [...(pages['own-database.md'] ?? '').matchAll(/^npm (?:pkg|install) .*$/gm)].map(([line]) => line);
  expect(lines).toHaveLength(3);
  for (const line of lines) expect(readme).toContain(line);
});
