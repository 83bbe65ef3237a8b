/** Histories that hold no decision which anybody vouches for: each is named with the reason, and none is guessed. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { defaultPayloadConverter } from '@temporalio/common';
import { expect, test } from 'vitest';
import { decisionsInHistories } from '../../src/decisions/from-histories.js';
import { parseHistory } from '../../src/replay/history.js';
import type { HistorySource } from '../../src/replay/sources.js';
import { generateKeyringFile, parseKeyring } from '../../src/trust/index.js';
import { ROOT } from '../support/root.js';

const PLAIN = Buffer.from('json/plain').toString('base64');
const ENCRYPTED = Buffer.from('binary/encrypted').toString('base64');
const allowed = await readFile(path.join(ROOT, 'test/histories/allowed.json'), 'utf8');

/** What is said of runs of one action, the newest first. */
async function whyNot(...runs: readonly string[]): Promise<string | undefined> {
  async function* sources(): AsyncGenerator<HistorySource> {
    for (const text of runs) yield { name: 'acme/allowed', read: async () => parseHistory(text, 'acme/allowed') };
  }
  const { records, unread } = await decisionsInHistories(sources(), {
    decode: async (payloads) => payloads.map((payload) => defaultPayloadConverter.fromPayload(payload)),
    keyring: await parseKeyring(JSON.stringify(await generateKeyringFile()), 'test'),
    filesOf: () => Promise.resolve(undefined),
  });
  expect(records).toEqual([]);
  expect(unread).toHaveLength(1);
  return unread[0]?.why;
}

/** The history with the payload of its result changed. */
function ending(change: (outcome: Record<string, unknown>) => unknown): string {
  const history = JSON.parse(allowed) as { events: Record<string, { result: { payloads: { data: string }[] } }>[] };
  const payload = history.events.at(-1)?.['workflowExecutionCompletedEventAttributes']?.result.payloads[0];
  if (payload === undefined) throw new Error('the history has no end');
  const outcome = JSON.parse(Buffer.from(payload.data, 'base64').toString()) as Record<string, unknown>;
  payload.data = Buffer.from(JSON.stringify(change(outcome))).toString('base64');
  return JSON.stringify(history);
}

test('a history that is not whole, cannot be decoded or is of something else says so', async () => {
  const { events } = JSON.parse(allowed) as { events: unknown[] };
  const cut = JSON.stringify({ events: events.slice(0, -1) });
  expect(await whyNot(cut)).toBe('its action has not ended');
  expect(await whyNot(allowed.replaceAll(PLAIN, ENCRYPTED))).toMatch(
    /^its payloads cannot be decoded: .*binary\/encrypted/,
  );
  expect(await whyNot(ending(() => 'done'))).toBe('its history holds no action');
  expect(await whyNot(ending((outcome) => ({ ...outcome, approvals: null })))).toBe('its history holds no action');
  expect(await whyNot(ending((outcome) => ({ ...outcome, actionId: 'another' })))).toBe(
    'its outcome is that of another action',
  );
  expect(await whyNot(ending((outcome) => ({ ...outcome, proposalDigest: `sha256:${'0'.repeat(64)}` })))).toBe(
    'its outcome is that of another proposal',
  );
  expect(await whyNot(ending(({ receipt: _receipt, ...outcome }) => outcome))).toBe(
    'no receipt of its tenant was written for it',
  );
  expect(await whyNot('{"events":[{"eventId":"2"}]}')).toMatch(/is not a history that can be replayed/);
});

test('of several runs the newest says why, where none has a decision that a known worker sealed', async () => {
  const unsealed = 'no worker whose keys are known sealed the decision that its outcome states';
  expect(await whyNot(allowed)).toBe(unsealed);
  expect(
    await whyNot(
      allowed,
      ending(() => 'done'),
    ),
  ).toBe(unsealed);
  expect(
    await whyNot(
      ending(() => 'done'),
      allowed,
    ),
  ).toBe('its history holds no action');
});
