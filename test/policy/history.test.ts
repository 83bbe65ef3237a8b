/** history.yaml and `context.history`: what a bundle may declare, what rules may read, and what a decision relies on. */
import { describe, expect, test } from 'vitest';
import { withMarksForShadow } from '../../activities/shadow.js';
import type { HistoryReading } from '../../src/action/history.js';
import { parseProposal } from '../../src/action/proposal.js';
import { lint } from '../../src/policy/authoring/lint/lint.js';
import { explain } from '../../src/policy/authoring/explain/explain.js';
import { readTables } from '../../src/policy/authoring/testing/table.js';
import { runTables } from '../../src/policy/authoring/testing/run.js';
import { diffPolicies } from '../../src/policy/diff.js';
import {
  bundleFromFiles,
  compilePolicy,
  evaluate,
  historyBesideOthers,
  NO_LIMITS_APPLY,
  resolveHistory,
  ruleOnLimits,
  type Policy,
} from '../../src/policy/index.js';
import { anAgent, aTool, enforce, policyFromText } from '../../src/testing/index.js';
import { factsOf, PERMIT_ALL, type FactsGiven } from './facts.js';

const HISTORY = `
history:
  tested: { of: { tool: ci, operation: run_tests }, scope: task, within: 4h, wait: 2m }
  read-sensitive: { of: { reads: [Customers, cards] }, scope: task, within: 7d }
  refunded: { of: { tool: payments, operation: refund }, scope: tenant, same: input.orderId, within: 366d }
`;
const RULES = `
@id("tests-first") @reason("deploy only after tests")
forbid (principal, action, resource == Countersign::Tool::"deploy") unless { context.history.tested.done >= 1 };
@id("no-outward-call") @reason("no outward call after reading a sensitive table")
forbid (principal, action == Countersign::Action::"CALL_API", resource)
when { context.history["read-sensitive"].possible > 0 };
@id("one-refund") @reason("one refund for each order")
forbid (principal, action, resource == Countersign::Tool::"payments")
when { context.operation == "refund" && context.history.refunded.possible >= 1 };
`;
const FILES = { 'history.yaml': HISTORY, 'rules.cedar': RULES, 'all.cedar': PERMIT_ALL };

function policyOf(history: string, rules = ''): Policy {
  return policyFromText({
    'history.yaml': history,
    'all.cedar': PERMIT_ALL,
    'rules.cedar': rules || PERMIT_ALL.replaceAll('permit-all', 'again'),
  });
}

const refused = (history: string, rules?: string): string => {
  try {
    policyOf(history, rules);
  } catch (error) {
    return (error as Error).message;
  }
  return 'nothing is wrong';
};
const fact = (fields: string): string => `history:\n  tested: { of: { tool: ci }, scope: task, within: 4h${fields} }\n`;

describe('what is declared', () => {
  test.each([
    ['history: []', 'history.yaml:1:10: it has no map of facts'],
    ['facts: {}', '"facts" is unknown'],
    ['history: { Tested: { of: { tool: ci }, scope: task, within: 4h } }', '"Tested" is not a usable id'],
    ['history:\n  tested: 4\n', 'history.yaml:2:11: history.tested is no map'],
    ['history: { tested: { scope: task, within: 4h } }', 'history.tested: a fact needs of'],
    ['history: { tested: { of: {}, scope: task, within: 4h } }', 'it says of no action what it must be'],
    ['history: { tested: { of: { table: x }, scope: task, within: 4h } }', '"table" is unknown'],
    ['history: { tested: { of: { tool: ci }, scope: trace, within: 4h } }', 'scope: "trace" will not do'],
    ['history: { tested: { of: { tool: ci }, scope: task } }', 'history.tested: a fact needs within'],
    [fact(', within: 4h'), 'a key is there twice'],
    [fact(', same: orderId'), 'same: "orderId" will not do'],
    [fact(', same: "input.*"'), 'same: "input.*" will not do'],
    [fact(', outcome: unknown'), 'outcome: "unknown" will not do'],
    [fact(', wait: 2d'), 'wait: "2d" will not do'],
    [fact(', max: 3'), '"max" is unknown'],
    ['history: { tested: { of: { tool: ci }, scope: task, within: 367d } }', 'within: "367d" will not do'],
  ])('%s is refused with its place', (history, message) => {
    expect(refused(history)).toContain(message);
    expect(refused(history)).toMatch(/history\.yaml/);
  });

  test('it is part of the digest, and of what differs between two policies', () => {
    const [one, other] = [policyOf(fact('')), policyOf(fact(', wait: 1m'))];
    expect(one.digest).not.toBe(other.digest);
    const { differences } = diffPolicies(one, other);
    expect(differences).toEqual([
      { part: 'history', what: 'changed', name: 'tested', sentences: ['its wait was absent, is "1m"'] },
    ]);
    const added = diffPolicies(policyOf('history: {}'), one).differences;
    expect(added).toEqual([
      {
        part: 'history',
        what: 'added',
        name: 'tested',
        sentences: ['success of tool ci, of the same task, within 4h'],
      },
    ]);
  });
});

