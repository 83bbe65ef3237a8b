/** History in rules, on the real stack: deploy only after tests, no outward call after reading a sensitive table, one refund for each order. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CountersignError } from '../../src/action/errors.js';
import type { Outcome } from '../../src/action/outcome.js';
import type { Countersign } from '../../src/client/countersign.js';
import { decisionsOf } from '../../src/decisions/from-ledger.js';
import { backtest } from '../../src/policy/backtest/index.js';
import { bundleFromFiles, compilePolicy, loadBundle } from '../../src/policy/index.js';
import type { ExecuteContext, Tool } from '../../src/tools/tool.js';
import { journal, journalTool, type JournalInput } from '../support/journal-tool.js';
import { ended, shopTool, startStack, TENANT, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';

const HISTORY = `
history:
  tested: { of: { tool: ci }, scope: task, within: 4h, wait: 30s }
  checked: { of: { tool: ci }, scope: task, within: 4h, wait: 1s }
  read-sensitive: { of: { reads: [customers] }, scope: task, within: 7d }
  refunded: { of: { tool: payments, operation: append }, scope: tenant, same: input.line, within: 366d }
`;
const RULES = `
@id("mail") permit (principal, action == Countersign::Action::"CALL_API", resource == Countersign::Tool::"mail");
@id("tests-first") @reason("deploy only after tests")
forbid (principal, action, resource == Countersign::Tool::"deploy") unless { context.history.tested.done >= 1 };
@id("checks-first") @reason("release only after checks")
forbid (principal, action, resource == Countersign::Tool::"release") unless { context.history.checked.done >= 1 };
@id("no-outward-call") @reason("no outward call after reading a sensitive table")
forbid (principal, action == Countersign::Action::"CALL_API", resource)
when { context.history["read-sensitive"].possible >= 1 };
@id("one-refund") @reason("at most one refund for each order")
forbid (principal, action, resource == Countersign::Tool::"payments") when { context.history.refunded.possible >= 1 };
`;

let stack: Stack;
let admin: Countersign;
let folder: string;
/** What the effect of \`ci\` waits for, by the line that it is to write. */
const gates = new Map<string, Promise<void>>();

/** An effect that takes as long as the test wants. */
function gated(tool: Tool<JournalInput>): Tool<JournalInput> {
  return {
    ...tool,
    execute: async (input: JournalInput, context: ExecuteContext) => {
      await gates.get(input.line);
      return tool.execute(input, context);
    },
  };
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-history-'));
  const tool = (name: string): Tool<JournalInput> =>
    journalTool({ name, file: path.join(folder, name), idempotency: 'none', canLookUp: false });
  stack = await startStack({
    schema:
      'CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL); INSERT INTO customers VALUES (1, $$Ann$$);',
    files: { 'history.yaml': HISTORY, 'history.cedar': RULES },
    tools: (url) =>
      [
        shopTool(url),
        gated(tool('ci')),
        tool('deploy'),
        tool('release'),
        tool('payments'),
        { ...tool('mail'), actionType: () => 'CALL_API' },
      ] as readonly Tool[],
  });
  admin = await stack.agent();
});
afterAll(async () => {
  await stack?.stop();
  await rm(folder, { recursive: true, force: true });
});

const line = (tool: string, text: string, traceId?: string, more: object = {}) => ({
  actionId: randomUUID(),
  tool,
  input: { line: text, ...more },
  ...(traceId === undefined ? {} : { traceId }),
});
const does = (...given: Parameters<typeof line>): Promise<Outcome> => ended(admin, line(...given));
const historyOf = ({ facts }: Outcome) => facts?.history ?? [];

/** Begins tests that are under way until they are told to end. */
async function beginTests(traceId: string) {
  const name = randomUUID();
  let [pass, fail]: [() => void, () => void] = [() => {}, () => {}];
  const gate = new Promise<void>((resolve, reject) => {
    pass = resolve;
    fail = () => reject(new CountersignError('TOOL_FAILED', 'A test failed.'));
  });
  gates.set(name, gate);
  gate.catch(() => {});
  const proposal = line('ci', name, traceId);
  const outcome = ended(admin, proposal);
  await inPhase(proposal.actionId, 'executing');
  return { pass, fail, outcome };
}

