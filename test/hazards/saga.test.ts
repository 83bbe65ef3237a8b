/** A saga of four steps on a real Postgres, failing at each of them, and in each way: everything is as it was, and every receipt is linked. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Countersign } from '../../src/client/countersign.js';
import type { ReceiptClaims } from '../../src/action/receipt.js';
import type { SagaView } from '../../src/action/saga.js';
import { signCommand } from '../../src/trust/index.js';
import { journal, journalTool } from '../support/journal-tool.js';
import { ended, shopTool, startStack, TENANT, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';

let stack: Stack;
let admin: Countersign;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-saga-'));
  stack = await startStack({
    schema: `
      CREATE TABLE stock (sku text PRIMARY KEY, qty int NOT NULL CHECK (qty >= 0));
      INSERT INTO stock VALUES ('a', 10), ('b', 20), ('faulty', 1);
      CREATE TABLE orders (id int PRIMARY KEY, item text NOT NULL);
      CREATE TABLE reservations (id int PRIMARY KEY, note text NOT NULL);
      INSERT INTO reservations VALUES (1, 'kept'), (2, 'other');
      CREATE TABLE users (id int PRIMARY KEY);
      INSERT INTO users VALUES (1);
      CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.qty := NEW.qty + 1; RETURN NEW; END $$;
      CREATE TRIGGER meddle BEFORE UPDATE ON stock FOR EACH ROW WHEN (NEW.qty = 5) EXECUTE FUNCTION meddle();
    `,
    tools: (url) => [
      shopTool(url),
      journalTool({ name: 'journal', file: path.join(folder, 'journal'), idempotency: 'none', canLookUp: false }),
    ],
  });
  admin = await stack.agent();
});
afterAll(async () => {
  await stack?.stop();
  await rm(folder, { recursive: true, force: true });
});

const step = (input: object) => ({ tool: 'shop-db', input: input as Record<string, never> });
const GOOD = [
  step({ op: 'update', table: 'stock', set: { qty: 9 }, where: { sku: 'a' } }),
  step({ op: 'insert', table: 'orders', rows: [{ id: 1, item: 'a' }] }),
  step({ op: 'delete', table: 'reservations', where: { id: 1 } }),
  step({ op: 'update', table: 'stock', set: { qty: 19 }, where: { sku: 'b' } }),
];
const BAD = {
  denied: step({ op: 'delete', table: 'users', where: { id: 1 } }),
  failed: step({ op: 'update', table: 'stock', set: { qty: -1 }, where: { sku: 'faulty' } }),
  // The trigger makes it 6.
  mismatch: step({ op: 'update', table: 'stock', set: { qty: 5 }, where: { sku: 'faulty' } }),
} as const;

async function state(): Promise<object> {
  const of = async (table: string) => (await stack.shop.query(`SELECT * FROM ${table} ORDER BY 1`)).rows as object[];
  return {
    stock: await of('stock'),
    orders: await of('orders'),
    reservations: await of('reservations'),
    users: await of('users'),
  };
}

async function claimsOf(seq: number): Promise<ReceiptClaims> {
  for await (const receipt of stack.ledger.receipts.list(TENANT, { after: seq - 1 })) return decodeJwt(receipt.jws);
  throw new Error(`no receipt ${seq}`);
}

/** Each undoing has a receipt of its own that names its cause's. */
async function assertLinked({ steps, compensations }: SagaView): Promise<void> {
  for (const { cause, receipt } of compensations) {
    const step = steps.find(({ actionId }) => actionId === cause);
    const claims = await claimsOf(receipt?.seq ?? 0);
    expect(claims.cause).toEqual({ actionId: cause, receipt: step?.receipt?.hash });
    expect(claims).toMatchObject({ agent: 'agent-1/undo', status: 'success' });
  }
}

