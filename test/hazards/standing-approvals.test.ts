/** What people approve in advance never goes further than they said: not by a race, not by another agent, not after it ended. The database judges. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Countersign, ProposalInput } from '../../src/client/countersign.js';
import { verifyReceipts } from '../../src/receipts/verify.js';
import type { StandingApproval } from '../../src/action/standing-approval.js';
import {
  delegate,
  issueAgent,
  issueApprover,
  peekCredential,
  signCommand,
  type Credential,
  type CommandOptions,
} from '../../src/trust/index.js';
import { ended, pending, startStack, TENANT, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';
import { spawnWorker } from '../support/worker-process.js';

/** Every change needs a person; some tables need two, or one with a passkey. */
const PEOPLE = `
@id("people-decide")
@reason("a change needs a person")
@approval("dba")
forbid (principal, action == Countersign::Action::"WRITE", resource)
unless { context.targets.containsAny(["two", "keyed", "plain"]) };

@id("two-people-decide")
@reason("a change here needs two people")
@approval("dba|lead, quorum=2")
forbid (principal, action == Countersign::Action::"WRITE", resource)
when { context.targets.contains("two") };

@id("a-passkey-decides")
@reason("a change here needs a passkey")
@approval("dba, passkey")
forbid (principal, action == Countersign::Action::"WRITE", resource)
when { context.targets.contains("keyed") };
`;

const LIMITS = `
limits:
  spend: { kind: budget, scope: tenant, when: '"paid" in preview.targets', amount: input.set.amount, settled: result.rowCount * 2, unit: EUR, max: 1000000, window: forever }
  lifted: { kind: count, scope: tenant, when: '"lifted" in preview.targets', max: 0, window: forever, atLimit: approve by dba }
  few: { kind: count, scope: tenant, when: '"few" in preview.targets', max: 4, window: forever }
`;
const TABLES = ['raced', 'paid', 'lifted', 'few', 'two', 'keyed', 'plain', 'bounds', 'late', 'void'] as const;
type Table = (typeof TABLES)[number];

let stack: Stack;
let dora: Credential;
let olga: Credential;
/** Hands in what people sign. */
let clerk: Countersign;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-standing-'));
  stack = await startStack({
    worker: false,
    schema: TABLES.map(
      (table) => `
        CREATE TABLE ${table} (id int PRIMARY KEY, amount int NOT NULL CHECK (amount <> 55), done boolean NOT NULL DEFAULT false);
        INSERT INTO ${table} (id, amount) SELECT n, 0 FROM generate_series(1, 60) n;`,
    ).join(''),
    limits: LIMITS,
  });
  await writeFile(path.join(stack.policies, 'people.cedar'), PEOPLE);
  await stack.startWorker();
  clerk = await stack.agent();
  dora = await stack.approver('dora', ['dba']);
  olga = await stack.approver('olga', ['operator']);
});
afterAll(async () => {
  await stack?.stop();
  await rm(folder, { recursive: true, force: true });
});

const change = (table: Table, id: number, amount = 1) => ({
  actionId: randomUUID(),
  tool: 'shop-db',
  input: { op: 'update', table, set: { amount }, where: { id } },
});

/** An agent that no other test has. */
async function bot(more: Parameters<Stack['agent']>[0] = {}): Promise<{ id: string; client: Countersign }> {
  const id = `bot-${randomUUID().slice(0, 8)}`;
  return { id, client: await stack.agent({ id, ...more }) };
}

type Said = Omit<
  Extract<CommandOptions, { kind: 'create_standing_approval' }>,
  'kind' | 'tenant' | 'reason' | 'tool' | 'until'
>;

async function handIn(by: Credential, command: Record<string, unknown>) {
  const { tenant } = peekCredential(by);
  return clerk.submitCommand(
    await signCommand(by, { tenant, reason: 'the night shift', ...command } as CommandOptions),
  );
}

const inMs = (ms: number): string => new Date(Date.now() + ms).toISOString();

async function stand(said: Said & { until?: string; tool?: string }, by = dora): Promise<StandingApproval> {
  const done = await handIn(by, { kind: 'create_standing_approval', tool: 'shop-db', until: inMs(3_600_000), ...said });
  if (done.kind !== 'create_standing_approval') throw new Error(done.kind);
  return done.standingApproval;
}

