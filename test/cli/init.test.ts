/** `countersign init`: from nothing to a first governed call against one's own Postgres, and what it refuses to do on the way. */
import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { parseEnv, promisify } from 'node:util';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { runInit, wantedFrom } from '../../src/cli/commands/init.js';
import { Context } from '../../src/cli/context.js';
import type { InitOptions } from '../../src/cli/init-options.js';
import { Output } from '../../src/cli/output.js';
import { loadConfig } from '../../src/config/config.js';
import { freePort } from '../../src/dev/index.js';
import { ApiKeys } from '../../src/gateway/store/api-keys.js';
import { setUpTables } from '../../src/gateway/store/set-up.js';
import { envText } from '../../src/init/env-text.js';
import { toolNameOf, variableOf } from '../../src/init/names.js';
import { ignoreInGit, Undoing } from '../../src/init/new-files.js';
import { Database } from '../../src/ledger/index.js';
import { readCredential } from '../../src/trust/index.js';
import { installClientInto, installInto } from '../support/install.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { startScriptedModel, textOf } from '../support/scripted-model.js';
import { createNamespace } from '../support/temporal.js';
import { cli, folder, MAIN, running, terminalFor } from './support.js';

const HOSTILE = [
  `x"; process.exit(1); //`,
  "it's",
  'a\nb',
  '../../etc',
  '${process.env}',
  'Mixed Case',
  'evil\u202Eelbat',
  '*/',
  'naïve`',
];
const SCHEMA = `
CREATE TABLE customers (id int PRIMARY KEY, plan text NOT NULL);
INSERT INTO customers VALUES (7, 'free');
CREATE TABLE logs (line text);
CREATE TABLE "a.b" (id int PRIMARY KEY);
CREATE VIEW paying AS SELECT * FROM customers;
CREATE SCHEMA hostile;
${HOSTILE.map((name) => `CREATE TABLE hostile.${pg.escapeIdentifier(name)} (id int PRIMARY KEY);`).join('\n')}`;

let shop: TestDatabase;
let ledger: TestDatabase;

beforeAll(async () => {
  [shop, ledger] = await Promise.all([createDatabase(), createDatabase()]);
  const client = new pg.Client({ connectionString: shop.url });
  await client.connect();
  await client.query(SCHEMA);
  await client.end();
});
afterAll(() => Promise.all([shop.drop(), ledger.drop()]));

interface Told {
  readonly files: readonly string[];
  readonly tool: { name: string; variable: string; tables: string[] | null; leftOut: { name: string; why: string }[] };
  readonly agent: { apiKey: string };
  readonly next: readonly string[];
  readonly firstCall: string;
  readonly paste: {
    readonly claudeDesktop: { mcpServers: { countersign: { command: string; args: string[] } } };
    readonly langchain: { file: string; code: string };
  };
}

/** In this process, on a ledger of its own. */
async function init(dir: string, options: Partial<InitOptions> = {}, env: Record<string, string> = {}) {
  let said = '';
  const terminal = terminalFor({ COUNTERSIGN_LEDGER_URL: ledger.url, ...env });
  for (const stream of [terminal.stdout, terminal.stderr])
    stream.on('data', (text: Buffer) => (said += text.toString()));
  const context = new Context(new Output({ json: true, on: terminal }), terminal);
  try {
    await runInit(context, { yes: true, dir, schema: 'public', tenant: 'acme', ttl: '90d', ...options });
  } finally {
    await context.close();
  }
  return { said, told: JSON.parse(said) as Told };
}

const everything = async (dir: string): Promise<string[]> => (await readdir(dir, { recursive: true })).toSorted();

/** Of the ledger: the ids of the API keys that are valid. */
async function liveKeys(): Promise<string[]> {
  const database = new Database({ url: ledger.url });
  await setUpTables(database);
  const keys = await new ApiKeys(database).list();
  await database.close();
  return keys.flatMap(({ id, revokedAt }) => (revokedAt === undefined ? [id] : []));
}

