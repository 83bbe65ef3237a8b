/** What a notice holds and does not hold, when it is pointless, and whom it is for. */
import { describe, expect, test } from 'vitest';
import type { Shown } from '../../src/action/outcome.js';
import { Notifier, undelivered, type Channel, type Notice, type NotificationsConfig } from '../../src/notify/index.js';
import {
  checkedAnnouncement,
  deliveryId,
  noticeOf,
  obsoleteReason,
  type Announcement,
  type ActionSummary,
} from '../../src/notify/notice.js';
import { oneLine } from '../../src/notify/one-line.js';

const ASKED: Announcement = { tenant: 'acme', actionId: 'pay-1', n: 0, kind: 'asked' };

const shown = {
  tenant: 'acme',
  actionId: 'pay-1',
  proposal: { actionId: 'pay-1', tool: 'payments', input: { iban: 'DE00-INPUT' }, reasoning: 'The customer asked.' },
  agent: { id: 'bot', roles: [] },
  tool: { name: 'payments', kind: 'http', environment: 'production' },
  actionType: 'CALL_API',
  operation: 'refund',
  preview: {
    rows: 1,
    targets: ['payments.refunds'],
    reads: [],
    schemaChange: false,
    sample: [{ name: 'SAMPLE-ROW' }],
    summary: 'POST /refunds on payments: {"iban":"DE00-INPUT"}',
    warnings: ['WARNING'],
  },
  requirements: [
    {
      policy: 'large',
      reason: 'Over 100 EUR.',
      roles: ['lead'],
      quorum: 2,
      ttlSeconds: 60,
      escalations: [{ afterSeconds: 30, roles: ['cfo'] }],
    },
  ],
} as unknown as Shown;

const story = (more: Partial<ActionSummary> = {}): ActionSummary => ({
  shown,
  expiresAt: new Date(Date.now() + 60_000).toISOString(),
  open: true,
  decisions: [],
  ...more,
});

const OPTIONS = { gatewayUrl: 'https://gate.example', announcedAt: 0, reasoning: true, toolSummary: false };
const told = (announcement: Partial<Announcement> = {}, options: Partial<typeof OPTIONS> = {}): Notice =>
  noticeOf({ ...ASKED, ...announcement }, story(), { ...OPTIONS, ...options });

describe('a notice', () => {
  test('holds no input, no rows and no secret, whatever the tool says of itself', () => {
    expect(told()).toMatchObject({ summary: 'refund, 1 row of payments.refunds', reasoning: 'The customer asked.' });
    expect(JSON.stringify(told())).not.toMatch(/INPUT|SAMPLE|WARNING/);
  });

  test('tells the tool’s own line only where the operator wants it, and the agent’s words only where not unwanted', () => {
    expect(told({}, { toolSummary: true }).summary).toContain('DE00-INPUT');
    expect(told({}, { reasoning: false })).not.toHaveProperty('reasoning');
  });

  test('leads to the action’s page, below whatever path the gateway has', () => {
    expect(told().link).toBe('https://gate.example/actions/pay-1');
    expect(told({}, { gatewayUrl: 'https://example.com/gate' }).link).toBe('https://example.com/gate/actions/pay-1');
    expect(told({ actionId: 'a:b' }).link).toBe('https://gate.example/actions/a%3Ab');
  });

  test('is for those who may decide, and of those named for nobody who may not', () => {
    expect(told().roles).toEqual(['lead']);
    expect(told({ kind: 'escalated' }).roles).toEqual(['cfo']);
    expect(told({ kind: 'escalated', roles: ['cfo', 'stranger'] }).roles).toEqual(['cfo']);
    expect(told({ kind: 'ended' }).roles).toEqual(['lead', 'cfo']);
  });

  test('that asks is pointless once nobody is waited for; one that tells an end never is', () => {
    expect(obsoleteReason(ASKED, story())).toBeUndefined();
    expect(obsoleteReason(ASKED, story({ status: 'denied' }))).toContain('denied');
    expect(obsoleteReason(ASKED, story({ open: false }))).toBeDefined();
    expect(obsoleteReason(ASKED, story({ expiresAt: new Date(0).toISOString() }))).toBeDefined();
    expect(obsoleteReason({ kind: 'ended' }, story({ status: 'denied', open: false }))).toBeUndefined();
  });
});

