/** Requests to Cedar: facts become exactly what policies may speak of, and a fact that cannot be represented exactly is refused by its name. */
import { describe, expect, test } from 'vitest';
import { ACTION_TYPES, type Facts } from '../../src/action/decision.js';
import { CountersignError } from '../../src/action/errors.js';
import { sourceNames, toCedarRequest } from '../../src/policy/request.js';
import { factsOf, type FactsGiven } from './facts.js';

function refused(run: () => unknown): CountersignError {
  try {
    run();
  } catch (error) {
    if (error instanceof CountersignError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('a request', () => {
  test('has every fact in its place', () => {
    const facts = factsOf({
      agent: { id: 'bot', tenant: 'acme', owner: 'ann', roles: ['dba', 'lead', 'dba'] },
      tool: { name: 'db', kind: 'postgres', environment: 'Test' },
      actionType: 'DELETE',
      operation: 'Drop',
      preview: { rows: 7, targets: ['Orders', 'ä'], reads: ['Carts'], schemaChange: true },
      now: '2025-01-01T12:00:00.5Z',
    });
    expect(toCedarRequest(facts)).toEqual({
      actionType: 'DELETE',
      principal: { type: 'Countersign::Agent', id: 'bot' },
      action: { type: 'Countersign::Action', id: 'DELETE' },
      resource: { type: 'Countersign::Tool', id: 'db' },
      context: {
        operation: 'Drop',
        environment: 'Test',
        targets: ['orders', 'ä'],
        reads: ['carts'],
        rows: 7,
        schemaChange: true,
        now: { __extn: { fn: 'datetime', arg: '2025-01-01T12:00:00.500Z' } },
        roles: ['dba', 'lead'],
      },
      entities: [
        {
          uid: { type: 'Countersign::Agent', id: 'bot' },
          attrs: { tenant: 'acme', owner: 'ann' },
          parents: [
            { type: 'Countersign::Role', id: 'dba' },
            { type: 'Countersign::Role', id: 'lead' },
          ],
        },
        { uid: { type: 'Countersign::Tool', id: 'db' }, attrs: { kind: 'postgres', environment: 'Test' }, parents: [] },
      ],
    });
  });

  test('says nothing of an owner that an agent does not have', () => {
    const [agent] = toCedarRequest(factsOf()).entities as unknown as [{ attrs: object }];
    expect(Object.keys(agent.attrs)).toEqual(['tenant']);
  });

  test.each(ACTION_TYPES)('may be of %s', (actionType) => {
    expect(toCedarRequest(factsOf({ actionType })).action).toEqual({ type: 'Countersign::Action', id: actionType });
  });
});

describe('a fact is refused by its name', () => {
  const text = 'well-formed text without NUL';
  test.each<[string, string, FactsGiven]>([
    ['actionType', 'READ, WRITE, DELETE, CALL_API', { actionType: 'PURGE' as 'READ' }],
    ['agent.roles', 'a list of texts', { agent: { roles: 'dba' as never } }],
    ['agent.roles[1]', text, { agent: { roles: ['a', 7 as never] } }],
    ['agent.id', text, { agent: { id: 'a\ud800' } }],
    ['agent.tenant', text, { agent: { tenant: 'a\u0000' } }],
    ['agent.owner', text, { agent: { owner: 7 as never } }],
    ['tool.name', text, { tool: { name: null as never } }],
    ['tool.kind', text, { tool: { kind: undefined as never } }],
    ['tool.environment', text, { tool: { environment: {} as never } }],
    ['operation', text, { operation: 'a\u0000' }],
    ['preview.targets', 'a list of texts', { preview: { targets: undefined as never } }],
    ['preview.reads', 'a list of texts', { preview: { reads: 'x' as never } }],
    ['preview.reads[0]', text, { preview: { reads: ['\udc00'] } }],
    ['preview.rows', 'a whole number from 0 to 2^53-1', { preview: { rows: -1 } }],
    ['preview.rows', 'a whole number from 0 to 2^53-1', { preview: { rows: 1.5 } }],
    ['preview.rows', 'a whole number from 0 to 2^53-1', { preview: { rows: '1' as never } }],
    ['preview.rows', 'a whole number from 0 to 2^53-1', { preview: { rows: 2 ** 53 } }],
    ['preview.schemaChange', 'true or false', { preview: { schemaChange: 1 as never } }],
    ['now', 'an instant such as 2025-01-01T12:00:00Z', { now: 'x2025-01-01T12:00:00Z' }],
    ['now', 'an instant such as 2025-01-01T12:00:00Z', { now: '2025-01-01T12:00:00Zx' }],
    ['now', 'an instant such as 2025-01-01T12:00:00Z', { now: '2025-01-01T12:00:00' }],
    ['now', 'an instant such as 2025-01-01T12:00:00Z', { now: '2025-13-01T12:00:00Z' }],
    ['now', 'an instant such as 2025-01-01T12:00:00Z', { now: 7 as never }],
  ])('%s must be %s', (field, expected, given) => {
    const error = refused(() => toCedarRequest(factsOf(given)));
    expect(error).toMatchObject({ code: 'POLICY_ERROR', message: `${field} is not ${expected}`, field, expected });
    expect(error.fix).toMatch(/\w/);
  });

  test('and what lies on a bound is not', () => {
    for (const rows of [0, 2 ** 53 - 1])
      expect(toCedarRequest(factsOf({ preview: { rows } })).context['rows']).toBe(rows);
    expect(toCedarRequest(factsOf({ now: '2025-01-01T12:00:00.123456Z' })).context['now']).toEqual({
      __extn: { fn: 'datetime', arg: '2025-01-01T12:00:00.123Z' },
    });
  });
});

describe('what led to an action', () => {
  const from = [
    { source: 'prompt', trust: 'trusted' },
    { source: 'mail', trust: 'untrusted' },
  ] as const;

  test('is named, all of it or that of one trust', () => {
    const facts = factsOf({ from });
    expect(sourceNames(facts)).toEqual(['prompt', 'mail']);
    expect(sourceNames(facts, 'untrusted')).toEqual(['mail']);
    expect(sourceNames(facts, 'trusted')).toEqual(['prompt']);
    expect(sourceNames(factsOf())).toEqual([]);
  });

  test('is refused where it has no name', () => {
    const facts = { ...factsOf(), from: [{ source: 'a\u0000', trust: 'trusted' }] } as Facts;
    expect(refused(() => sourceNames(facts)).field).toBe('from[0]');
  });
});