test('every step succeeds: nothing is undone (so what follows means something)', async () => {
  const before = await state();
  const done = await admin.saga({ traceId: 'all-good', steps: GOOD });
  expect(done).toMatchObject({ status: 'success', compensations: [] });
  expect(done.steps.map(({ status }) => status)).toEqual(['success', 'success', 'success', 'success']);
  expect(await state()).not.toEqual(before);
  await stack.shop.query(
    "UPDATE stock SET qty = 10 WHERE sku = 'a'; UPDATE stock SET qty = 20 WHERE sku = 'b'; DELETE FROM orders; INSERT INTO reservations VALUES (1, 'kept')",
  );
  expect(await state()).toEqual(before);
});

/** Each way at the first or the last place, and each place: what is undone does not hang on the way. */
const FAILING: readonly (readonly [keyof typeof BAD, number])[] = [
  ['denied', 0],
  ['denied', 3],
  ['failed', 0],
  ['failed', 2],
  ['mismatch', 1],
  ['mismatch', 3],
];

test.each(FAILING)(
  'a step that is %s at place %i: what was done before it is undone in reverse order',
  async (how, place) => {
    const before = await state();
    const steps = GOOD.with(place, BAD[how]);
    const done = await admin.saga({ traceId: `${how}-${place}`, steps });
    expect(done.status).toBe('compensated');
    expect(done.steps.map(({ status }) => status)).toEqual(
      steps.map((_, index) => (index < place ? 'success' : index === place ? how : 'skipped')),
    );
    const made = done.steps.slice(0, how === 'mismatch' ? place + 1 : place).map(({ actionId }) => actionId);
    expect(done.compensations.map(({ cause }) => cause)).toEqual(made.toReversed());
    expect(await state()).toEqual(before);
    await assertLinked(done);
  },
);

const name = (): string => `t-${randomUUID()}`;
const ONE = GOOD[0] as (typeof GOOD)[number];

describe('a step whose outcome is unknown', () => {
  const lost = (line: string) => ({ tool: 'journal', input: { line, lose: 'after' } });

  async function resolve(actionId: string, verdict: 'happened' | 'did_not_happen'): Promise<void> {
    const olga = await stack.approver('olga', ['operator']);
    await admin.submitCommand(
      await signCommand(olga, {
        kind: 'resolve',
        tenant: TENANT,
        subject: actionId,
        verdict,
        reason: 'asked the bank',
      }),
    );
  }

  test('keeps the saga from going on and from undoing, until a person says that it happened: then it goes on', async () => {
    const before = await state();
    const [traceId, line] = [name(), name()];
    const waiting = await admin.saga({ traceId, steps: [ONE, lost(line), BAD.denied] });
    expect(waiting).toMatchObject({ status: 'needs_person', waitsFor: { kind: 'unknown', actionId: `${traceId}:2` } });
    expect(waiting.compensations).toEqual([]);
    expect(await state()).not.toEqual(before);
    await resolve(`${traceId}:2`, 'happened');
    // It went on to the step that is denied; and what the journal took, the tool has no way to undo.
    const stuck = await until(
      () => admin.sagaView(traceId),
      ({ waitsFor }) => waitsFor?.kind === 'compensation',
    );
    expect(stuck.steps.map(({ status }) => status)).toEqual(['success', 'success', 'denied']);
    expect((await journal(path.join(folder, 'journal'))).filter(([, text]) => text === line)).toHaveLength(1);
    const olga = await stack.approver('olga', ['operator']);
    await admin.submitCommand(
      await signCommand(olga, {
        kind: 'recover',
        tenant: TENANT,
        subject: `${traceId}:2`,
        verdict: 'accept',
        reason: 'struck out by hand',
      }),
    );
    expect(await admin.sagaOutcome(traceId)).toMatchObject({ status: 'compensation_failed' });
    expect(await state()).toEqual(before);
  });

  test('that did not happen is a step that failed', async () => {
    const before = await state();
    const traceId = name();
    await admin.saga({
      traceId,
      steps: [ONE, { tool: 'journal', input: { line: 'x', lose: 'before' } }, GOOD[1] as typeof ONE],
    });
    await resolve(`${traceId}:2`, 'did_not_happen');
    const done = await admin.sagaOutcome(traceId);
    expect(done).toMatchObject({ status: 'compensated' });
    expect(done.steps.map(({ status }) => status)).toEqual(['success', 'failed', 'skipped']);
    expect(await state()).toEqual(before);
  });
});

