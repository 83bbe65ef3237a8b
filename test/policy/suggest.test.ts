/** What people need not be asked about any more: only what they approved every time, alone, and nothing that was ever refused. */
import { describe, expect, test } from 'vitest';
import type { Policy } from '../../src/policy/index.js';
import { evaluate } from '../../src/policy/index.js';
import { suggest } from '../../src/policy/suggest.js';
import { policyFromText } from '../../src/testing/index.js';
import { approval, recorded, type Scene } from './backtest/recording.js';
import { factsOf, PERMIT_ALL } from './facts.js';

const LARGE =
  '@id("large") @reason("large") @approval("dba")\nforbid (principal, action, resource)\nwhen { context.rows > 100 };';
const policy = (text = LARGE): Policy =>
  policyFromText({ 'permit.cedar': PERMIT_ALL, 'large.cedar': `// Large changes.\n${text}\n` });

/** Changes of so many rows each, that dora approves. */
const approved = (rows: readonly number[], more: Partial<Scene> = {}): Scene[] =>
  rows.map((count, i) => ({
    id: `${more.id ?? 'a'}-${i}`,
    at: i * 10,
    approvals: [approval('dora', ['dba'])],
    ...more,
    ...(more.id === undefined ? {} : { id: `${more.id}-${i}` }),
    preview: { rows: count, targets: ['orders'], ...more.preview },
  }));

const suggested = (scenes: readonly Scene[], { text, atLeast = 2 }: { text?: string; atLeast?: number } = {}) => {
  const used = policy(text);
  return suggest(recorded(used, scenes), { policy: used, atLeast });
};

describe('what was approved every time', () => {
  test('gets an exception of its own: for this agent, tool, operation and environment, and no more rows or targets than were approved', () => {
    const scenes = [
      ...approved([101, 130]),
      ...approved([120], {
        id: 'b',
        approvals: [approval('carl', ['dba'])],
        preview: { targets: ['carts', 'orders'] },
      }),
    ];
    const [found, ...others] = suggested(scenes);
    expect(others).toEqual([]);
    expect(found).toMatchObject({
      rule: 'large',
      agent: 'test-agent',
      tool: 'shop-db',
      operation: 'update',
      environment: 'test',
      maxRows: 130,
      targets: ['carts', 'orders'],
      approved: 3,
      approvers: ['carl', 'dora'],
      sentence: 'carl, dora approved 3 of 3: update on shop-db (test) by test-agent, at most 130 rows',
      file: 'large.cedar',
      spared: 3,
      standingApproval:
        'countersign standing-approval grant test-agent --tool shop-db --operation update --environment test --max-rows 130 --expires 30d --reason "…"',
    });
    expect(found?.text).toBe(`// Large changes.
${LARGE.replace(/;$/, '')}
unless {
  principal == Countersign::Agent::"test-agent" &&
  resource == Countersign::Tool::"shop-db" &&
  context.environment == "test" &&
  context.operation == "update" &&
  context.rows <= 130 &&
  ["carts", "orders"].containsAll(context.targets)
};
`);
    const draft = policy((found?.text ?? '').replace('// Large changes.\n', ''));
    const effect = (given: Parameters<typeof factsOf>[0]) => evaluate(draft, factsOf(given)).effect;
    const within = { rows: 130, targets: ['orders'] };
    expect(effect({ preview: within })).toBe('allow');
    expect(effect({ preview: { ...within, rows: 131 } })).toBe('require_approval');
    expect(effect({ preview: { ...within, targets: ['orders', 'users'] } })).toBe('require_approval');
    expect(effect({ preview: within, agent: { id: 'other' } })).toBe('require_approval');
    expect(effect({ preview: within, tool: { name: 'other' } })).toBe('require_approval');
    expect(effect({ preview: within, tool: { environment: 'production' } })).toBe('require_approval');
    expect(effect({ preview: within, operation: 'delete' })).toBe('require_approval');
  });

  test('spares those alone whom nobody else asks', () => {
    const text = `${LARGE}\n@id("schema") @reason("schema") @approval("dba") forbid (principal, action, resource) when { context.schemaChange };`;
    const both = { schemaChange: true, rows: 105, targets: ['orders'] };
    const [found, ...others] = suggested(
      [...approved([110, 112]), { id: 'both', at: 99, preview: both, approvals: [approval('dora', ['dba'])] }],
      { text },
    );
    expect(others).toEqual([]);
    expect(found).toMatchObject({ rule: 'large', approved: 2, spared: 2 });
  });

  test('is none where the exception would be no policy', () => {
    const used = policy();
    const records = recorded(used, approved([101, 102]));
    const broken = records.map((record) => ({
      ...record,
      facts: { ...record.facts!, preview: { ...record.facts!.preview, rows: 0.5 } },
    }));
    expect(suggest(broken, { policy: used, atLeast: 2 })).toEqual([]);
  });

  test('without targets names none', () => {
    const [found] = suggested(approved([101, 102], { preview: { targets: [] } }));
    expect(found?.targets).toEqual([]);
    expect(found?.text).not.toContain('containsAll');
    expect(found?.text).toContain('context.rows <= 102\n};');
  });

  test('with names that a shell reads otherwise is quoted for it', () => {
    const [found] = suggested(approved([101, 102], { agent: { id: "it's me" }, operation: 'a b' }));
    expect(found?.standingApproval).toContain(`grant 'it'\\''s me' --tool shop-db --operation 'a b' --environment`);
    expect(suggested(approved([101, 102], { operation: '$(x)' }))[0]?.standingApproval).toContain(`--operation '$(x)'`);
    expect(suggested(approved([101, 102], { operation: '$(x)' }))[0]?.text).toContain('context.operation == "$(x)"');
  });

  test('counts from as often as is asked, apart for each agent, tool, operation and environment, in the order of their names', () => {
    const scenes = [
      ...approved([101, 102], { id: 'b', agent: { id: 'bob' } }),
      ...approved([101, 102], { id: 'a', agent: { id: 'ann' } }),
      ...approved([101], { id: 'o', operation: 'other' }),
      ...approved([101], { id: 'e', tool: { environment: 'staging' } }),
      ...approved([101], { id: 't', tool: { name: 'other' } }),
    ];
    expect(suggested(scenes).map(({ agent }) => agent)).toEqual(['ann', 'bob']);
    expect(suggested(scenes, { atLeast: 1 })).toHaveLength(5);
    expect(suggested(scenes, { atLeast: 3 })).toEqual([]);
  });
});

