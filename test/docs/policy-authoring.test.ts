/** docs/policy-authoring.md: its table of findings is the whole one, and its example rules pass its example tests, with full coverage. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { FINDINGS } from '../../src/policy/authoring/lint/finding.js';
import { coveredPercent, runTables } from '../../src/policy/authoring/testing/run.js';
import { readTables } from '../../src/policy/authoring/testing/table.js';
import { policyFromText } from '../../src/testing/index.js';
import { STARTER_SCHEMA } from '../policy/input-example.js';
import { ROOT } from '../support/root.js';
import { snippetsOf } from './support.js';

const page = await readFile(path.join(ROOT, 'docs/policy-authoring.md'), 'utf8');

test('lists every code of lint with its severity, and no other', () => {
  const rows = [...page.matchAll(/^\| `([a-z-]+)`\s*\| (error|warning)\s*\|/gm)];
  expect(Object.fromEntries(rows.map(([, code, severity]) => [code, severity]))).toEqual(FINDINGS);
});

test('the rules of the example pass its tests', () => {
  const snippets = snippetsOf(page);
  const rules = 'refunds.cedar';
  const tests = 'tests/refunds.yaml';
  expect([...snippets.keys()].sort()).toEqual([rules, tests]);
  const policy = policyFromText({
    'schema.cedarschema': STARTER_SCHEMA.replace(
      'type Facts = {',
      'type Input = { body?: { amount?: Long } };\n  type Facts = {\n    input?: Input,',
    ),
    [rules]: snippets.get(rules) ?? '',
  });
  const { results, coverage } = runTables(policy, readTables({ [tests]: snippets.get(tests) ?? '' }));
  expect(results.map(({ name, differences }) => [name, differences])).toEqual(results.map(({ name }) => [name, []]));
  expect([results.length, coveredPercent(coverage)]).toEqual([2, 100]);
});
