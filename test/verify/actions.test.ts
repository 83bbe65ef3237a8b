/** Verification of whole actions: the checks that operator and agent configure reach the outcome, and others cost nothing. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CountersignError } from '../../src/action/errors.js';
import type { Check, Outcome } from '../../src/action/outcome.js';
import { digest } from '../../src/action/json.js';
import type { Countersign, ProposalInput } from '../../src/client/countersign.js';
import type { Execution, Tool } from '../../src/tools/tool.js';
import { ended, shopTool, startStack, type Stack } from '../support/stack.js';

const SHOP = `
  CREATE TABLE products (sku text PRIMARY KEY, stock int NOT NULL, price numeric NOT NULL DEFAULT 1);
  INSERT INTO products VALUES ('a', 10), ('b', 10), ('c', 10), ('broken', -5), ('d', 10), ('e', 10), ('f', 10);
  CREATE TABLE prices (id int PRIMARY KEY, amount int NOT NULL);
  INSERT INTO prices SELECT n, n FROM generate_series(1, 10) n;
`;

/** Changes to the real tool: something that happens right after the effect or instead of a reading. */
interface ToolChanges {
  afterEffect?: (execution: Execution) => Promise<Execution> | Execution;
  /** How many readings after the effect fail. */
  away?: number;
}
const changes: ToolChanges = {};

function twisted(tool: Tool): Tool {
  return {
    ...tool,
    async execute(input, context) {
      const execution = await tool.execute(input, context);
      return (await changes.afterEffect?.(execution)) ?? execution;
    },
    async capture(input, options, context) {
      if (options.after !== undefined && (changes.away ?? 0) > 0) {
        changes.away = (changes.away ?? 0) - 1;
        throw new CountersignError('TOOL_UNAVAILABLE', 'The replica is away.', { retryable: true });
      }
      return tool.capture(input, options, context);
    },
  };
}

/** The texts sent to an embedding model for which two texts are similar when both or neither mention the price. */
let embedded: string[] = [];
const model = {
  specificationVersion: 'v3',
  provider: 'test',
  modelId: 'price',
  maxEmbeddingsPerCall: 1,
  supportsParallelCalls: true,
  doEmbed: ({ values }: { values: string[] }) => {
    embedded.push(...values);
    return Promise.resolve({
      embeddings: values.map((text) => (text.includes('price') ? [1, 0] : [0, 1])),
      warnings: [],
    });
  },
};

let stack: Stack;
let agent: Countersign;

const tools = (url: string) => [
  twisted(shopTool(url)),
  twisted(shopTool(url, { name: 'framed', frame: { sampleRows: 10, tables: ['prices'] } })),
];

beforeAll(async () => {
  stack = await startStack({ schema: SHOP, worker: false, tools });
  await stack.startWorker({ config: await config() });
  agent = await stack.agent();
});
afterAll(() => stack?.stop());

async function config() {
  const { STARTER } = await import('../support/stack.js');
  return {
    policies: STARTER,
    tools: tools(stack.shopUrl),
    invariants: {
      framed: [
        {
          name: 'stock-never-negative',
          cel: 'rows(state.products).all(product, product.stock >= 0)',
          reason: 'Stock would be negative.',
        },
      ],
    },
    semantic: { model, mode: 'require' as const },
  };
}

const setStock = (sku: string, stock: number, more: Partial<ProposalInput> = {}): ProposalInput => ({
  tool: 'shop-db',
  input: { op: 'update', table: 'products', set: { stock }, where: { sku } },
  ...more,
});

const named = (outcome: Outcome): Record<string, Check> =>
  Object.fromEntries(outcome.checks.map((check) => [check.name, check]));

test('an action without expectations has only the checks that its tool derives', async () => {
  const outcome = await ended(agent, setStock('a', 9));
  expect(outcome.checks).toEqual(
    ['derived', 'frame.rows', 'frame.columns', 'frame.affectedTables'].map((name) => ({ name, ok: true })),
  );
  for (const snapshot of [outcome.pre, outcome.post]) {
    expect(Object.keys(snapshot ?? {}).sort()).toEqual(['count', 'digest', 'state', 'tookMs']);
  }
  expect(embedded).toEqual([]);
});

