/** What people read before they sign, and afterwards. */
import pc from 'picocolors';
import { describe, expect, test } from 'vitest';
import type { Facts, Preview } from '../../src/action/decision.js';
import { digest, digestText, type Digest } from '../../src/action/json.js';
import type { ActionView, Outcome, Shown } from '../../src/action/outcome.js';
import { proposalDigest, type Proposal } from '../../src/action/proposal.js';
import { endedView, type ActionRecord } from '../../src/action-records/action-record.js';
import { timeline } from '../../src/cli/timeline.js';

const plain = { paint: pc.createColors(false), width: 100, full: false };
const full = { ...plain, full: true };

const proposal: Proposal = {
  actionId: 'refund-1',
  tool: 'shop-db',
  input: { op: 'update', table: 'orders', set: { status: 'refunded' }, where: { id: 7 } },
  expect: 'post.orders["7"].status == "refunded"',
  reasoning: 'The customer asked.',
  claims: { environment: 'test', ticket: 'T-1' },
  from: [
    { source: 'prompt', trust: 'trusted' },
    { source: 'email:4711', trust: 'untrusted' },
  ],
};
const preview: Preview = {
  rows: 12,
  targets: ['orders'],
  reads: [],
  schemaChange: false,
  sample: [{ id: 7, status: 'paid' }],
  summary: 'update 12 rows of orders',
  warnings: ['a trigger fires'],
};
const tool = { name: 'shop-db', kind: 'postgres', environment: 'production' };
const agent = { id: 'bot', tenant: 'acme', roles: ['clerk'], scopes: ['*'], owner: 'ann' };
const facts: Facts = {
  agent,
  tool,
  actionType: 'WRITE',
  operation: 'update',
  preview,
  now: '2026-05-01T10:00:00.000Z',
};
const requirement = { policy: 'large', reason: 'over ten rows', roles: ['dba', 'lead'], quorum: 2, ttlSeconds: 3600 };
const decision = {
  effect: 'require_approval',
  reason: 'over ten rows',
  policies: ['large'],
  constraints: [{ name: 'max_rows', value: 20, policy: 'cap' }],
  violations: [{ policy: 'large', reason: 'over ten rows' }],
  requirements: [requirement],
  errors: [],
  policyDigest: digestText('policy'),
} as const;
const approval = {
  approver: 'dora',
  roles: ['dba'],
  verdict: 'approve',
  reason: 'looks right',
  at: '2026-05-01T10:01:00.000Z',
  digest: digestText('approval'),
} as const;

function waiting(over: Partial<Proposal> = {}): ActionView {
  const asked = { ...proposal, ...over };
  const shown: Shown = {
    tenant: 'acme',
    actionId: 'refund-1',
    proposal: asked,
    proposalDigest: proposalDigest(asked),
    agent,
    tool,
    actionType: 'WRITE',
    operation: 'update',
    preview,
    preDigest: digestText('pre'),
    requirements: [requirement],
  };
  return {
    phase: 'pending',
    tenant: 'acme',
    actionId: 'refund-1',
    proposalDigest: shown.proposalDigest,
    tool: 'shop-db',
    pending: { shown, shownDigest: digest(shown), decision, expiresAt: '2026-05-01T11:00:00.000Z' },
    approvals: [approval],
    refusedApprovals: [{ code: 'APPROVAL_FORBIDDEN', message: 'the owner may not' }],
    cancelRequested: false,
  };
}

const outcome: Outcome = {
  status: 'mismatch',
  reason: 'The system does not hold what was promised.',
  error: { code: 'EXPECTATION_UNMET', message: 'expect: it is false', fix: 'Compare the delta.' },
  tenant: 'acme',
  actionId: 'refund-1',
  proposalDigest: proposalDigest(proposal),
  tool: 'shop-db',
  facts,
  decision: { ...decision, effect: 'allow', requirements: [] },
  approvals: [],
  pre: { state: { orders: { '7': { status: 'paid' } } }, digest: digestText('pre'), count: 1, tookMs: 2.14 },
  post: { state: { orders: { '7': { status: 'void' } } }, digest: digestText('post'), count: 1, tookMs: 1.9 },
  delta: {
    patch: [
      { op: 'replace', path: '/orders/7/status', value: 'void' },
      { op: 'add', path: '/orders/8', value: { id: 8 } },
      { op: 'remove', path: '/orders/7/note' },
    ],
    operations: 3,
    latencyMs: 1500,
  },
  checks: [
    { name: 'derived', ok: true },
    { name: 'expect', ok: false, detail: 'it is false' },
  ],
  result: { updated: 1 },
  receipt: { tenant: 'acme', seq: 12, hash: digestText('receipt') },
  steps: { propose: 3.14159, capturePreState: 5, execute: 12.4 },
};

