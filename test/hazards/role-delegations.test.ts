/** A role that one person exercises for another opens no more than that person could, and no longer. */
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Countersign } from '../../src/client/countersign.js';
import type { RoleDelegation } from '../../src/action/role-delegation.js';
import {
  issueApprover,
  peekCredential,
  signCommand,
  type Credential,
  type CommandOptions,
} from '../../src/trust/index.js';
import { pending, startStack, TENANT, type Stack } from '../support/stack.js';

const PEOPLE = `
@id("a-dba-decides")
@reason("a change needs a dba")
@approval("dba")
forbid (principal, action == Countersign::Action::"WRITE", resource)
unless { context.targets.contains("two") };

@id("two-dbas-decide")
@reason("a change here needs two dbas")
@approval("dba, quorum=2")
forbid (principal, action == Countersign::Action::"WRITE", resource)
when { context.targets.contains("two") };
`;

let stack: Stack;
let client: Countersign;

beforeAll(async () => {
  stack = await startStack({
    worker: false,
    schema: ['one', 'two']
      .map((table) => `CREATE TABLE ${table} (id int PRIMARY KEY, amount int); INSERT INTO ${table} VALUES (1, 0);`)
      .join(''),
  });
  await writeFile(path.join(stack.policies, 'people.cedar'), PEOPLE);
  await stack.startWorker();
  client = await stack.agent({ owner: 'owen' });
});
afterAll(() => stack?.stop());

let changes = 0;
const change = (table: 'one' | 'two') => ({
  actionId: randomUUID(),
  tool: 'shop-db',
  input: { op: 'update', table, set: { amount: ++changes }, where: { id: 1 } },
});

/** Somebody whom no other test knows. */
function somebody(roles: readonly string[], name = 'p'): Promise<Credential> {
  return stack.approver(`${name}-${randomUUID().slice(0, 8)}`, roles);
}

const nameOf = (person: Credential): string => peekCredential(person).id;
const inMs = (ms: number): string => new Date(Date.now() + ms).toISOString();

async function handIn(by: Credential, command: Record<string, unknown>) {
  const { tenant } = peekCredential(by);
  return client.submitCommand(await signCommand(by, { tenant, reason: 'on call', ...command } as CommandOptions));
}

async function give(from: Credential, to: Credential, more: Record<string, unknown> = {}): Promise<RoleDelegation> {
  const command = {
    kind: 'delegate_role',
    subject: nameOf(to),
    role: 'dba',
    from: inMs(-1000),
    until: inMs(3_600_000),
  };
  const done = await handIn(from, { ...command, ...more });
  if (done.kind !== 'delegate_role') throw new Error(done.kind);
  return done.roleDelegation;
}

