/** docs/getting-started: every snippet runs, on one gateway and one database; commands and flags are those of the command line. */
import { execFile } from 'node:child_process';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import type { Command } from 'commander';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createProgram } from '../../src/cli/program.js';
import { configText } from '../../src/init/config-text.js';
import { envText } from '../../src/init/env-text.js';
import { mcpSnippets } from '../../src/init/snippets.js';
import { encodeCredential, issueAgent } from '../../src/trust/index.js';
import { startTestGateway, type TestGateway } from '../support/gateway.js';
import { installClientInto, installInto } from '../support/install.js';
import { ROOT } from '../support/root.js';
import { startScriptedModel, textOf, type ScriptedModel } from '../support/scripted-model.js';
import { startStack, type Stack } from '../support/stack.js';
import { scratch } from './support.js';

const DOCS = path.join(ROOT, 'docs/getting-started');
const names = await readdir(DOCS);
const pages = Object.fromEntries(
  await Promise.all(names.map(async (name) => [name, await readFile(path.join(DOCS, name), 'utf8')] as const)),
);
const SNIPPETS = Object.values(pages).flatMap((page) =>
  [...page.matchAll(/^```\w+ (\S+)\n([^]*?)^```/gm)].map(([, name = '', code = '']) => [name, code] as const),
);
const run = promisify(execFile);

let folder: string;
let stack: Stack;
let gateway: TestGateway;
let model: ScriptedModel;
let key: string;

beforeAll(async () => {
  folder = await scratch('getting-started');
  await Promise.all([installInto(folder), installClientInto(folder)]);
  stack = await startStack({
    schema:
      "CREATE TABLE customers (id int PRIMARY KEY, plan text NOT NULL); INSERT INTO customers SELECT n, 'free' FROM generate_series(1, 6) n",
  });
  gateway = await startTestGateway(stack);
  key = ((await gateway.agent({ roles: ['read_write_user'] })).headers['authorization'] as string).replace(
    'Bearer ',
    '',
  );
  await writeFile(
    path.join(folder, '.env.agent'),
    envText('As init writes it.', { COUNTERSIGN_GATEWAY_URL: gateway.url, COUNTERSIGN_API_KEY: key }),
  );
  model = await startScriptedModel((messages) => {
    const last = messages.at(-1);
    if (last?.role === 'tool') return `I was told: ${textOf(last)}`;
    const asked = messages.findLast(({ role }) => role === 'user');
    return { tool: 'upgrade', args: { id: Number(/\d+/.exec(asked === undefined ? '' : textOf(asked))?.[0]) } };
  });
});
afterAll(async () => {
  await gateway?.stop();
  await Promise.all([stack?.stop(), model?.stop(), rm(folder, { recursive: true, force: true })]);
});

function snippet(name: string): string {
  const [, code] = SNIPPETS.find(([each]) => each === name) ?? [];
  if (code === undefined) throw new Error(`docs/getting-started has no snippet ${name}`);
  return code;
}

async function plans(...ids: readonly number[]): Promise<string[]> {
  const query = 'SELECT plan FROM customers WHERE id = ANY ($1) ORDER BY id';
  const { rows } = await stack.shop.query<{ plan: string }>(query, [ids]);
  return rows.map(({ plan }) => plan);
}

test('every script in JavaScript upgrades its customer', async () => {
  const scripts = SNIPPETS.filter(([name]) => name.endsWith('.mjs') && name !== 'countersign.config.mjs');
  expect(scripts).toHaveLength(5);
  // The scripted model speaks the chat API, which the OpenAI Agents SDK uses when it is told to.
  const chat =
    "import { setOpenAIAPI, setTracingDisabled } from '@openai/agents';\nsetOpenAIAPI('chat_completions');\nsetTracingDisabled(true);\n";
  for (const [name, code] of scripts)
    await writeFile(path.join(folder, name), code.includes("'@openai/agents'") ? `${chat}${code}` : code);
  const credential = await issueAgent(stack.keyring, {
    id: 'bot',
    tenant: 'acme',
    roles: ['read_write_user'],
    scopes: ['shop-db'],
  });
  await writeFile(path.join(folder, 'assistant.csk'), encodeCredential(credential));
  // One process for all of them: most of what they cost is to load the frameworks.
  const all = scripts.map(([name]) => `console.log('${name}');\nawait import('./${name}');\n`);
  await writeFile(path.join(folder, 'all.mjs'), all.join(''));
  const { stdout } = await run(process.execPath, ['--env-file=.env.agent', 'all.mjs'], {
    cwd: folder,
    env: {
      PATH: process.env['PATH'],
      TEMPORAL_ADDRESS: stack.temporal.address,
      TEMPORAL_NAMESPACE: stack.temporal.namespace,
      COUNTERSIGN_AGENT: 'assistant.csk',
      OPENAI_BASE_URL: model.url,
      OPENAI_API_KEY: 'none',
    },
  });
  for (const [name] of scripts) expect(stdout).toMatch(new RegExp(`^${name}\n.*success`, 'm'));
  expect(await plans(1, 2, 3, 4, 5)).toEqual(Array(5).fill('pro'));
});

test('propose.sh and outcome.sh', async () => {
  const script = `${snippet('propose.sh')}\necho\n${snippet('outcome.sh')}`;
  const { stdout } = await run('bash', ['-c', script], { cwd: folder });
  const [first, second] = stdout.trim().split('\n');
  expect(JSON.parse(first ?? '')).toMatchObject({ status: 'success', actionId: 'ticket-4713-upgrade' });
  expect(JSON.parse(second ?? '')).toEqual(JSON.parse(first ?? ''));
  expect(await plans(6)).toEqual(['pro']);
});

test.each(['cursor-http.json', 'vscode-http.json'])('%s connects, and offers the tools', async (name) => {
  const settings = JSON.parse(snippet(name)) as Record<string, Record<string, { url: string; headers: object }>>;
  const { url, headers } = (settings['mcpServers'] ?? settings['servers'])?.['countersign'] ?? { url: '', headers: {} };
  const own = Object.entries(headers).map(([header, value]) => [header, String(value).replace(/\$\{.+\}/, key)]);
  const client = new Client({ name: 'desktop', version: '1' });
  const address = new URL(url.replace('http://localhost:8787', gateway.url));
  await client.connect(
    new StreamableHTTPClientTransport(address, { requestInit: { headers: Object.fromEntries(own) } }),
  );
  expect((await client.listTools()).tools.map((tool) => tool.name)).toEqual(
    expect.arrayContaining(['shop-db_select', 'await_action']),
  );
  await client.close();
});

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
