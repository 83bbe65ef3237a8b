/** When canaries are due, what is made of them in figures, and what people are told afterwards. Pure. */
import { describe, expect, test } from 'vitest';
import { canaryOdds, CANARY_ROUND_MS, drawCanaries } from '../../activities/canary-round.js';
import { canaryOversightOf } from '../../src/action/canary-figures.js';
import { canaryProposal } from '../../src/action/canary-template.js';
import { canaryOutcome, canaryPreDigest, canaryText, endOf, type Canary } from '../../src/action/canary.js';
import { digest } from '../../src/action/json.js';
import type { Verdict } from '../../src/action/outcome.js';
import { checkConfig } from '../../src/config/config.js';
import { canarySettingsOf, type CanariesConfig, type CanarySettings } from '../../src/config/oversight.js';

const TEMPLATE = { tool: 'shop-db', input: {}, agent: { id: 'bot', roles: [] }, reason: 'nobody asked for it' };
const HOURS = { from: 9, to: 17, timeZone: 'Europe/Berlin' };
/** A Monday, when it is 10:30 in Berlin. */
const MONDAY = new Date('2026-06-01T08:30:00Z');

describe('when one is due', () => {
  test.each([
    ['before the hours', '2026-06-01T06:59:00Z'],
    ['after the hours', '2026-06-01T15:00:00Z'],
    ['on a Sunday', '2026-06-07T08:30:00Z'],
  ])('%s none is', (_, at) => {
    expect(canaryOdds({ perWeek: 50, hours: HOURS }, new Date(at))).toBe(0);
  });

  test.each<[string, CanarySettings['hours'], string, string]>([
    ['the hours', HOURS, '2026-06-01T14:59:59.999Z', '2026-06-01T15:00:00.000Z'],
    ['the first hour', { from: 0, to: 1 }, '2026-06-01T00:59:59.999Z', '2026-06-01T01:00:00.000Z'],
    ['a whole Friday', { from: 0, to: 24 }, '2026-06-05T23:59:59.999Z', '2026-06-06T00:00:00.000Z'],
    [
      'a Friday where it is one, and not in UTC',
      { from: 0, to: 24, timeZone: 'Pacific/Auckland' },
      '2026-06-05T11:59:59.999Z',
      '2026-06-05T12:00:00.000Z',
    ],
    ['a day of one’s own', { from: 0, to: 24, days: ['Sun'] }, '2026-06-07T23:59:59.999Z', '2026-06-08T00:00:00.000Z'],
  ])('up to the end of %s one may be, and from then on none', (_, hours, last, over) => {
    expect(canaryOdds({ perWeek: 50, hours }, new Date(last))).toBeGreaterThan(0);
    expect(canaryOdds({ perWeek: 50, hours }, new Date(over))).toBe(0);
  });

  test('at midnight one may be, where the hours begin with the day', () => {
    expect(canaryOdds({ perWeek: 50, hours: { from: 0, to: 1 } }, new Date('2026-06-01T00:00:00Z'))).toBeGreaterThan(0);
    expect(canaryOdds({ perWeek: 50, hours: { from: 0, to: 1 } }, new Date('2026-05-31T23:59:59Z'))).toBe(0);
  });

  test('on the day that has no such hour, none is', () => {
    const hours = { from: 2, to: 3, timeZone: 'Europe/Berlin', days: ['Sun'] } as const;
    const minutes = Array.from({ length: 24 * 60 }, (_, n) => Date.parse('2026-03-28T23:00:00Z') + n * 60_000);
    expect(minutes.map((at) => canaryOdds({ perWeek: 50, hours }, new Date(at))).filter((odds) => odds > 0)).toEqual(
      [],
    );
  });

  test('over the hours of a week, as many are as the config says', () => {
    const start = MONDAY.getTime();
    const rounds = Array.from({ length: (7 * 24 * 3_600_000) / CANARY_ROUND_MS }, (_, n) => n * CANARY_ROUND_MS);
    const sum = rounds
      .map((after) => canaryOdds({ perWeek: 3, hours: HOURS }, new Date(start + after)))
      .reduce((total, odds) => total + odds, 0);
    expect(sum).toBeCloseTo(3, 6);
  });

  test('each tenant has its own draw, each canary its own id, and without a template there is none', () => {
    const canaries = canarySettingsOf({
      canaries: { templates: { purge: TEMPLATE }, perWeek: 50, tenants: ['acme', 'globex'], hours: HOURS },
    });
    const draws = Array.from({ length: 400 }, () => drawCanaries(canaries, MONDAY)).flat();
    for (const tenant of ['acme', 'globex']) {
      const share = draws.filter((one) => one.tenant === tenant).length / 400;
      expect(share).toBeGreaterThan(0.15);
      expect(share).toBeLessThan(0.5);
    }
    expect(new Set(draws.map(({ actionId }) => actionId)).size).toBe(draws.length);
    expect(drawCanaries({ ...canaries, templates: {} }, MONDAY)).toEqual([]);
  });
});