/** How it answers: `pending` when people are asked, and then it is cancelled. */
async function answerOf(client: Countersign, proposal: ProposalInput): Promise<string> {
  const { status, actionId } = await client.perform(proposal);
  if (status === 'pending') await client.cancel(actionId);
  return status;
}

async function changed(table: Table): Promise<number> {
  const { rows } = await stack.shop.query<{ n: string }>(`SELECT count(*) n FROM ${table} WHERE amount <> 0`);
  return Number(rows[0]?.n);
}

describe('a standing approval', () => {
  test('lets what it names go on without anybody, and is on the outcome and its receipt', async () => {
    const { id, client } = await bot();
    expect(await answerOf(client, change('void', 1))).toBe('pending');
    const standing = await stand({ subject: id, actions: 2 });
    const outcome = await ended(client, change('void', 1));
    expect(outcome).toMatchObject({
      status: 'success',
      decision: { effect: 'require_approval' },
      approvals: [
        {
          approver: 'dora',
          verdict: 'approve',
          roles: ['dba'],
          standingApproval: standing.id,
          digest: standing.digest,
        },
      ],
      facts: { limits: [{ limit: `standing:${standing.id}`, left: 2, max: 2, unit: 'actions', used: 0 }] },
    });
    expect(await stack.holdsOf(outcome.actionId)).toEqual([
      { limit: `standing:${standing.id}`, amount: 1, status: 'consumed' },
    ]);
    const [listed] = await stack.ledger.standingApprovals.list({ tenant: TENANT });
    expect(listed).toMatchObject({ id: standing.id, used: { actions: 1, amounts: {} } });
  });

  test('of four actions, raced for by twelve on two workers, lets exactly four go on; the others ask people, and none is denied', async () => {
    const { id, client } = await bot();
    const standing = await stand({ subject: id, actions: 4 });
    const { worker: first } = stack;
    const second = await stack.startWorker();
    try {
      const answers = await Promise.all(Array.from({ length: 12 }, (_, i) => client.perform(change('raced', i + 1))));
      const count = (status: string): number => answers.filter((answer) => answer.status === status).length;
      expect({ success: count('success'), pending: count('pending') }).toEqual({ success: 4, pending: 8 });
      expect(await changed('raced')).toBe(4);
      expect(await stack.spent(`standing:${standing.id}`)).toEqual({ used: 4, held: 0 });
      const asking = answers.filter(({ status }) => status === 'pending');
      await Promise.all(asking.map(({ actionId }) => client.cancel(actionId)));
    } finally {
      await second.stop();
      stack.worker = first;
    }
  });

  test('whose amount is used up asks people again; what was not spent comes back', async () => {
    const { id, client } = await bot();
    const standing = await stand({ subject: id, amounts: { EUR: 50 } });
    expect((await ended(client, change('paid', 1, 40))).status).toBe('success');
    // One row at two EUR is what the tool says was spent, of the forty that were held.
    expect(await stack.spent(`standing:${standing.id}:EUR`)).toEqual({ used: 2, held: 0 });
    expect(await answerOf(client, change('paid', 2, 49))).toBe('pending');
    expect((await ended(client, change('paid', 2, 48))).status).toBe('success');
    expect(await stack.spent(`standing:${standing.id}:EUR`)).toEqual({ used: 4, held: 0 });
  });

  test('that is capped in a unit which nothing measures for the action does not count', async () => {
    const { id, client } = await bot();
    await stand({ subject: id, amounts: { EUR: 50 } });
    expect(await answerOf(client, change('bounds', 1))).toBe('pending');
  });

  test('holds nothing for an action that waits, and gives back what a failed one held', async () => {
    const { id, client } = await bot();
    const standing = await stand({ subject: id, actions: 5 });
    const failed = await ended(client, change('bounds', 1, 55));
    expect(failed.status).toBe('failed');
    expect(await answerOf(client, change('two', 1))).toBe('pending');
    expect(await stack.spent(`standing:${standing.id}`)).toEqual({ used: 0, held: 0 });
    expect(await stack.holdsOf(failed.actionId)).toMatchObject([{ status: 'released' }]);
  });
});