describe('what rules may read', () => {
  const rule = (condition: string): string => `@id("a") forbid (principal, action, resource) when { ${condition} };`;

  test.each([
    ['context.history.testd.done >= 1', /testd/],
    ['context.history.tested.count >= 1', /count/],
    ['context.history.tested.done >= context.rows', /compares a count of context.history with something else/],
    ['context.history.tested.done + 1 >= 2', /in another way than to compare/],
    ['context.history.tested.done >= 101', /something else than a number/],
    ['context.history.tested == context.history.tested', /in another way than to compare/],
    ['context == context', /context as a whole/],
  ])('%s is refused', (condition, message) => {
    expect(refused(fact(''), rule(condition))).toMatch(message);
  });

  test('a schema that does not have it is given none', () => {
    const schema = policyFromText({ 'all.cedar': PERMIT_ALL }).bundle.files['schema.cedarschema'] ?? '';
    const without = schema.replace(/^\s*history: History,.*$/m, '');
    const files = { 'schema.cedarschema': without, 'all.cedar': PERMIT_ALL, 'history.yaml': fact('') };
    expect(
      enforce(
        { tool: 'shop-db', input: {} },
        { policy: compilePolicy(bundleFromFiles(files)), agent: anAgent(), tool: aTool(), actionType: 'READ' },
      ).effect,
    ).toBe('allow');
  });
});

describe('a decision', () => {
  const policy = policyFromText(FILES);
  const deploy = { tool: { name: 'deploy' }, actionType: 'CALL_API', operation: 'deploy' } as const;
  const readings = (given: Readonly<Record<string, Partial<HistoryReading>>>): readonly HistoryReading[] =>
    policy.history.facts.map(({ id }) => ({ fact: id, done: 0, underWay: 0, possible: 0, ...given[id] }));
  const rule = (given: FactsGiven, read: Readonly<Record<string, Partial<HistoryReading>>>, input = {}) => {
    const facts = factsOf(given);
    const asked = resolveHistory(policy.history, facts, { input, traceId: 'task-1' });
    return ruleOnLimits(policy, facts, NO_LIMITS_APPLY, [], undefined, { ...asked, readings: readings(read) });
  };

  test('of facts that say nothing of history is a deny', () => {
    expect(evaluate(policy, factsOf())).toMatchObject({ effect: 'deny', code: 'POLICY_ERROR' });
  });

  test('records what was found, and relies on what the rules that can apply compare', () => {
    const ruling = rule(deploy, { tested: { done: 3, possible: 4 } });
    expect(ruling.decision.effect).toBe('allow');
    expect(ruling.facts.history?.map(({ text }) => text)).toEqual([
      'tested: 3 done, 1 more that may count',
      'read-sensitive: 0 done',
      'refunded: 0 done',
    ]);
    expect(ruling.facts).not.toHaveProperty('limits');
    expect(ruling.history?.checks.map(({ fact, doneIn, possibleIn }) => [fact, doneIn, possibleIn])).toEqual([
      ['tested', [2, 100], undefined],
      ['read-sensitive', undefined, [0, 0]],
    ]);
    expect(ruling.history?.marks).toEqual([]);
  });

  test('waits for what is under way, and for no more than that', () => {
    const waiting = rule(deploy, { tested: { underWay: 1, possible: 1 } });
    expect(waiting.queue).toMatchObject({ reason: 'tested: 0 done, 1 under way', maxWaitMs: 120_000 });
    expect(waiting.queue?.inVain).toMatchObject({ effect: 'deny', code: 'POLICY_DENIED' });
    expect(rule(deploy, {})).toMatchObject({ decision: { effect: 'deny' } });
    const both = rule(deploy, { tested: { underWay: 1, possible: 1 }, 'read-sensitive': { possible: 1 } });
    expect(both).toMatchObject({ decision: { effect: 'deny' } });
    expect(both.queue).toBeUndefined();
  });

  test('leaves marks for those that come after it, by what it is and where', () => {
    const refund = (id: string, given: FactsGiven = {}) =>
      rule({ tool: { name: 'payments' }, actionType: 'CALL_API', operation: 'refund', ...given }, {}, { orderId: id })
        .history?.marks;
    expect(refund('7')).toHaveLength(1);
    expect(refund('7')).toEqual(refund('7', { agent: { id: 'another' } }));
    expect(refund('7')).not.toEqual(refund('8'));
    expect(refund('7', { operation: 'charge' })).toEqual([]);
  });
});

