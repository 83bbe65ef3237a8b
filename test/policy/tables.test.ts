/** Table tests of policies: what they can say, how a failure reads, coverage, JUnit; and the starter bundle's own, with full coverage. */
import { describe, expect, test } from 'vitest';
import { junitXml } from '../../src/policy/authoring/testing/junit.js';
import { coveredPercent, runTables } from '../../src/policy/authoring/testing/run.js';
import { readTables } from '../../src/policy/authoring/testing/table.js';
import { loadStarterPolicy, policyFromText } from '../../src/testing/index.js';
import { STARTER_SCHEMA } from './input-example.js';

const RULES = `@id("reads") permit (principal in Countersign::Role::"r", action == Countersign::Action::"READ", resource);
@id("writes") @constraint("maxRows=10, dryRun") permit (principal in Countersign::Role::"w", action, resource);
@id("many") @reason("{rows} rows are many") @approval("dba|lead, quorum=2") forbid (principal, action, resource) when { context.rows > 5 };
@id("left") forbid (principal, action, resource) when { context.limits has "budget" && context.limits["budget"].left < 1 };`;

const policy = policyFromText({
  'a.cedar': RULES,
  'limits.yaml': 'limits:\n  budget:\n    kind: count\n    scope: agent\n    max: 5\n    window: 1d\n',
});

const ran = (yaml: string) => runTables(policy, readTables({ 'tests/a.yaml': yaml }));
const problemsIn = (yaml: string) => () => readTables({ 'tests/a.yaml': yaml });

test('the tests of the starter bundle pass, and make every rule decide', async () => {
  const starter = await loadStarterPolicy();
  const { results, coverage } = runTables(starter, readTables(starter.bundle.files));
  expect(results.flatMap(({ name, differences }) => differences.map((one) => ({ name, ...one })))).toEqual([]);
  expect(results.length).toBeGreaterThan(10);
  expect(coverage.filter(({ tests }) => tests.length === 0)).toEqual([]);
  expect(coveredPercent(coverage)).toBe(100);
});

test('a test says everything that a decision depends on, and defaults are merged one level deep', () => {
  const { results } = ran(`
defaults:
  agent: { id: bot, roles: [w], scopes: ['shop-db:upd*'] }
tests:
  - name: allowed
    actionType: WRITE
    operation: update
    expect: { decision: allow, policies: [writes], constraints: { maxRows: 10, dryRun: true } }
  - name: asked
    actionType: WRITE
    operation: update
    preview: { rows: 6 }
    expect:
      decision: require_approval
      reason: [6 rows, many]
      requirements: [{ policy: many, roles: [lead, dba], quorum: 2 }]
  - name: out of scope
    actionType: DELETE
    operation: delete
    expect: { decision: deny, code: SCOPE_DENIED, reason: do not cover delete of shop-db }
  - name: out of budget
    actionType: WRITE
    operation: update
    limits: { budget: { max: 5, used: 5 } }
    expect: { decision: deny, policies: [left] }
  - name: for one above it
    actionType: WRITE
    operation: update
    above: [{ id: boss, roles: [] }]
    expect: { decision: deny, reason: for boss }
`);
  expect(results.flatMap(({ name, differences }) => differences.map((one) => ({ name, ...one })))).toEqual([]);
});

test('each difference names the member, what was expected and what came', () => {
  const { results } = ran(`
tests:
  - name: wrong
    agent: { roles: [w] }
    actionType: WRITE
    preview: { rows: 6 }
    expect:
      decision: allow
      code: POLICY_DENIED
      reason: few
      policies: [writes]
      constraints: {}
      requirements: []
`);
  expect(results[0]?.differences.map(({ member, expected, actual }) => [member, expected, actual])).toEqual([
    ['decision', 'allow', 'require_approval'],
    ['code', 'POLICY_DENIED', null],
    ['reason', 'few', 'many: 6 rows are many'],
    ['policies', ['writes'], ['many']],
    ['constraints', {}, { maxRows: 10, dryRun: true }],
    ['requirements', [], [{ policy: 'many', roles: ['dba', 'lead'], quorum: 2, ttlSeconds: 86400 }]],
  ]);
  expect(results[0]?.place).toEqual({ file: 'tests/a.yaml', line: 3, column: 5 });
});

