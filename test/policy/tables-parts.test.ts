/** The parts of table tests by themselves: what a test gives and what it leaves out, where its file is wrong, what differs, and how it is told. */
import { describe, expect, test } from 'vitest';
import { digest } from '../../src/action/json.js';
import { differenceText, junitXml } from '../../src/policy/authoring/testing/junit.js';
import { coveredPercent, givenFacts, runTables } from '../../src/policy/authoring/testing/run.js';
import { previewOf, readGiven, readTables, type Given } from '../../src/policy/authoring/testing/table.js';
import { problemsOf } from '../../src/policy/problems.js';
import { CountersignError } from '../../src/action/errors.js';
import { policyFromText } from '../../src/testing/index.js';
import { PERMIT_ALL } from './facts.js';
import { schemaWith } from './input-example.js';

const NO_HISTORY = { history: { facts: [] } };
const DECISION = { effect: 'allow' as const, reason: 'allowed by permit-all', policies: ['permit-all'] };

describe('the facts that a test gives', () => {
  test('are those of a read of the shop by an agent that may name every tool, where it says nothing', () => {
    expect(givenFacts({}, NO_HISTORY)).toEqual({
      agent: { id: 'test-agent', tenant: 'acme', roles: [], scopes: ['*'] },
      actionType: 'READ',
      tool: { name: 'shop-db', kind: 'postgres', environment: 'test' },
      operation: 'read',
      preview: { rows: 0, schemaChange: false, targets: [], reads: [], sample: [], summary: '' },
      now: '2025-01-01T12:00:00.000Z',
    });
    expect(Object.keys(givenFacts({}, NO_HISTORY)).sort()).toEqual([
      'actionType',
      'agent',
      'now',
      'operation',
      'preview',
      'tool',
    ]);
  });

  test.each<[Given, object]>([
    [
      { agent: { id: 'bot', tenant: undefined, roles: ['r'] } },
      { agent: { id: 'bot', tenant: 'acme', roles: ['r'], scopes: ['*'] } },
    ],
    [
      { above: [{ id: 'boss' }, { scopes: [] }] },
      {
        above: [
          { id: 'boss', tenant: 'acme', roles: [], scopes: ['*'] },
          { id: 'test-agent', tenant: 'acme', roles: [], scopes: [] },
        ],
      },
    ],
    [{ tool: { name: 'mail', kind: undefined } }, { tool: { name: 'mail', kind: 'postgres', environment: 'test' } }],
    [{ actionType: 'CALL_API' }, { actionType: 'CALL_API', operation: 'call_api' }],
    [{ input: { op: 'refund' } }, { operation: 'refund' }],
    [{ input: { op: 5 }, actionType: 'WRITE' }, { operation: 'write' }],
    [{ operation: 'own', input: { op: 'refund' } }, { operation: 'own' }],
    [{ from: [{ source: 'web', trust: 'untrusted' }] }, { from: [{ source: 'web', trust: 'untrusted' }] }],
    [
      { editedBy: 'dora', now: '2025-05-05T00:00:00.000Z' },
      { editedBy: 'dora', now: '2025-05-05T00:00:00.000Z' },
    ],
    [{ compensates: true }, { compensates: { actionId: 'undone', agent: 'test-agent', receipt: digest('undone') } }],
  ])('%j', (given, expected) => {
    expect(givenFacts(given, NO_HISTORY)).toMatchObject(expected);
  });

  test('have no compensation where a test says that there is none', () => {
    expect(givenFacts({ compensates: false }, NO_HISTORY)).not.toHaveProperty('compensates');
  });

  test.each<[NonNullable<Given['limits']>[string], object]>([
    [{}, { max: 0, used: 0, held: 0, left: 0, fits: false }],
    [{ max: 5 }, { max: 5, used: 0, held: 0, left: 5, fits: true }],
    [
      { max: 5, used: 3, held: 1 },
      { max: 5, used: 3, held: 1, left: 1, fits: true },
    ],
    [
      { max: 5, used: 4, held: 1 },
      { max: 5, used: 4, held: 1, left: 0, fits: false },
    ],
    [
      { max: 5, left: 0 },
      { max: 5, used: 0, held: 0, left: 0, fits: false },
    ],
    [
      { left: 2, fits: false },
      { max: 0, used: 0, held: 0, left: 2, fits: false },
    ],
  ])('have a figure of a limit: %j', (figure, expected) => {
    expect(givenFacts({ limits: { few: figure } }, NO_HISTORY).limits).toEqual([
      { limit: 'few', key: '', kind: 'budget', ...expected, text: '' },
    ]);
  });

  test('have of history what is declared, and nothing before where a test does not say', () => {
    const declared = policyFromText({
      'a.cedar': PERMIT_ALL,
      'history.yaml':
        'history:\n  one: {of: {tool: ci}, scope: tenant, within: 4h}\n  two: {of: {tool: cd}, scope: tenant, within: 4h}\n',
    });
    expect(
      givenFacts({ history: { two: { done: 1, underWay: undefined } } }, declared).history?.map(
        ({ fact, done, underWay, possible }) => [fact, done, underWay, possible],
      ),
    ).toEqual([
      ['one', 0, 0, 0],
      ['two', 1, 0, 1],
    ]);
    expect(givenFacts({}, declared).history).toHaveLength(2);
  });

  test.each<[Given, object]>([
    [{ input: { table: 'Orders' } }, { targets: [], reads: ['orders'] }],
    [
      { input: { table: 'Orders' }, actionType: 'DELETE' },
      { targets: ['orders'], reads: [] },
    ],
    [
      { input: { table: 7 }, actionType: 'DELETE' },
      { targets: [], reads: [] },
    ],
    [
      { input: { table: 'orders' }, actionType: 'WRITE', preview: { targets: ['a'], reads: ['b'] } },
      { targets: ['a'], reads: ['b'] },
    ],
    [{ preview: { rows: 7, schemaChange: true } }, { rows: 7, schemaChange: true, targets: [], reads: [] }],
  ])('have a preview: %j', (given, expected) => {
    expect(previewOf(given)).toEqual({ rows: 0, schemaChange: false, sample: [], summary: '', ...expected });
  });
});

