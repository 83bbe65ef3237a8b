/** Unknown is not failed: when a reply is lost, the tool's look-up decides; without one, nothing is sent again and nothing is claimed. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Countersign } from '../../src/client/countersign.js';
import type { Tool } from '../../src/tools/tool.js';
import { ended, startStack, type Stack } from '../support/stack.js';
import { journal, journalTool } from '../support/journal-tool.js';

let stack: Stack;
let admin: Countersign;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-journal-'));
  const tool = (name: string, more: object) =>
    journalTool({ name, file: path.join(folder, name), idempotency: 'lookup', ...more }) as Tool;
  stack = await startStack({
    schema: 'SELECT 1',
    tools: () => [tool('with-look-up', {}), tool('without', { idempotency: 'none', canLookUp: false })],
  });
  admin = await stack.agent();
});
afterAll(async () => {
  await stack?.stop();
  await rm(folder, { recursive: true, force: true });
});

const effects = (name: string, line: string) =>
  journal(path.join(folder, name)).then((all) => all.filter(([, text]) => text === line).length);

test('the effect happened and the reply was lost: the look-up finds it, and it is verified', async () => {
  const outcome = await ended(admin, { tool: 'with-look-up', input: { line: 'a', lose: 'after' } });
  expect(outcome).toMatchObject({ status: 'success', checks: [{ name: 'derived', ok: true }] });
  expect(await effects('with-look-up', 'a')).toBe(1);
});

test('the request never arrived: the look-up says so, and the action failed', async () => {
  const outcome = await ended(admin, { tool: 'with-look-up', input: { line: 'b', lose: 'before' } });
  expect(outcome).toMatchObject({ status: 'failed', error: { code: 'TOOL_FAILED' } });
  expect(await effects('with-look-up', 'b')).toBe(0);
});

test.each([
  ['happened', 'after', 1],
  ['did not happen', 'before', 0],
] as const)(
  'nothing can be looked up and it %s: the outcome is unknown, and nothing is sent again',
  async (_what, lose, times) => {
    const line = `c-${lose}`;
    const proposal = { actionId: line, tool: 'without', input: { line, lose } };
    const outcome = await ended(admin, proposal);
    expect(outcome).toMatchObject({ status: 'unknown', error: { code: 'EFFECT_UNKNOWN' } });
    expect(outcome.receipt).toBeDefined();
    expect(await ended(admin, proposal)).toEqual(outcome);
    expect(await effects('without', line)).toBe(times);
  },
);
