/** The pipeline end to end, on a real Temporal server and a real Postgres. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Countersign } from '../../src/client/countersign.js';
import { ended, pending, startStack, type Stack } from '../support/stack.js';

const SHOP = `
  CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, plan text NOT NULL, credit numeric NOT NULL DEFAULT 0);
  INSERT INTO customers SELECT n, 'customer ' || n, 'free', 10 FROM generate_series(1, 500) n;
  CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL);
  INSERT INTO users SELECT n, 'user' || n || '@example.com' FROM generate_series(1, 50) n;
  CREATE TABLE sessions (id int PRIMARY KEY, last_seen date NOT NULL);
  INSERT INTO sessions SELECT n, date '2020-01-01' FROM generate_series(1, 500) n;
  CREATE TABLE stock (sku text PRIMARY KEY, qty int NOT NULL);
  INSERT INTO stock VALUES ('a', 10), ('b', 10);
  CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.qty := OLD.qty; RETURN NEW; END $$;
  CREATE TRIGGER undo BEFORE UPDATE ON stock FOR EACH ROW WHEN (OLD.sku = 'b') EXECUTE FUNCTION undo();
`;

let stack: Stack;
let admin: Countersign;

beforeAll(async () => {
  stack = await startStack({ schema: SHOP });
  admin = await stack.agent();
});
afterAll(() => stack?.stop());

async function count(sql: string): Promise<number> {
  const { rows } = await stack.shop.query<{ n: string }>(sql);
  return Number(rows[0]?.n);
}

describe('an action that policy allows', () => {
  test('is executed, read back, verified and receipted', async () => {
    const outcome = await ended(admin, {
      tool: 'shop-db',
      input: { op: 'update', table: 'customers', set: { plan: 'pro' }, where: { id: 7 } },
      expect: 'post.customers["7"].plan == "pro"',
      reasoning: 'The customer paid.',
    });
    expect(outcome).toMatchObject({ status: 'success', decision: { effect: 'allow' }, tool: 'shop-db' });
    expect(outcome.pre?.state).toMatchObject({ customers: { '7': { plan: 'free' } } });
    expect(outcome.post?.state).toMatchObject({ customers: { '7': { plan: 'pro' } } });
    expect(outcome.delta?.patch).toEqual([{ op: 'replace', path: '/customers/7/plan', value: 'pro' }]);
    expect(outcome.receipt).toMatchObject({ tenant: 'acme' });
    expect(await count("SELECT count(*) n FROM customers WHERE plan = 'pro'")).toBe(1);
  });

  test('reads without changing anything', async () => {
    const outcome = await ended(admin, {
      tool: 'shop-db',
      input: { op: 'select', table: 'customers', columns: ['name'], where: { id: 3 } },
    });
    expect(outcome).toMatchObject({ status: 'success', result: { rows: [{ name: 'customer 3' }] } });
  });

  test('is a mismatch when a trigger silently undoes it, although the tool said OK', async () => {
    const outcome = await ended(admin, {
      tool: 'shop-db',
      input: { op: 'update', table: 'stock', set: { qty: 5 }, where: { sku: 'b' } },
    });
    expect(outcome).toMatchObject({ status: 'mismatch', error: { code: 'EXPECTATION_UNMET' } });
    expect(await count("SELECT qty n FROM stock WHERE sku = 'b'")).toBe(10);
  });
});

describe('an action that policy denies', () => {
  test('never touches the system, and says why', async () => {
    const outcome = await ended(admin, {
      tool: 'shop-db',
      input: { op: 'delete', table: 'users', where: { id: { lte: 20 } } },
      reasoning: 'Cleaning up old test records.',
      claims: { environment: 'test' },
    });
    expect(outcome).toMatchObject({ status: 'denied', error: { code: 'POLICY_DENIED' }, decision: { effect: 'deny' } });
    expect(outcome.reason).toMatch(/protected table/i);
    expect(outcome.facts?.tool.environment).toBe('production');
    expect(outcome.receipt).toBeDefined();
    expect(await count('SELECT count(*) n FROM users')).toBe(50);
  });
});

describe('an action that needs people', () => {
  test('waits, is approved by a dba, and is executed', async () => {
    const dba = await stack.approver('dora', ['dba']);
    const action = await pending(admin, {
      tool: 'shop-db',
      input: { op: 'delete', table: 'sessions', where: { id: { lte: 200 } } },
    });
    expect(action.pending.shown.preview.rows).toBe(200);
    await stack.decide(action, dba);
    const outcome = await action.outcome();
    expect(outcome).toMatchObject({ status: 'success', approvals: [{ approver: 'dora', verdict: 'approve' }] });
    expect(await count('SELECT count(*) n FROM sessions')).toBe(300);
  });
});