describe('a test', () => {
  const policy = policyFromText({
    'a.cedar': `${PERMIT_ALL}@id("ask") @reason("ask {rows}") @approval("dba|lead, quorum=2; security, passkey") forbid (principal, action, resource) when { context.rows > 5 };
@id("never") forbid (principal, action, resource) when { context.rows > 50 };`,
  });
  const run = (given: Given, expected: object) =>
    runTables(policy, [
      {
        name: 'one',
        place: { file: 'tests/a.yaml', line: 1, column: 1 },
        given,
        expect: expected as never,
      },
    ]);
  const differences = (given: Given, expected: object) => run(given, expected).results[0]?.differences;

  test('holds where all that it speaks of is so', () => {
    expect(
      run({}, { decision: 'allow', code: undefined, reason: 'permit', policies: ['permit-all'], constraints: {} }),
    ).toEqual({
      results: [
        {
          name: 'one',
          place: { file: 'tests/a.yaml', line: 1, column: 1 },
          differences: [],
          decision: expect.objectContaining(DECISION) as object,
        },
      ],
      coverage: [
        { id: 'permit-all', place: { file: 'a.cedar', line: 1, column: 1 }, tests: ['one'] },
        { id: 'ask', place: { file: 'a.cedar', line: 3, column: 1 }, tests: [] },
        { id: 'never', place: { file: 'a.cedar', line: 4, column: 1 }, tests: [] },
      ],
    });
  });

  test.each<[string, Given, object, readonly object[]]>([
    ['the decision', {}, { decision: 'deny' }, [{ member: 'decision', expected: 'deny', actual: 'allow' }]],
    [
      'a code, where there is none',
      {},
      { decision: 'allow', code: 'POLICY_DENIED' },
      [{ member: 'code', expected: 'POLICY_DENIED', actual: null }],
    ],
    ['nothing in a code that is so', { preview: { rows: 60 } }, { decision: 'deny', code: 'POLICY_DENIED' }, []],
    [
      'each part of a reason that is not in it',
      {},
      { decision: 'allow', reason: ['allowed', 'denied', 'by'] },
      [{ member: 'reason', expected: 'denied', actual: 'allowed by permit-all' }],
    ],
    [
      'rules, in any order',
      { preview: { rows: 60 } },
      { decision: 'deny', policies: ['never', 'ask', 'more'] },
      [{ member: 'policies', expected: ['ask', 'more', 'never'], actual: ['ask', 'never'] }],
    ],
    ['no rules in another order', { preview: { rows: 60 } }, { decision: 'deny', policies: ['never', 'ask'] }, []],
    [
      'constraints',
      {},
      { decision: 'allow', constraints: { maxRows: 1 } },
      [{ member: 'constraints', expected: { maxRows: 1 }, actual: {} }],
    ],
    [
      'no requirement that is as the test says, roles in any order',
      { preview: { rows: 6 } },
      { decision: 'require_approval', requirements: [{ roles: ['lead', 'dba'] }, { passkey: true, quorum: 1 }] },
      [],
    ],
    [
      'a requirement, in what the test speaks of; all of one of which it does not speak',
      { preview: { rows: 6 } },
      { decision: 'require_approval', requirements: [{ quorum: 3, self: true }] },
      [
        {
          member: 'requirements',
          expected: [{ quorum: 3, self: true }],
          actual: [
            { quorum: 2, self: null },
            { policy: 'ask', roles: ['security'], quorum: 1, ttlSeconds: 86_400, passkey: true },
          ],
        },
      ],
    ],
  ])('tells that it differs in %s', (_, given, expected, found) => {
    expect(differences(given, expected)).toEqual(found);
  });

  test('of an agent whose scopes do not cover the operation is denied for that, as a worker does', () => {
    const { decision } = run({ agent: { scopes: ['mail'] }, operation: 'x' }, { decision: 'deny' }).results[0] ?? {};
    expect(decision).toMatchObject({
      effect: 'deny',
      code: 'SCOPE_DENIED',
      reason: 'the scopes of test-agent do not cover x of shop-db',
      policies: [],
    });
  });

  test('gives of the input what the schema declares, and is denied where that does not fit', () => {
    const typed = policyFromText({
      'schema.cedarschema': schemaWith('amount?: Long'),
      'a.cedar':
        '@id("small") permit (principal, action, resource) when { context has input.amount && context.input.amount < 5 };',
    });
    const effect = (input?: Given['input']) =>
      runTables(typed, [
        { name: 'n', place: { file: 'f', line: 1, column: 1 }, given: { input }, expect: { decision: 'allow' } },
      ]).results.map(({ decision }) => decision.code ?? decision.effect);
    expect(effect({ amount: 4, more: 1 })).toEqual(['allow']);
    expect(effect({ amount: 5 })).toEqual(['POLICY_DENIED']);
    expect(effect()).toEqual(['POLICY_DENIED']);
    expect(effect({ amount: 'x' })).toEqual(['POLICY_ERROR']);
  });

  test('covers rules in whole percent, rounded down; of no rules all are covered', () => {
    const rule = (...tests: string[]) => ({ id: 'r', place: { file: 'f', line: 1, column: 1 }, tests });
    expect(coveredPercent([])).toBe(100);
    expect(coveredPercent([rule()])).toBe(0);
    expect(coveredPercent([rule('a'), rule('b', 'c'), rule()])).toBe(66);
    expect(coveredPercent([rule('a')])).toBe(100);
  });
});

