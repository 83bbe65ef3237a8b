/** What a notice contains and does not contain, when it is obsolete, and for whom it is. */
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
import { textOf } from '../../src/notify/email-page.js';
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

const summary = (more: Partial<ActionSummary> = {}): ActionSummary => ({
  shown,
  expiresAt: new Date(Date.now() + 60_000).toISOString(),
  open: true,
  decisions: [],
  ...more,
});

const OPTIONS = { gatewayUrl: 'https://gate.example', announcedAt: 0, reasoning: true, toolSummary: false };
const noticeFor = (announcement: Partial<Announcement> = {}, options: Partial<typeof OPTIONS> = {}): Notice =>
  noticeOf({ ...ASKED, ...announcement }, summary(), { ...OPTIONS, ...options });

describe('a notice', () => {
  test('contains no input, no rows and no secret, whatever the summary of the tool contains', () => {
    expect(noticeFor()).toMatchObject({
      summary: 'refund, 1 row of payments.refunds',
      reasoning: 'The customer asked.',
    });
    expect(JSON.stringify(noticeFor())).not.toMatch(/INPUT|SAMPLE|WARNING/);
  });

  test('says when something is left out or to be looked at twice, and quotes none of it', () => {
    expect(noticeFor()).not.toHaveProperty('cut');
    expect(noticeFor()).not.toHaveProperty('warnings');
    const long = { ...shown.proposal, reasoning: `${'because '.repeat(100)}OR true` };
    const cut = noticeOf(ASKED, summary({ shown: { ...shown, proposal: long } }), OPTIONS);
    expect(cut).toMatchObject({ cut: true, reasoning: expect.stringMatching(/… .*OR true$/) as string });
    const padded = { ...shown.proposal, input: { sql: `DE00-INPUT${'\u3000'.repeat(3000)}OR true` } };
    const warned = noticeOf(ASKED, summary({ shown: { ...shown, proposal: padded } }), OPTIONS);
    expect(warned.warnings?.join()).toMatch(/3000 blank characters/);
    expect(JSON.stringify(warned)).not.toMatch(/INPUT|OR true/);
    expect(textOf(warned)).toContain('Look twice: a text of the input holds 3000 blank characters');
  });

  test('contains the tool’s summary only if the operator wants it, and the agent’s reasoning unless they do not', () => {
    expect(noticeFor({}, { toolSummary: true }).summary).toContain('DE00-INPUT');
    expect(noticeFor({}, { reasoning: false })).not.toHaveProperty('reasoning');
  });

  test('names what led to it, the untrusted first and on one line each, unless the operator wants no words of the agent', () => {
    const from = [
      { source: 'prompt', trust: 'trusted' },
      { source: `web\n${'x'.repeat(200)}`, trust: 'untrusted' },
    ] as const;
    const about = summary({ shown: { ...shown, proposal: { ...shown.proposal, from } } });
    const told = noticeOf(ASKED, about, OPTIONS);
    expect(told).toMatchObject({
      cut: true,
      from: [
        { source: expect.stringMatching(/^web x+… ?x*$/) as string, trust: 'untrusted' },
        { source: 'prompt', trust: 'trusted' },
      ],
    });
    expect(textOf(told)).toMatch(/^Comes from, says the agent: web x.* \(not trusted\), prompt$/m);
    expect(noticeOf(ASKED, about, { ...OPTIONS, reasoning: false })).not.toHaveProperty('from');
  });

  test('leads to the action’s page, below whatever path the gateway has', () => {
    expect(noticeFor().link).toBe('https://gate.example/actions/pay-1');
    expect(noticeFor({}, { gatewayUrl: 'https://example.com/gate' }).link).toBe(
      'https://example.com/gate/actions/pay-1',
    );
    expect(noticeFor({ actionId: 'a:b' }).link).toBe('https://gate.example/actions/a%3Ab');
  });

  test('is for the roles that may decide, and for a named role only if it may decide', () => {
    expect(noticeFor().roles).toEqual(['lead']);
    expect(noticeFor({ kind: 'escalated' }).roles).toEqual(['cfo']);
    expect(noticeFor({ kind: 'escalated', roles: ['cfo', 'stranger'] }).roles).toEqual(['cfo']);
    expect(noticeFor({ kind: 'ended' }).roles).toEqual(['lead', 'cfo']);
  });

  test('that asks is obsolete once no decision is needed; one about the end never is', () => {
    expect(obsoleteReason(ASKED, summary())).toBeUndefined();
    expect(obsoleteReason(ASKED, summary({ status: 'denied' }))).toContain('denied');
    expect(obsoleteReason(ASKED, summary({ open: false }))).toBeDefined();
    expect(obsoleteReason(ASKED, summary({ expiresAt: new Date(0).toISOString() }))).toBeDefined();
    expect(obsoleteReason({ kind: 'ended' }, summary({ status: 'denied', open: false }))).toBeUndefined();
  });
});

test('a delivery id is the same for the same notice and channel, and differs for any other', () => {
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

test('an invalid announcement is refused', () => {
  for (const value of [null, 'x', {}, { ...ASKED, kind: 'phished' }, { ...ASKED, n: 0.5 }, { ...ASKED, tenant: 1 }]) {
    expect(() => checkedAnnouncement(value)).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }));
  }
  expect(checkedAnnouncement({ ...ASKED, link: 'https://evil.example' })).toEqual(ASKED);
});

test('untrusted text becomes one line of limited length, in which nothing moves or hides', () => {
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
    new Notifier(config(more)).channelsFor({ ...noticeFor(), ...notice });

  test('by default every channel gets requests and the end; only channels that follow get decisions', () => {
    for (const kind of ['asked', 'reminded', 'escalated', 'ended'] as const)
      expect(of({}, { kind })).toEqual(['hook', 'chat']);
    expect(of({}, { kind: 'decided' })).toEqual(['chat']);
  });

  test('what the radar finds goes to channels that can tell it, by routes that are for all kinds or for it', () => {
    const telling: Channel = { ...channel('duty'), alert: async () => ({ detail: 'ok' }) };
    const about = { tool: 'shop-db', environment: 'production', roles: ['platform-operator'] };
    const hears = (routes?: NotificationsConfig['routes']): readonly string[] =>
      new Notifier(config({ channels: [channel('hook'), telling], ...(routes === undefined ? {} : { routes }) }))
        .alertChannels(about)
        .map(({ name }) => name);
    expect(hears()).toEqual(['duty']);
    expect(hears([{ channels: ['duty', 'hook'] }])).toEqual(['duty']);
    expect(hears([{ channels: ['duty'], kinds: ['unexplained'], roles: ['platform-operator'] }])).toEqual(['duty']);
    for (const other of [
      { kinds: ['asked'] as const },
      { roles: ['dba'] },
      { tools: ['mail'] },
      { environments: ['test'] },
    ])
      expect(hears([{ channels: ['duty'], ...other }])).toEqual([]);
    // Nobody is asked for a decision by a route that is for the radar alone.
    expect(of({ routes: [{ channels: ['hook'], kinds: ['unexplained'] }] }, {})).toEqual([]);
  });

  test('match by role, environment, tool and kind; a channel named by several routes comes once', () => {
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

test('a retry delay is obeyed up to an hour', () => {
  expect(undelivered('x', { retryable: true, retryAfterMs: 1e12 }).retryAfterMs).toBe(3_600_000);
});
