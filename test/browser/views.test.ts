/** What the pages are made of, without a browser: what a row becomes, what money is, who may decide, what cannot be seen. */
import { describe, expect, test } from 'vitest';
import type { Requirement } from '../../src/action/decision.js';
import type { JsonObject } from '../../src/action/json.js';
import type { Shown } from '../../src/action/outcome.js';
import type { PersonPrincipal } from '../../src/gateway/auth/principal.js';
import { changesAhead, changesMade, money } from '../../src/gateway/inbox/action/changes.js';
import { countsText, rehearsedChanges } from '../../src/gateway/inbox/action/rehearsed-changes.js';
import { decisionRightsOf } from '../../src/gateway/inbox/action/decision-rights.js';
import { coarse, left, urgency } from '../../src/gateway/inbox/components/format.js';
import { Sanitized, SanitizedBlock } from '../../src/gateway/inbox/components/sanitized-text.js';

const DIGEST = `sha256:${'0'.repeat(64)}` as const;

function shown(
  input: JsonObject,
  more: Partial<Shown> = {},
  sample: readonly JsonObject[] = [{ id: 1, status: 'unpaid' }],
): Shown {
  return {
    tenant: 'acme',
    actionId: 'a',
    proposal: { actionId: 'a', tool: 'shop-db', input },
    proposalDigest: DIGEST,
    agent: { id: 'bot', roles: [], owner: 'owen' },
    tool: { name: 'shop-db', kind: 'postgres', environment: 'production' },
    actionType: 'WRITE',
    operation: input['op'] as string,
    preview: { rows: 12, targets: [], reads: [], schemaChange: false, sample, summary: '' },
    preDigest: DIGEST,
    requirements: [],
    ...more,
  };
}