describe('what is read', () => {
  test('of one document is what it gives, or the place of what is wrong in it', () => {
    expect(readGiven({ operation: 'x', preview: { rows: 0 } })).toEqual({ operation: 'x', preview: { rows: 0 } });
    const refused = (value: unknown) => {
      try {
        readGiven(value);
      } catch (error) {
        if (error instanceof CountersignError) return error;
        throw error;
      }
      throw new Error('it was read');
    };
    const error = refused({ preview: { rows: -1 } });
    expect(error).toMatchObject({
      code: 'INVALID_PROPOSAL',
      field: 'preview.rows',
      message: expect.stringMatching(/^preview\.rows: /) as string,
      expected: expect.stringMatching(/^an object with agent, above, tool, .*, now, or the recorded facts/) as string,
    });
    expect(refused('text')).toMatchObject({
      field: 'the document',
      message: expect.stringMatching(/^the document: /) as string,
    });
  });

  test.each<[string, unknown]>([
    ['a member that it does not know', { more: 1 }],
    ['an attribute of the agent that it does not know', { agent: { name: 'x' } }],
    ['an attribute of the tool that it does not know', { tool: { id: 'x' } }],
    ['a member of the preview that it does not know', { preview: { row: 1 } }],
    ['a member of a figure that it does not know', { limits: { a: { maximum: 1 } } }],
    ['a count that it does not know', { history: { a: { did: 1 } } }],
    ['more earlier actions than can be told apart', { history: { a: { done: 101 } } }],
    ['half an earlier action', { history: { a: { done: 0.5 } } }],
    ['another action type', { actionType: 'PURGE' }],
    ['another trust', { from: [{ source: 'a', trust: 'some' }] }],
    ['a source without its name', { from: [{ trust: 'trusted' }] }],
  ])('is refused with %s', (_, value) => {
    expect(() => readGiven(value)).toThrow(expect.objectContaining({ code: 'INVALID_PROPOSAL' }) as Error);
  });

  const problems = (files: Readonly<Record<string, string>>) => {
    try {
      readTables(files);
    } catch (error) {
      if (error instanceof CountersignError) return problemsOf(error).map(({ at, message }) => ({ at, message }));
      throw error;
    }
    return [];
  };
  const at = (line: number, column: number, file = 'tests/a.yaml') => ({ file, line, column });

  test('of a bundle are its tables, in the order of their names, each test at its place', () => {
    const table = (...names: string[]) =>
      `tests:\n${names.map((name) => `  - { name: ${name}, expect: { decision: allow } }\n`).join('')}`;
    const tests = readTables({
      'tests/b.yaml': table('three'),
      'a.cedar': 'no table',
      'tests/a.yaml': table('one', 'two'),
    });
    expect(tests).toEqual([
      { name: 'one', place: at(2, 5), given: {}, expect: { decision: 'allow' } },
      { name: 'two', place: at(3, 5), given: {}, expect: { decision: 'allow' } },
      { name: 'three', place: at(2, 5, 'tests/b.yaml'), given: {}, expect: { decision: 'allow' } },
    ]);
    expect(readTables({ 'a.cedar': 'no table' })).toEqual([]);
  });

  test('has what a file gives to all of its tests, of which a test may give its own: maps member by member, an input whole', () => {
    const [own, none] = readTables({
      'tests/a.yaml': `
defaults:
  agent: { id: bot, roles: [r] }
  input: { op: refund, amount: 5 }
  from: [{ source: a, trust: trusted }]
  operation: x
tests:
  - { name: own, agent: { roles: [w] }, input: { amount: 6 }, from: [], operation: z, tool: { name: t }, expect: { decision: allow } }
  - { name: none, expect: { decision: allow } }
`,
    });
    expect(own?.given).toEqual({
      agent: { id: 'bot', roles: ['w'] },
      input: { amount: 6 },
      from: [],
      operation: 'z',
      tool: { name: 't' },
    });
    expect(none?.given).toEqual({
      agent: { id: 'bot', roles: ['r'] },
      input: { op: 'refund', amount: 5 },
      from: [{ source: 'a', trust: 'trusted' }],
      operation: 'x',
    });
  });

  test.each<[string, string, readonly object[]]>([
    [
      'a name that is there twice',
      'tests:\n  - { name: a, expect: { decision: allow } }\n  - { name: a, expect: { decision: allow } }\n',
      [{ at: at(3, 5), message: 'a test above is called "a" too' }],
    ],
    [
      'a member that no test has, at its key',
      'tests:\n  - name: a\n    expect: { decision: allow, rows: 5 }\n',
      [{ at: at(3, 32), message: expect.stringMatching(/^tests\.0\.expect: /) as string }],
    ],
    [
      'what is missing, at what lacks it',
      'tests:\n  - name: a\n    expect: { reason: x }\n',
      [{ at: at(3, 13), message: expect.stringMatching(/^tests\.0\.expect\.decision: /) as string }],
    ],
    [
      'what is wrong, at its place',
      'tests:\n  - name: a\n    above: [{ id: 5 }]\n    expect: { decision: allow }\n',
      [{ at: at(3, 19), message: expect.stringMatching(/^tests\.0\.above\.0\.id: /) as string }],
    ],
    ['a file that is no map', '- a\n', [{ at: at(1, 1), message: expect.stringMatching(/^the file: /) as string }]],
    [
      'an empty name',
      'tests:\n  - { name: "", expect: { decision: allow } }\n',
      [{ at: at(2, 13), message: expect.stringMatching(/^tests\.0\.name: /) as string }],
    ],
    [
      'a requirement that asks for what none has',
      'tests:\n  - { name: a, expect: { decision: allow, requirements: [{ role: x }] } }\n',
      [{ at: at(2, 60), message: expect.stringMatching(/^tests\.0\.expect\.requirements\.0: /) as string }],
    ],
  ])('is refused with %s', (_, content, expected) => {
    expect(problems({ 'tests/a.yaml': content })).toEqual(expected);
  });

  test('is refused with the problems of all files', () => {
    const twice = 'tests:\n  - { name: a, expect: { decision: no } }\n';
    expect(problems({ 'tests/a.yaml': twice, 'tests/b.yaml': 'tests: [\n' }).map(({ at: place }) => place)).toEqual([
      at(2, 36),
      at(2, 1, 'tests/b.yaml'),
    ]);
  });
});