describe('nothing is suggested where', () => {
  test.each<[string, Partial<Scene>]>([
    ['somebody once said no', { approvals: [approval('dora', ['dba'], 'deny')] }],
    ['nobody answered once', { approvals: [] }],
  ])('%s', (_, more) => {
    expect(suggested([...approved([101, 102, 103]), ...approved([104], { id: 'b', ...more })])).toEqual([]);
  });

  test('people were not asked, or what they were asked was scrubbed since', () => {
    expect(suggested(approved([1, 2]))).toEqual([]);
    const used = policy();
    const records = recorded(used, approved([101, 102]));
    expect(suggest(records, { policy: used, atLeast: 2 })).toHaveLength(1);
    const scrubbed = records.map((record) => ({ ...record, scrubbed: [] as never }));
    expect(suggest(scrubbed, { policy: used, atLeast: 2 })).toEqual([]);
    const without = records.map(({ facts: _facts, ...record }) => record);
    expect(suggest(without, { policy: used, atLeast: 2 })).toEqual([]);
    const undecided = records.map(({ decision: _decision, ...record }) => record);
    expect(suggest(undecided, { policy: used, atLeast: 2 })).toEqual([]);
  });

  test('two rules asked: lifting one of them spares nobody', () => {
    const two = `${LARGE}\n@id("huge") @reason("huge") @approval("dba") forbid (principal, action, resource) when { context.rows > 100 };`;
    expect(suggested(approved([101, 102]), { text: two })).toEqual([]);
  });

  test('a limit asked: its file is no rule', () => {
    const limited = policyFromText({
      'permit.cedar': PERMIT_ALL,
      'limits.yaml': 'limits:\n  few: {kind: count, scope: agent, max: 0, window: 1d, atLimit: approve by dba}\n',
    });
    const records = recorded(limited, approved([1, 2]));
    expect(records.map(({ decision }) => decision?.effect)).toEqual(['require_approval', 'require_approval']);
    expect(suggest(records, { policy: limited, atLeast: 2 })).toEqual([]);
  });

  test('the rule is not there any more, or cannot be lifted any more', () => {
    const records = recorded(policy(), approved([101, 102]));
    const suggestions = (text: string) => suggest(records, { policy: policy(text), atLeast: 2 });
    expect(suggestions(LARGE.replace('"large"', '"renamed"'))).toEqual([]);
    expect(suggestions(LARGE.replace('@approval("dba")', ''))).toEqual([]);
  });

  test('nobody would be asked any more anyway', () => {
    const records = recorded(policy(), approved([101, 102]));
    const now = policy(LARGE.replace('> 100', '> 200'));
    expect(suggest(records, { policy: now, atLeast: 2 })).toEqual([]);
  });

  test('it would allow what another rule denied, which is gone since: so far, people would be asked', () => {
    const before = policy(`${LARGE}\n@id("never") forbid (principal, action, resource) when { context.rows == 105 };`);
    const records = recorded(before, [
      ...approved([110, 112]),
      { id: 'stopped', at: 99, preview: { rows: 105, targets: ['orders'] } },
    ]);
    expect(records.at(-1)?.decision?.effect).toBe('deny');
    expect(suggest(records, { policy: policy(), recordedUnder: [before.bundle], atLeast: 2 })).toEqual([]);
    const other = records.slice(0, 2);
    expect(suggest(other, { policy: policy(), recordedUnder: [before.bundle], atLeast: 2 })).toHaveLength(1);
  });

  test('what is not allowed by it, but by the policy as it is, hinders no suggestion', () => {
    const before = policy(`${LARGE}\n@id("never") forbid (principal, action, resource) when { context.rows == 5 };`);
    const records = recorded(before, [
      ...approved([110, 112]),
      { id: 'stopped', at: 99, preview: { rows: 5, targets: ['orders'] } },
    ]);
    expect(records.at(-1)?.decision?.effect).toBe('deny');
    expect(suggest(records, { policy: policy(), recordedUnder: [before.bundle], atLeast: 2 })).toHaveLength(1);
  });
});
