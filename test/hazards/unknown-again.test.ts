/** What an unknown outcome is not: a request that was never sent, or a system that needs a moment to tell. And what it trips. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CountersignError } from '../../src/action/errors.js';
import type { Countersign } from '../../src/client/countersign.js';
import type { Tool } from '../../src/tools/tool.js';
import { ended, startStack, TENANT, type Stack } from '../support/stack.js';
import { journal, journalTool, type JournalInput } from '../support/journal-tool.js';

let stack: Stack;
let admin: Countersign;
let folder: string;
/** How often the system still refuses connections, or cannot tell yet. */
const left = { refusals: 0, silence: 0 };

const fileOf = (name: string): string => path.join(folder, name);

/** Refuses the connection: nothing was sent. */
function refusing(tool: Tool<JournalInput>): Tool<JournalInput> {
  return {
    ...tool,
    execute: async (input, context) => {
      if (left.refusals-- > 0)
        throw new CountersignError('TOOL_UNAVAILABLE', 'Connection refused.', { retryable: true });
      return tool.execute(input, context);
    },
  };
}

/** Cannot tell at first what became of a request. */
function slowToTell(tool: Tool<JournalInput>): Tool<JournalInput> {
  return {
    ...tool,
    lookUp: async (key, context) =>
      left.silence-- > 0
        ? { happened: 'unknown', reason: 'not booked yet' }
        : ((await tool.lookUp?.(key, context)) ?? { happened: 'no' }),
  };
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-unknown-'));
  const unsafe = { idempotency: 'none', canLookUp: false } as const;
  stack = await startStack({
    schema: 'SELECT 1',
    limits: `
limits:
  failing: { kind: breaker, scope: tool, when: 'tool.name == "fragile"', window: 5m, minimum: 2, ratio: 1.0, open: 10m }
`,
    tools: () => [
      refusing(journalTool({ name: 'refusing', file: fileOf('refusing'), ...unsafe })),
      slowToTell(journalTool({ name: 'slow', file: fileOf('slow'), idempotency: 'lookup' })),
      journalTool({ name: 'fragile', file: fileOf('fragile'), ...unsafe }),
    ],
  });
  admin = await stack.agent();
});
afterAll(async () => {
  await stack?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function uses(actionId: string): Promise<{ uses: number; returned: number } | undefined> {
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: stack.ledgerUrl });
  await client.connect();
  try {
    const text = 'SELECT uses, returned FROM countersign.actions WHERE tenant = $1 AND action_id = $2';
    return (await client.query<{ uses: number; returned: number }>(text, [TENANT, actionId])).rows[0];
  } finally {
    await client.end();
  }
}

test('a request that was never sent is sent under a new grant, though its tool must never be tried twice', async () => {
  left.refusals = 1;
  const actionId = randomUUID();
  const outcome = await ended(admin, { actionId, tool: 'refusing', input: { line: 'a' } });
  expect(outcome).toMatchObject({ status: 'success' });
  expect(await journal(fileOf('refusing'))).toHaveLength(1);
  expect(await uses(actionId)).toEqual({ uses: 2, returned: 1 });
});

test('a system that stays out of reach is a failure, not an unknown outcome', async () => {
  left.refusals = 99;
  const actionId = randomUUID();
  const outcome = await ended(admin, { actionId, tool: 'refusing', input: { line: 'b' } });
  expect(outcome).toMatchObject({ status: 'failed', error: { code: 'TOOL_UNAVAILABLE' } });
  expect(await uses(actionId)).toEqual({ uses: 3, returned: 3 });
  left.refusals = 0;
});

test('a grant is returned once, by the activity that used it, and is good for nothing after', async () => {
  const admitted = async (jti: string, actionId: string) => {
    await stack.ledger.actions.admit({
      tenant: TENANT,
      actionId,
      digest: `sha256:${'a'.repeat(64)}`,
      agent: 'bot',
      tool: 'refusing',
      environment: 'staging',
      targets: [],
      grant: { jti, ttlSeconds: 60 },
    });
    return { jti, tenant: TENANT, actionId, agent: 'bot', tool: 'refusing', targets: [], usedBy: 'run/1' };
  };
  const one = await admitted(randomUUID(), randomUUID());
  expect(await stack.ledger.grants.return(one)).toBe(false);
  expect(await stack.ledger.grants.use(one)).toMatchObject({ kind: 'first', otherUses: 0 });
  expect(await stack.ledger.grants.return({ ...one, usedBy: 'run/2' })).toBe(false);
  const returned = await Promise.all(Array.from({ length: 8 }, () => stack.ledger.grants.return(one)));
  expect(returned.filter(Boolean)).toHaveLength(1);
  expect(await stack.ledger.grants.use(one)).toEqual({ kind: 'returned', otherUses: 0 });
  expect(await stack.ledger.grants.use({ ...one, usedBy: 'run/2' })).toEqual({
    kind: 'replayed',
    otherUses: 0,
    usedBy: 'run/1',
  });
  const next = await admitted(randomUUID(), one.actionId);
  expect(await stack.ledger.grants.use(next)).toMatchObject({ kind: 'first', otherUses: 0 });
  const third = await admitted(randomUUID(), one.actionId);
  expect(await stack.ledger.grants.use(third)).toMatchObject({ kind: 'first', otherUses: 1 });
});

test('a system that cannot tell yet is asked again, and the effect is found', async () => {
  left.silence = 4;
  const outcome = await ended(admin, { tool: 'slow', input: { line: 'a', lose: 'after' } });
  expect(outcome).toMatchObject({ status: 'success', checks: [{ name: 'derived', ok: true }] });
  expect(left.silence).toBeLessThan(0);
  expect(await journal(fileOf('slow'))).toHaveLength(1);
});

test('a system that never tells is not asked for ever: the outcome is unknown', async () => {
  await stack.worker?.stop();
  await stack.startWorker({
    config: {
      policies: stack.policies,
      lookUpMaxWaitMs: 700,
      tools: [slowToTell(journalTool({ name: 'slow', file: fileOf('slow'), idempotency: 'lookup' }))],
    },
  });
  left.silence = 1_000;
  const outcome = await ended(admin, { tool: 'slow', input: { line: 'b', lose: 'after' } });
  expect(outcome).toMatchObject({
    status: 'unknown',
    error: { code: 'EFFECT_UNKNOWN', message: expect.stringContaining('not booked yet') },
  });
  expect(1_000 - left.silence).toBeGreaterThan(2);
  expect((await journal(fileOf('slow'))).filter(([, line]) => line === 'b')).toHaveLength(1);
  await stack.worker?.stop();
  await stack.startWorker();
});

test('unknown outcomes open the circuit breaker', async () => {
  for (const line of ['a', 'b']) {
    const outcome = await ended(admin, { tool: 'fragile', input: { line, lose: 'after' } });
    expect(outcome.status).toBe('unknown');
  }
  const refused = await ended(admin, { tool: 'fragile', input: { line: 'c' } });
  expect(refused).toMatchObject({ status: 'denied', error: { code: 'BREAKER_OPEN' } });
  expect(await journal(fileOf('fragile'))).toHaveLength(2);
});