describe('named expectations', () => {
  test('are a check each, and one that does not hold is the reason of a mismatch', async () => {
    const outcome = await ended(
      agent,
      setStock('a', 8, {
        expect: [
          { name: 'only-a', cel: 'updated("products") == ["a"] && unchanged("products", "a", "price")' },
          { name: 'seven', cel: 'sum(post.products, "stock") == 7' },
        ],
      }),
    );
    expect(outcome).toMatchObject({
      status: 'mismatch',
      error: { code: 'EXPECTATION_UNMET', field: 'checks.expect.seven' },
    });
    expect(named(outcome)['expect.only-a']).toEqual({ name: 'expect.only-a', ok: true });
    expect(outcome.reason).toContain('left side is 8');
  });

  test('of which one does not compile: refused before any effect', async () => {
    const outcome = await ended(
      agent,
      setStock('a', 0, {
        expect: [
          { name: 'fine', cel: 'true' },
          { name: 'odd', cel: 'post.products ==' },
        ],
      }),
    );
    expect(outcome).toMatchObject({
      status: 'denied',
      error: { code: 'INVALID_EXPECTATION', field: 'proposal.expect.1.cel' },
    });
    const { rows } = await stack.shop.query("SELECT stock FROM products WHERE sku = 'a'");
    expect(rows).toEqual([{ stock: 8 }]);
  });

  test.each<[string, ProposalInput['expect']]>([
    ['two of a name', ['a', 'a'].map((name) => ({ name, cel: 'true' }))],
    ['none', []],
    ['more than twenty', Array.from({ length: 21 }, (_, at) => ({ name: `n${at}`, cel: 'true' }))],
    ['one with a dot in its name', [{ name: 'a.b', cel: 'true' }]],
  ])('%s is an invalid proposal', async (_, promise) => {
    await expect(agent.perform(setStock('a', 1, { expect: promise }))).rejects.toMatchObject({
      code: 'INVALID_PROPOSAL',
    });
  });
});

describe('a system that shows an effect late', () => {
  test.each([
    ['in the same breath', 1000],
    ['in an activity of its own', 30_000],
  ])('is read again while it is unavailable, %s', async (_, withinMs) => {
    changes.away = 3;
    const outcome = await ended(
      agent,
      setStock('b', withinMs, { expect: { cel: `post.products["b"].stock == ${withinMs}`, withinMs } }),
    );
    expect(outcome.status).toBe('success');
    expect(named(outcome)['expect']?.detail).toMatch(/^Held after \d+ ms \(\d+ readings?\)\.$/);
    expect(changes.away).toBe(0);
  });

  test('and never does is a mismatch that states how long it was waited for', async () => {
    const outcome = await ended(
      agent,
      setStock('b', 1, { expect: { cel: 'post.products["b"].stock == 2', withinMs: 200 } }),
    );
    expect(outcome.status).toBe('mismatch');
    expect(named(outcome)['expect']?.detail).toMatch(/left side is 1.* Waited \d+ ms \(\d+ readings?\)\.$/);
  });
});

describe('an invariant', () => {
  test('that holds is a check; one that the action breaks is a mismatch', async () => {
    expect(named(await ended(agent, setStock('c', 3, { tool: 'framed' })))['invariant.stock-never-negative']).toEqual({
      name: 'invariant.stock-never-negative',
      ok: true,
    });
    const broken = await ended(agent, setStock('c', -3, { tool: 'framed' }));
    expect(broken).toMatchObject({ status: 'mismatch', error: { field: 'checks.invariant.stock-never-negative' } });
    expect(broken.reason).toContain('Stock would be negative.');
  });

  test('that was broken before is not blamed on the action', async () => {
    const outcome = await ended(agent, setStock('broken', -4, { tool: 'framed' }));
    expect(outcome.status).toBe('success');
    expect(named(outcome)['invariant.stock-never-negative']).toMatchObject({
      ok: true,
      detail: expect.stringContaining('broken before') as string,
    });
  });

  test('that does not compile stops the worker', async () => {
    const bad = { framed: [{ name: 'bad', cel: 'state.products ==', reason: 'Bad.' }] };
    await expect(stack.startWorker({ config: { ...(await config()), invariants: bad } })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      field: 'invariants.framed.0.cel',
      expected: expect.any(String) as string,
      fix: expect.any(String) as string,
    });
  });
});