describe('the config', () => {
  const refused = (canaries: object): object => {
    const config = { policies: './policies', tools: [], oversight: { canaries } };
    try {
      checkConfig(config, 'the config');
    } catch (error) {
      return error as object;
    }
    return {};
  };
  const templates = { purge: TEMPLATE };
  test.each<[string, object, string]>([
    ['a tenant for what is sent by itself', { perWeek: 1, templates }, 'oversight.canaries.tenants'],
    ['a template for it', { perWeek: 1, tenants: ['acme'] }, 'oversight.canaries.templates'],
    ['hours that begin before they end', { hours: { from: 9, to: 9 } }, 'oversight.canaries.hours.to'],
    ['a time zone that there is', { hours: { ...HOURS, timeZone: 'Mars/Base' } }, 'oversight.canaries.hours.timeZone'],
    [
      'why each should be refused',
      { templates: { purge: { ...TEMPLATE, reason: '' } } },
      'oversight.canaries.templates.purge.reason',
    ],
    ['whole numbers', { mostPerWeek: 0.5 }, 'oversight.canaries.mostPerWeek'],
    ['days that there are', { hours: { ...HOURS, days: ['Funday'] } }, 'oversight.canaries.hours.days.0'],
    ['a day', { hours: { ...HOURS, days: [] } }, 'oversight.canaries.hours.days'],
    ['each day once', { hours: { ...HOURS, days: ['Mon', 'Mon'] } }, 'oversight.canaries.hours.days'],
    ['no more than may come', { perWeek: 11, templates, tenants: ['acme'] }, 'oversight.canaries.perWeek'],
    [
      'no more than may come, where that is said',
      { perWeek: 3, mostPerWeek: 2, templates, tenants: ['acme'] },
      'oversight.canaries.perWeek',
    ],
  ])('needs %s', (_, canaries, field) => {
    expect(refused(canaries)).toMatchObject({ code: 'CONFIG_INVALID', field });
  });

  test('takes what is complete', () => {
    const canaries: CanariesConfig = { templates, perWeek: 2, tenants: ['acme'], hours: HOURS };
    expect(refused(canaries)).toEqual({});
  });
});

const canary = (over: Partial<Canary>): Canary => ({
  tenant: 'acme',
  actionId: 'a-1',
  shownDigest: 'sha256:0',
  rules: ['large'],
  roles: ['dba', 'lead'],
  reason: 'nobody asked for it',
  sentAt: '2026-06-01T08:00:00.000Z',
  expiresAt: '2026-06-01T09:00:00.000Z',
  ...over,
});
const decided = (approver: string, verdict: Verdict, waitedSeconds: number): Canary =>
  canary({
    ending: 'decided',
    decision: {
      record: { approver, roles: ['dba'], verdict, at: '2026-06-01T08:01:00.000Z', digest: 'sha256:1' },
      waitedSeconds,
    },
  });

describe('the figures', () => {
  const now = new Date('2026-06-02T00:00:00Z');

  test('count a no and a request for changes as refused, and what nobody decided as ignored', () => {
    const found = canaryOversightOf(
      [
        decided('Dora', 'deny', 40),
        decided('dora', 'approve', 2),
        decided('dan', 'request_changes', 60),
        canary({ ending: 'expired' }),
      ],
      now,
    );
    expect(found.total).toEqual({ shown: 4, refused: 2, approved: 1, ignored: 1, medianSeconds: 40 });
    expect(found.approvers).toEqual([
      { name: 'dora', shown: 2, refused: 1, approved: 1, ignored: 0, medianSeconds: 21 },
      { name: 'dan', shown: 1, refused: 1, approved: 0, ignored: 0, medianSeconds: 60 },
    ]);
    expect(found.roles).toMatchObject([
      { name: 'dba', shown: 4 },
      { name: 'lead', shown: 1, ignored: 1 },
    ]);
    expect(found.rules).toMatchObject([{ name: 'large', shown: 4 }]);
  });

  test('come most of them first, then by name, and have no time where nobody decided', () => {
    const found = canaryOversightOf(
      [
        canary({ rules: ['c', 'b'], ending: 'expired' }),
        canary({ rules: ['a', 'b', 'b'], ending: 'expired', expiresAt: '2026-06-09T00:00:00.000Z' }),
        canary({ rules: ['d'], expiresAt: now.toISOString() }),
      ],
      now,
    );
    expect(found.rules.map(({ name, shown }) => `${name} ${shown}`)).toEqual(['b 2', 'a 1', 'c 1', 'd 1']);
    expect(found.total).toEqual({ shown: 3, refused: 0, approved: 0, ignored: 3 });
    expect(found.approvers).toEqual([]);
    const people = canaryOversightOf(
      [decided('zoe', 'deny', 1), decided('ann', 'deny', 2), decided('bob', 'deny', 3), decided('bob', 'deny', 9)],
      now,
    );
    expect(people.approvers.map(({ name }) => name)).toEqual(['bob', 'ann', 'zoe']);
  });

  test('leave out what was taken back and what still waits, and count what was never closed as ignored', () => {
    const waits = canary({ expiresAt: '2026-06-03T00:00:00.000Z' });
    expect(canaryOversightOf([canary({ ending: 'withdrawn' }), waits], now).total.shown).toBe(0);
    expect(canaryOversightOf([canary({})], now).total).toMatchObject({ shown: 1, ignored: 1 });
  });
});