test('from nothing to a first governed call, with what was printed: by the command line, an MCP client and LangChain', async () => {
  const [cwd, namespace, port] = await Promise.all([folder(), createNamespace(), freePort()]);
  const packages = ['langchain', '@langchain', 'zod'];
  await Promise.all([installInto(cwd, packages), installClientInto(cwd)]);
  const env = {
    DATABASE_URL: ledger.url,
    TEMPORAL_ADDRESS: namespace.address,
    TEMPORAL_NAMESPACE: namespace.namespace,
  };

  const began = Date.now();
  const flags = ['--database-url', 'env:MINE', '--tool', 'shop-db', '--gateway-port', String(port)];
  const made = await cli(['init', '--yes', '--json', ...flags], { cwd, env: { ...env, MINE: shop.url } });
  expect(made).toMatchObject({ code: 0 });
  const { next, firstCall, paste, files } = made.json() as Told;
  expect(files).toContain('.env');

  expect(next).toEqual(['npx countersign dev']);
  await running(['dev'], { env, cwd }, /Ctrl-C stops everything/);
  const command = firstCall.replace('npx countersign', `"${process.execPath}" "${MAIN}"`);
  const first = await promisify(execFile)('bash', ['-c', `${command} --json`], { cwd });
  expect(JSON.parse(first.stdout)).toMatchObject({
    status: 'success',
    facts: { tool: { name: 'shop-db', environment: 'production' } },
    result: { rows: [{ id: 7, plan: 'free' }] },
  });
  expect(Date.now() - began).toBeLessThan(5 * 60_000);

  const { mcpServers } = paste.claudeDesktop;
  const client = new Client({ name: 'desktop', version: '1' });
  await client.connect(new StdioClientTransport({ ...mcpServers.countersign, cwd: '/', env: {}, stderr: 'ignore' }));
  const { tools } = await client.listTools();
  expect(tools.map(({ name }) => name)).toContain('shop-db_select');
  const selected = await client.callTool({ name: 'shop-db_select', arguments: { table: 'customers' } });
  expect(JSON.stringify(selected.content)).toContain('free');
  await client.close();

  const model = await startScriptedModel((messages) => {
    const last = messages.at(-1);
    if (last?.role === 'tool') return `I was told: ${textOf(last)}`;
    return { tool: 'update_rows', args: { table: 'customers', set: { plan: 'pro' }, where: { id: 7 } } };
  });
  onTestFinished(() => model.stop());
  const { file, code } = paste.langchain;
  await writeFile(path.join(cwd, file), code);
  const agent = await promisify(execFile)(process.execPath, ['--env-file=.env.agent', file], {
    cwd,
    env: { PATH: process.env['PATH'], OPENAI_API_KEY: 'none', OPENAI_BASE_URL: model.url },
  });
  expect(agent.stdout).toMatch(/^I was told: .*"status":"success"/);
}, 300_000);

