/** docs/clients.md and the scripts of docs/getting-started run against a real gateway, with a scripted model behind the OpenAI API; those of clients.md wait for a person who agrees. */
import { execFile, fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { envText } from '../../src/init/env-text.js';
import { encodeCredential, issueAgent } from '../../src/trust/index.js';
import { CLERK_SCHEMA, clerkSays, rowsOf } from '../support/clerk.js';
import { startTestGateway, type Sender, type TestGateway } from '../support/gateway.js';
import { ROOT } from '../support/root.js';
import { installClientInto, installInto } from '../support/install.js';
import {
  startScriptedModel,
  textOf,
  type ChatMessage,
  type ScriptedModel,
  type Turn,
} from '../support/scripted-model.js';
import { startStack, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';
import { programFrom, scratch, snippetsOf, waysIn } from './support.js';

const page = await readFile(path.join(ROOT, 'docs/clients.md'), 'utf8');
/** Mastra's asks for Node 22: test/node22 runs it. */
const SNIPPETS = [...snippetsOf(page)].filter(([name]) => name.endsWith('.ts') && name !== 'mastra.ts');
/** The tutorial's scripts run in tutorial.test.ts. */
const { 'tutorial.md': _tutorial, ...ways } = await waysIn();
const WAYS_IN = snippetsOf(...Object.values(ways));

const CUSTOMERS =
  "CREATE TABLE customers (id int PRIMARY KEY, plan text NOT NULL); INSERT INTO customers SELECT n, 'free' FROM generate_series(1, 6) n";

/** `Upgrade customer 7.` is what the pages of docs/getting-started ask for. */
function says(messages: readonly ChatMessage[]): Turn {
  const asked = messages.findLast(({ role }) => role === 'user');
  const [, id] = /^Upgrade customer (\d+)/.exec(asked === undefined ? '' : textOf(asked)) ?? [];
  if (id === undefined || messages.at(-1)?.role === 'tool') return clerkSays(messages);
  return { tool: 'upgrade', args: { id: Number(id) } };
}

let folder: string;
let stack: Stack;
let gateway: TestGateway;
let model: ScriptedModel;
let dana: Sender;
let key: string;

beforeAll(async () => {
  folder = await scratch('clients');
  await Promise.all([installInto(folder), installClientInto(folder)]);
  stack = await startStack({ schema: `${CLERK_SCHEMA}${CUSTOMERS}` });
  gateway = await startTestGateway(stack);
  dana = await gateway.person();
  key = ((await gateway.agent()).headers['authorization'] as string).replace('Bearer ', '');
  model = await startScriptedModel(says);
});
afterAll(async () => {
  await gateway?.stop();
  await Promise.all([stack?.stop(), model?.stop(), rm(folder, { recursive: true, force: true })]);
});

const run = promisify(execFile);

/** The scripted model speaks the chat API, which the OpenAI Agents SDK uses when it is told to. */
function onChatApi(code: string): string {
  const chat =
    "import { setOpenAIAPI, setTracingDisabled } from '@openai/agents';\nsetOpenAIAPI('chat_completions');\nsetTracingDisabled(true);\n";
  return code.includes("'@openai/agents'") ? `${chat}${code}` : code;
}

async function approveWhatComes(): Promise<void> {
  const asked = await until(
    async () =>
      (await dana.get('/v1/approvals')).body['approvalRequests'] as { actionId: string; shownDigest: string }[],
    (found) => found.length > 0,
  );
  const { actionId, shownDigest } = asked[0] as { actionId: string; shownDigest: string };
  await dana.post(`/v1/actions/${actionId}/decision`, { shownDigest, verdict: 'approve' });
}

test('the page has a snippet for each entry of the package', async () => {
  const { exports } = JSON.parse(await readFile(path.join(ROOT, 'clients/typescript/package.json'), 'utf8')) as {
    exports: Record<string, unknown>;
  };
  for (const entry of Object.keys(exports).filter((each) => /^\.\/[\w-]+$/.test(each)))
    expect(page).toContain(`'countersign-client${entry.slice(1)}'`);
  expect(SNIPPETS.length).toBeGreaterThanOrEqual(5);
});

test("the package's README begins with the same", async () => {
  const readme = await readFile(path.join(ROOT, 'clients/typescript/README.md'), 'utf8');
  expect(readme).toContain(`\`\`\`ts\n${SNIPPETS.find(([name]) => name === 'propose.ts')?.[1]}\`\`\``);
});

describe('the snippets', () => {
  let agents: ChildProcess;
  let said = '';

  // One process for all of them, and without types: most of what they cost is to load the frameworks.
  beforeAll(async () => {
    for (const [name, code] of SNIPPETS) await programFrom(folder, name, onChatApi(code));
    const runs = "process.on('message', async (name) => process.send(await import(name).then(() => name)));";
    await writeFile(path.join(folder, 'snippets.mjs'), runs);
    agents = fork(path.join(folder, 'snippets.mjs'), {
      execArgv: [],
      silent: true,
      env: {
        ...process.env,
        COUNTERSIGN_GATEWAY_URL: gateway.url,
        COUNTERSIGN_API_KEY: key,
        OPENAI_BASE_URL: model.url,
        OPENAI_API_KEY: 'none',
      },
    });
    for (const stream of [agents.stdout, agents.stderr]) stream?.on('data', (text: Buffer) => (said += String(text)));
  });
  afterAll(async () => {
    if (agents.exitCode !== null) return;
    const over = once(agents, 'exit');
    agents.kill();
    await over;
  });

  test.each(SNIPPETS)('%s', async (name) => {
    await stack.shop.query(rowsOf('sessions', 'stale', 120));
    said = '';
    const over = once(agents, 'message');
    const died = once(agents, 'exit').then(() => Promise.reject(new Error(said)));
    agents.send(`./${name.replace('.ts', '.mjs')}`);
    await Promise.race([Promise.all([over, approveWhatComes()]), died]);
    await until(
      async () => said,
      (text) => text.includes('success'),
    );
    const { rowCount } = await stack.shop.query("SELECT FROM sessions WHERE note = 'stale'");
    expect(rowCount).toBe(0);
  });
});

async function plans(...ids: readonly number[]): Promise<string[]> {
  const query = 'SELECT plan FROM customers WHERE id = ANY ($1) ORDER BY id';
  const { rows } = await stack.shop.query<{ plan: string }>(query, [ids]);
  return rows.map(({ plan }) => plan);
}

/** As `countersign init` writes it. */
async function writeAgentEnv(): Promise<void> {
  const variables = { COUNTERSIGN_GATEWAY_URL: gateway.url, COUNTERSIGN_API_KEY: key };
  await writeFile(path.join(folder, '.env.agent'), envText('For agents.', variables));
}

test('every script of the ways in upgrades its customer', async () => {
  const scripts = [...WAYS_IN].filter(([name]) => name.endsWith('.mjs') && name !== 'countersign.config.mjs');
  expect(scripts).toHaveLength(5);
  for (const [name, code] of scripts) await writeFile(path.join(folder, name), onChatApi(code));
  await writeAgentEnv();
  const wanted = { id: 'bot', tenant: 'acme', roles: ['read_write_user'], scopes: ['shop-db'] };
  await writeFile(path.join(folder, 'bot.csk'), encodeCredential(await issueAgent(stack.keyring, wanted)));
  // One process for all of them: most of what they cost is to load the frameworks.
  const all = scripts.map(([name]) => `console.log('${name}');\nawait import('./${name}');\n`);
  await writeFile(path.join(folder, 'all.mjs'), all.join(''));
  const { stdout } = await run(process.execPath, ['--env-file=.env.agent', 'all.mjs'], {
    cwd: folder,
    env: {
      PATH: process.env['PATH'],
      TEMPORAL_ADDRESS: stack.temporal.address,
      TEMPORAL_NAMESPACE: stack.temporal.namespace,
      COUNTERSIGN_AGENT: 'bot.csk',
      OPENAI_BASE_URL: model.url,
      OPENAI_API_KEY: 'none',
    },
  });
  for (const [name] of scripts) expect(stdout).toMatch(new RegExp(`^${name}\n.*success`, 'm'));
  expect(await plans(1, 2, 3, 4, 5)).toEqual(Array(5).fill('pro'));
});

test('propose.sh and outcome.sh', async () => {
  await writeAgentEnv();
  const script = `${WAYS_IN.get('propose.sh')}\necho\n${WAYS_IN.get('outcome.sh')}`;
  const { stdout } = await run('bash', ['-c', script], { cwd: folder });
  const [first, second] = stdout.trim().split('\n');
  expect(JSON.parse(first ?? '')).toMatchObject({ status: 'success', actionId: 'ticket-4713-upgrade' });
  expect(JSON.parse(second ?? '')).toEqual(JSON.parse(first ?? ''));
  expect(await plans(6)).toEqual(['pro']);
});

test.each(['cursor-http.json', 'vscode-http.json'])('%s connects, and offers the tools', async (name) => {
  const settings = JSON.parse(WAYS_IN.get(name) ?? '{}') as Record<
    string,
    Record<string, { url: string; headers: object }>
  >;
  const { url, headers } = (settings['mcpServers'] ?? settings['servers'])?.['countersign'] ?? { url: '', headers: {} };
  const own = Object.entries(headers).map(([header, value]) => [header, String(value).replace(/\$\{.+\}/, key)]);
  const client = new Client({ name: 'desktop', version: '1' });
  const address = new URL(url.replace('http://localhost:8787', gateway.url));
  const requestInit = { headers: Object.fromEntries(own) };
  await client.connect(new StreamableHTTPClientTransport(address, { requestInit }));
  expect((await client.listTools()).tools.map((tool) => tool.name)).toEqual(
    expect.arrayContaining(['shop-db_select', 'await_action']),
  );
  await client.close();
});
