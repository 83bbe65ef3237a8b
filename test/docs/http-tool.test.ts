/** Every snippet of docs/http-tool.md runs: the config on a payment service, the proposal on the config, the others as modules. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JsonObject } from '../../src/action/json.js';
import { parseProposal } from '../../src/action/proposal.js';
import { createDelta, ExpectationRunner, verifyEffect } from '../../src/verify/index.js';
import { loadConfig } from '../../src/config/config.js';
import { bundleFromFiles, compilePolicy, loadBundle } from '../../src/policy/index.js';
import type { Tool } from '../../src/tools/tool.js';
import { ROOT, STARTER } from '../support/stack.js';
import { act } from '../tools/conformance.js';
import { openPayments, type Payments } from '../tools/http-payments.js';
import { onSources, scratch } from './support.js';

const page = await readFile(path.join(ROOT, 'docs/http-tool.md'), 'utf8');
let folder: string;
let payments: Payments;

beforeAll(async () => {
  folder = await scratch('http-tool');
  payments = await openPayments();
});
afterAll(async () => {
  await payments.stop();
  await rm(folder, { recursive: true, force: true });
});

/** The fenced block whose info string ends with the file's name, with `countersign` resolved to the source. */
function snippet(name: string): string {
  const [, code] = new RegExp(`\`\`\`\\w+ ${name.replaceAll('.', '\\.')}\\n(.*?)\`\`\``, 's').exec(page) ?? [];
  if (code === undefined) throw new Error(`docs/http-tool.md has no snippet ${name}`);
  return onSources(code);
}

async function written(name: string): Promise<string> {
  const file = path.join(folder, name);
  await writeFile(file, snippet(name));
  return file;
}

const loaded = async (name: string): Promise<Record<string, Tool>> =>
  (await import(pathToFileURL(await written(name)).href)) as Record<string, Tool>;

test('countersign.config.mjs and proposal.json: the effect is made, verified and undone', async () => {
  Object.assign(process.env, { PAYMENTS_URL: payments.url, PAYMENTS_TOKEN: 'a-token' });
  const [tool] = (await loadConfig(await written('countersign.config.mjs'))).tools;
  if (tool === undefined) throw new Error('the config has no tool');
  const proposal = parseProposal(JSON.parse(snippet('proposal.json')));
  payments.orders.set('41', { id: '41', status: 'paid', total: 100, refunded: 0, note: null });

  const taken = await act(tool, proposal.input);
  const { pre, post, input, preview, execution } = taken;
  expect(preview).toMatchObject({
    targets: ['payments.refunds'],
    summary: 'POST /orders/41/refunds on payments: {"amount":12}',
  });
  const runner = new ExpectationRunner();
  const delta = createDelta(pre, post, 0);
  const checks = await verifyEffect({
    tool,
    input,
    preview,
    pre,
    post,
    delta,
    execution,
    expect: proposal.expect ?? '',
    runner,
  });
  await runner.close();
  expect(checks.map(({ name, ok }) => [name, ok])).toEqual(
    ['answered', 'ensures', 'frame.state', 'expect'].map((name) => [name, true]),
  );
  expect(payments.seen.at(-1)?.headers.authorization).toBe('Bearer a-token');

  const undone = await act(tool, tool.compensate?.(input, pre, post) as JsonObject);
  expect(undone.checks.filter(({ ok }) => !ok)).toEqual([]);
  expect(payments.orders.get('41')?.refunded).toBe(0);
  await tool.close();
});

test('payments.cedar', async () => {
  const starter = await loadBundle(STARTER);
  const bundle = bundleFromFiles({ ...starter.files, 'payments.cedar': snippet('payments.cedar') });
  expect(() => compilePolicy(bundle)).not.toThrow();
  expect(bundle.digest).not.toBe(starter.digest);
});

test('oauth.mjs', async () => {
  process.env['CRM_CLIENT_SECRET'] = 'a-secret';
  const { crm } = await loaded('oauth.mjs');
  expect(crm?.input.safeParse({ op: 'getContact', path: { id: '7' } }).success).toBe(true);
});

test('accepted.mjs and graphql.mjs', async () => {
  const { reports } = await loaded('accepted.mjs');
  expect(reports?.input.safeParse({ op: 'rebuild', path: { id: '7' } }).success).toBe(true);
  const { tickets } = await loaded('graphql.mjs');
  expect(tickets?.input.safeParse({ op: 'close', body: { id: '7' } }).success).toBe(true);
  expect(tickets?.input.safeParse({ op: 'close', body: { query: '{ all }' } }).success).toBe(false);
});

test('form.mjs', async () => {
  const { billing } = await loaded('form.mjs');
  const body = { customer: 'c1', metadata: { order: '41' }, lines: [{ price: 'p1' }] };
  expect(billing?.input.safeParse({ op: 'createInvoice', body }).success).toBe(true);
  expect(billing?.input.safeParse({ op: 'createInvoice', body: { ...body, metadata: { 'a][b': '' } } }).success).toBe(
    false,
  );
});

test('describe.mjs', async () => {
  const { lines } = (await import(pathToFileURL(await written('describe.mjs')).href)) as { lines: readonly string[] };
  expect(lines).toEqual([
    'baseUrl is one of: https://eu.example.com/v1',
    'getOrder: can be imported',
    'POST /orders: POST /orders.requestBody of the OpenAPI document is required as application/xml.',
  ]);
});

test('openapi.mjs', async () => {
  const order = `{ type: object, required: [status], properties: { status: { type: string } } }`;
  const content = `content: { application/json: { schema: ${order} } }`;
  const parameters = `parameters: [{ name: id, in: path, required: true, schema: { type: string } }]`;
  await writeFile(
    path.join(folder, 'orders.yaml'),
    `openapi: 3.1.0
paths:
  /orders/{id}:
    ${parameters}
    get: { operationId: getOrder, responses: { '200': { ${content} } } }
    put: { operationId: putOrder, requestBody: { required: true, ${content} }, responses: { '200': { ${content} } } }
`,
  );
  const { orders } = await loaded('openapi.mjs');
  expect(orders?.input.safeParse({ op: 'putOrder', path: { id: '7' }, body: { status: 'held' } }).success).toBe(true);
  expect(orders?.input.safeParse({ op: 'putOrder', path: { id: '7' }, body: {} }).success).toBe(false);
});

test('the defaults are those of the code', async () => {
  const source = await readFile(path.join(ROOT, 'src/tools/http/index.ts'), 'utf8');
  const block = /DEFAULT_LIMITS = \{(.*?)\}/s.exec(source)?.[1] ?? '';
  const defaults = [...block.matchAll(/(\w+): ([\d_]+(?: \* \d+)?)/g)].map(([, name, value]) => [name, value]);
  expect(defaults.map(([name]) => name)).toEqual([
    'connectMs',
    'headersMs',
    'bodyMs',
    'totalMs',
    'bodyBytes',
    'redirects',
  ]);
  for (const [name, value = ''] of defaults) {
    const text = value === '1024 * 1024' ? '1 MiB' : Number(value.replaceAll('_', '')).toLocaleString('en');
    expect(page).toContain(`\`${name}\` ${text}`);
  }
});
