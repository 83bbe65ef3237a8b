/** `countersign standing-approval` and `role-delegation`: given, listed, used and taken back from the command line. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeCredential } from '../../src/trust/index.js';
import { ended, startStack, TENANT, type Stack } from '../support/stack.js';
import { cli, errorOf } from './support.js';

let stack: Stack;
let folder: string;
let env: Record<string, string>;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-cli-standing-'));
  stack = await startStack({
    schema: 'CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 150)',
  });
  for (const [id, roles] of [
    ['ann', ['dba']],
    ['bob', ['clerk']],
    ['olga', ['operator']],
  ] as const) {
    await writeFile(path.join(folder, `${id}.csk`), encodeCredential(await stack.approver(id, roles)));
  }
  env = {
    COUNTERSIGN_LEDGER_URL: stack.ledgerUrl,
    TEMPORAL_ADDRESS: stack.temporal.address,
    TEMPORAL_NAMESPACE: stack.temporal.namespace,
    COUNTERSIGN_TASK_QUEUE: stack.temporal.taskQueue,
    COUNTERSIGN_APPROVER: path.join(folder, 'ann.csk'),
  };
});
afterAll(async () => {
  await stack?.stop();
  await rm(folder, { recursive: true, force: true });
});

const as = (id: string): readonly string[] => ['--as', path.join(folder, `${id}.csk`)];
const UUID = '[0-9a-f]{8}-[0-9a-f-]{27}';

describe('standing approvals', () => {
  test('an approval is granted, counted down, listed and withdrawn', async () => {
    const bounds = ['--operation', 'delete', '--environment', 'production', '--max-rows', '200', '--max-actions', '2'];
    const made = await cli(
      [
        'standing-approval',
        'grant',
        'cleaner',
        '--tool',
        'shop-db',
        ...bounds,
        '--expires',
        '2h',
        '--reason',
        'old \u202Erows',
      ],
      { env },
    );
    expect({ code: made.code, stderr: made.stderr }).toEqual({ code: 0, stderr: '' });
    expect(made.stdout).toMatch(/^✓ standing approval granted\n/);
    const id = new RegExp(UUID).exec(made.stdout)?.[0] ?? '';
    expect(made.stdout).toContain(
      `  ${id}  cleaner may shop-db:delete in production, at most 200 rows each, 2 actions\n    by ann: old \\u{202E}rows\n    until `,
    );
    expect(made.stdout).toContain(`End it:  countersign standing-approval withdraw ${id} --reason`);

    const cleaner = await stack.agent({ id: 'cleaner' });
    const input = { op: 'delete', table: 't', all: true };
    const done = await ended(cleaner, { actionId: randomUUID(), tool: 'shop-db', input });
    expect(done).toMatchObject({ status: 'success', approvals: [{ approver: 'ann', standingApproval: id }] });

    const listed = await cli(['standing-approval', 'list'], { env });
    expect(listed.stdout).toContain('at most 200 rows each, 1 of 2 actions left\n');
    const { json } = await cli(['standing-approval', 'list', '--tenant', TENANT, '--json'], { env });
    expect(json()).toMatchObject({ tenant: TENANT, standingApprovals: [{ id, actions: 2, used: { actions: 1 } }] });

    const withdraw = ['standing-approval', 'withdraw', id, '--reason', 'all gone', '--json'];
    const refused = await cli([...withdraw, ...as('bob')], { env });
    expect(refused.code).not.toBe(0);
    expect(errorOf(refused).code).toBe('ROLE_REQUIRED');
    const withdrawn = await cli(withdraw, { env });
    expect(withdrawn.code).toBe(0);
    expect(withdrawn.json()).toMatchObject({
      id,
      ended: { by: 'ann', reason: 'all gone' },
      receipt: { tenant: TENANT },
    });
    expect((await cli(['standing-approval', 'list'], { env })).stdout).toBe('there are no standing approvals\n');
    expect((await cli(['standing-approval', 'list', '--ended'], { env })).stdout).toMatch(
      /ended by ann at .*: all gone/,
    );
  });

  test.each([
    ['an amount without a unit', ['--max-amount', '50', '--expires', '2h'], '--max-amount'],
    ['no end', ['--expires', 'tomorrow'], '--expires'],
    ['an end that is over', ['--expires', '2020-01-01T00:00:00Z'], '--expires'],
  ])('%s is wrong usage: exit code 2', async (_, options, field) => {
    const grant = ['standing-approval', 'grant', 'cleaner', '--tool', 'shop-db', '--reason', 'r', '--json', ...options];
    const refused = await cli(grant, { env });
    expect(refused.code).toBe(2);
    expect(errorOf(refused)).toMatchObject({ code: 'USAGE', field });
  });

  test('for too long is refused, and says how long is not', async () => {
    const grant = [
      'standing-approval',
      'grant',
      'cleaner',
      '--tool',
      'shop-db',
      '--reason',
      'r',
      '--expires',
      '90d',
      '--json',
    ];
    expect(errorOf(await cli(grant, { env }))).toMatchObject({
      code: 'COMMAND_INVALID',
      field: 'command.until',
      expected: 'at most 31 days from now',
    });
  });
});

describe('role delegations', () => {
  test('is given, listed and ended', async () => {
    const give = ['role-delegation', 'give', 'bob', '--role', 'dba', '--until', '12h', '--reason', 'on call tonight'];
    const made = await cli([...give, '--json'], { env });
    expect(made.code).toBe(0);
    const { id } = made.json() as { id: string };
    expect(made.json()).toMatchObject({ person: 'bob', role: 'dba', by: 'ann', receipt: { tenant: TENANT } });
    expect((await cli(['role-delegation', 'list'], { env })).stdout).toMatch(
      new RegExp(`^  ${UUID}  bob has the role dba for ann: on call tonight\n    until .*, 1[12]h .*from now\n$`),
    );
    const later = await cli([...give, '--from', '2h'], { env });
    expect(later.stdout).toMatch(/bob has the role dba for ann from 2\d\d\d-.*: on call tonight/);

    const done = await cli(['role-delegation', 'end', id, '--reason', 'I am back', ...as('bob'), '--json'], { env });
    expect(done.json()).toMatchObject({ id, ended: { by: 'bob', reason: 'I am back' } });
    expect((await cli(['role-delegation', 'list'], { env })).stdout).not.toContain(id);
    expect((await cli(['role-delegation', 'list', '--ended'], { env })).stdout).toMatch(
      /ended by bob at .*: I am back/,
    );
  });

  test('of a role that one does not have is refused', async () => {
    const give = ['role-delegation', 'give', 'bob', '--role', 'cto', '--until', '12h', '--reason', 'r', '--json'];
    expect(errorOf(await cli(give, { env }))).toMatchObject({ code: 'ROLE_REQUIRED', expected: 'one of: dba' });
  });

  test('that does not exist cannot be ended: exit code 2', async () => {
    const refused = await cli(['role-delegation', 'end', randomUUID(), '--reason', 'r', '--json'], { env });
    expect(refused.code).toBe(2);
    expect(errorOf(refused).code).toBe('NOT_FOUND');
  });
});

test('without anything that says whose are meant, lists are wrong usage', async () => {
  const { COUNTERSIGN_APPROVER: _none, ...nobody } = env;
  for (const command of ['standing-approval', 'role-delegation']) {
    const refused = await cli([command, 'list', '--json'], { env: nobody });
    expect(refused.code).toBe(2);
    expect(errorOf(refused)).toMatchObject({ code: 'USAGE', field: '--tenant' });
  }
});
