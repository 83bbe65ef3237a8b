/** Policies and facts of a size or number that could break a process: what nests without end, thousands of policies, thousands of bad facts, a full stack. */
import { describe, expect, test } from 'vitest';
import { ACTION_TYPES } from '../../src/action/decision.js';
import { CountersignError } from '../../src/action/errors.js';
import { bundleFromFiles, compilePolicy, evaluate } from '../../src/policy/index.js';
import { policyFromText } from '../../src/testing/index.js';
import { factsOf, PERMIT_ALL } from './facts.js';
import { STARTER_SCHEMA } from './input-example.js';

function refused(text: string): CountersignError {
  try {
    bundleFromFiles({ 'schema.cedarschema': STARTER_SCHEMA, 'a.cedar': text });
  } catch (error) {
    if (error instanceof CountersignError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('a policy that nests without end', () => {
  const nested: Readonly<Record<string, (n: number) => string>> = {
    brackets: (n) => `${'('.repeat(n)}true${')'.repeat(n)}`,
    conjunctions: (n) => Array(n).fill('context.schemaChange').join(' && '),
    sums: (n) => `${Array(n).fill('1').join(' + ')} > 1`,
    sets: (n) => `${'['.repeat(n)}1${']'.repeat(n)} == [[1]]`,
    choices: (n) => `${'if context.schemaChange then true else '.repeat(n)}false`,
    calls: (n) => `context.now${'.offset(duration("1d"))'.repeat(n)} > context.now`,
  };

  test.each(Object.keys(nested))('of %s is refused, and the active policy still works', (shape) => {
    const working = policyFromText({ 'a.cedar': PERMIT_ALL });
    for (const n of [120, 1000, 10_000]) {
      const error = refused(`@id("deep") permit (principal, action, resource) when { ${nested[shape]?.(n)} };`);
      expect(error.message).toMatch(/nests (too deeply|deeper than)|impossible/);
      expect(evaluate(working, factsOf()).effect).toBe('allow');
    }
  });

  test('is not what texts and comments hold, nor brackets side by side', () => {
    const many = '('.repeat(200);
    const text = `// ${many}\n@reason("\\"${many}") permit (principal, action, resource) when { ${Array(200).fill('(true)').join(' || ')} };`;
    expect(refused(text).message).not.toContain('brackets');
    const few = `// ${many}\n@id("few") @reason("\\"${many}") permit (principal, action, resource) when { (true) };`;
    expect(() => policyFromText({ 'a.cedar': few })).not.toThrow();
  });

  test('up to the accepted depth is evaluated, even on a deep call stack', () => {
    const text = Object.entries(nested)
      .filter(([shape]) => shape !== 'sets')
      .map(([shape, make]) => `@id("${shape}") forbid (principal, action, resource) when { ${make(44)} };`);
    const policy = policyFromText({ 'a.cedar': PERMIT_ALL + text.join('\n') });
    const within = (depth: number): string =>
      depth === 0 ? (evaluate(policy, factsOf({ preview: { schemaChange: true } })).code ?? 'none') : within(depth - 1);
    expect(within(1000)).toBe('POLICY_DENIED');
  });
});

test('5,000 policies load within bounds, and one more is refused', { timeout: 240_000 }, () => {
  const texts = (count: number) =>
    Object.fromEntries(
      Array.from({ length: Math.ceil(count / 2500) }, (_, file) => [
        `p${file}.cedar`,
        Array.from(
          { length: Math.min(2500, count - file * 2500) },
          (_, i) =>
            `@id("p${file}-${i}") permit (principal, action, resource == Countersign::Tool::"t${file * 2500 + i}");`,
        ).join('\n'),
      ]),
    );
  const load = (count: number) =>
    compilePolicy(bundleFromFiles({ 'schema.cedarschema': STARTER_SCHEMA, ...texts(count) }));
  const before = process.memoryUsage().rss;
  const policy = load(5000);
  expect(policy.slice(policy.request(factsOf({ tool: { name: 't7' } }))).map(({ id }) => id)).toEqual(['p0-7']);
  expect((process.memoryUsage().rss - before) / 2 ** 20).toBeLessThan(500);
  expect(() => load(5001)).toThrow('it has 5001 policies');
});

describe('one policy on which everybody depends', () => {
  const policy = policyFromText({
    'a.cedar': '@id("dba-only") permit (principal in Countersign::Role::"dba", action, resource);',
  });

  test('ten thousand bad facts do not damage the policy', () => {
    const bad = [
      factsOf({ agent: { id: '\ud800' } }),
      factsOf({ preview: { rows: 2 ** 60 } }),
      factsOf({ now: 'never' }),
    ];
    for (let i = 0; i < 10_000; i++) evaluate(policy, bad[i % 3] ?? factsOf());
    expect(evaluate(policy, factsOf({ agent: { roles: ['dba'] } })).effect).toBe('allow');
  });

  test('a caller that runs out of stack gets a deny, and the right decision when it has stack again', () => {
    const facts = factsOf({ agent: { roles: ['dba'] } });
    const seen = new Set<string>();
    const recurse = (): void => {
      try {
        recurse();
      } catch {
        // Evaluates again one level up, as long as not even a deny fits on the stack.
        seen.add(evaluate(policy, facts).code ?? 'none');
      }
    };
    for (let i = 0; i < 5; i++) {
      recurse();
      expect(evaluate(policy, facts).effect).toBe('allow');
    }
    expect(seen).toContain('POLICY_ERROR');
  });
});

describe('slices', () => {
  test('contain only policies that can apply: a quarter of 1,000 policies for single actions', () => {
    const policies = Array.from(
      { length: 1000 },
      (_, i) =>
        `@id("p${i}") permit (principal, action == Countersign::Action::"${ACTION_TYPES[i % 4]}", resource) when { context.rows == ${i} };`,
    );
    const policy = policyFromText({ 'a.cedar': policies.join('\n') });
    for (const actionType of ACTION_TYPES) {
      expect(policy.slice(policy.request(factsOf({ actionType })))).toHaveLength(250);
    }
    for (const [i, actionType] of ACTION_TYPES.entries()) {
      expect(evaluate(policy, factsOf({ actionType, preview: { rows: 500 + i } })).policies).toEqual([`p${500 + i}`]);
      expect(evaluate(policy, factsOf({ actionType, preview: { rows: 501 + i } })).effect).toBe('deny');
    }
  });
});
