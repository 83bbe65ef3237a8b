/** Every snippet of the README runs: the agent's code and the config on a real stack, the policy test under vitest, the policy in Cedar. */
import { cli } from '../cli/support.js';
import { execFile } from 'node:child_process';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundleFromFiles, compilePolicy, loadBundle } from '../../src/policy/index.js';
import { issueAgent } from '../../src/trust/index.js';
import { loadConfig } from '../../src/config/config.js';
import { agentEnvironment, ROOT, startStack, STARTER, type Stack } from '../support/stack.js';
import { onSources, passesInVitest, programFrom, scratch } from './support.js';

const readme = await readFile(path.join(ROOT, 'README.md'), 'utf8');
let folder: string;
let stack: Stack;

beforeAll(async () => {
  folder = await scratch('readme');
  stack = await startStack({
    schema: "CREATE TABLE customers (id int PRIMARY KEY, plan text NOT NULL); INSERT INTO customers VALUES (7, 'free')",
  });
});
afterAll(async () => {
  await stack?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** The fenced block whose info string ends with the file's name, with `countersign` resolved to the source. */
function snippet(name: string): string {
  const block = readme
    .split('```')
    .find((text) => text.startsWith(`${name.split('.').at(-1)} ${name}\n`) || text.startsWith(`js ${name}\n`));
  if (block === undefined) throw new Error(`the README has no snippet ${name}`);
  const code = block.slice(block.indexOf('\n') + 1);
  return onSources(code);
}

async function written(name: string): Promise<string> {
  const file = path.join(folder, name);
  await writeFile(file, snippet(name));
  return file;
}

test('agent.ts', async () => {
  const credential = await issueAgent(stack.keyring, {
    id: 'bot',
    tenant: 'shop',
    roles: ['read_write_user'],
    scopes: ['shop-db'],
  });
  const program = await programFrom(folder, 'agent.ts', snippet('agent.ts'));
  const env = { ...process.env, ...agentEnvironment(stack, credential) };
  const { stdout } = await promisify(execFile)(process.execPath, [program], { cwd: ROOT, env });
  expect(stdout).toMatch(/^success /);
  const { rows } = await stack.shop.query<{ plan: string }>('SELECT plan FROM customers WHERE id = 7');
  expect(rows[0]?.plan).toBe('pro');
});

test('countersign.config.mjs', async () => {
  process.env['SHOP_DATABASE_URL'] = stack.shopUrl;
  const config = await loadConfig(await written('countersign.config.mjs'));
  expect(config.tools.map(({ name, environment }) => [name, environment])).toEqual([['shop-db', 'production']]);
  expect(config.policies).toEqual({ from: 'ledger', folder: path.join(folder, 'policies') });
  await Promise.all(config.tools.map((tool) => tool.close()));
});

test('policy.test.ts', async () => {
  await written('policy.test.ts');
  await passesInVitest(folder);
});

test('the policy', async () => {
  const policies = readme
    .split('```cedar\n')
    .slice(1)
    .map((text) => text.split('```')[0] as string);
  expect(policies).toHaveLength(2);
  const starter = await loadBundle(STARTER);
  const files = Object.fromEntries(policies.map((text, n) => [`readme-${n}.cedar`, text]));
  const bundle = bundleFromFiles({ ...starter.files, ...files });
  expect(compilePolicy(bundle).rule('production-payout').approvals).toMatchObject([
    { roles: ['finance'], quorum: 2, ttlSeconds: 14_400, remindSeconds: 1800, escalations: [{ roles: ['cfo'] }] },
    { roles: ['security'], passkey: true },
  ]);
  expect(bundle.digest).not.toBe(starter.digest);
});

test('every file that it links to is there', async () => {
  const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, link]) => link as string);
  expect(links.length).toBeGreaterThan(10);
  for (const link of links) expect((await stat(path.join(ROOT, link))).size).toBeGreaterThan(0);
});

test('the limits', async () => {
  const limits = readme.split('```yaml limits.yaml\n')[1]?.split('```')[0] as string;
  const starter = await loadBundle(STARTER);
  const policy = compilePolicy(bundleFromFiles({ ...starter.files, 'limits.yaml': limits }));
  expect(policy.limits.limits.map(({ id }) => id)).toEqual(['refunds-per-day']);
});

test('the two commands are those of package.json', async () => {
  const { scripts } = JSON.parse(await readFile(path.join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  for (const [, script] of readme.matchAll(/npm run (\w+)/g)) expect(scripts).toHaveProperty(script as string);
});

/** The indented lines that call the command line, without their remarks. */
const COMMANDS = [...readme.matchAll(/^ {4}(countersign [^#\n]+?)\s*(?:#.*)?$/gm)].flatMap(([, line]) =>
  (line as string).split(' && '),
);

test.each(COMMANDS)('%s', async (line) => {
  const words = line.split(' ').slice(1);
  const options = words.filter((word) => word.startsWith('--'));
  const command = words.slice(0, words.findIndex((word) => word.startsWith('-') || word.startsWith('<')) >>> 0);
  const { stdout } = await cli([...command, '--help']);
  expect(stdout).toContain(`countersign ${command.join(' ')}`);
  for (const option of options) expect(stdout).toContain(option);
});