test('a delivery id is the same for the same, and another for everything else', () => {
  const id = deliveryId(ASKED, 'hook');
  expect(id).toMatch(/^ntc_[0-9a-f]{48}$/);
  expect(deliveryId({ ...ASKED, roles: ['x'] }, 'hook')).toBe(id);
  const others = [
    deliveryId({ ...ASKED, tenant: 'globex' }, 'hook'),
    deliveryId({ ...ASKED, actionId: 'pay-2' }, 'hook'),
    deliveryId({ ...ASKED, n: 1 }, 'hook'),
    deliveryId({ ...ASKED, kind: 'ended' }, 'hook'),
    deliveryId(ASKED, 'other'),
  ];
  expect(new Set([id, ...others]).size).toBe(6);
});

test('what is no announcement is refused', () => {
  for (const value of [null, 'x', {}, { ...ASKED, kind: 'phished' }, { ...ASKED, n: 0.5 }, { ...ASKED, tenant: 1 }]) {
    expect(() => checkedAnnouncement(value)).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }));
  }
  expect(checkedAnnouncement({ ...ASKED, link: 'https://evil.example' })).toEqual(ASKED);
});

test('a line of a stranger is one line, bounded, and nothing in it moves or hides', () => {
  expect(oneLine('a\r\n b\u2028\tc', 50)).toBe('a b c');
  expect(oneLine('x'.repeat(500), 20)).toHaveLength(20);
  expect(oneLine('\u202Eabc\u0000', 50)).toBe(String.raw`\u{202E}abc\u{0}`);
  const pairs = oneLine('😀'.repeat(50), 20);
  expect(pairs.length).toBeLessThanOrEqual(20);
  expect(pairs.isWellFormed()).toBe(true);
});

describe('routes', () => {
  const channel = (name: string, follows = false): Channel => ({
    name,
    follows,
    deliver: async () => ({ detail: 'ok' }),
  });
  const config = (more: Partial<NotificationsConfig> = {}): NotificationsConfig => ({
    gatewayUrl: 'https://gate.example',
    channels: [channel('hook'), channel('chat', true)],
    ...more,
  });
  const of = (more: Partial<NotificationsConfig>, notice: Partial<Notice>): readonly string[] =>
    new Notifier(config(more)).channelsFor({ ...told(), ...notice });

  test('by default every channel is asked, and hears the end; only who follows hears of decisions', () => {
    for (const kind of ['asked', 'reminded', 'escalated', 'ended'] as const)
      expect(of({}, { kind })).toEqual(['hook', 'chat']);
    expect(of({}, { kind: 'decided' })).toEqual(['chat']);
  });

  test('fit by role, environment, tool and kind; several of them name a channel once', () => {
    const routes = [
      { channels: ['hook'], roles: ['lead'], environments: ['production'] },
      { channels: ['hook', 'chat'], tools: ['payments'], kinds: ['decided'] as const },
    ];
    expect(of({ routes }, {})).toEqual(['hook']);
    expect(of({ routes }, { roles: ['dba'] })).toEqual([]);
    expect(of({ routes }, { environment: 'staging' })).toEqual([]);
    expect(of({ routes }, { kind: 'decided' })).toEqual(['hook', 'chat']);
    expect(of({ routes }, { kind: 'decided', tool: 'shop' })).toEqual([]);
  });

  test.each([
    ['an unknown channel', { routes: [{ channels: ['pager'] }] }],
    ['an unknown kind', { routes: [{ channels: ['hook'], kinds: ['shouted'] }] }],
    ['an unknown condition', { routes: [{ channels: ['hook'], people: ['ann'] }] }],
    ['a condition that nothing fits', { routes: [{ channels: ['hook'], roles: [] }] }],
    ['no channel', { routes: [{ roles: ['lead'] }] }],
    ['two channels of one name', { channels: [channel('hook'), channel('hook')] }],
    ['a channel that is none', { channels: [{ name: 'hook' }] }],
    ['a gateway in the clear', { gatewayUrl: 'http://gate.example' }],
    ['patience without end', { giveUpAfterSeconds: 1e9 }],
    ['a slip of the pen', { channel: [] }],
  ])('%s is refused', (_name, more) => {
    expect(() => new Notifier(config(more as unknown as Partial<NotificationsConfig>))).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    );
  });
});

test('whoever says when to come again is obeyed for an hour at most', () => {
  expect(undelivered('x', { retryable: true, retryAfterMs: 1e12 }).retryAfterMs).toBe(3_600_000);
});