describe('what would change', () => {
  test('of an update are the values that it sets, on the rows as they are', () => {
    const changes = changesAhead(shown({ op: 'update', table: 'orders', set: { status: 'paid' }, where: {} }));
    expect(changes).toMatchObject({
      kind: 'change',
      rows: [{ before: { id: 1, status: 'unpaid' }, after: { id: 1, status: 'paid' } }],
      foreseen: true,
      more: 11,
    });
    expect([...(changes?.changed ?? [])]).toEqual(['status']);
  });

  test('of a rehearsed action are the rows of every table, the named one first', () => {
    const rehearsal = {
      tables: { customers: { inserted: 0, updated: 0, deleted: 1 }, orders: { inserted: 0, updated: 2, deleted: 0 } },
      digest: DIGEST,
      varying: { orders: ['at'] },
      rows: {
        customers: { 1: { before: { id: 1, name: 'Ann' }, after: null } },
        orders: {
          7: { before: { at: 'then', customer: 1, id: 7 }, after: { at: { $varies: true }, customer: null, id: 7 } },
        },
      },
    };
    const columns = { customers: ['id', 'name'], orders: ['id', 'customer', 'at'] };
    const preview = { ...shown({}).preview, rehearsal, columns };
    const tables = rehearsedChanges(shown({ op: 'delete', table: 'customers' }, { preview }));
    expect(tables).toMatchObject([
      { table: 'customers', changes: { kind: 'remove', rows: [{ before: { name: 'Ann' } }], columns: ['id', 'name'] } },
      {
        table: 'orders',
        changes: { kind: 'change', columns: ['id', 'customer', 'at'], changed: new Set(['customer', 'at']) },
      },
    ]);
    expect(tables?.map(({ counts }) => countsText(counts))).toEqual(['1 row removed', '2 rows changed']);
    expect(rehearsedChanges(shown({ op: 'delete', table: 'customers' }))).toBeUndefined();
  });

  test('reads like the table: its columns in their order, the key first, and what changes where it stands', () => {
    const row = { amount: 5, customer: 7, id: 1, status: 'unpaid' };
    const preview = {
      ...shown({}).preview,
      sample: [row],
      columns: { orders: ['id', 'customer', 'status', 'amount'] },
    };
    const update = { op: 'update', table: 'orders', set: { status: 'paid' }, where: {} };
    const changes = changesAhead(shown(update, { preview }));
    expect(changes?.columns).toEqual(['id', 'customer', 'status', 'amount']);
    expect([...(changes?.changed ?? [])]).toEqual(['status']);
    // What the tool did not name is shown all the same.
    const more = { ...preview, sample: [{ ...row, extra: 1 }] };
    expect(changesAhead(shown(update, { preview: more }))?.columns).toEqual([
      'id',
      'customer',
      'status',
      'amount',
      'extra',
    ]);
  });

  test('and was changed: field by field in the order of the table', () => {
    const columns = { 'my orders': ['id', 'customer', 'status'] };
    const patch = [
      { op: 'replace', path: '/my orders/2/status', value: 'paid' },
      { op: 'replace', path: '/my orders/1/status', value: 'paid' },
      { op: 'replace', path: '/my orders/1/customer', value: 8 },
      { op: 'add', path: '/my orders/3', value: { customer: 1, id: 3, status: 'new' } },
    ] as const;
    const made = changesMade({ patch, operations: 4, latencyMs: 1 }, undefined, columns);
    expect(made.map(({ object, field }) => `${object} ${field}`.trim())).toEqual([
      'my orders 2 status',
      'my orders 1 customer',
      'my orders 1 status',
      'my orders 3',
    ]);
    expect(Object.keys(made[3]?.after as object)).toEqual(['id', 'customer', 'status']);
  });

  test('by a signed command is not guessed', () => {
    const changes = changesAhead(shown({ op: 'sql', sql: 'UPDATE …' }, { operation: 'sql.update' }));
    expect(changes).toMatchObject({ kind: 'change', foreseen: false });
    expect(changes?.rows[0]).not.toHaveProperty('after');
  });

  test('is told apart from what is added, removed and only read', () => {
    expect(changesAhead(shown({ op: 'insert', rows: [] }))).toMatchObject({
      kind: 'add',
      rows: [{ after: { id: 1 } }],
    });
    expect(changesAhead(shown({ op: 'delete' }, { actionType: 'DELETE' }))?.kind).toBe('remove');
    expect(changesAhead(shown({ op: 'sql' }, { operation: 'sql.delete' }))?.kind).toBe('remove');
    expect(changesAhead(shown({ op: 'select' }, { actionType: 'READ' }))?.kind).toBe('read');
    expect(changesAhead(shown({ op: 'update' }, {}, []))).toBeUndefined();
  });

  test('another tool that calls its input `set` is not taken for an update of rows', () => {
    const http = shown(
      { op: 'update', set: { status: 'paid' } },
      { tool: { name: 'api', kind: 'http', environment: 'x' } },
    );
    expect(changesAhead(http)).toMatchObject({ foreseen: false });
  });

  test('was changed: each value with what it was before', () => {
    const pre = { state: { 'a/b': { '1': { x: 1, gone: true } } }, digest: DIGEST, count: 1, tookMs: 1 };
    const patch = [
      { op: 'replace', path: '/a~1b/1/x', value: 2 },
      { op: 'remove', path: '/a~1b/1/gone' },
      { op: 'add', path: '/a~1b/2', value: { x: 3 } },
      { op: 'replace', path: '/a~1b/1/__proto__', value: 4 },
    ] as const;
    expect(changesMade({ patch, operations: 4, latencyMs: 1 }, pre)).toEqual([
      { object: 'a/b 1', field: 'x', kind: 'change', before: 1, after: 2 },
      { object: 'a/b 1', field: 'gone', kind: 'remove', before: true },
      { object: 'a/b 2', field: '', kind: 'add', after: { x: 3 } },
      { object: 'a/b 1', field: '__proto__', kind: 'change', before: undefined, after: 4 },
    ]);
  });
});

test('money is an amount that has its currency beside it, word for word', () => {
  expect(money({ body: { amount: 120, currency: 'EUR' }, limit: 9 })).toEqual([{ label: 'amount', amount: '120 EUR' }]);
  expect(money({ total_cents: '4500', currency: 'USD' })).toEqual([{ label: 'total_cents', amount: '4500 USD' }]);
  expect(money({ amount: 120 })).toEqual([]);
  expect(money({ amount: 'all of it', currency: 'EUR' })).toEqual([]);
});

test('what is urgent is told by minutes', () => {
  const now = new Date('2026-01-01T00:00:00Z');
  const within = (minutes: number): string => new Date(now.getTime() + minutes * 60_000).toISOString();
  expect([-1, 14, 15, 119, 120].map((minutes) => urgency(within(minutes), now))).toEqual([
    'over',
    'now',
    'soon',
    'soon',
    'later',
  ]);
  expect([left(within(-1), now), left(within(96), now)]).toEqual(['expired', '1 h 36 min left']);
  expect([5_000, 59_000, 3_600_000, 47 * 3_600_000, 50 * 3_600_000].map((ms) => coarse(ms))).toEqual([
    '5 s',
    '59 s',
    '1 h',
    '47 h',
    '2 days',
  ]);
});