describe('deploy only after tests', () => {
  test('without them it is denied, after them it is allowed, in their task alone', async () => {
    const before = await does('deploy', 'a', 'task-1');
    expect(before).toMatchObject({
      status: 'denied',
      error: { code: 'POLICY_DENIED' },
      decision: { policies: ['tests-first'] },
    });
    expect(historyOf(before).map(({ text }) => text)).toContain('tested: 0 done');
    expect((await does('ci', 'tests', 'task-1')).status).toBe('success');
    const after = await does('deploy', 'a', 'task-1');
    expect(after.status).toBe('success');
    expect(historyOf(after)).toContainEqual({
      fact: 'tested',
      done: 1,
      underWay: 0,
      possible: 1,
      text: 'tested: 1 done',
    });
    expect((await does('deploy', 'a', 'task-2')).error?.code).toBe('POLICY_DENIED');
    expect((await does('deploy', 'a')).error?.code).toBe('POLICY_DENIED');
  });

  test('tests of which it is not known how they ended are none', async () => {
    expect((await does('ci', 'lost', 'task-lost', { lose: 'after' })).status).toBe('unknown');
    const deploy = await does('deploy', 'a', 'task-lost');
    expect(deploy.error?.code).toBe('POLICY_DENIED');
    expect(historyOf(deploy)).toContainEqual(
      expect.objectContaining({ fact: 'tested', done: 0, underWay: 0, possible: 1 }),
    );
  });

  test('tests that are under way are waited for, and nothing else is', async () => {
    const tests = await beginTests('task-3');
    const deploy = line('deploy', 'waited', 'task-3');
    const outcome = ended(admin, deploy);
    await inPhase(deploy.actionId, 'queued');
    expect(await details(deploy.actionId)).toContain('Waiting for earlier actions');
    expect(await details(deploy.actionId)).toContain('tested: 0 done, 1 under way');
    expect((await does('deploy', 'another task', 'task-4')).status).toBe('denied');
    tests.pass();
    expect((await tests.outcome).status).toBe('success');
    expect((await outcome).status).toBe('success');
  });

  test('tests that fail are waited for in vain', async () => {
    const tests = await beginTests('task-5');
    const deploy = line('deploy', 'in vain', 'task-5');
    const outcome = ended(admin, deploy);
    await inPhase(deploy.actionId, 'queued');
    tests.fail();
    expect((await tests.outcome).status).toBe('failed');
    expect(await outcome).toMatchObject({
      status: 'denied',
      error: { code: 'POLICY_DENIED' },
      decision: { effect: 'deny', policies: ['tests-first'] },
    });
  });

  test('no longer than the fact lets it wait', async () => {
    const tests = await beginTests('task-6');
    const release = await does('release', 'too soon', 'task-6');
    expect(release).toMatchObject({
      status: 'denied',
      error: { code: 'POLICY_DENIED' },
      decision: { policies: ['checks-first'] },
    });
    expect(historyOf(release)).toContainEqual(expect.objectContaining({ fact: 'checked', underWay: 1 }));
    tests.pass();
    await tests.outcome;
  });
});

test('no outward call after reading a sensitive table, also where the call names no task', async () => {
  expect((await does('mail', 'before', 'task-7')).status).toBe('success');
  const read = {
    actionId: randomUUID(),
    tool: 'shop-db',
    input: { op: 'select', table: 'customers', limit: 1 },
    traceId: 'task-7',
  };
  expect((await ended(admin, read)).status).toBe('success');
  expect(await does('mail', 'after', 'task-7')).toMatchObject({
    status: 'denied',
    decision: { policies: ['no-outward-call'] },
  });
  expect((await does('mail', 'no task')).status).toBe('denied');
  expect((await does('mail', 'another task', 'task-8')).status).toBe('success');
  expect((await journal(path.join(folder, 'mail'))).map(([, text]) => text)).toEqual(['before', 'another task']);
});

describe('at most one refund for each order', () => {
  test('of eight at once one is made, whatever their tasks', async () => {
    const outcomes = await Promise.all(Array.from({ length: 8 }, (_, n) => does('payments', 'order-7', `refund-${n}`)));
    const codes = outcomes.map(({ status, error }) => error?.code ?? status).sort();
    expect(codes).toEqual([...Array.from({ length: 7 }, () => 'POLICY_DENIED'), 'success']);
    expect((await journal(path.join(folder, 'payments'))).map(([, text]) => text)).toEqual(['order-7']);
    expect((await does('payments', 'order-8')).status).toBe('success');
  });

  test('one of which it is not known whether it was made may have been', async () => {
    expect((await does('payments', 'order-9', undefined, { lose: 'before' })).status).toBe('unknown');
    expect((await does('payments', 'order-9')).error?.code).toBe('POLICY_DENIED');
  });
});

test('from the record, the same policy decides the same, and another what it would have', async () => {
  for (const status of ['success', 'denied', 'denied']) {
    expect((await does('payments', 'order-10')).status).toBe(status);
  }
  const { records, policies } = await decisionsOf(stack.ledger, stack.keyring, { tenant: TENANT });
  const { files } = await loadBundle(stack.policies);
  const under = (rules: string, of = records) => {
    const candidate = compilePolicy(bundleFromFiles({ ...files, 'history.cedar': rules }));
    const { redecided, toTheLetter, changes, undecided } = backtest(of, { candidate, recordedUnder: policies }).summary;
    return { changed: redecided - toTheLetter, allowed: changes['newly-allowed'], undecided };
  };
  expect(under(RULES)).toEqual({ changed: 0, allowed: 0, undecided: 0 });
  // Seven of order 7, one of order 9, two of order 10.
  expect(under(RULES.replace(/@id\("one-refund"\)[^]*$/, ''))).toMatchObject({ allowed: 10, undecided: 0 });
  const tenth = records.filter(({ proposal }) => proposal?.input['line'] === 'order-10');
  // The second would have been made, and have stood against the third.
  expect(under(RULES.replace('refunded.possible >= 1', 'refunded.possible >= 2'), tenth).allowed).toBe(1);
});

/** Waits until the action is in a phase. Before its workflow has begun it is in none. */
async function inPhase(actionId: string, phase: string): Promise<void> {
  await until(
    () => admin.view(actionId).catch(() => undefined),
    (view) => view?.phase === phase,
  );
}

/** What the Temporal UI shows of an action now. */
async function details(actionId: string): Promise<string> {
  const handle = admin.temporal.workflow.getHandle(`${TENANT}/${actionId}`);
  const { currentDetails } = await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata');
  return currentDetails;
}