describe('the frame', () => {
  test('is sampled before and after, and recorded with the states', async () => {
    const outcome = await ended(agent, setStock('d', 5, { tool: 'framed' }));
    expect(named(outcome)['frame.sample']).toEqual({ name: 'frame.sample', ok: true });
    expect(outcome.pre?.sample).toMatchObject({ products: { rows: 6 }, prices: { rows: 10 } });
    expect(outcome.post?.sample).toEqual(outcome.pre?.sample);
  });

  test('does not fail the action when others write at the same time, but reports it', async () => {
    changes.afterEffect = async (execution) => {
      await stack.shop.query('UPDATE prices SET amount = amount + 1 WHERE id = 3');
      return execution;
    };
    const outcome = await ended(agent, setStock('d', 4, { tool: 'framed' })).finally(() => delete changes.afterEffect);
    expect(outcome.status).toBe('success');
    expect(named(outcome)['frame.sample']?.detail).toContain("changed in prices: another's doing");
  });

  test('gives the same result when the reading is an activity of its own', async () => {
    changes.afterEffect = async (execution) => {
      await stack.shop.query('UPDATE prices SET amount = amount + 1 WHERE id = 3');
      return { ...execution, affectedRows: { ...execution.affectedRows, prices: 1 } };
    };
    const outcome = await ended(
      agent,
      setStock('d', 3, { tool: 'framed', expect: { cel: 'true', withinMs: 5000 } }),
    ).finally(() => delete changes.afterEffect);
    expect(outcome.status).toBe('mismatch');
    expect(named(outcome)['frame.sample']).toMatchObject({ ok: false });
  });
});

describe('an outcome in words', () => {
  test('that matches is a success with one more check', async () => {
    const outcome = await ended(agent, {
      tool: 'shop-db',
      input: { op: 'update', table: 'products', set: { price: '7' }, where: { sku: 'e' } },
      expectedOutcome: 'The price is seven.',
    });
    expect(outcome.status).toBe('success');
    expect(named(outcome)['semantic']?.detail).toBe('Similarity 1.000, at least 0.85.');
  });

  test('that does not match is a mismatch when the operator requires a match', async () => {
    const outcome = await ended(agent, setStock('e', 2, { expectedOutcome: 'The price is seven.' }));
    expect(outcome).toMatchObject({ status: 'mismatch', error: { field: 'checks.semantic' } });
  });

  test('never saves an action whose other checks fail: the model is not even called', async () => {
    embedded = [];
    const outcome = await ended(agent, setStock('e', 1, { expect: 'false', expectedOutcome: 'The stock is one.' }));
    expect(outcome.status).toBe('mismatch');
    expect(named(outcome)).not.toHaveProperty('semantic');
    expect(embedded).toEqual([]);
  });

  test('is part of what the agent signed', async () => {
    const actionId = 'words-1';
    const proposal = setStock('e', 1, { actionId, expectedOutcome: 'The stock is one.' });
    await ended(agent, proposal);
    await expect(ended(agent, { ...proposal, expectedOutcome: 'Another.' })).rejects.toMatchObject({
      code: 'ACTION_CONFLICT',
    });
  });
});

test('the returned outcome is the one that the receipt was signed for', async () => {
  for (const withinMs of [0, 5000]) {
    const actionId = `receipt-${withinMs}`;
    const outcome = await ended(
      agent,
      setStock('f', withinMs, { actionId, tool: 'framed', expect: [{ name: 'x', cel: 'true', withinMs }] }),
    );
    const { receipt: _receipt, ...stated } = outcome;
    const recorded = await stack.ledger.actions.find('acme', actionId);
    const { receipt: _other, ...kept } = recorded?.outcome ?? ({} as Outcome);
    expect(digest(stated)).toBe(digest(kept));
    expect(stated.pre).toHaveProperty('sample');
  }
});