describe('a result', () => {
  test('is told member by member', () => {
    expect([
      differenceText({ member: 'decision', expected: 'allow', actual: 'deny' }),
      differenceText({ member: 'policies', expected: ['a'], actual: [] }),
      differenceText({ member: 'code', expected: 'X', actual: null }),
      differenceText({ member: 'reason', expected: 'a', actual: 'b "c"' }),
    ]).toEqual([
      'decision: expected allow, got deny',
      'policies: expected ["a"], got []',
      'code: expected X, got null',
      'reason: expected to contain "a", got "b \\"c\\""',
    ]);
  });

  test('is a case of the suite of its file, with the place of what differs', () => {
    const result = (name: string, file: string, line: number, differs: boolean) => ({
      name,
      place: { file, line, column: 5 },
      differences: differs
        ? [
            { member: 'decision', expected: 'allow', actual: 'deny' },
            { member: 'code', expected: 'X', actual: null },
          ]
        : [],
      decision: {} as never,
    });
    expect(junitXml([result('one', 'b', 1, false), result('two', 'a', 2, true), result('three', 'b', 3, false)])).toBe(
      `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="countersign policy test" tests="3" failures="1">
  <testsuite name="b" tests="2" failures="0">
    <testcase classname="b" name="one" file="b" line="1"/>
    <testcase classname="b" name="three" file="b" line="3"/>
  </testsuite>
  <testsuite name="a" tests="1" failures="1">
    <testcase classname="a" name="two" file="a" line="2">
      <failure message="decision, code" type="decision">a:2:5&#10;decision: expected allow, got deny&#10;code: expected X, got null</failure>
    </testcase>
  </testsuite>
</testsuites>
`,
    );
  });
});
