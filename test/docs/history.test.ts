/** Every snippet of docs/history.md runs: the facts and rules load and decide as the page says, the test passes under vitest. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { EARLIER_FIELDS, HISTORY_FIELDS } from '../../src/policy/history/schema.js';
import { anAgent, aTool, enforce, policyFromText } from '../../src/testing/index.js';
import { PERMIT_ALL } from '../policy/facts.js';
import { ROOT } from '../support/root.js';
import { onSources, passesInVitest, scratch, snippetsOf } from './support.js';

const doc = await readFile(path.join(ROOT, 'docs/history.md'), 'utf8');
const snippets = snippetsOf(doc);
const snippet = (name: string): string => snippets.get(name) ?? '';

test('has no other snippets than those run here', () => {
  expect([...snippets.keys()]).toEqual(['history.yaml', 'rules.cedar', 'policy.test.ts']);
});

test('the facts, and the rules that read them', () => {
  const policy = policyFromText({
    'history.yaml': snippet('history.yaml'),
    'rules.cedar': snippet('rules.cedar'),
    'permit.cedar': PERMIT_ALL,
  });
  const decide = (tool: string, operation: string, history: object) =>
    enforce(
      { tool, input: {} },
      {
        policy,
        agent: anAgent(),
        tool: aTool({ name: tool }),
        actionType: 'CALL_API',
        operation,
        history: { ...history },
      },
    ).policies;
  expect(decide('deploy', 'deploy', {})).toEqual(['tests-first']);
  expect(decide('deploy', 'deploy', { tested: { done: 1 } })).toEqual(['permit-all']);
  expect(decide('mail', 'send', { 'read-sensitive': { possible: 1 } })).toEqual(['no-outward-call']);
  expect(decide('payments', 'refund', { refunded: { possible: 1 } })).toEqual(['one-refund']);
  expect(decide('payments', 'charge', { refunded: { possible: 1 } })).toEqual(['permit-all']);
});

test('the table has every field', () => {
  const named = new Set([...doc.matchAll(/^\| `(\w+)` /gm)].map(([, field]) => field));
  for (const field of HISTORY_FIELDS) expect(named).toContain(field);
  for (const field of EARLIER_FIELDS) expect(doc).toContain(`\`${field}\``);
});

test('policy.test.ts', async () => {
  const folder = await scratch('history');
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await writeFile(path.join(folder, 'policy.test.ts'), onSources(snippet('policy.test.ts')));
  await passesInVitest(folder);
});
