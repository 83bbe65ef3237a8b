/** Bad input: an error with its code, the field, what was expected and what to do; no effect; the process lives. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Countersign, ProposalInput } from '../../src/client/countersign.js';
import { ended, startStack, type Stack } from '../support/stack.js';

let stack: Stack;
let admin: Countersign;

beforeAll(async () => {
  stack = await startStack({
    schema: `CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, plan text NOT NULL);
      INSERT INTO customers SELECT n, 'c' || n, 'free' FROM generate_series(1, 20) n;
      CREATE TABLE events (id int PRIMARY KEY, at date NOT NULL DEFAULT now());
      INSERT INTO events SELECT n FROM generate_series(1, 1000000) n`,
  });
  admin = await stack.agent();
});
afterAll(() => stack?.stop());

const rename = (input: object, more: Partial<ProposalInput> = {}) =>
  ({
    tool: 'shop-db',
    input: { op: 'update', table: 'customers', set: { name: 'x' }, where: { id: 1 }, ...input },
    ...more,
  }) as ProposalInput;

describe('refused before anything is sent', () => {
  test.each<[string, string, () => ProposalInput]>([
    ['5 MB of input', 'INPUT_TOO_LARGE', () => rename({ set: { name: 'x'.repeat(5_000_000) } })],
    ['a NUL byte', 'INVALID_TEXT', () => rename({ set: { name: 'a\u0000b' } })],
    ['a lone surrogate', 'INVALID_TEXT', () => rename({ set: { name: '\ud800' } })],
    ['a number of 400 digits', 'INVALID_NUMBER', () => rename({ where: { id: Number('9'.repeat(400)) } })],
    ['an integer that JSON carries inexactly', 'INVALID_NUMBER', () => rename({ where: { id: 2 ** 53 } })],
    ['NaN', 'INVALID_NUMBER', () => rename({ where: { id: Number.NaN } })],
    ['undefined as a parameter', 'INVALID_JSON', () => rename({ where: { id: undefined } })],
    ['a date object', 'INVALID_JSON', () => rename({ set: { name: new Date() } })],
    [
      'nesting without end',
      'INVALID_JSON',
      () => rename({ where: JSON.parse('{"a":'.repeat(500) + '1' + '}'.repeat(500)) as object }),
    ],
    ['a field that does not exist', 'INVALID_PROPOSAL', () => rename({}, { environment: 'test' } as never)],
    ['an action id with a slash', 'INVALID_PROPOSAL', () => rename({}, { actionId: 'other-tenant/1' })],
    ['no tool', 'INVALID_PROPOSAL', () => ({ input: {} }) as never],
  ])('%s: %s', async (_what, code, proposal) => {
    const error: unknown = await admin.perform(proposal()).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code,
      field: expect.any(String) as string,
      expected: expect.any(String) as string,
      fix: expect.any(String) as string,
    });
  });
});

describe('denied by the worker, with a receipt', () => {
  test.each<[string, string, ProposalInput]>([
    ['an unknown tool', 'UNKNOWN_TOOL', rename({}, { tool: 'shop-bd' })],
    ['an operation that the tool does not have', 'INVALID_INPUT', rename({ op: 'truncate' })],
    ['a column that the table does not have', 'INVALID_INPUT', rename({ set: { nom: 'x' } })],
    ['a table that the database does not have', 'INVALID_INPUT', rename({ table: 'custmers' })],
    [
      'an update without a where',
      'INVALID_INPUT',
      { tool: 'shop-db', input: { op: 'update', table: 'customers', set: { name: 'x' } } },
    ],
    [
      'two signed commands',
      'STATEMENT_REFUSED',
      { tool: 'shop-db', input: { op: 'sql', sql: 'SELECT 1; DROP TABLE customers' } },
    ],
    [
      'text that is not SQL',
      'STATEMENT_REFUSED',
      { tool: 'shop-db', input: { op: 'sql', sql: 'please delete everything' } },
    ],
    [
      'COPY to a program',
      'STATEMENT_REFUSED',
      { tool: 'shop-db', input: { op: 'sql', sql: "COPY customers TO PROGRAM 'sh'" } },
    ],
    [
      'DO',
      'STATEMENT_REFUSED',
      { tool: 'shop-db', input: { op: 'sql', sql: 'DO $$ BEGIN DELETE FROM customers; END $$' } },
    ],
    [
      'a million rows',
      'TOO_MANY_ROWS',
      { tool: 'shop-db', input: { op: 'delete', table: 'events', where: { id: { gt: 0 } } } },
    ],
    ['an expectation that does not compile', 'INVALID_EXPECTATION', rename({}, { expect: 'post.customers[' })],
    [
      'an expectation over names that are not there',
      'INVALID_EXPECTATION',
      rename({}, { expect: 'process.env.HOME == ""' }),
    ],
    [
      'an expectation that would run forever',
      'INVALID_EXPECTATION',
      rename({}, { expect: `${'[1,2,3,4,5,6,7,8,9].all(x, '.repeat(9)}true${')'.repeat(9)}` }),
    ],
  ])('%s: %s', async (_what, code, proposal) => {
    const outcome = await ended(admin, proposal);
    expect(outcome).toMatchObject({ status: 'denied', error: { code, message: expect.any(String) as string } });
    expect(outcome.receipt).toBeDefined();
  });

  test('a change that matches nothing: NOTHING_MATCHED, unless the agent says that it may', async () => {
    const outcome = await ended(admin, rename({ where: { id: 999 } }));
    expect(outcome).toMatchObject({
      status: 'denied',
      error: { code: 'NOTHING_MATCHED' },
      decision: { effect: 'allow' },
    });
    expect(outcome.error).toMatchObject({
      expected: 'at least one row',
      fix: expect.stringContaining('min') as string,
    });
    expect(await ended(admin, rename({ where: { id: 999 }, rows: { min: 0 } }))).toMatchObject({ status: 'success' });
    expect(await ended(admin, rename({ where: { id: { in: [1, 2] } }, rows: 1 }))).toMatchObject({
      status: 'denied',
      error: { code: 'TOO_MANY_ROWS' },
    });
  });

  test('whoever may not change it does not learn from the refusal whether it is there', async () => {
    const reader = await stack.agent({ id: 'reader', roles: ['read_only_user'] });
    const refusals = await Promise.all([1, 999].map((id) => ended(reader, rename({ where: { id } }))));
    for (const { status, error } of refusals) expect([status, error?.code]).toEqual(['denied', 'POLICY_DENIED']);
  });

  test('an agent without the scope for the tool: SCOPE_DENIED', async () => {
    const narrow = await stack.agent({ id: 'narrow', scopes: ['other-db'] });
    expect(await ended(narrow, rename({}))).toMatchObject({ status: 'denied', error: { code: 'SCOPE_DENIED' } });
  });

  test('a payload that was never through the client library: refused as well', async () => {
    const actionId = randomUUID();
    const handle = await admin.temporal.workflow.start('trustedAction', {
      workflowId: `acme/${actionId}`,
      taskQueue: stack.temporal.taskQueue,
      args: [{ proposal: { actionId, tool: 'shop-db', input: { x: '\u0000' } }, digest: 'sha256:x', signature: '' }],
    });
    expect(await handle.result()).toMatchObject({ status: 'denied', error: { code: 'INVALID_TEXT' } });
  });

  test.each([[undefined], [null], ['text'], [{}], [{ proposal: null }]])(
    '%j as the workflow’s whole input',
    async (request) => {
      const handle = await admin.temporal.workflow.start('trustedAction', {
        workflowId: `acme/${randomUUID()}`,
        taskQueue: stack.temporal.taskQueue,
        args: [request],
      });
      expect(await handle.result()).toMatchObject({ status: 'denied' });
    },
  );
});

test('after all of this, every row is what it was', async () => {
  const { rows } = await stack.shop.query<{ n: string }>(
    "SELECT (SELECT count(*) FROM customers WHERE plan = 'free' AND name LIKE 'c%') + (SELECT count(*) FROM events) n",
  );
  expect(Number(rows[0]?.n)).toBe(1_000_020);
});