describe('it is for what it names and nothing else', () => {
  test('not for another agent, nor for one whose id begins alike', async () => {
    const { id, client } = await bot();
    await stand({ subject: id });
    const other = await stack.agent({ id: `${id}x` });
    expect(await answerOf(other, change('bounds', 1))).toBe('pending');
    expect((await ended(client, change('bounds', 1))).status).toBe('success');
  });

  test('for those below the agent, but one for a delegate is not for who is above', async () => {
    const id = `bot-${randomUUID().slice(0, 8)}`;
    const root = await issueAgent(stack.keyring, { id, tenant: TENANT, roles: ['admin_user'], scopes: ['*'] });
    const below = await delegate(root, { id: 'helper', roles: ['admin_user'], scopes: ['*'] });
    const [above, helper] = [await stack.agentWith(root), await stack.agentWith(below)];
    await stand({ subject: `${id}/helper`, actions: 1 });
    expect(await answerOf(above, change('bounds', 2))).toBe('pending');
    expect((await ended(helper, change('bounds', 2))).status).toBe('success');
    expect(await answerOf(helper, change('bounds', 3))).toBe('pending');
    await stand({ subject: id });
    expect((await ended(helper, change('bounds', 3))).status).toBe('success');
  });

  test.each([
    ['another tool', { tool: 'crm' }],
    ['another operation', { operation: 'delete*' }],
    ['another environment', { environment: 'staging' }],
    ['fewer rows', { maxRows: 0 }],
  ])('not for %s', async (_, bound) => {
    const { id, client } = await bot();
    await stand({ subject: id, ...bound });
    expect(await answerOf(client, change('bounds', 4))).toBe('pending');
  });

  test('for exactly these bounds', async () => {
    const { id, client } = await bot();
    await stand({ subject: id, operation: 'upd*', environment: 'production', maxRows: 1 });
    expect((await ended(client, change('bounds', 5))).status).toBe('success');
    expect(
      await answerOf(client, {
        actionId: randomUUID(),
        tool: 'shop-db',
        input: { op: 'update', table: 'bounds', set: { amount: 3 }, where: { id: { in: [6, 7] } } },
      }),
    ).toBe('pending');
  });

  test('not for undoing what the agent did', async () => {
    const { id, client } = await bot();
    await stand({ subject: id });
    const outcome = await ended(client, { ...change('void', 5), expect: 'false', onMismatch: 'compensate' });
    expect(outcome).toMatchObject({ status: 'mismatch', compensation: { status: 'needs_person' } });
  });

  test('of another tenant is worth nothing in this one', async () => {
    const { id, client } = await bot();
    const stranger = await stack.approver('dora', ['dba'], 'globex');
    await stand({ subject: id }, stranger);
    expect(await answerOf(client, change('bounds', 8))).toBe('pending');
  });

  test('does not lift a limit, which people are asked about when it is reached', async () => {
    const { id, client } = await bot();
    await stand({ subject: id });
    const action = await pending(client, change('lifted', 1));
    expect(action.pending.shown.requirements.map(({ policy }) => policy)).toContain('limit:lifted');
    await client.cancel(action.actionId);
  });

  test('never stands in for a passkey', async () => {
    const { id, client } = await bot();
    await stand({ subject: id });
    expect(await answerOf(client, change('keyed', 1))).toBe('pending');
  });

  test('and leaves what policy allows alone', async () => {
    const { id, client } = await bot();
    const standing = await stand({ subject: id, actions: 1 });
    expect(await ended(client, change('plain', 1))).toMatchObject({ status: 'success', approvals: [] });
    expect(await stack.spent(`standing:${standing.id}`)).toEqual({ used: 0, held: 0 });
  });
});