describe('what it writes', () => {
  test('keeps secrets in files of their owner, which git ignores, and tells none of them', async () => {
    const cwd = await folder();
    const { said, told } = await init(cwd, { databaseUrl: shop.url, tool: 'shop-db' });
    expect(await everything(cwd)).toEqual(['.countersign', 'policies', 'policies/tests', ...told.files].toSorted());
    expect(await readFile(path.join(cwd, '.gitignore'), 'utf8')).toBe('.env\n.env.agent\n.countersign/\n');
    const secrets = ['.env', '.env.agent', '.countersign/assistant.csk', '.countersign/keys.json'];
    for (const file of secrets) expect((await stat(path.join(cwd, file))).mode & 0o777).toBe(0o600);
    const read = async (file: string) => parseEnv(await readFile(path.join(cwd, file), 'utf8'));
    expect(await read('.env')).toEqual({ SHOP_DATABASE_URL: shop.url });
    const agent = await read('.env.agent');
    expect(Object.keys(agent).toSorted()).toEqual(['COUNTERSIGN_API_KEY', 'COUNTERSIGN_GATEWAY_URL']);
    const { privateJwk } = await readCredential(path.join(cwd, '.countersign/assistant.csk'));
    const others = told.files.filter((file) => !secrets.includes(file));
    const open = await Promise.all(others.map((file) => readFile(path.join(cwd, file), 'utf8')));
    const password = new URL(shop.url).password;
    for (const secret of [password, agent['COUNTERSIGN_API_KEY'], privateJwk.d])
      for (const text of [said, ...open]) expect(text).not.toContain(secret ?? '');
    expect(told.next).toEqual([
      `cd ${path.relative(process.cwd(), cwd)}`,
      'npm install countersign',
      'npx countersign setup',
      'npx countersign worker',
      'npx countersign gateway',
    ]);
  });

  test('covers the tables that have a key, and others where they are named', async () => {
    const [cwd, other] = await Promise.all([folder(), folder()]);
    const { told } = await init(cwd, { databaseUrl: shop.url });
    expect(told.tool).toMatchObject({
      tables: ['customers'],
      leftOut: [
        { name: 'a.b', why: 'a name that proposals cannot say' },
        { name: 'logs', why: 'no key' },
      ],
    });
    expect((await init(other, { databaseUrl: shop.url, table: ['logs'] })).told.tool.tables).toEqual(['logs']);
  });

  test('is a config that a worker loads, whatever the tables are called', async () => {
    const cwd = await folder();
    await installInto(cwd);
    const { told } = await init(cwd, { databaseUrl: shop.url, schema: 'hostile', tool: 'hostile-db' });
    const text = await readFile(path.join(cwd, 'countersign.config.mjs'), 'utf8');
    expect(text).toMatch(/^[\x20-\x7e\n]*$/);
    const { tools } = await loadConfig(path.join(cwd, 'countersign.config.mjs'));
    onTestFinished(() => tools[0]?.close());
    const sayable = HOSTILE.filter((name) => !name.includes('.'));
    expect(told.tool.tables?.toSorted()).toEqual(sayable.toSorted());
    expect(told.tool.leftOut).toHaveLength(HOSTILE.length - sayable.length);
    for (const table of sayable) {
      const input = tools[0]?.input.parse({ op: 'select', table });
      expect(await tools[0]?.preview(input, { signal: AbortSignal.timeout(10_000) })).toMatchObject({ rows: 0 });
    }
    expect(told.paste.langchain.code).toMatch(/^[\x20-\x7e\n\u2026]*$/);
    expect(told.firstCall).toContain('"op":"describe"');
  });

  test('asks for what no flag says, and takes what is answered', async () => {
    const [input, output] = [new PassThrough(), new PassThrough()];
    let shown = '';
    let seen = 0;
    const answers: [RegExp, string][] = [
      [/address of your Postgres/, `${shop.url}\r`],
      [/tables that agents may name/, '\r'],
      [/policies know the database/, '\u001b[B\r'],
      [/name of the first agent/, '\r'],
      [/What it may do/, '\r'],
    ];
    output.on('data', (chunk: Buffer) => {
      shown += chunk.toString();
      const [question, answer] = answers[0] ?? [];
      if (question === undefined || !question.test(shown.slice(seen))) return;
      seen = shown.length;
      answers.shift();
      setImmediate(() => input.write(answer));
    });
    const terminal = terminalFor({});
    const context = new Context(new Output({ json: true, on: terminal }), terminal);
    const options = { dir: '.', schema: 'public', tenant: 'acme', ttl: '90d', gatewayPort: 1 };
    const wanted = await wantedFrom(context, options, '/nowhere', { input, output });
    expect(wanted).toMatchObject({
      databaseUrl: shop.url,
      tables: ['customers'],
      environment: 'staging',
      agent: { id: 'assistant', roles: ['read_write_user'], scopes: [wanted.tool] },
    });
    expect(shown).not.toContain(new URL(shop.url).password);
  });
});

