/** An agent that runs away is stopped by the rate limit and the breaker, to the action; the others go on. The database judges. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RefusalThrottle } from '../../activities/refusal-throttle.js';
import type { Outcome } from '../../src/action/outcome.js';
import type { Countersign } from '../../src/client/countersign.js';
import { ended, startStack, TENANT, type Stack } from '../support/stack.js';

const TOKENS = 8;
const FAILURES = 5;
/** Of the others, beside one that runs away. */
const BESIDE = 6;
/** Beyond the tokens. */
const REFUSED = 12;
/** No token comes back and no breaker tries again while the test runs. */
const LIMITS = `
limits:
  probation: { kind: rate, scope: agent, when: '"probation" in agent.roles', max: 1, per: 1d, burst: ${TOKENS} }
  failing-target: { kind: breaker, scope: [tool, target], window: 1h, minimum: ${FAILURES}, ratio: 0.5, open: 1h }
`;

let stack: Stack;
let other: Countersign;

beforeAll(async () => {
  stack = await startStack({
    schema: `
      CREATE TABLE made (id int PRIMARY KEY);
      CREATE TABLE crowded (id int PRIMARY KEY);
      CREATE TABLE worked (id int PRIMARY KEY, n int NOT NULL);
      INSERT INTO worked SELECT n, 0 FROM generate_series(1, 100) n;
      CREATE TABLE brittle (id int PRIMARY KEY, n int NOT NULL CHECK (n < 100));
      INSERT INTO brittle VALUES (1, 0);
      CREATE SEQUENCE statements;
      -- A sequence forgets nothing when a statement is rolled back.
      CREATE FUNCTION counted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('statements'); RETURN NEW; END $$;
      CREATE TRIGGER counted BEFORE UPDATE ON brittle FOR EACH ROW EXECUTE FUNCTION counted();`,
    limits: LIMITS,
  });
  other = await stack.agent({ id: 'other' });
});
afterAll(async () => {
  await stack?.stop();
});

const insert = (table: 'made' | 'crowded', id: number) => ({
  actionId: randomUUID(),
  tool: 'shop-db',
  input: { op: 'insert', table, rows: [{ id }] },
});
const update = (table: 'worked' | 'brittle', id: number, n: number) => ({
  actionId: randomUUID(),
  tool: 'shop-db',
  input: { op: 'update', table, set: { n }, where: { id } },
});

/** One after another, with the next at once when the last has ended; `other` works beside it. */
async function loop(count: number, propose: (turn: number) => Promise<Outcome>, from: number) {
  const outcomes: Outcome[] = [];
  const beside: Outcome[] = [];
  const over = (async () => {
    for (let turn = 1; turn <= count; turn++) outcomes.push(await propose(turn));
  })();
  const work = (async () => {
    for (let id = from; id < from + BESIDE; id++) beside.push(await ended(other, update('worked', id, 1)));
  })();
  await Promise.all([over, work]);
  return { outcomes, beside: beside.map(({ status }) => status) };
}

const worked = Array.from({ length: BESIDE }, () => 'success');
const codes = (outcomes: readonly Outcome[]): readonly string[] =>
  outcomes.map(({ status, error }) => (status === 'denied' ? (error?.code ?? status) : status));
const times = (count: number, code: string): readonly string[] => Array.from({ length: count }, () => code);

async function count(sql: string): Promise<number> {
  const { rows } = await stack.shop.query<{ n: string }>(sql);
  return Number(rows[0]?.n);
}

