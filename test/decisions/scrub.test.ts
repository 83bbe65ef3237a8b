/** Scrubbing: what rules name is gone, wherever it stood, and the rest is decided again as before. */
import { describe, expect, test } from 'vitest';
import { parseScrubRules } from '../../src/decisions/scrub-rules.js';
import { scrubRecord } from '../../src/decisions/scrub.js';
import { strikeRecord } from '../../src/decisions/strike.js';
import { backtest } from '../../src/policy/backtest/index.js';
import { policyFromText } from '../../src/testing/index.js';
import { PERMIT_ALL } from '../policy/facts.js';
import { approval, recorded } from '../policy/backtest/recording.js';

const RULES = parseScrubRules(
  `salt: a salt of more than sixteen characters
rules:
  - { at: /facts/agent/id, do: pseudonym }
  - { at: /facts/agent/owner, do: pseudonym }
  - { at: /approvals/*/approver, do: pseudonym }
  - { column: email, do: pseudonym }
  - { column: phone, do: remove }
`,
  'scrub.yaml',
);

const policy = policyFromText({
  'a.cedar': `${PERMIT_ALL}@id("large") @reason("{agent} changes {rows} rows") @approval("dba, quorum=2")
    forbid (principal, action, resource) when { context.rows > 100 };`,
  'limits.yaml': 'limits:\n  few: {kind: count, scope: agent, max: 2, window: 1d}\n',
});
const agent = { id: 'billing of maria', owner: 'maria@example.com' };
const records = recorded(policy, [
  {
    id: 'a',
    at: 0,
    agent,
    preview: { rows: 200 },
    input: { where: { email: 'maria@example.com', phone: '555 0101' } },
    approvals: [approval('ann@example.com', ['dba']), approval('bob@example.com', ['dba'])],
  },
  { id: 'b', at: 1, agent },
  { id: 'c', at: 2, agent },
]);
const scrubbed = records.map((record) => scrubRecord(record, RULES));

describe('scrubbing', () => {
  test('leaves nothing of what the rules name, not in texts and keys either', () => {
    const text = JSON.stringify(scrubbed);
    for (const name of ['maria', 'ann@', 'bob@', '555']) expect(text).not.toContain(name);
    expect(JSON.stringify(records)).toContain('agent=billing%20of%20maria');
    expect(scrubbed[0]?.scrubbed).toEqual([
      '/approvals/0/approver',
      '/approvals/1/approver',
      '/facts/agent/id',
      '/facts/agent/owner',
      '/proposal/input/where/email',
      '/proposal/input/where/phone',
    ]);
  });

  test('gives one value one pseudonym, and others others', () => {
    const [first, second] = scrubbed;
    expect(first?.facts?.agent.id).toMatch(/^p-[0-9a-f]{16}$/);
    expect(second?.facts?.agent.id).toBe(first?.facts?.agent.id);
    expect(first?.facts?.agent.owner).toBe(
      ((first?.proposal?.input ?? {}) as { where: { email: string } }).where.email,
    );
    expect(first?.approvals[0]?.approver).not.toBe(first?.approvals[1]?.approver);
  });

  test('changes nothing where the policy reads none of it', () => {
    const { summary } = backtest(scrubbed, { candidate: policy, recordedUnder: [policy.bundle] });
    expect(summary).toMatchObject({ redecided: 3, same: 3, toTheLetter: 3, undecided: 0 });
  });

  test.each([
    ['rules that are no YAML', 'rules: [', 'INVALID_YAML'],
    ['pseudonyms without a salt', 'rules: [{column: email, do: pseudonym}]', 'CONFIG_INVALID'],
    ['a pointer that is none', 'rules: [{at: email, do: remove}]', 'CONFIG_INVALID'],
    ['nothing to do', 'rules: []', 'CONFIG_INVALID'],
  ])('refuses %s', (_, text, code) => {
    expect(() => parseScrubRules(text, 'scrub.yaml')).toThrow(expect.objectContaining({ code }));
  });

  test('strikes out secret columns and credentials without being told', () => {
    const [record] = recorded(policyFromText({ 'a.cedar': PERMIT_ALL }), [
      {
        id: 'a',
        at: 0,
        preview: { secretColumns: ['pin'] },
        input: { set: { pin: '1234', note: 'the key is ghp_abcdefghijklmnopqrstuvwxyz0123456789' } },
      },
    ]);
    const struck = strikeRecord(record!);
    expect(JSON.stringify(struck)).not.toMatch(/1234"|ghp_a/);
    expect(struck.scrubbed).toEqual(['/proposal/input/set/note', '/proposal/input/set/pin']);
  });
});