describe('a task', () => {
  const policy = policyOf('history:\n  any: { of: { tool: shop-db }, scope: task, within: 1d }\n');
  const ask = (agent: string, traceId?: string, via?: readonly string[]) => {
    const facts = factsOf({ agent: { id: agent, ...(via === undefined ? {} : { via }) } });
    const { queries, marks } = resolveHistory(policy.history, facts, { input: {}, traceId });
    const [query] = queries;
    if (query === undefined) throw new Error('one fact, and no query');
    const sees = (view: readonly string[], other: { readonly marks: readonly string[] }): boolean =>
      view.some((mark) => other.marks.includes(mark));
    return {
      marks,
      certain: (other: { readonly marks: readonly string[] }) => sees(query.certain, other),
      possible: (other: { readonly marks: readonly string[] }) => sees(query.possible, other),
    };
  };

  test('is what has one trace id, whoever does it', () => {
    expect(ask('a', 't').certain(ask('b', 't'))).toBe(true);
    expect(ask('a', 't').possible(ask('a', 'other'))).toBe(false);
  });

  test('leaving the trace id out hides nothing, and lends nothing', () => {
    expect(ask('a', 't').possible(ask('a'))).toBe(true);
    expect(ask('a', 't').certain(ask('a'))).toBe(false);
    expect(ask('a').possible(ask('a', 't'))).toBe(true);
    expect(ask('a').possible(ask('a'))).toBe(true);
    expect(ask('a').certain(ask('a'))).toBe(false);
    expect(ask('a').possible(ask('b', 't'))).toBe(false);
    expect(ask('delegate', undefined, ['a']).possible(ask('a', 't'))).toBe(true);
  });

  test('a trace id is part of what the agent signs', () => {
    expect(parseProposal({ actionId: 'a', tool: 'shop-db', input: {}, traceId: 't' }).traceId).toBe('t');
  });
});

describe('beside others', () => {
  const policy = policyFromText(FILES);
  const refund = factsOf({ tool: { name: 'payments' }, operation: 'refund', actionType: 'CALL_API' });
  const proposal = { input: { orderId: '7' } };

  test('of a batch, what comes first counts as under way', () => {
    const { queries, marks } = resolveHistory(policy.history, refund, proposal);
    const nothing = queries.map(({ fact }) => ({ fact, done: 0, underWay: 0, possible: 0 }));
    const counts = (others: readonly (readonly string[])[]) =>
      historyBesideOthers(nothing, queries, others).map(({ underWay, possible }) => [underWay, possible]);
    expect(counts([marks, []])).toEqual([
      [0, 0],
      [0, 0],
      [1, 1],
    ]);
    expect(counts([])).toEqual([
      [0, 0],
      [0, 0],
      [0, 0],
    ]);
  });

  test('the policy in shadow finds what was done before it is active', () => {
    const { marks } = resolveHistory(policy.history, refund, proposal);
    const authentic = { proposal: { actionId: 'a', tool: 'payments', ...proposal } };
    const left = (shadow: Policy | undefined) =>
      withMarksForShadow(undefined, refund, authentic, { policy: { current: () => policy, shadow: () => shadow } });
    expect(left(policy)).toEqual({ checks: [], marks });
    expect(left(policyOf('history: {}'))).toBeUndefined();
    expect(left(undefined)).toBeUndefined();
  });
});

describe('authoring', () => {
  test('tables give what came before', () => {
    const tests = `tests:
  - { name: after tests, tool: { name: deploy }, actionType: CALL_API, history: { tested: { done: 1 } }, expect: { decision: allow } }
  - { name: tests under way, tool: { name: deploy }, actionType: CALL_API, history: { tested: { underWay: 1 } }, expect: { decision: deny, reason: after tests } }
  - { name: nothing before, tool: { name: deploy }, actionType: CALL_API, expect: { decision: deny, policies: [tests-first] } }
`;
    const policy = policyFromText({ ...FILES, 'tests/deploy.yaml': tests });
    const { results } = runTables(policy, readTables(policy.bundle.files));
    expect(results.flatMap(({ differences }) => differences)).toEqual([]);
  });

  test('explain tells what would have to come before', () => {
    const policy = policyFromText(FILES);
    const facts = { ...factsOf({ tool: { name: 'deploy' }, actionType: 'CALL_API' }), ...policy.nothingBefore() };
    const { changes, history } = explain(policy, facts);
    expect(history.map(({ text }) => text)).toContain('tested: 0 done');
    expect(changes.map(({ changes: [one] }) => one?.text)).toContain('tested is 1 done');
  });

  test('lint finds facts that nobody reads, names that no tool has, and rules that read the wrong count', async () => {
    const rules = `
@id("late") permit (principal, action, resource) when { context.history.tested.possible >= 1 };
@id("leaky") forbid (principal, action, resource) unless { context.history.tested.done < 1 };
@id("right") forbid (principal, action, resource) when { !(context.history.tested.done > 0) && 1 > context.rows };`;
    const files = {
      'history.yaml': `${fact('')}  spare: { of: { tool: shop-db, operation: fly }, scope: agent, within: 1h }\n`,
      'rules.cedar': rules,
    };
    const tools = [{ name: 'shop-db', kind: 'postgres', environment: 'test', operations: [] }];
    const { findings } = await lint(async () => policyFromText(files).bundle, { tools });
    const found = findings.filter(({ id }) => ['tested', 'spare', 'late', 'leaky', 'right'].includes(id ?? ''));
    expect(
      found
        .map(({ code, id }) => `${id} ${code}`)
        .filter((text) => /history|unknown/.test(text))
        .sort(),
    ).toEqual([
      'late history-side',
      'leaky history-side',
      'spare history-unread',
      'spare unknown-operation',
      'tested unknown-tool',
    ]);
  });
});
