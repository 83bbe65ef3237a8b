/** One tool that hides several operations is ruled by operation and argument, and the agent's token must cover the operation too. The service judges. */
import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Facts } from '../../src/action/decision.js';
import type { JsonObject } from '../../src/action/json.js';
import type { Countersign } from '../../src/client/countersign.js';
import { bundleFromFiles, compilePolicy, evaluate } from '../../src/policy/index.js';
import { ended, pending, startStack, type Stack } from '../support/stack.js';
import { OPERATIONS, openPayments, type Payments } from '../tools/http-payments.js';
import { toolOn } from '../tools/http-support.js';
import { schemaWith } from '../policy/input-example.js';

const SCHEMA = schemaWith('body?: { amount?: Long }');
const POLICY = `
@id("refunds")
permit (principal in Countersign::Role::"support", action == Countersign::Action::"CALL_API", resource == Countersign::Tool::"payments")
when { context.operation == "refund" && context has input.body.amount && context.input.body.amount <= 60 };

@id("large-refunds") @reason("a refund over 40 EUR needs finance") @approval("finance")
forbid (principal, action, resource == Countersign::Tool::"payments")
when { context has input.body.amount && context.input.body.amount > 40 };

@id("all-of-payments")
permit (principal in Countersign::Role::"admin_user", action == Countersign::Action::"CALL_API", resource == Countersign::Tool::"payments");

@id("no-cancellation") @reason("refunds are never taken back ({operation})")
forbid (principal, action, resource == Countersign::Tool::"payments")
when { context.operation == "cancelRefund" };
`;

let payments: Payments;
let stack: Stack;
let support: Countersign;

beforeAll(async () => {
  payments = await openPayments();
  const { refund, cancelRefund } = OPERATIONS;
  // As many services do: what is sent beyond the contract is taken, and a number may come as a text.
  const body = { type: 'object', properties: { amount: { type: ['number', 'string', 'array', 'null'] } } };
  stack = await startStack({
    schema: 'SELECT 1',
    tools: () => [
      toolOn(payments.url, {
        // Of one action type: nothing but the operation's name tells them apart.
        operations: {
          refund: { ...refund, input: { body } },
          cancelRefund: { ...cancelRefund, actionType: 'CALL_API' },
        },
      }),
    ],
  });
  await writeFile(path.join(stack.policies, 'payments.cedar'), POLICY);
  await writeFile(path.join(stack.policies, 'schema.cedarschema'), SCHEMA);
  await stack.worker?.policy.reload();
  support = await stack.agent({ id: 'support-bot', roles: ['support'], scopes: ['payments:refund'] });
});
afterAll(async () => {
  await stack?.stop();
  await payments?.stop();
});
beforeEach(() => {
  payments.journal.length = 0;
  payments.seen.length = 0;
});

const refund = (body: JsonObject) => ({
  actionId: randomUUID(),
  tool: 'payments',
  input: { op: 'refund', path: { id: payments.newOrder().id }, body },
});
const cancellation = () => {
  payments.refunds.set('r-old', { id: 'r-old', order: payments.newOrder().id, amount: 5 });
  return { actionId: randomUUID(), tool: 'payments', input: { op: 'cancelRefund', path: { id: 'r-old' } } };
};

/** What was sent to change anything, whatever came of it. */
const sent = (): readonly string[] =>
  payments.seen.filter(({ method }) => method !== 'GET').map(({ method }) => method);

async function current(): Promise<ReturnType<typeof compilePolicy>> {
  const files = ['schema.cedarschema', 'payments.cedar'].map(async (name) => [
    name,
    await readFile(path.join(stack.policies, name), 'utf8'),
  ]);
  return compilePolicy(bundleFromFiles(Object.fromEntries(await Promise.all(files)) as Record<string, string>));
}

test('a small refund is made, and the record holds of its arguments what was decided on', async () => {
  const outcome = await ended(support, refund({ amount: 40, note: 'private' }));
  expect(outcome).toMatchObject({ status: 'success', facts: { operation: 'refund' } });
  expect(outcome.facts?.input).toEqual({ body: { amount: 40 } });
  const again = evaluate(await current(), JSON.parse(JSON.stringify(outcome.facts)) as Facts);
  expect({ ...again, policyDigest: '' }).toEqual({ ...outcome.decision, policyDigest: '' });
  expect(payments.journal).toHaveLength(1);
});

test('a larger one waits for people, and one beyond what they may lift asks nobody', async () => {
  const action = await pending(support, refund({ amount: 41 }));
  expect(action.pending.shown.requirements).toMatchObject([{ policy: 'large-refunds', roles: ['finance'] }]);
  expect(sent()).toEqual([]);
  await stack.decide(action, await stack.approver('fay', ['finance']));
  expect((await action.outcome()).status).toBe('success');
  expect(await ended(support, refund({ amount: 61 }))).toMatchObject({
    status: 'denied',
    error: { code: 'POLICY_DENIED' },
  });
  expect(payments.journal).toHaveLength(1);
});