test('coverage counts the tests in which a rule determined the decision', () => {
  const { coverage } = ran(`
tests:
  - { name: one, agent: { roles: [r] }, expect: { decision: allow } }
  - { name: two, agent: { roles: [r, w] }, expect: { decision: allow } }
`);
  expect(coverage.map(({ id, tests }) => [id, tests])).toEqual([
    ['reads', ['one', 'two']],
    ['writes', ['two']],
    ['many', []],
    ['left', []],
  ]);
  expect(coveredPercent(coverage)).toBe(50);
});

test('the arguments that the schema declares are seen, and a wrong type is the error that a worker gives', () => {
  const typed = policyFromText({
    'schema.cedarschema': STARTER_SCHEMA.replace(
      'type Facts = {',
      'type Input = { amount?: Long };\n  type Facts = {\n    input?: Input,',
    ),
    'a.cedar':
      '@id("small") permit (principal, action, resource) when { context has input.amount && context.input.amount < 5 };',
  });
  const { results } = runTables(
    typed,
    readTables({
      'tests/a.yaml': `tests:
  - { name: small, input: { amount: 4 }, expect: { decision: allow } }
  - { name: large, input: { amount: 5 }, expect: { decision: deny } }
  - { name: text, input: { amount: '4' }, expect: { decision: deny, code: POLICY_ERROR, reason: is a text } }
`,
    }),
  );
  expect(results.flatMap(({ differences }) => differences)).toEqual([]);
});

describe('what is refused', () => {
  test.each([
    [
      'a member that no test has',
      'tests:\n  - name: a\n    rows: 5\n    expect: { decision: allow }\n',
      'tests/a.yaml:3:5',
    ],
    ['a decision that there is not', 'tests:\n  - name: a\n    expect: { decision: maybe }\n', 'tests/a.yaml:3:25'],
    ['a test without an expectation', 'tests:\n  - name: a\n', 'tests/a.yaml:2:5'],
    ['no tests', 'tests: []\n', 'tests/a.yaml:1:8'],
    [
      'the same name twice',
      'tests:\n  - { name: a, expect: { decision: allow } }\n  - { name: a, expect: { decision: allow } }\n',
      'tests/a.yaml:3:5',
    ],
    ['text that is not YAML', 'tests: [\n', 'tests/a.yaml:2:1'],
    ['an alias', 'tests:\n  - &a { name: a, expect: { decision: allow } }\n  - *a\n', 'tests/a.yaml:2:8'],
  ])('%s', (_, yaml, place) => {
    expect(problemsIn(yaml)).toThrow(expect.objectContaining({ code: 'POLICY_INVALID', field: place }) as Error);
  });
});

test('JUnit XML holds any text, escaped, and what XML cannot hold is replaced', () => {
  const { results } = ran(`
tests:
  - name: "a <b> & \\"c\\" 'd' ]]> \\u0007 \\uD800"
    agent: { roles: [r] }
    expect: { decision: deny, reason: "<&>" }
`);
  const xml = junitXml(results);
  expect(xml).toContain('name="a &lt;b&gt; &amp; &quot;c&quot; &apos;d&apos; ]]&gt; \u{FFFD} \u{FFFD}"');
  expect(xml).toContain('<testsuites name="countersign policy test" tests="1" failures="1">');
  expect(xml).toContain('<failure message="decision, reason"');
  expect(xml).toContain('decision: expected deny, got allow');
  expect(xml.match(/<(\w+)[^>]*[^/]>/g)?.length).toBeGreaterThanOrEqual(4);
});
