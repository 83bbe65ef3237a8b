/** Tests the Slack channel against a server that implements Slack's Web API. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { slack, type SlackOptions } from '../../src/notify/index.js';
import type { Channel } from '../../src/notify/channel.js';
import { alertOfLedger } from '../../src/notify/alarm.js';
import {
  alertNotice,
  delivery,
  notice,
  radarAlert,
  untrusted,
  openSlack,
  status,
  type SlackServer,
} from './support.js';

const TOKEN = 'xoxb-1234-abcdef';
let server: SlackServer;

beforeAll(async () => {
  process.env['SLACK_TOKEN'] = TOKEN;
  server = await openSlack(TOKEN);
});
beforeEach(() => {
  server.calls.length = 0;
  server.answers.length = 0;
  server.messages.clear();
});
afterAll(() => server.stop());

function channel(more: Partial<SlackOptions> = {}): Channel {
  return slack({ token: 'env:SLACK_TOKEN', channel: 'C0123456789', apiUrl: server.apiUrl, timeoutMs: 2000, ...more });
}

interface Text {
  readonly type: string;
  readonly text: string;
}
interface Block {
  readonly type: string;
  readonly text?: Text;
  readonly fields?: readonly Text[];
  readonly elements?: readonly { action_id: string; value: string; url?: string; text: Text }[];
}

function shown(message: Readonly<Record<string, string>> | undefined): {
  blocks: Block[];
  texts: string;
  buttons: string[];
} {
  const blocks = JSON.parse(message?.['blocks'] ?? '[]') as Block[];
  const texts = blocks.flatMap(({ text, fields = [] }) => [...(text === undefined ? [] : [text]), ...fields]);
  return {
    blocks,
    texts: texts.map(({ text }) => text).join('\n'),
    buttons: blocks.flatMap(({ elements = [] }) => elements.map(({ action_id }) => action_id)),
  };
}

const only = (): Readonly<Record<string, string>> | undefined => [...server.messages.values()][0];
const platform = (error: string) =>
  status(200, { 'content-type': 'application/json' }, JSON.stringify({ ok: false, error }));

describe('a message', () => {
  test('states the action, environment, agent, reason and expiry, and links to the page', async () => {
    const { detail } = await channel().deliver(notice(), delivery());
    expect(detail).toMatch(/^posted C0123456789 1700000000\.\d{6}$/);
    const { texts, blocks } = shown(only());
    for (const part of [
      'Approval wanted (production)',
      'What: update, 3 rows of prices',
      'Where: shop-db, production',
      'Proposed by: pricing-bot',
      "The agent's own words: “The season is over.”",
      'Until: 2026-05-01 12:00 UTC',
      '1 × dba or lead: Production needs a second pair of eyes.',
    ]) {
      expect(texts).toContain(part);
    }
    expect(blocks.at(-1)?.elements).toMatchObject([
      { action_id: 'countersign.approve', value: 'price-1' },
      { action_id: 'countersign.deny', value: 'price-1' },
      { action_id: 'countersign.open', url: 'https://approvals.example.com/actions/price-1' },
    ]);
    expect(only()).toMatchObject({ parse: 'none', link_names: 'false', unfurl_links: 'false', unfurl_media: 'false' });
  });

  test('has a delivery id in its metadata, by which a repeat is recognized', async () => {
    await channel().deliver(notice(), delivery());
    await channel().deliver(notice(), delivery());
    const ids = [...server.messages.values()].map(({ metadata = '' }) => JSON.parse(metadata) as object);
    expect(ids).toEqual([1, 2].map(() => expect.objectContaining({ event_type: 'countersign_notice' })));
    expect(ids[0]).toEqual(ids[1]);
    expect(ids[0]).toMatchObject({ event_payload: { delivery_id: 'ntc_0123', action_id: 'price-1' } });
  });

  test.each([
    ['whose texts are cut', { cut: true as const }, 'This message shows a part of the texts'],
    ['with a text to look at twice', { warnings: ['a text of the input mixes scripts (Cyrillic)'] }, 'mixes scripts'],
  ])('%s says so, and offers no button but the one to the page', async (_, more, part) => {
    await channel().deliver({ ...notice(), ...more }, delivery());
    const { texts, buttons } = shown(only());
    expect(texts).toContain(part);
    expect(buttons).toEqual(['countersign.open']);
  });

  test('without buttons has only a link', async () => {
    await channel({ buttons: false }).deliver(notice(), delivery());
    expect(shown(only()).buttons).toEqual(['countersign.open']);
  });

  test.each([
    ['<!channel> hello', '&lt;!channel&gt; hello'],
    ['<https://evil.example|Approve here>', '&lt;https://evil.example|Approve here&gt;'],
    ['<@U123> & <#C1>', '&lt;@U123&gt; &amp; &lt;#C1&gt;'],
  ])('treats %s as text: nobody is mentioned and nothing is linked', async (words, escaped) => {
    const everywhere = { reasoning: words, summary: words, agent: words, environment: words, from: untrusted(words) };
    await channel().deliver(notice(everywhere), delivery());
    const { texts, blocks } = shown(only());
    expect(texts).toContain(`own words: “${escaped}”`);
    expect(texts).toContain(`What: ${escaped}`);
    expect(texts).toContain(`Comes from, says the agent: ${escaped} (not trusted)`);
    expect(only()?.['text']).toContain(escaped);
    expect(only()?.['text']).not.toMatch(/[<>]/);
    // No text that Slack reads as markup contains untrusted text.
    const kinds = blocks.flatMap(({ text, fields = [], elements = [] }) => [
      text,
      ...fields,
      ...elements.map((one) => one.text),
    ]);
    expect(new Set(kinds.flatMap((one) => (one === undefined ? [] : [one.type])))).toEqual(new Set(['plain_text']));
  });

  test('with the longest texts is within the limits of Slack', async () => {
    const long = '<&>'.repeat(2000);
    const needs = Array.from({ length: 50 }, () => ({ reason: long, roles: [long], quorum: 1 }));
    await channel().deliver(
      notice({ summary: long, environment: long, reasoning: long, requirements: needs }),
      delivery(),
    );
    for (const { type, text, fields = [] } of shown(only()).blocks) {
      expect(text?.text.length ?? 0).toBeLessThanOrEqual(type === 'header' ? 150 : 3000);
      for (const field of fields) expect(field.text.length).toBeLessThanOrEqual(2000);
    }
  });
});

describe('what was posted', () => {
  test('is updated when people have decided and when the action has ended, and has no buttons any more', async () => {
    const posted = await channel().deliver(notice(), delivery());
    const reminded = await channel().deliver(notice({ kind: 'reminded' }), delivery());
    const earlier = [posted, reminded];
    const decisions = [{ by: 'ann@example.com', verdict: 'approve' as const }];
    const { detail } = await channel().deliver(notice({ kind: 'decided', decisions }), delivery({ earlier }));
    expect(detail).toMatch(/^updated C0123456789 \S+, C0123456789 \S+$/);
    for (const message of server.messages.values()) {
      const { texts, buttons } = shown(message);
      expect(texts).toContain('ann@example.com approved');
      expect(buttons).toEqual(['countersign.open']);
    }
    await channel().deliver(notice({ kind: 'ended', decisions, status: 'success' }), delivery({ earlier }));
    expect(shown(only()).texts).toContain('Ended: success (production)');
    expect(server.messages.size).toBe(2);
  });

  test('does not exist: then nothing new is posted either', async () => {
    expect(await channel().deliver(notice({ kind: 'ended', status: 'denied' }), delivery())).toEqual({
      detail: 'updated nothing',
    });
    expect(server.calls).toEqual([]);
  });

  test('was deleted by somebody: the delivery fails for good and says so', async () => {
    const earlier = [{ detail: 'posted C0123456789 1600000000.000001' }];
    const gone = channel().deliver(notice({ kind: 'decided' }), delivery({ earlier }));
    await expect(gone).rejects.toMatchObject({ retryable: false, message: 'Slack: message_not_found' });
  });
});

describe('a failure', () => {
  test('of a rate limit is tried again when Slack says, and not by the client itself', async () => {
    server.answers.push(status(429, { 'retry-after': '30' }));
    await expect(channel().deliver(notice(), delivery())).rejects.toMatchObject({
      retryable: true,
      retryAfterMs: 30_000,
    });
    expect(server.calls).toHaveLength(1);
  });

  test.each([
    ['ratelimited', true],
    ['internal_error', true],
    ['service_unavailable', true],
    ['channel_not_found', false],
    ['not_in_channel', false],
    ['token_revoked', false],
    ['invalid_blocks', false],
  ])('%s: tried again: %s', async (code, retryable) => {
    server.answers.push(platform(code));
    await expect(channel().deliver(notice(), delivery())).rejects.toMatchObject({
      code: 'DELIVERY_FAILED',
      retryable,
      message: `Slack: ${code}`,
    });
  });

  test.each([
    ['HTTP 500', status(500, {}, `oops ${TOKEN}`)],
    ['no JSON', status(200, { 'content-type': 'text/html' }, `<html>${TOKEN}</html>`)],
    ['a broken connection', (response) => void response.destroy()],
    ['a redirection', status(302, { location: 'https://evil.example/' })],
  ])('%s is reported without the token and tried again', async (_name, answer) => {
    server.answers.push(answer);
    const failed = await channel()
      .deliver(notice(), delivery())
      .catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: 'DELIVERY_FAILED', retryable: true });
    expect(`${String(failed)} ${JSON.stringify(failed)} ${(failed as Error).stack}`).not.toContain(TOKEN);
    expect((failed as Error).cause).toBeUndefined();
  });

  test('by a timeout ends the call', async () => {
    server.answers.push(() => {});
    const began = Date.now();
    await expect(channel({ timeoutMs: 200 }).deliver(notice(), delivery())).rejects.toMatchObject({ retryable: true });
    expect(Date.now() - began).toBeLessThan(30_000);
  });
});

test.each([
  ['a token in the config itself', { token: TOKEN as 'env:X' }],
  ['a name instead of an id', { channel: '#approvals' }],
  ['http to another machine', { apiUrl: 'http://slack.example/api/' }],
] as [string, Partial<SlackOptions>][])('%s is refused', (_name, options) => {
  expect(() => channel(options)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
});

test('what the radar found is a message with a link, in which no name of a table or client is a command', async () => {
  const many = Array.from({ length: 12 }, (_, index) => radarAlert({ id: index }));
  await channel().alert?.(alertNotice(...many), delivery());
  const { texts, blocks, buttons } = shown(only());
  expect(texts).toContain('Writes past Countersign: 12 on shop-db (production)');
  expect(texts).toContain('2026-05-01 12:00 UTC');
  expect(texts).toContain('update of 3 rows of public.orders: no action made it. By app (&lt;!channel&gt; Bcc: x).');
  expect(texts).toContain('and 2 more');
  expect(buttons).toEqual(['countersign.open']);
  expect(blocks.at(-1)?.elements?.[0]?.url).toBe('https://approvals.example.com/radar');
});

test('a ledger that takes no receipt is a message without buttons', async () => {
  const notice = { kind: 'ledger_broken', state: 'over', at: '2026-05-01T12:00:00.000Z' } as const;
  await channel().alert?.(alertOfLedger(notice), delivery());
  const { texts, buttons } = shown(only());
  expect(texts).toContain('The ledger takes receipts again');
  expect(texts).toContain('It is about every tenant. What waited goes on by itself.');
  expect(buttons).toEqual([]);
});