describe('a step that waits for people', () => {
  const asking = (body: () => Promise<void>): Promise<void> =>
    stack.withPolicy(
      'production.cedar',
      (text) => `${text}\n@id("orders-are-looked-at") @reason("orders are looked at") @approval("dba")
        forbid (principal, action, resource) when { context.targets.contains("orders") && !context.compensates };`,
      body,
    );

  test('is waited for, and the saga goes on when they have decided', async () => {
    await asking(async () => {
      const before = await state();
      const traceId = name();
      const waiting = await admin.saga({ traceId, steps: [ONE, GOOD[1] as typeof ONE, BAD.failed] });
      expect(waiting).toMatchObject({
        status: 'needs_person',
        waitsFor: { kind: 'approval', actionId: `${traceId}:2` },
      });
      const { pending } = await admin.view(`${traceId}:2`);
      const action = { tenant: TENANT, actionId: `${traceId}:2`, pending } as Parameters<Stack['decide']>[0];
      await stack.decide(action, await stack.approver('dora', ['dba']));
      const done = await admin.sagaOutcome(traceId);
      expect(done.steps.map(({ status }) => status)).toEqual(['success', 'success', 'failed']);
      expect(done.status).toBe('compensated');
      expect(await state()).toEqual(before);
    });
  });

  test('is cancelled with the saga: the next one is not done, and what was done is undone', async () => {
    await asking(async () => {
      const before = await state();
      const traceId = name();
      await admin.saga({ traceId, steps: [ONE, GOOD[1] as typeof ONE, GOOD[2] as typeof ONE] });
      await admin.cancelSaga(traceId);
      const done = await admin.sagaOutcome(traceId);
      expect(done.steps.map(({ status }) => status)).toEqual(['success', 'cancelled', 'skipped']);
      expect(done.status).toBe('compensated');
      expect(await state()).toEqual(before);
      await assertLinked(done);
    });
  });
});

test('a saga that was cancelled before it began settles its first step as cancelled, on record', async () => {
  const before = await state();
  await stack.worker?.stop();
  const traceId = name();
  const answer = admin.saga({ traceId, steps: [ONE, GOOD[1] as typeof ONE] });
  await until(
    () =>
      admin.cancelSaga(traceId).then(
        () => true,
        () => false,
      ),
    (cancelled) => cancelled,
  );
  await stack.startWorker();
  expect(await answer).toMatchObject({ status: 'compensated', compensations: [] });
  expect((await stack.ledger.actions.find(TENANT, `${traceId}:1`))?.status).toBe('cancelled');
  expect(await state()).toEqual(before);
});

test('a saga that was ended from outside is taken up where it was, and nothing is done twice', async () => {
  const before = await state();
  const [traceId, line] = [name(), name()];
  const steps = [
    { tool: 'shop-db', input: { op: 'sql', sql: "UPDATE stock SET qty = qty - 1 WHERE sku = 'a'" } },
    { tool: 'journal', input: { line, lose: 'before' } },
    BAD.failed,
  ];
  await admin.saga({ traceId, steps });
  await admin.temporal.workflow.getHandle(`saga/${TENANT}/${traceId}`).terminate('by an operator');
  const again = await admin.saga({ traceId, steps });
  expect(again).toMatchObject({ status: 'needs_person', waitsFor: { kind: 'unknown' } });
  expect((await stack.shop.query<{ qty: number }>("SELECT qty FROM stock WHERE sku = 'a'")).rows).toEqual([{ qty: 9 }]);
  const olga = await stack.approver('olga', ['operator']);
  await admin.submitCommand(
    await signCommand(olga, {
      kind: 'resolve',
      tenant: TENANT,
      subject: `${traceId}:2`,
      verdict: 'did_not_happen',
      reason: 'x',
    }),
  );
  expect(await admin.sagaOutcome(traceId)).toMatchObject({ status: 'compensated' });
  expect(await state()).toEqual(before);
});