test.each([
  [{ ending: 'decided', verdict: 'deny' }, /refused, as it should be. Thank you/],
  [{ ending: 'decided', verdict: 'approve' }, /approved, which happens to everybody.*nothing was done/],
  [{ ending: 'expired' }, /Nobody decided/],
] as const)('people are told that it was a canary, and why it should be refused: %j', (end, told) => {
  const text = canaryText({ ...end, reason: 'the agent cites no ticket' });
  expect(text).toMatch(told);
  expect(text).toContain('nobody proposed it');
  expect(text).toContain('the agent cites no ticket');
});

describe('what a canary looks like', () => {
  const ACTION = { tenant: 'acme', actionId: 'a-1', proposal: { tool: 'shop-db' }, proposalDigest: digest('p') };

  test('it has an end only once it ended, and a verdict only where somebody decided', () => {
    expect(endOf(canary({}))).toBeUndefined();
    expect(endOf(canary({ ending: 'expired' }))).toEqual({ ending: 'expired', reason: 'nobody asked for it' });
    expect(endOf(decided('ann', 'deny', 1))).toEqual({
      ending: 'decided',
      verdict: 'deny',
      reason: 'nobody asked for it',
    });
  });

  test('one that was taken back is told as that, and not why it should be refused', () => {
    expect(canaryText({ ending: 'withdrawn', reason: 'no ticket' })).toBe(
      'This was a canary: nobody proposed it, and nothing could have come of it. It was taken back.',
    );
  });

  test('it ends cancelled, with nothing done and no approval in its record', () => {
    const end = { ending: 'expired', reason: 'no ticket' } as const;
    const reason = canaryText(end);
    expect(canaryOutcome(ACTION, end)).toEqual({
      status: 'cancelled',
      reason,
      error: { code: 'CANCELLED', message: reason },
      tenant: 'acme',
      actionId: 'a-1',
      proposalDigest: ACTION.proposalDigest,
      tool: 'shop-db',
      approvals: [],
      checks: [],
      steps: {},
      canary: end,
    });
  });

  test('it stands on a state that no system has, and another for each action and nonce', () => {
    const id = { tenant: 'acme', actionId: 'a-1' };
    expect(canaryPreDigest(id, 'n')).toBe(digest({ countersign: 'canary', ...id, nonce: 'n' }));
    const others = [
      canaryPreDigest(id, 'm'),
      canaryPreDigest({ ...id, actionId: 'a-2' }, 'n'),
      canaryPreDigest({ ...id, tenant: 'x' }, 'n'),
    ];
    expect(new Set([canaryPreDigest(id, 'n'), ...others]).size).toBe(4);
  });

  test('its proposal is checked like any other', () => {
    const from = [{ source: 'mail', trust: 'untrusted' }] as const;
    const template = { ...TEMPLATE, input: { id: 7 }, expect: 'true', reasoning: 'Because.', from };
    expect(canaryProposal('a-1', template)).toEqual({
      actionId: 'a-1',
      tool: 'shop-db',
      input: { id: 7 },
      expect: 'true',
      reasoning: 'Because.',
      from,
    });
    expect(Object.keys(canaryProposal('a-1', TEMPLATE)).sort()).toEqual(['actionId', 'input', 'tool']);
    expect(() => canaryProposal('a-1', { ...TEMPLATE, input: { id: Number.NaN } })).toThrow(
      expect.objectContaining({ code: 'INVALID_NUMBER', field: 'canary.input.id' }) as Error,
    );
    expect(() => canaryProposal('', TEMPLATE)).toThrow(expect.objectContaining({ code: 'INVALID_PROPOSAL' }) as Error);
  });
});