describe('a runaway whose actions succeed', () => {
  test('has as many effects as tokens, then only refusals that say when to try again; the others go on', async () => {
    const runaway = await stack.agent({ id: 'runaway', roles: ['admin_user', 'probation'] });
    const { outcomes, beside } = await loop(TOKENS + REFUSED, (turn) => ended(runaway, insert('made', turn)), 1);
    expect(codes(outcomes)).toEqual([...times(TOKENS, 'success'), ...times(REFUSED, 'LIMIT_EXCEEDED')]);
    expect(await count('SELECT count(*) n FROM made')).toBe(TOKENS);
    expect(beside).toEqual(worked);

    const refused = outcomes.slice(TOKENS);
    for (const { reason, error, facts, receipt } of refused) {
      expect(error?.field).toBe('limits.probation agent=runaway');
      expect(reason).toMatch(/try again in 2[34]h.*, at \d{4}-/);
      const rate = facts?.limits?.find(({ limit }) => limit === 'probation');
      expect(rate).toMatchObject({ left: 0, fits: false });
      expect(rate?.retryAfterMs).toBeGreaterThan(23 * 3600_000);
      expect(receipt?.seq).toBeGreaterThan(0);
    }
    // A refusal takes nothing, and leaves nothing behind.
    expect(await stack.spent('probation')).toEqual({ used: TOKENS, held: 0 });
    expect(await stack.holdsOf(refused[0]?.actionId ?? '')).toEqual([]);
  });

  test('has as many effects as tokens when it fires all at once', async () => {
    const runaway = await stack.agent({ id: 'crowd', roles: ['admin_user', 'probation'] });
    const outcomes = await Promise.all(
      Array.from({ length: TOKENS + REFUSED }, (_, turn) => ended(runaway, insert('crowded', turn + 1))),
    );
    expect([...codes(outcomes)].sort()).toEqual([...times(REFUSED, 'LIMIT_EXCEEDED'), ...times(TOKENS, 'success')]);
    expect(await count('SELECT count(*) n FROM crowded')).toBe(TOKENS);
  });

  test('gets the recorded outcome for one and the same proposal, however often it asks: one effect, one token', async () => {
    const runaway = await stack.agent({ id: 'stammerer', roles: ['admin_user', 'probation'] });
    const proposal = insert('made', 1000);
    const outcomes: Outcome[] = [];
    for (let turn = 0; turn < TOKENS + 5; turn++) outcomes.push(await ended(runaway, proposal));
    expect(codes(outcomes)).toEqual(times(TOKENS + 5, 'success'));
    expect(new Set(outcomes.map(({ receipt }) => receipt?.seq)).size).toBe(1);
    const counters = await stack.ledger.limits.counters({ tenant: TENANT });
    expect(counters.filter(({ key }) => key === 'agent=stammerer')).toMatchObject([{ used: 1 }]);
  });
});

describe('a runaway whose actions fail', () => {
  test('opens the breaker: the target sees no statement more, and the others work on other targets', async () => {
    const runaway = await stack.agent({ id: 'failing' });
    const { outcomes, beside } = await loop(2 * FAILURES, () => ended(runaway, update('brittle', 1, 100)), 21);
    expect(codes(outcomes)).toEqual([...times(FAILURES, 'failed'), ...times(FAILURES, 'BREAKER_OPEN')]);
    expect(await count('SELECT last_value n FROM statements')).toBe(FAILURES);
    expect(beside).toEqual(worked);
    const refused = outcomes.at(-1);
    expect(refused?.error?.field).toBe('limits.failing-target tool=shop-db,target=brittle');
    expect(refused?.reason).toMatch(/open; try again in (1h|\d+m)/);
    expect(refused?.facts?.limits?.find(({ limit }) => limit === 'failing-target')).toMatchObject({ state: 'open' });

    // A breaker by target keeps everybody from it: also what would have succeeded.
    expect(codes([await ended(other, update('brittle', 1, 1))])).toEqual(['BREAKER_OPEN']);
    expect(await count('SELECT last_value n FROM statements')).toBe(FAILURES);
  });
});

describe('an agent that was refused again and again', () => {
  /** The order in which they have their turns. */
  async function order(throttle: RefusalThrottle, agents: readonly string[]): Promise<readonly string[]> {
    const served: string[] = [];
    await Promise.all(agents.map(async (agent) => throttle.wait(agent).then(() => served.push(agent))));
    return served;
  }
  function refused(throttle: RefusalThrottle, agent: string, times: number): RefusalThrottle {
    for (let time = 0; time < times; time++) throttle.count(agent);
    return throttle;
  }

  test('takes turns, and the others go before its next', async () => {
    const throttle = refused(new RefusalThrottle(10), 'runaway', 10);
    const asked = ['runaway', 'runaway', 'runaway', 'other', 'other'];
    expect(await order(throttle, asked)).toEqual(['runaway', 'other', 'other', 'runaway', 'runaway']);
  });

  test('is not held up before', async () => {
    const throttle = refused(new RefusalThrottle(10), 'agent', 9);
    expect(await order(throttle, ['agent', 'agent', 'other'])).toEqual(['agent', 'agent', 'other']);
  });

  test('cannot take more places by waiting than there are for it', async () => {
    const throttle = refused(refused(new RefusalThrottle(1), 'one', 10), 'two', 10);
    expect(await order(throttle, ['one', 'one', 'two', 'two', 'one'])).toEqual(['one', 'two', 'two', 'one', 'one']);
  });
});