test('proposed again it is the same saga; with other steps under the same name it is a conflict', async () => {
  const traceId = name();
  const steps = [step({ op: 'insert', table: 'orders', rows: [{ id: 77, item: 'b' }] }), BAD.denied];
  const first = await admin.saga({ traceId, steps });
  expect(await admin.saga({ traceId, steps })).toEqual(first);
  await expect(admin.saga({ traceId, steps: steps.toReversed() })).rejects.toMatchObject({ code: 'ACTION_CONFLICT' });
});

test('the same saga by another agent is a conflict at once, and not when the saga ends', async () => {
  const traceId = name();
  const holder = await stack.shop.connect();
  await holder.query("BEGIN; SELECT FROM stock WHERE sku = 'b' FOR UPDATE");
  try {
    const ours = admin.saga({ traceId, steps: [GOOD[3] as typeof ONE] });
    await until(
      () => admin.sagaView(traceId).catch(() => undefined),
      (view) => view?.status === 'running',
    );
    const other = await stack.agent({ id: 'agent-2' });
    const theirs = other.saga({ traceId, steps: [GOOD[3] as typeof ONE] });
    await expect(theirs).rejects.toMatchObject({ code: 'ACTION_CONFLICT', field: 'traceId' });
    expect((await admin.sagaView(traceId)).status).toBe('running');
    await holder.query('ROLLBACK');
    expect((await ours).status).toBe('success');
  } finally {
    await holder.query('ROLLBACK');
    holder.release();
  }
  // One that has ended is no more theirs.
  const late = (await stack.agent({ id: 'agent-2' })).saga({ traceId, steps: [GOOD[3] as typeof ONE] });
  await expect(late).rejects.toMatchObject({ code: 'ACTION_CONFLICT', field: 'traceId' });
  await stack.shop.query("UPDATE stock SET qty = 20 WHERE sku = 'b'");
});

test('a step whose id stands for another proposal is a step that failed', async () => {
  const before = await state();
  const taken = name();
  await ended(admin, { actionId: taken, ...BAD.denied });
  const done = await admin.saga({ traceId: name(), steps: [ONE, { ...(GOOD[1] as typeof ONE), actionId: taken }] });
  expect(done).toMatchObject({
    status: 'compensated',
    steps: [{ status: 'success' }, { error: { code: 'ACTION_CONFLICT' } }],
  });
  expect(await state()).toEqual(before);
});

test.each([
  ['no steps', { steps: [] }, 'saga.steps'],
  ['too many steps', { steps: Array.from({ length: 21 }, () => ONE) }, 'saga.steps'],
  [
    'two steps of one id',
    {
      steps: [
        { ...ONE, actionId: 'x' },
        { ...ONE, actionId: 'x' },
      ],
    },
    'saga.steps',
  ],
  ['a step that would undo itself', { steps: [{ ...ONE, onMismatch: 'compensate' }] }, 'saga.steps[0].onMismatch'],
  ['a step of another trace', { steps: [{ ...ONE, traceId: 'other' }] }, 'saga.steps[0].traceId'],
  ['a name that is none', { steps: [ONE], traceId: 'a/b' }, 'saga.traceId'],
])('a saga with %s is refused before anything is done', async (_what, given, field) => {
  const refused = admin.saga({ traceId: name(), ...given });
  await expect(refused).rejects.toMatchObject({ code: 'INVALID_PROPOSAL', field });
});