describe('the other operation of the same tool is never done', () => {
  test('by a token without it: refused before any policy is asked', async () => {
    const outcome = await ended(support, cancellation());
    expect(outcome).toMatchObject({ status: 'denied', error: { code: 'SCOPE_DENIED' } });
    expect(outcome.decision).toBeUndefined();
    expect(sent()).toEqual([]);
  });

  test.each([
    ['all of the tool’s operations, to a role with a permit for all of them', ['payments'], ['admin_user']],
    ['this operation alone', ['payments:cancelRefund'], ['support']],
    ['everything, to both roles', ['*'], ['support', 'admin_user']],
  ])('by a token for %s: the policy forbids it', async (_, scopes, roles) => {
    const agent = await stack.agent({ id: 'other-bot', roles, scopes });
    const outcome = await ended(agent, cancellation());
    expect(outcome).toMatchObject({
      status: 'denied',
      error: { code: 'POLICY_DENIED' },
      decision: { policies: ['no-cancellation'] },
    });
    expect(outcome.facts?.input).toEqual({});
    expect(sent()).toEqual([]);
    expect(payments.refunds.has('r-old')).toBe(true);
  });

  test('and is done where the policy does not forbid it: nothing else stood in its way', async () => {
    await stack.withPolicy(
      'payments.cedar',
      (text) => text.replace('"cancelRefund"', '"other"'),
      async () => {
        const agent = await stack.agent({ id: 'other-bot', scopes: ['payments'] });
        expect((await ended(agent, cancellation())).status).toBe('success');
      },
    );
    expect(payments.refunds.has('r-old')).toBe(false);
  });
});

test('a token for the operation alone is no permit: the policy must allow it too', async () => {
  const agent = await stack.agent({ id: 'stranger', roles: [], scopes: ['payments:refund'] });
  expect(await ended(agent, refund({ amount: 1 }))).toMatchObject({
    status: 'denied',
    error: { code: 'POLICY_DENIED' },
  });
  expect(sent()).toEqual([]);
});

describe('what the service would take, and the policy cannot judge, is refused before it is sent:', () => {
  test.each<[string, JsonObject]>([
    ['the amount as a text', { amount: '5000' }],
    ['the amount with cents', { amount: 39.99 }],
    ['the amount in a list', { amount: [5000] }],
    ['no amount, said so', { amount: null }],
  ])('%s', async (_, body) => {
    const admin = await stack.agent();
    const outcome = await ended(admin, refund(body));
    expect(outcome).toMatchObject({
      status: 'denied',
      error: {
        code: 'POLICY_ERROR',
        field: 'proposal.input.body.amount',
        expected: 'a whole number within ±(2^53-1)',
        fix: expect.stringContaining('schema.cedarschema'),
      },
    });
    // The facts are recorded with it, and deny again.
    expect(outcome.facts?.input).toEqual({ body });
    expect(evaluate(await current(), outcome.facts as Facts)).toMatchObject({ effect: 'deny', code: 'POLICY_ERROR' });
    expect(sent()).toEqual([]);
  });

  test.each<[string, JsonObject]>([
    ['no amount', {}],
    ['a name that looks alike', { '\u0430mount': 5 }],
    ['another case', { Amount: 5 }],
    ['the amount one level deeper', { body: { amount: 5 } }],
  ])('%s, where a permit asks for the amount', async (_, body) => {
    const outcome = await ended(support, refund(body));
    expect(outcome).toMatchObject({ status: 'denied', error: { code: 'POLICY_DENIED' } });
    expect(sent()).toEqual([]);
  });

  test('more than may be recorded', async () => {
    await stack.withPolicy(
      'schema.cedarschema',
      () => schemaWith('body?: { amount?: Long, note?: String }'),
      async () => {
        const outcome = await ended(support, refund({ amount: 5, note: 'x'.repeat(20_000) }));
        expect(outcome).toMatchObject({
          status: 'denied',
          error: { code: 'POLICY_ERROR', field: 'proposal.input', expected: expect.stringContaining('16384 bytes') },
        });
      },
    );
    expect(sent()).toEqual([]);
  });
});

test('where the schema declares no input, none is recorded', async () => {
  const asking = (text: string): string => text.replaceAll(/context has input[^}]*/g, 'true ');
  const declaring = (text: string): string => text.replace('input?: Input,', '');
  await stack.withPolicy('payments.cedar', asking, () =>
    stack.withPolicy('schema.cedarschema', declaring, async () => {
      const answer = await ended(await stack.agent({ id: 'stranger', roles: [] }), refund({ amount: 5 }));
      expect(answer.decision).toMatchObject({ effect: 'deny', errors: [] });
      expect(Object.keys(answer.facts ?? {})).toContain('operation');
      expect(Object.keys(answer.facts ?? {})).not.toContain('input');
    }),
  );
});