describe('it ends', () => {
  test('when it is withdrawn', async () => {
    const { id, client } = await bot();
    const { id: subject } = await stand({ subject: id });
    expect((await ended(client, change('late', 1))).status).toBe('success');
    const done = await handIn(dora, { kind: 'withdraw_standing_approval', subject });
    expect(done).toMatchObject({
      kind: 'withdraw_standing_approval',
      standingApproval: { id: subject, ended: { by: 'dora' } },
    });
    expect(await answerOf(client, change('late', 2))).toBe('pending');
  });

  test('when its time is over, by the ledger’s clock', async () => {
    const { id, client } = await bot();
    const standing = await stand({ subject: id, until: inMs(4000) });
    expect((await ended(client, change('late', 3))).status).toBe('success');
    await until(
      () => stack.ledger.standingApprovals.list({ tenant: TENANT, activeOnly: true }),
      (active) => active.every((one) => one.id !== standing.id),
    );
    expect(await answerOf(client, change('late', 4))).toBe('pending');
  });

  test('when a credential of whoever gave it is revoked', async () => {
    const { id, client } = await bot();
    const gone = await stack.approver('gone', ['dba']);
    await stand({ subject: id }, gone);
    expect((await ended(client, change('late', 5))).status).toBe('success');
    await handIn(olga, { kind: 'revoke', subject: peekCredential(gone).jti });
    expect(await answerOf(client, change('late', 6))).toBe('pending');
  });

  test('when it is withdrawn after the grant, at the instant of the effect', async () => {
    const { id, client } = await bot();
    const { id: subject } = await stand({ subject: id, actions: 3 });
    await stack.worker?.stop();
    const doomed = await spawnWorker(stack, stack.policies, `execute.begin:kill:${path.join(folder, 'withdrawn')}`);
    const proposal = change('late', 7);
    const answer = ended(client, proposal);
    expect(await doomed.died).toBe('SIGKILL');
    expect(await stack.spent(`standing:${subject}`)).toEqual({ used: 0, held: 1 });
    await stack.ledger.controls.revoke({ tenant: TENANT, jti: subject, by: 'dora', reason: 'enough' });
    await stack.startWorker();
    expect(await answer).toMatchObject({ status: 'failed', error: { code: 'CREDENTIAL_REVOKED' } });
    const { rows } = await stack.shop.query<{ amount: number }>('SELECT amount FROM late WHERE id = 7');
    expect(rows[0]?.amount).toBe(0);
    expect(await stack.spent(`standing:${subject}`)).toEqual({ used: 0, held: 0 });
  });

  test('a row that nobody signed, written past the workers, lets nothing go on', async () => {
    const { id, client } = await bot();
    const real = await stand({ subject: `${id}-other` });
    const [{ statement: command } = { statement: '' }] = await stack.ledger.standingApprovals.for({
      tenant: TENANT,
      agents: [`${id}-other`],
      tool: 'shop-db',
      environment: 'production',
      rows: 1,
    });
    const { at: _at, ended: _ended, ...row } = real;
    await stack.ledger.standingApprovals.add({ ...row, id: randomUUID(), agent: id, statement: command });
    expect(await answerOf(client, change('bounds', 9))).toBe('pending');
  });
});

describe('with people', () => {
  test('it is one of the two that are needed, and the other decides', async () => {
    const { id, client } = await bot();
    const standing = await stand({ subject: id, actions: 1 });
    const lena = await stack.approver('lena', ['lead']);
    const action = await pending(client, change('two', 5));
    expect(await stack.spent(`standing:${standing.id}`)).toEqual({ used: 0, held: 0 });
    await stack.decide(action, lena);
    const outcome = await action.outcome();
    expect(outcome.status).toBe('success');
    expect(outcome.approvals.map(({ approver, standingApproval: standing }) => [approver, standing])).toEqual([
      ['lena', undefined],
      ['dora', standing.id],
    ]);
    expect(await stack.spent(`standing:${standing.id}`)).toEqual({ used: 1, held: 0 });
  });

  test('one person counts once, in advance and now', async () => {
    const { id, client } = await bot();
    await stand({ subject: id });
    const action = await pending(client, change('two', 6));
    await stack.decide(action, dora);
    expect((await client.view(action.actionId)).phase).toBe('pending');
    await client.cancel(action.actionId);
  });

  test('used up while the other thinks, it leaves one more to be asked', async () => {
    const { id, client } = await bot();
    const standing = await stand({ subject: id, actions: 1 });
    const lena = await stack.approver('lena', ['lead']);
    const action = await pending(client, change('two', 7));
    expect((await ended(client, change('bounds', 10))).status).toBe('success');
    await stack.decide(action, lena);
    await until(
      () => client.view(action.actionId),
      ({ phase, approvals }) =>
        phase === 'pending' && approvals.every((given) => given.standingApproval !== standing.id),
    );
    await stack.decide(action, dora);
    expect(await action.outcome()).toMatchObject({ status: 'success' });
    expect(await stack.spent(`standing:${standing.id}`)).toEqual({ used: 1, held: 0 });
  });

  test('a limit that is full denies all the same, and its budget stays whole', async () => {
    const { id, client } = await bot();
    const standing = await stand({ subject: id, actions: 20 });
    const answers = await Promise.all(Array.from({ length: 8 }, (_, i) => ended(client, change('few', i + 1))));
    const codes = answers.map(({ status, error }) => error?.code ?? status).sort();
    expect(codes).toEqual([
      ...Array.from({ length: 4 }, () => 'LIMIT_EXCEEDED'),
      ...Array.from({ length: 4 }, () => 'success'),
    ]);
    expect(await stack.spent(`standing:${standing.id}`)).toEqual({ used: 4, held: 0 });
    expect(await changed('few')).toBe(4);
  });

  test('of two standing approvals no more than needed are used', async () => {
    const { id, client } = await bot();
    const budgeted = await stand({ subject: id, actions: 5 });
    const free = await stand({ subject: id }, await stack.approver('dave', ['dba']));
    const outcome = await ended(client, change('bounds', 11));
    expect(outcome.approvals.map(({ standingApproval: standing }) => standing)).toEqual([free.id]);
    expect(await stack.spent(`standing:${budgeted.id}`)).toEqual({ used: 0, held: 0 });
  });
});