describe('a decision is offered', () => {
  const needs = (more: Partial<Requirement>): Requirement => ({
    policy: 'p',
    reason: 'r',
    roles: ['dba'],
    quorum: 1,
    ttlSeconds: 60,
    ...more,
  });
  const person = (id: string, roles: readonly string[]): PersonPrincipal => ({
    kind: 'person',
    id,
    name: id,
    tenant: 'acme',
    roles,
    auth: { method: 'dev', by: 'dev' },
    jti: id,
    session: { csrf: '', authenticatedAt: '' },
  });
  const offered = (
    who: PersonPrincipal,
    requirement: Partial<Requirement>,
    more: { duties?: readonly string[]; waitedSeconds?: number; hasPasskey?: boolean; selfApproval?: boolean } = {},
  ) =>
    decisionRightsOf({
      person: who,
      shown: { agent: { id: 'bot/helper', roles: [], owner: 'Owen' }, requirements: [needs(requirement)] },
      waitedSeconds: 0,
      duties: [],
      hasPasskey: false,
      selfApproval: false,
      ...more,
    });

  test('to whoever has the role, of their own, by delegation or by escalation', () => {
    expect(offered(person('dora', ['dba']), {})).toEqual({ kind: 'may' });
    expect(offered(person('lena', ['lead']), {})).toMatchObject({
      kind: 'may_not',
      why: 'This needs dba. You are lead.',
    });
    expect(offered(person('lena', ['lead']), {}, { duties: ['dba'] })).toEqual({ kind: 'may' });
    const escalations = [{ afterSeconds: 60, roles: ['lead'] }];
    expect(offered(person('lena', ['lead']), { escalations }, { waitedSeconds: 59 }).kind).toBe('may_not');
    expect(offered(person('lena', ['lead']), { escalations }, { waitedSeconds: 60 }).kind).toBe('may');
  });

  test('not to the agent, nor to whoever answers for it unless policy says so', () => {
    expect(offered(person('BOT', ['dba']), {}).kind).toBe('may_not');
    expect(offered(person('owen', ['dba']), {}).kind).toBe('may_not');
    expect(offered(person('owen', ['dba']), { self: true }).kind).toBe('may');
    // Where the config says so, it says so of every action; of the agent itself nothing does.
    expect(offered(person('owen', ['dba']), {}, { selfApproval: true }).kind).toBe('may');
    expect(offered(person('bot', ['dba']), {}, { selfApproval: true }).kind).toBe('may_not');
  });

  test('with a passkey where one is wanted', () => {
    expect(offered(person('dora', ['dba']), { passkey: true })).toEqual({ kind: 'may', passkey: 'missing' });
    expect(offered(person('dora', ['dba']), { passkey: true }, { hasPasskey: true })).toEqual({
      kind: 'may',
      passkey: 'enrolled',
    });
  });
});

describe('text', () => {
  const html = (element: ReturnType<typeof Sanitized>): string => (element as { toString(): string }).toString();

  test('shows what cannot be seen, and escapes what could be markup', () => {
    expect(html(Sanitized({ text: 'a\u202Eb<i>' }))).toBe(
      '<bdi>a<span class="odd" title="right-to-left override">U+202E</span>b&lt;i&gt;</bdi>',
    );
    expect(html(Sanitized({ text: 'two\nlines' }))).toContain('U+000A');
    expect(html(SanitizedBlock({ text: 'two\r\nlines\tof it' }))).toBe('<div class="block">two\nlines\tof it</div>');
  });

  test('is cut between characters, and says how much is left', () => {
    expect(html(Sanitized({ text: `${'a'.repeat(9)}😀${'b'.repeat(2000)}`, max: 10 }))).toContain('… 2,002 more');
    expect(html(Sanitized({ text: `${'a'.repeat(9)}😀${'b'.repeat(20)}`, max: 10 }))).not.toMatch(/[\uD800-\uDFFF]/);
  });

  test('that overprints the lines above it is spelled out', () => {
    expect(html(Sanitized({ text: `e${'\u0301'.repeat(30)}` }))).toContain('U+0301');
  });
});