describe('whoever has a role by delegation', () => {
  test('decides with it, and the outcome says for whom', async () => {
    const [ann, bob] = [await somebody(['dba']), await somebody(['clerk'])];
    const action = await pending(client, change('one'));
    await expect(stack.decide(action, bob)).rejects.toMatchObject({ code: 'APPROVAL_FORBIDDEN' });
    await give(ann, bob);
    await stack.decide(action, bob);
    expect(await action.outcome()).toMatchObject({
      status: 'success',
      approvals: [{ approver: nameOf(bob), delegatedRoles: [{ role: 'dba', from: nameOf(ann) }] }],
    });
  });

  test('takes one seat together with whom it is from', async () => {
    const [ann, bob, carl] = [await somebody(['dba']), await somebody(['clerk']), await somebody(['dba'])];
    await give(ann, bob);
    const action = await pending(client, change('two'));
    await stack.decide(action, bob);
    await stack.decide(action, ann);
    expect((await client.view(action.actionId)).phase).toBe('pending');
    await stack.decide(action, carl);
    expect(await action.outcome()).toMatchObject({ status: 'success' });
  });

  test('has it no more when it was ended, also for what was said before', async () => {
    const [ann, bob, carl] = [await somebody(['dba']), await somebody(['clerk']), await somebody(['dba'])];
    const { id: subject } = await give(ann, bob);
    const action = await pending(client, change('two'));
    await stack.decide(action, bob);
    expect(await handIn(ann, { kind: 'end_role_delegation', subject })).toMatchObject({
      kind: 'end_role_delegation',
      roleDelegation: { ended: {} },
    });
    await stack.decide(action, carl);
    // Two said yes; what the one said rests on nothing any more, so one more is asked for.
    expect((await client.view(action.actionId)).phase).not.toBe('ended');
    await stack.decide(action, await somebody(['dba']));
    const outcome = await action.outcome();
    expect(outcome.status).toBe('success');
    expect(outcome.approvals.map(({ approver }) => approver)).not.toContain(nameOf(bob));
  });

  test.each([
    ['before its time', { from: inMs(3_000_000) }],
    ['with another role', { role: 'lead' }],
  ])('does not decide %s', async (_, more) => {
    const [ann, bob] = [await somebody(['dba', 'lead']), await somebody(['clerk'])];
    await give(ann, bob, more);
    const action = await pending(client, change('one'));
    await expect(stack.decide(action, bob)).rejects.toMatchObject({ code: 'APPROVAL_FORBIDDEN' });
    await client.cancel(action.actionId);
  });

  test('does not decide when a credential of the giver is revoked', async () => {
    const [ann, bob, olga] = [await somebody(['dba']), await somebody(['clerk']), await somebody(['operator'])];
    await give(ann, bob);
    await handIn(olga, { kind: 'revoke', subject: peekCredential(ann).jti });
    const action = await pending(client, change('one'));
    await expect(stack.decide(action, bob)).rejects.toMatchObject({ code: 'APPROVAL_FORBIDDEN' });
    await client.cancel(action.actionId);
  });

  test('does not decide for the agent’s owner', async () => {
    const [owen, bob] = [await stack.approver('owen', ['dba']), await somebody(['clerk'])];
    await give(owen, bob);
    const action = await pending(client, change('one'));
    await expect(stack.decide(action, bob)).rejects.toMatchObject({ code: 'APPROVAL_FORBIDDEN' });
    await client.cancel(action.actionId);
  });

  test('does not decide by a row that nobody signed', async () => {
    const [ann, bob, carl] = [await somebody(['dba']), await somebody(['clerk']), await somebody(['clerk'])];
    const { id, at: _at, ended: _ended, ...row } = await give(ann, carl);
    const [signed] = await stack.ledger.roleDelegations.of(TENANT, nameOf(carl));
    expect(signed?.id).toBe(id);
    await stack.ledger.roleDelegations.add({
      ...row,
      id: randomUUID(),
      person: nameOf(bob),
      statement: signed?.statement ?? '',
    });
    const action = await pending(client, change('one'));
    await expect(stack.decide(action, bob)).rejects.toMatchObject({ code: 'APPROVAL_FORBIDDEN' });
    await stack.decide(action, carl);
    expect(await action.outcome()).toMatchObject({ status: 'success' });
  });
});

describe('a role delegation is given', () => {
  test('only of a role that the giver has, and never of one by delegation', async () => {
    const [ann, bob, carl] = [await somebody(['dba']), await somebody(['clerk']), await somebody(['clerk'])];
    await expect(give(ann, bob, { role: 'cto' })).rejects.toMatchObject({ code: 'ROLE_REQUIRED' });
    await give(ann, bob);
    await expect(give(bob, carl)).rejects.toMatchObject({ code: 'ROLE_REQUIRED' });
  });

  test('to somebody else, with an end to come, for a year at most', async () => {
    const [ann, bob] = [await somebody(['dba']), await somebody(['clerk'])];
    await expect(give(ann, ann)).rejects.toMatchObject({ code: 'COMMAND_INVALID', field: 'command.subject' });
    const long = await issueApprover(stack.keyring, {
      id: 'lou',
      tenant: TENANT,
      roles: ['dba'],
      ttlSeconds: 800 * 86_400,
    });
    for (const until of [inMs(-500), inMs(500 * 86_400_000)]) {
      await expect(give(long, bob, { until })).rejects.toMatchObject({
        code: 'COMMAND_INVALID',
        field: 'command.until',
      });
    }
    expect(await give(long, bob, { until: inMs(300 * 86_400_000) })).toMatchObject({ by: 'lou' });
  });

  test('and ended by whoever gave or has it, or may revoke, and by nobody else', async () => {
    const [ann, bob, carl] = [await somebody(['dba']), await somebody(['clerk']), await somebody(['dba'])];
    const [one, other] = [await give(ann, bob), await give(ann, bob)];
    await expect(handIn(carl, { kind: 'end_role_delegation', subject: one.id })).rejects.toMatchObject({
      code: 'ROLE_REQUIRED',
    });
    expect(await handIn(bob, { kind: 'end_role_delegation', subject: one.id })).toMatchObject({
      roleDelegation: { ended: { by: nameOf(bob) } },
    });
    const olga = await somebody(['operator']);
    expect(await handIn(olga, { kind: 'end_role_delegation', subject: other.id })).toMatchObject({
      roleDelegation: { id: other.id },
    });
    const stranger = await stack.approver('olga', ['operator'], 'globex');
    await expect(handIn(stranger, { kind: 'end_role_delegation', subject: one.id })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });
});
