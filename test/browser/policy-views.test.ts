/** What the policy pages are made of, without a browser or a server: outlines, trials, what is pasted, and how all of it is drawn. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Facts } from '../../src/action/decision.js';
import type { CountersignError } from '../../src/action/errors.js';
import { digestText } from '../../src/action/json.js';
import type { PolicyEvidence } from '../../src/action/policy-rollout.js';
import { Differences } from '../../src/gateway/inbox/policy/differences.js';
import { Divergences } from '../../src/gateway/inbox/policy/divergences.js';
import { Evidence } from '../../src/gateway/inbox/policy/evidence.js';
import { pastedQuestion, recordedQuestion } from '../../src/gateway/inbox/policy/question.js';
import { Limits, Rules } from '../../src/gateway/inbox/policy/rules.js';
import { TrialResult } from '../../src/gateway/inbox/policy/decided.js';
import { outlineOf, type BundleFiles } from '../../src/gateway/policy/outline.js';
import { PolicyWork } from '../../src/gateway/policy/policy-work.js';
import { tryOut, type PolicyTrial } from '../../src/gateway/policy/trial.js';
import { CHANGE_KINDS } from '../../src/policy/backtest/index.js';
import { loadBundle, starterFolder } from '../../src/policy/index.js';

const MARKUP = '<script>window.hacked = 1</script>\u202E';
const NOW = new Date('2026-03-01T00:00:00Z');
const DIGEST = digestText('a bundle');

let starter: BundleFiles;
beforeAll(async () => {
  starter = (await loadBundle(starterFolder())).files;
});

function html(element: unknown): string {
  return (element as { toString(): string }).toString();
}

function thrown(body: () => unknown): CountersignError {
  try {
    body();
  } catch (error) {
    return error as CountersignError;
  }
  throw new Error('nothing was thrown');
}

const PASTED = {
  proposal: { tool: 'shop-db', input: { op: 'delete', table: 'users' } },
  agent: { id: 'cleaner', roles: ['admin_user'] },
  tool: { kind: 'postgres', environment: 'production' },
  actionType: 'DELETE',
  preview: { rows: 1, targets: ['users'] },
};
const question = (more: object = {}) => pastedQuestion(JSON.stringify({ ...PASTED, ...more }), 'acme');

function trial(...asked: Parameters<typeof tryOut>): PolicyTrial {
  const answer = tryOut(...asked);
  if ('lacks' in answer) throw new Error(`it lacks ${JSON.stringify(answer.lacks)}`);
  return answer;
}

describe('the rules of a bundle', () => {
  test('are told with their scope, who lifts them, and how often each decided', () => {
    const outline = outlineOf(starter);
    const page = html(
      Rules({
        outline,
        figures: {
          rules: [{ policy: 'admin-user', total: 1203, allow: 1200, deny: 0, require_approval: 3 }],
          counted: 1300,
          more: false,
        },
        from: 0,
      }),
    );
    expect(page).toContain('decided 1,203</a>: 1,200 allowed, 3 needed approval');
    expect(page).toContain('href="/history?policy=admin-user"');
    expect(page).toContain(`${outline.rules.length} rules, ${outline.rules.length - 1} of which decided nothing`);
    expect(page.match(/decided nothing in 30 days/g)).toHaveLength(outline.rules.length - 1);
    expect(page).toContain('dba within 1d');
    expect(page).toContain('READ by members of role read_only_user on any tool');
  });

  test('are found by what they say, a hundred on a page', () => {
    const many = Array.from({ length: 250 }, (_, n) => `@id("r-${n}") permit (principal, action, resource);`).join(
      '\n',
    );
    const outline = outlineOf({ ...starter, 'many.cedar': many });
    const none = { rules: [], counted: 0, more: true };
    const first = html(Rules({ outline, figures: none, text: 'R-', from: 0 }));
    expect(first.match(/id="rule-/g)).toHaveLength(100);
    expect(first).toContain('href="/policy?q=R-&amp;from=100#rules"');
    expect(first).toContain('decided nothing that was counted');
    expect(html(Rules({ outline, figures: none, text: 'R-', from: 200 })).match(/id="rule-/g)).toHaveLength(50);
    expect(html(Rules({ outline, figures: none, text: 'no such', from: 0 }))).toContain('No rules found');
  });

  test('are text, whatever they hold', () => {
    const rule = `@id("odd") @reason("${MARKUP}") permit (principal, action, resource) when { context.operation == "<b>" };`;
    const outline = outlineOf({ ...starter, 'odd.cedar': rule });
    const page = html(Rules({ outline, figures: { rules: [], counted: 0, more: false }, text: 'odd', from: 0 }));
    expect(page).not.toContain('<script>');
    expect(page).toContain('&lt;script&gt;window.hacked = 1&lt;/script&gt;');
    expect(page).not.toContain('\u202E');
    expect(page).toContain('title="right-to-left override">U+202E');
    const limits = [{ id: 'refunds', text: `500 ${MARKUP} in 1d` }];
    expect(html(Limits({ limits }))).not.toMatch(/<script>|\u202E/);
    const differences = [{ part: 'rule', what: 'changed', name: MARKUP, sentences: [MARKUP] }] as const;
    expect(html(Differences({ differences }))).not.toMatch(/<script>|\u202E/);
  });
});

describe('a trial', () => {
  test('decides before and after a change of one rule', () => {
    const tried = trial(
      starter,
      {
        id: 'protected-tables',
        text: `@id("protected-tables")
@reason("{rows} rows of {targets}")
@approval("lead, quorum=2")
forbid (principal, action == Countersign::Action::"DELETE", resource);`,
      },
      question(),
    );
    const { before, after } = tried;
    expect(before).toMatchObject({ effect: 'deny', decision: { policies: ['protected-tables'] } });
    expect(after).toMatchObject({ effect: 'require_approval', reason: 'protected-tables: 1 rows of users' });
    expect(after.decision.requirements).toMatchObject([{ roles: ['lead'], quorum: 2 }]);
    const page = html(TrialResult({ trial: tried, recorded: before.decision }));
    expect(page).toContain('It would be ask people instead of deny');
    expect(page).toContain('2 of lead within 1d');
    expect(page).toContain('It falls under none.');
  });

  test('takes a rule out, adds one, and says where nothing differs', () => {
    expect(trial(starter, { id: 'protected-tables', text: '' }, question()).after.effect).toBe('allow');
    const all = '@id("nobody") forbid (principal, action, resource);';
    const added = trial(starter, { text: all }, question({ preview: { rows: 1, targets: ['orders'] } }));
    expect([added.before.effect, added.after.effect]).toEqual(['allow', 'deny']);
    const { text } = outlineOf(starter).rules[0] ?? { text: '' };
    const same = trial(starter, { id: outlineOf(starter).rules[0]?.id ?? '', text }, question());
    expect(html(TrialResult({ trial: same }))).toContain('The change makes no difference here');
  });

  test('says by file and line what is wrong with a rule', () => {
    const change = (text: string) => thrown(() => tryOut(starter, { id: 'protected-tables', text }, question()));
    expect(change('forbid (principal, action, resource')).toMatchObject({ code: 'POLICY_INVALID' });
    expect(change('@id("x")\nforbid (principal, action, resource) when { context.nope };').message).toMatch(
      /protected-tables\.cedar:\d+:\d+: .*nope/,
    );
    expect(change('@id("admin-user") permit (principal, action, resource);').message).toMatch(
      /@id\("admin-user"\) is also at/,
    );
    expect(thrown(() => tryOut(starter, { id: 'none', text: '' }, question()))).toMatchObject({
      code: 'INVALID_INPUT',
    });
  });

  test('is asked with facts that can be wrong, each told by its place', () => {
    expect(thrown(() => pastedQuestion('{\n  "proposal": {,}\n}', 'acme'))).toMatchObject({
      code: 'INVALID_JSON',
      message: expect.stringMatching(/^line 2: /),
    });
    expect(thrown(() => question({ actionType: 'PAINT' }))).toMatchObject({
      code: 'INVALID_INPUT',
      field: 'facts.actionType',
    });
    expect(thrown(() => question({ agent: { ...PASTED.agent, tenant: 'globex' } })).code).toBe('INVALID_INPUT');
    expect(thrown(() => pastedQuestion(' '.repeat(70_000), 'acme')).code).toBe('INPUT_TOO_LARGE');
    const action = { actionId: 'a-1' } as Parameters<typeof recordedQuestion>[0];
    expect(thrown(() => recordedQuestion(action, 'record')).field).toBe('action');
  });

  test('is of the tenant of whoever asks', () => {
    expect(question()).toMatchObject({ kind: 'proposed', agent: { tenant: 'acme' } });
  });
});

describe('a trial of an action that falls under limits', () => {
  const refunds = (): BundleFiles => ({
    ...starter,
    'refunds.cedar': `@id("refunds") permit (principal in Countersign::Role::"billing", action == Countersign::Action::"CALL_API", resource);
@id("late-refunds") @reason("{agent} is nearly out of money") @approval("lead")
forbid (principal, action == Countersign::Action::"CALL_API", resource)
when { context.limits has refunds && context.limits.refunds.left < 100 };`,
    'limits.yaml': `limits:
  refunds:
    kind: budget
    scope: tenant
    amount: input.amount
    unit: EUR
    max: 500
    window: 1d
    when: actionType == "CALL_API"
`,
  });
  const NOTHING = { text: '@id("nothing") forbid (principal, action, resource) when { context.rows > 1000000 };' };
  const figure = { limit: 'refunds', key: '', kind: 'budget' as const, max: 500, unit: 'EUR', text: '' };
  const facts: Facts = {
    agent: { id: 'refunder', tenant: 'acme', roles: ['billing'], scopes: ['*'] },
    tool: { name: 'payments', kind: 'http', environment: 'production' },
    actionType: 'CALL_API',
    operation: 'refund',
    preview: { rows: 0, targets: [], reads: [], schemaChange: false, sample: [], summary: '' },
    limits: [{ ...figure, used: 300, held: 100, left: 100, fits: false, retryAfterMs: 3_600_000 }],
    now: '2026-02-28T12:00:00.000Z',
  };
  const recorded = (asOf: 'record' | 'now') =>
    recordedQuestion({ actionId: 'a-1', outcome: { facts }, proposal: { input: { amount: 250 } } } as never, asOf);
  const wouldBe = ({ changes }: PolicyTrial['before']) =>
    changes.map(({ changes: together, effect }) => `${effect}: ${together.map(({ text }) => text).join(' + ')}`);

  test('is decided on the recorded figures, and told how much of the input would pass', () => {
    const tried = trial(refunds(), NOTHING, recorded('record'));
    expect(tried.before).toMatchObject({ effect: 'deny', decision: { code: 'LIMIT_EXCEEDED' } });
    expect(tried.before.reason).toBe(
      'refunds: 250 EUR asked, 100 of 500 EUR left; try again in 1h, at 2026-02-28T13:00:00Z',
    );
    expect(wouldBe(tried.before)).toEqual(['allow: amount of the input is 100']);
    expect(tried).toMatchObject({ at: facts.now, limits: [{ limit: 'refunds', left: 100, from: 'record' }] });
    const page = html(TrialResult({ trial: tried }));
    expect(page).toContain('The change makes no difference here');
    expect(page).toContain('<strong>allow</strong>, if <bdi>amount of the input is 100');
    expect(page).toMatch(/<dt>as recorded<\/dt><dd><bdi>refunds: 100 of 500 EUR left/);
  });

  test('asks for the figures of now, and says what they are', () => {
    const asked = recorded('now');
    const answer = tryOut(refunds(), NOTHING, asked);
    expect(answer).toEqual({
      lacks: [
        {
          limit: 'refunds',
          key: '',
          kind: 'budget',
          amount: 250,
          max: 500,
          unit: 'EUR',
          window: { kind: 'fixed', ms: 86_400_000 },
        },
      ],
    });
    const read = [{ ...figure, used: 50, held: 0, left: 450, fits: true }];
    const tried = trial(refunds(), { id: 'refunds', text: '' }, asked, read);
    expect(tried.before).toMatchObject({ effect: 'allow', reason: 'allowed by refunds' });
    expect(tried.after.effect).toBe('deny');
    expect(Math.abs(Date.parse(tried.at) - Date.now())).toBeLessThan(60_000);
    expect(html(TrialResult({ trial: tried }))).toMatch(/<dt>as it is now<\/dt><dd><bdi>refunds: 450 of 500 EUR left/);
  });

  test('has its rules see the figures, and its changed rule decide on them', () => {
    const lower = `@id("late-refunds") @reason("{agent} asks for much") @approval("lead") forbid (principal, action == Countersign::Action::"CALL_API", resource)
when { context.limits has refunds && context.limits.refunds.left < 1000 };`;
    const small = { ...facts, limits: [{ ...figure, used: 0, held: 0, left: 500, fits: true }] };
    const asked = recordedQuestion(
      { actionId: 'a-1', outcome: { facts: small }, proposal: { input: { amount: 250 } } } as never,
      'record',
    );
    const tried = trial(refunds(), { id: 'late-refunds', text: lower }, asked);
    expect([tried.before.effect, tried.after.effect]).toEqual(['allow', 'require_approval']);
    expect(wouldBe(tried.after)).toContain('allow: 1 of lead approve');
  });

  test('that was pasted is decided on what was pasted with it, and told what of that was of no use', () => {
    const pasted = question({
      proposal: { tool: 'payments', input: { amount: 30.55 } },
      agent: { id: 'refunder', roles: ['billing'] },
      tool: { kind: 'http', environment: 'production' },
      actionType: 'CALL_API',
      limits: [
        { ...figure, used: 479.5, held: 0, left: 20.5, fits: true },
        { ...figure, limit: 'payouts', used: 0, held: 0, left: 500, fits: true },
      ],
    });
    const tried = trial(refunds(), { id: 'late-refunds', text: '' }, pasted);
    expect(tried.after).toMatchObject({ effect: 'deny', decision: { code: 'LIMIT_EXCEEDED' } });
    expect(wouldBe(tried.after)).toEqual(['allow: amount of the input is 20.5']);
    expect(tried).toMatchObject({ limits: [{ from: 'given' }], unasked: ['payouts'] });
    expect(html(TrialResult({ trial: tried }))).toContain('does not fall under them: <bdi>payouts');
  });
});

describe('work on policies', () => {
  test('is done in a thread, and comes back with its answer or its error', async () => {
    const work = new PolicyWork({ deadlineMs: 60_000 });
    const [outline, differences] = await Promise.all([
      work.ask('outline', { files: starter }),
      work.ask('diff', {
        from: starter,
        to: { ...starter, 'own.cedar': '@id("own") forbid (principal, action, resource);' },
      }),
    ]);
    expect(outline).toEqual(outlineOf(starter));
    expect(differences).toMatchObject([{ part: 'rule', what: 'added', name: 'own' }]);
    await expect(work.ask('outline', { files: { ...starter, 'a.cedar': 'permit' } })).rejects.toMatchObject({
      code: 'POLICY_INVALID',
      message: expect.stringContaining('a.cedar:1'),
    });
  });

  test('is ended when it takes too long, and is refused when too much waits', async () => {
    const work = new PolicyWork({ deadlineMs: 1, atOnce: 1, waiting: 1 });
    const asked = [1, 2, 3].map(() => work.ask('outline', { files: starter }));
    const codes = await Promise.all(
      asked.map((one) =>
        one.then(
          () => 'answered',
          ({ code }) => code as string,
        ),
      ),
    );
    expect(codes).toEqual(['POLICY_ERROR', 'POLICY_ERROR', 'RATE_LIMITED']);
  });
});

describe('what was found about a bundle', () => {
  const none = Object.fromEntries(CHANGE_KINDS.map((kind) => [kind, 0]));
  const evidence: PolicyEvidence = {
    candidate: DIGEST,
    baseline: DIGEST,
    report: DIGEST,
    decisions: 2000,
    by: `ann ${MARKUP}`,
    at: '2026-02-28T00:00:00.000Z',
    summary: {
      v: 1,
      decisions: 2000,
      beforePolicy: 1,
      redecided: 1990,
      same: 1948,
      undecided: 9,
      exhausted: 0,
      changes: { ...none, 'newly-allowed': 2, 'newly-asked': 40 },
      amounts: { ...Object.fromEntries(CHANGE_KINDS.map((kind) => [kind, {}])), 'newly-asked': { [MARKUP]: 120 } },
    },
  };

  test('by a backtest is drawn with its numbers as a table', () => {
    const page = html(Evidence({ evidence: [evidence], own: true, now: NOW }));
    expect(page).toContain('Of 2,000 decisions, 1,990 were decided again: 1,948 stay as they are and 42 change.');
    expect(page).toMatch(/Newly needing approval<\/th><td class="number">40<\/td><td><bdi>120 &lt;script&gt;/);
    expect(page).not.toMatch(/<script>|\u202E|style=/);
  });

  test('over several tenants is not shown, nor is what cannot be read', () => {
    const hidden = html(Evidence({ evidence: [evidence], own: false, now: NOW }));
    expect(hidden).not.toMatch(/2,000|1,990|newly/i);
    expect(hidden).toContain('actions of several tenants');
    const odd = html(Evidence({ evidence: [{ ...evidence, summary: { v: 2 } }], own: true, now: NOW }));
    expect(odd).toContain('of another version');
    expect(html(Evidence({ evidence: [], own: true, now: NOW }))).toContain('No backtest of it');
  });

  test('in shadow leads to the actions, and is text', () => {
    const divergence = {
      candidate: DIGEST,
      baseline: DIGEST,
      tenant: 'acme',
      kind: 'effect',
      tool: 'shop-db',
      agent: MARKUP,
      live: { effect: 'allow', rules: ['admin-user'] },
      shadow: { effect: 'deny', rules: [MARKUP] },
      count: 3,
      examples: [{ actionId: 'a:1', liveReason: MARKUP, shadowReason: MARKUP }],
      firstAt: NOW.toISOString(),
      lastAt: NOW.toISOString(),
    } as const;
    const page = html(Divergences({ divergences: [divergence], more: false, counts: [], now: NOW }));
    expect(page).toContain('3 decisions of your tenant');
    expect(page).toContain('href="/actions/a%3A1"');
    expect(page).not.toMatch(/<script>|\u202E/);
    expect(html(Divergences({ divergences: [], more: false, counts: [], now: NOW }))).toContain('No divergence');
  });
});