describe('who may give and take one', () => {
  test('the agent’s owner and the agent itself approve nothing in advance', async () => {
    const { id, client } = await bot({ owner: 'owen' });
    await stand({ subject: id }, await stack.approver('owen', ['dba']));
    expect(await answerOf(client, change('bounds', 12))).toBe('pending');
    const self = await stack.approver(id, ['dba']);
    await expect(stand({ subject: id }, self)).rejects.toMatchObject({ code: 'APPROVAL_FORBIDDEN' });
    await expect(stand({ subject: `${id}/helper` }, self)).rejects.toMatchObject({ code: 'APPROVAL_FORBIDDEN' });
  });

  test('a person without the role approves nothing in advance', async () => {
    const { id, client } = await bot();
    await stand({ subject: id }, olga);
    expect(await answerOf(client, change('bounds', 13))).toBe('pending');
  });

  test('another’s is withdrawn by whoever may revoke, and by nobody else', async () => {
    const { id } = await bot();
    const { id: subject } = await stand({ subject: id });
    const dave = await stack.approver('dave', ['dba']);
    await expect(handIn(dave, { kind: 'withdraw_standing_approval', subject })).rejects.toMatchObject({
      code: 'ROLE_REQUIRED',
    });
    expect(await handIn(olga, { kind: 'withdraw_standing_approval', subject })).toMatchObject({
      standingApproval: { ended: { by: 'olga' } },
    });
  });

  test('one of another tenant cannot be seen, nor withdrawn', async () => {
    const { id } = await bot();
    const { id: subject } = await stand({ subject: id });
    const stranger = await stack.approver('olga', ['operator'], 'globex');
    await expect(handIn(stranger, { kind: 'withdraw_standing_approval', subject })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    expect((await stack.ledger.standingApprovals.list({ tenant: 'globex' })).map((one) => one.id)).not.toContain(
      subject,
    );
  });

  test.each([
    ['is over already', -1000],
    ['lasts too long', 40 * 86_400_000],
  ])('one that %s is refused', async (_, ms) => {
    await expect(stand({ subject: 'bot', until: inMs(ms) })).rejects.toMatchObject({
      code: 'COMMAND_INVALID',
      field: 'command.until',
    });
  });

  test('one that would outlast the credential it is given by is refused', async () => {
    const brief = await issueApprover(stack.keyring, { id: 'brie', tenant: TENANT, roles: ['dba'], ttlSeconds: 60 });
    await expect(stand({ subject: 'bot', until: inMs(120_000) }, brief)).rejects.toMatchObject({
      code: 'COMMAND_INVALID',
      field: 'command.until',
    });
  });

  test('the receipts of all this verify', async () => {
    const receipts: string[] = [];
    for await (const { actionId } of stack.ledger.receipts.list(TENANT)) receipts.push(actionId);
    expect(receipts.filter((id) => id.startsWith('command/')).length).toBeGreaterThan(20);
    const report = await verifyReceipts({ ledger: stack.ledger, keyring: stack.keyring, tenant: TENANT });
    expect(report).toMatchObject({ ok: true });
  });
});