describe('refusals, which leave nothing behind', () => {
  const NOWHERE = 'postgres://app:hunter2-secret@127.0.0.1:1/shop';

  test.each<[string, Partial<InitOptions>, Record<string, string>, object]>([
    ['without a terminal and --yes', { yes: false }, {}, { code: 'USAGE', field: '--yes' }],
    [
      'a database that does not answer',
      { databaseUrl: NOWHERE },
      {},
      { code: 'TOOL_UNAVAILABLE', field: '--database-url' },
    ],
    [
      'an address that is none',
      { databaseUrl: 'mysql://hunter2-secret@x/y' },
      {},
      { code: 'USAGE', field: '--database-url' },
    ],
    [
      'an address with a line break',
      { databaseUrl: `${NOWHERE}\nX=1` },
      {},
      { code: 'USAGE', field: '--database-url' },
    ],
    ['a variable that is not set', { databaseUrl: 'env:NOT_SET' }, {}, { code: 'USAGE', field: '--database-url' }],
    ['an agent that would be a path', { agent: '../x' }, {}, { code: 'USAGE', field: '--agent' }],
    ['a role that is no name', { role: ['a b'] }, {}, { code: 'USAGE', field: '--role' }],
    ['a tenant that is no name', { tenant: "a' OR 1" }, {}, { code: 'USAGE', field: '--tenant' }],
    ['a ledger that does not answer', {}, { COUNTERSIGN_LEDGER_URL: NOWHERE }, { code: 'LEDGER_UNAVAILABLE' }],
    ['no keys in production', {}, { COUNTERSIGN_ENV: 'production' }, { code: 'KEYS_MISSING' }],
  ])('%s', async (_, options, env, expected) => {
    const cwd = await folder();
    const refused = init(cwd, options, env);
    await expect(refused).rejects.toMatchObject(expected);
    await expect(refused).rejects.not.toThrow('hunter2-secret');
    expect(await everything(cwd)).toEqual([]);
  });

  test('a wrong password, a table that is not there', async () => {
    const cwd = await folder();
    const wrong = new URL(shop.url);
    wrong.password = 'hunter2-secret';
    const refused = init(cwd, { databaseUrl: wrong.href });
    await expect(refused).rejects.toMatchObject({ code: 'TOOL_UNAVAILABLE', field: '--database-url' });
    await expect(refused).rejects.not.toThrow('hunter2-secret');
    const named = init(cwd, { databaseUrl: shop.url, table: ['customer'] });
    await expect(named).rejects.toMatchObject({ code: 'USAGE', expected: 'one of customers, logs' });
    expect(await everything(cwd)).toEqual([]);
  });

  test.each([
    'countersign.config.mjs',
    'countersign.config.js',
    'policies',
    '.env',
    '.env.agent',
    '.countersign/assistant.csk',
    'a link that leads nowhere',
  ])('%s that is there', async (name) => {
    const cwd = await folder();
    const file = path.join(cwd, name.startsWith('a link') ? '.env' : name);
    await mkdir(path.dirname(file), { recursive: true });
    await (name.startsWith('a link') ? symlink('/nowhere/at/all', file) : writeFile(file, 'mine'));
    const before = await everything(cwd);
    await expect(init(cwd)).rejects.toMatchObject({
      code: 'FILES_EXIST',
      message: expect.stringContaining(path.relative(cwd, file)) as string,
    });
    expect(await everything(cwd)).toEqual(before);
  });

  test.each(['.gitignore', 'policies.txt/below', '.countersign'])('%s that cannot be written', async (name) => {
    const cwd = await folder();
    await (name === '.gitignore'
      ? mkdir(path.join(cwd, name))
      : writeFile(path.join(cwd, name.split('/')[0] as string), ''));
    const [before, keys] = [await everything(cwd), await liveKeys()];
    const dir = name.endsWith('below') ? path.join(cwd, name) : cwd;
    await expect(init(dir)).rejects.toMatchObject({ code: 'USAGE', field: '--dir' });
    expect(await everything(cwd)).toEqual(before);
    // The last step is the one of .gitignore: the key that had been made by then is of no use any more.
    expect(await liveKeys()).toEqual(keys);
  });
});

test.each([
  ['shop', 'shop-db', 'SHOP_DATABASE_URL'],
  ['Shop (EU)', 'shop-eu-db', 'SHOP_EU_DATABASE_URL'],
  ['mydb', 'mydb-db', 'MYDB_DATABASE_URL'],
  ['my-db', 'my-db', 'MY_DATABASE_URL'],
  ['база', 'app-db', 'APP_DATABASE_URL'],
  ['db', 'db', 'APP_DATABASE_URL'],
  ['1st', '1st-db', 'APP_1ST_DATABASE_URL'],
  ['countersign_dev', 'countersign-dev-db', 'APP_COUNTERSIGN_DEV_DATABASE_URL'],
  [`${'x'.repeat(39)}_yy`, `${'x'.repeat(39)}-db`, `${'X'.repeat(39)}_DATABASE_URL`],
])('the database %s is the tool %s, and its address is in %s', (database, tool, variable) => {
  expect([toolNameOf(database), variableOf(tool)]).toEqual([tool, variable]);
});

test.each([`a'b`, 'a"b', 'a`b', `a'"b`, 'a#b', ' a ', 'a\\nb', 'a$b=c', ''])(
  'a variable keeps its value: %j',
  (value) => {
    expect(parseEnv(envText('Why.', { A: value, B: 'x' }))).toEqual({ A: value, B: 'x' });
  },
);

test('a value that no quotes carry is refused', () => {
  expect(() => envText('Why.', { A: `'"\`` })).toThrow(expect.objectContaining({ code: 'USAGE', field: 'A' }));
});

test.each([
  [undefined, '.env\nkeys/\n'],
  ['', '.env\nkeys/\n'],
  ['dist', 'dist\n.env\nkeys/\n'],
  ['.env\n', '.env\nkeys/\n'],
  ['.env\r\nkeys/\r\n', undefined],
  ['.env\nkeys/\n!.env\n', '.env\nkeys/\n!.env\n.env\nkeys/\n'],
])('a .gitignore of %j becomes %j, and is put back', async (before, after) => {
  const cwd = await folder();
  const file = path.join(cwd, '.gitignore');
  if (before !== undefined) await writeFile(file, before);
  const undoing = new Undoing();
  expect(await ignoreInGit(cwd, ['.env', 'keys/'], undoing)).toBe(after !== undefined);
  expect(await readFile(file, 'utf8')).toBe(after ?? before);
  await undoing.run();
  expect(await readFile(file, 'utf8').catch(() => undefined)).toBe(before);
});
