/** Every snippet of docs/limits.md runs: the limits and policies load, the test passes under vitest, the commands are the command line's. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { EXAMPLE_REFUSAL } from '../policy/limits-example.js';
import { compilePolicy, limitText, loadBundle, resolveLimits } from '../../src/policy/index.js';
import { policyFromText } from '../../src/testing/index.js';
import { createProgram } from '../../src/cli/program.js';
import { FIELDS } from '../../src/policy/limits/schema.js';
import { factsOf, PERMIT_ALL } from '../policy/facts.js';
import { ROOT } from '../support/root.js';
import { onSources, passesInVitest, scratch } from './support.js';

const doc = await readFile(path.join(ROOT, 'docs/limits.md'), 'utf8');
const blocks = [...doc.matchAll(/^```(\w+)(?: (\S+))?\n([^]*?)^```$/gm)].map(([, language, name, text]) => ({
  language,
  name,
  text: text as string,
}));

function snippet(name: string): string {
  const block = blocks.find((block) => block.name === name || (block.name === undefined && block.language === name));
  if (block === undefined) throw new Error(`docs/limits.md has no snippet ${name}`);
  return block.text;
}

test('has no other snippets than those run here', () => {
  expect(blocks.map(({ language, name }) => name ?? language)).toEqual([
    'limits.yaml',
    'expressions.yaml',
    'cedar',
    'policy.test.ts',
  ]);
});

test('the limits and the policy that reads them', () => {
  const policy = policyFromText({
    'limits.yaml': snippet('limits.yaml'),
    'permit.cedar': PERMIT_ALL,
    'refunds.cedar': snippet('cedar'),
  });
  expect(policy.limits.limits.map(limitText)).toEqual([
    '500 EUR in 1d for each agent; at the limit: approve by finance, quorum=2',
    '50 actions for good for each tool, trace; at the limit: deny',
    '10 actions at once and 30 a minute for each agent; at the limit: queue for 30s',
    '5 at once for each tool; at the limit: queue for 2m',
    'opens for 1m when 50 % of at least 10 results in 5m are bad, for each tool, target; at the limit: deny',
    'at most 3 delegations deep',
  ]);
});

test('the expressions', () => {
  const policy = policyFromText({ 'limits.yaml': snippet('expressions.yaml'), 'permit.cedar': PERMIT_ALL });
  const mail = { input: { to: ['ann@example.com', 'eve@elsewhere.org'] } };
  expect(resolveLimits(policy, factsOf(), mail).limits.map(({ demand }) => demand.limit)).toEqual([
    'outside-recipients',
  ]);
  const transfer = { input: { amount: '2500.50' } };
  const bank = factsOf({ tool: { name: 'bank' } });
  expect(resolveLimits(policy, bank, transfer).limits.map(({ demand }) => demand)).toMatchObject([
    { limit: 'large-transfers', amount: 2500.5, window: { kind: 'fixed', ms: 7 * 86_400_000 } },
  ]);
});

test('the refusal that an agent reads', () => {
  expect(doc).toContain(`\n    ${EXAMPLE_REFUSAL}\n`);
});

test('the table has every field of every kind', () => {
  const named = new Set([...doc.matchAll(/^\| `(\w+)` +\| [^`]/gm)].map(([, field]) => field));
  for (const field of Object.values(FIELDS).flat()) expect(named).toContain(field);
});

test('policy.test.ts', async () => {
  const folder = await scratch('limits');
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await writeFile(path.join(folder, 'policy.test.ts'), onSources(snippet('policy.test.ts')));
  await passesInVitest(folder);
});

test('the commands', () => {
  const lines = [...doc.matchAll(/^ {4}countersign (\w+)([^#\n]*)/gm)];
  expect(lines.length).toBeGreaterThanOrEqual(2);
  for (const [, name, rest = ''] of lines) {
    const command = createProgram().commands.find((one) => one.name() === name);
    expect(command?.name()).toBe(name);
    const options = command?.options.map(({ long }) => long);
    for (const [option] of rest.matchAll(/--\w+/g)) expect(options).toContain(option);
  }
});

test('the example bundle is that of the page', async () => {
  const bundle = await loadBundle(path.join(ROOT, 'policies/examples/limits'));
  expect(() => compilePolicy(bundle)).not.toThrow();
  expect(bundle.files['limits.yaml']).toContain(snippet('limits.yaml'));
  expect(bundle.files['schema.cedarschema']).toBe(
    await readFile(path.join(ROOT, 'policies/starter/schema.cedarschema'), 'utf8'),
  );
});