function told(view: ActionView, more: Partial<ActionRecord> = {}, pen = plain): string {
  return timeline({ view, keptBy: 'temporal', warnings: [], ...more }, pen, new Date('2026-05-01T10:30:00Z'));
}

describe('an action that waits', () => {
  const text = told(waiting());

  test.each([
    ['who asks', /agent +bot \(roles: clerk, owner ann\)/],
    ['on what, and where it really is', /tool +shop-db, postgres in production/],
    ['the input', /input +op: "update"\n +table: "orders"\n +set: \{"status":"refunded"\}/],
    ['the expectation', /expect +post\.orders\["7"\]\.status == "refunded"/],
    ['that the claimed environment is wrong', /environment = test {2}✗ in truth it is production/],
    ['that other claims are but claims', /ticket = T-1 {2}\(claimed, not checked\)/],
    ['what led to it', /comes from +prompt {2}\(trusted, says the agent\)\n +email:4711 {2}✗ not trusted/],
    ['the reasoning as somebody else’s words', /the agent's own words, checked by nobody:\n +│ The customer asked\./],
    ['what it would touch', /touches +12 rows; writes orders; reads nothing/],
    ['warnings', /warning +a trigger fires/],
    ['the sample, and how much it leaves out', /id {2}status\n +7 +paid\n +… 11 more/],
    ['why people are asked', /needs +2 × dba or lead within 1h: over ten rows \(large\)/],
    ['constraints', /constraint +max_rows = 20 \(cap\)/],
    ['who said yes', /approved +✓ dora \(dba\) at 2026-05-01T10:01:00.000Z: "looks right"/],
    ['whose decision was refused', /refused +APPROVAL_FORBIDDEN: the owner may not/],
    ['who is missing', /missing +1 more of dba or lead/],
    ['how long it waits', /until +2026-05-01T11:00:00.000Z \(30m left\)/],
  ])('tells %s', (_, pattern) => {
    expect(text).toMatch(pattern);
  });

  test('is told from what the person signs, not from another copy of the proposal', () => {
    const copy = { ...proposal, input: { op: 'select', table: 'harmless' } };
    const text = told(waiting(), { proposal: copy }, full);
    expect(text).not.toContain('harmless');
    expect(text).toContain('"refunded"');
  });

  test('before signing, nothing of the input is left out, however long it is', () => {
    const input = { sql: `${'select 1;\n'.repeat(2000)}drop table users;`, note: `${'x'.repeat(50_000)}END` };
    expect(told(waiting({ input }), {}, full)).toContain('drop table users;');
    expect(told(waiting({ input }), {}, full)).toContain('xEND"');
    const cut = told(waiting({ input }), {}, plain);
    expect(cut).not.toContain('x'.repeat(1000));
    expect(cut).toMatch(/more characters\)/);
    // What is cut shows its end, and is named once more before a decision.
    expect(cut).toContain('xEND"');
    expect(cut).toMatch(/look twice +input\.sql has 20017 characters; it ends in: .*drop table users;/);
  });

  test('each of several expectations with its name and its time, and the outcome in words', () => {
    const page = told(
      waiting({
        expect: [
          { name: 'refunded', cel: 'post.orders["7"].status == "refunded"' },
          { name: 'booked', cel: 'sum(post.books, "amount") == 0', withinMs: 500 },
        ],
        expectedOutcome: 'The order is refunded.',
      }),
    );
    expect(page).toMatch(
      /expect +refunded:\n +post\.orders\["7"\]\.status == "refunded"\n +booked:\n +sum\(post\.books, "amount"\) == 0\n +within 500 ms/,
    );
    expect(page).toMatch(/expected outcome +the agent's own words:\n +│ The order is refunded\./);
  });
});

describe('an action that ended', () => {
  const text = told(endedView(outcome), { proposal, url: 'http://ui/x' });

  test.each([
    ['the status', /refund-1 {2}✗ mismatch {2}tenant acme/],
    ['the captured states', /Captured before {2}1 object read in 2\.1 ms/],
    ['the change, with the value before', /~ \/orders\/7\/status {2}"paid" → "void"/],
    ['what was added', /\+ \/orders\/8 {2}\{"id":8\}/],
    ['what was removed, and that its value is not known', /- \/orders\/7\/note {2}…/],
    ['how soon it was seen', /3 values, seen 1\.5 s after the effect began/],
    ['each check', /^ {2}✓ derived\n {2}✗ expect {2}it is false/m],
    ['the error with its fix', /error +EXPECTATION_UNMET: expect: it is false\n +fix +Compare the delta\./],
    ['the receipt', /receipt +#12 {2}sha256:/],
    ['the steps', /steps +propose 3\.1 ms · capturePreState 5 ms · execute 12 ms/],
    ['where it is in the Temporal UI', /Temporal +http:\/\/ui\/x/],
  ])('tells %s', (_, pattern) => {
    expect(text).toMatch(pattern);
  });

  test('is told without its proposal when only the ledger keeps it', () => {
    const text = told(endedView(outcome), { keptBy: 'ledger' });
    expect(text).toMatch(/input +no longer kept/);
    expect(text).toMatch(/Record {2}from the ledger/);
  });
});

describe('hostile words', () => {
  const evil = '\u001b[2J\u001b[31m\u202eevil\u0000\r\n✓ approved by root\u0007';
  /** What could move the cursor, hide or reverse; or a line that the page did not write. */
  // oxlint-disable-next-line no-control-regex -- they are what must not be there
  const alive = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]|^✓ approved by root/m;

  test('stay words wherever the agent can put them', () => {
    const input = { [evil]: evil, text: evil, deep: { [evil]: [evil] } };
    const words = { reasoning: evil, expect: evil, expectedOutcome: evil, claims: { [evil]: evil } };
    const from = [{ source: evil, trust: 'untrusted' }] as const;
    for (const pen of [full, plain]) expect(told(waiting({ input, from, ...words }), {}, pen)).not.toMatch(alive);
  });

  test('stay words wherever the real system or a person can put them', () => {
    const dirty: Outcome = {
      ...outcome,
      reason: evil,
      error: { code: 'EXPECTATION_UNMET', message: evil, field: evil, expected: evil, fix: evil },
      facts: {
        ...facts,
        operation: evil,
        tool: { name: evil, kind: evil, environment: evil },
        agent: { ...agent, id: evil, roles: [evil], owner: evil },
        preview: {
          ...preview,
          summary: evil,
          targets: [evil],
          reads: [evil],
          warnings: [evil],
          sample: [{ [evil]: evil }],
        },
      },
      decision: {
        ...decision,
        reason: evil,
        policies: [evil],
        violations: [{ policy: evil, reason: evil }],
        constraints: [{ name: evil, value: evil, policy: evil }],
        requirements: [{ ...requirement, reason: evil, roles: [evil], policy: evil }],
        errors: [evil],
      },
      approvals: [{ ...approval, reason: evil, approver: evil }],
      delta: { patch: [{ op: 'replace', path: evil, value: evil }], operations: 1, latencyMs: 1 },
      checks: [{ name: evil, ok: false, detail: evil }],
      result: evil,
      receipt: { tenant: evil, seq: 1, hash: evil as Digest },
    };
    const story = { warnings: [evil], url: evil, proposedAt: evil, endedAt: evil };
    expect(told(endedView(dirty), story, plain)).not.toMatch(alive);
    expect(told(endedView(dirty), story, full)).not.toMatch(alive);
    expect(
      told({ ...waiting(), refusedApprovals: [{ code: 'APPROVAL_INVALID', message: evil }] }, story, full),
    ).not.toMatch(alive);
  });

  test('100 KB of reasoning do not bury the rest', () => {
    const text = told(waiting({ reasoning: '\u001b[1A'.repeat(4000) }));
    expect(text.length).toBeLessThan(40_000);
    expect(text).toMatch(/missing +1 more/);
  });
});
