/** Every snippet of docs/policy-input.md runs: the schema and the policies load and decide as the page says, the test passes under vitest. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { ActionType } from '../../src/action/decision.js';
import type { JsonObject } from '../../src/action/json.js';
import type { Proposal } from '../../src/action/proposal.js';
import { anAgent, aTool, enforce, policyFromText } from '../../src/testing/index.js';
import { scopeCovers } from '../../src/trust/index.js';
import { STARTER_SCHEMA } from '../policy/input-example.js';
import { ROOT } from '../support/root.js';
import { onSources, passesInVitest, scratch } from './support.js';

const page = await readFile(path.join(ROOT, 'docs/policy-input.md'), 'utf8');
const blocks = new Map(
  [...page.matchAll(/^```(\w+)(?: (\S+))?\n([^]*?)^```$/gm)].map(([, language = '', name, text = '']) => [
    name ?? language,
    text,
  ]),
);
const snippet = (name: string): string => blocks.get(name) ?? '';

const schema = STARTER_SCHEMA.replace('type Facts = {', snippet('cedarschema'));
const policies = snippet('cedar');
const policy = policyFromText({ 'schema.cedarschema': schema, 'payments.cedar': policies });

function ask(operation: string, body: JsonObject, roles: readonly string[] = ['support']) {
  const tool = aTool({ name: 'payments', kind: 'http' });
  return enforce(
    { tool: 'payments', input: { op: operation, body } },
    { policy, agent: anAgent({ roles }), tool, actionType: 'CALL_API', operation },
  );
}

test('has no other snippets than those run here', () => {
  expect([...blocks.keys()]).toEqual(['cedarschema', 'cedar', 'untrusted-sources.cedar', 'policy.test.ts']);
  expect(schema).not.toBe(STARTER_SCHEMA);
});

test('the policies rule by operation and argument', () => {
  expect(ask('refund', { amount: 100, currency: 'EUR' }).effect).toBe('allow');
  expect(ask('refund', { amount: 101, currency: 'EUR' }).code).toBe('POLICY_DENIED');
  expect(ask('refund', { amount: 1, currency: 'EUR' }, ['sales']).code).toBe('POLICY_DENIED');
  expect(ask('transfer', { amount: 1, currency: 'EUR' }).code).toBe('POLICY_DENIED');
  expect(ask('delete_customer', { amount: 1, currency: 'EUR' })).toMatchObject({
    effect: 'deny',
    policies: ['no-customer-is-deleted'],
    reason: 'no-customer-is-deleted: customers are never deleted through payments',
  });
});

test('the rule about sources is that of the starter bundle, and asks a person where a source is not trusted', async () => {
  const rule = snippet('untrusted-sources.cedar');
  const starter = await readFile(path.join(ROOT, 'policies/starter/untrusted-sources.cedar'), 'utf8');
  expect(starter.replace('@constraint("untrusted_sources")\n', '')).toContain(rule);
  const [silent = ''] = /`when \{ (context\.sources\.isEmpty\(\)) \}`/.exec(page)?.slice(1) ?? [];
  const asking = policyFromText({
    'schema.cedarschema': STARTER_SCHEMA,
    'rule.cedar': rule,
    'a.cedar': `@id("all") permit (principal, action, resource);
      @id("silent") forbid (principal, action == Countersign::Action::"DELETE", resource) when { ${silent} };`,
  });
  const decide = (from: Proposal['from'], actionType: ActionType = 'WRITE') =>
    enforce({ tool: 'shop-db', input: {}, from }, { policy: asking, agent: anAgent(), tool: aTool(), actionType });
  const prompt = { source: 'prompt', trust: 'trusted' } as const;
  const mail = { source: 'email:4711', trust: 'untrusted' } as const;
  expect(decide([prompt]).effect).toBe('allow');
  expect(decide(undefined).effect).toBe('allow');
  expect(decide([prompt, mail], 'READ').effect).toBe('allow');
  for (const actionType of ['WRITE', 'DELETE', 'CALL_API'] as const) {
    expect(decide([prompt, mail], actionType)).toMatchObject({
      effect: 'require_approval',
      reason: expect.stringContaining(`led to this ${actionType}`) as string,
      requirements: [{ roles: ['dba'] }],
    });
  }
  expect(decide(undefined, 'DELETE')).toMatchObject({ effect: 'deny', policies: ['silent'] });
});

test('the scope covers that operation and no other', () => {
  const [scope = ''] = /`payments:\w+`/.exec(page) ?? [];
  const scopes = [scope.replaceAll('`', '')];
  expect(scopeCovers(scopes, 'payments', 'refund')).toBe(true);
  expect(scopeCovers(scopes, 'payments', 'delete_customer')).toBe(false);
});

test('the refusal of an argument of another type', () => {
  const [, text = 'none'] = /^ {4}(proposal\.input.*)$/m.exec(page) ?? [];
  expect(ask('refund', { amount: '5', currency: 'EUR' })).toMatchObject({
    code: 'POLICY_ERROR',
    reason: `the policy could not be evaluated: ${text}`,
  });
});

test.each([
  ['String', '"a"', '1'],
  ['Long', '9007199254740991', '1.5'],
  ['Bool', 'true', '"true"'],
  ['decimal', '12.5', '"12.5"'],
  ['decimal', '12.3456', '0.30000000000000004'],
  ['Set<String>', '["a", "a"]', '"a"'],
  ['{ a?: Long }', '{"a": 1, "b": 2}', '[1]'],
])('the type %s takes %s and not %s', (type, right, wrong) => {
  expect(page).toContain(`| \`${type.replace('<String>', '<…>').replace('Long }', '… }')}\``);
  const declared = STARTER_SCHEMA.replace('type Facts = {', `type Facts = { input?: { x?: ${type} },`);
  const one = policyFromText({
    'schema.cedarschema': declared,
    'a.cedar': '@id("a") permit (principal, action, resource);',
  });
  const decide = (x: string) =>
    enforce(
      { tool: 'shop-db', input: JSON.parse(`{"x": ${x}}`) as JsonObject },
      { policy: one, agent: anAgent(), tool: aTool(), actionType: 'WRITE' },
    );
  expect(decide(right).effect).toBe('allow');
  expect(decide(wrong).code).toBe('POLICY_ERROR');
});

test('policy.test.ts', async () => {
  const folder = await scratch('policy-input');
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await mkdir(path.join(folder, 'policies'));
  await writeFile(path.join(folder, 'policies/schema.cedarschema'), schema);
  await writeFile(path.join(folder, 'policies/payments.cedar'), policies);
  await writeFile(path.join(folder, 'policy.test.ts'), onSources(snippet('policy.test.ts')));
  await passesInVitest(folder);
});
