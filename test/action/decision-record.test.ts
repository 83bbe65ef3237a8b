/** Recorded decisions: what is read back can be decided again, and comes in the order in which it was decided. */
import { describe, expect, test } from 'vitest';
import { inOrderOfDecision, parseDecisionRecord, type DecisionRecord } from '../../src/action/decision-record.js';
import { formatLatency } from '../../src/action/duration.js';
import { configInvalid } from '../../src/action/errors-config.js';
import { ledgerBroken } from '../../src/action/errors-ledger.js';
import { digestText } from '../../src/action/json.js';

const AT = '2026-03-01T12:00:00.000Z';
const HASH = digestText('x');
const agent = { id: 'bot', roles: ['billing'] };
const preview = { targets: ['t'], reads: [], rows: 1 };
const facts = {
  agent,
  tool: { name: 'payments', environment: 'production' },
  preview,
  actionType: 'WRITE',
  operation: 'pay',
  now: AT,
  limits: [{ limit: 'l', key: '', kind: 'count' }],
  history: [{ fact: 'f', done: 0, underWay: 0, possible: 0 }],
};
const decision = {
  effect: 'allow',
  reason: 'r',
  policies: ['p'],
  constraints: [{ name: 'max_rows' }],
  violations: [{ policy: 'p' }],
  requirements: [{ policy: 'p', roles: ['dba'], quorum: 1 }],
  errors: [],
  policyDigest: HASH,
};
const RECORD = {
  v: 1,
  tenant: 'acme',
  actionId: 'refund-42',
  proposalDigest: HASH,
  proposal: { tool: 'payments', input: { amount: 5 } },
  facts,
  decision,
  approvals: [{ approver: 'ann', roles: ['dba'], verdict: 'approve', at: AT }],
  status: 'success',
  attempted: true,
  holds: [],
  decidedAt: AT,
  endedAt: AT,
  receipt: { seq: 1, hash: HASH },
};

describe('a recorded decision is read', () => {
  const less = (...names: string[]) =>
    Object.fromEntries(Object.entries(RECORD).filter(([name]) => !names.includes(name)));
  test.each<[string, object]>([
    ['whole', RECORD],
    ['without what was not kept', less('proposal', 'facts', 'decision')],
    ['of an action that is told to wait', { ...RECORD, decision: { ...decision, effect: 'require_approval' } }],
    ['of one that was denied', { ...RECORD, status: 'denied', decision: { ...decision, effect: 'deny' } }],
    ...['READ', 'DELETE', 'CALL_API'].map((actionType): [string, object] => [
      `of a ${actionType}`,
      { ...RECORD, facts: { ...facts, actionType } },
    ]),
    ['with facts of a later version', { ...RECORD, facts: { ...facts, more: 1 } }],
    ['of a refusal', { ...RECORD, status: 'failed', error: { code: 'TOOL_FAILED', message: 'No.' } }],
  ])('%s', (_what, record) => {
    expect(parseDecisionRecord(record, 'record')).toEqual(record);
  });
});

describe('a recorded decision is refused with the field', () => {
  test.each<[string, object]>([
    ['v', { v: 2 }],
    ['tenant', { tenant: '' }],
    ['actionId', { actionId: '' }],
    ['proposalDigest', { proposalDigest: `${HASH}0` }],
    ['proposalDigest', { proposalDigest: `x${HASH}` }],
    ['proposalDigest', { proposalDigest: `sha256:${'g'.repeat(64)}` }],
    ['proposal.tool', { proposal: { input: {} } }],
    ['proposal.input', { proposal: { tool: 'payments', input: 1 } }],
    ['facts.agent.id', { facts: { ...facts, agent: { roles: [] } } }],
    ['facts.tool.environment', { facts: { ...facts, tool: { name: 'payments' } } }],
    ['facts.preview.rows', { facts: { ...facts, preview: { ...preview, rows: '1' } } }],
    ['facts.actionType', { facts: { ...facts, actionType: '' } }],
    ['facts.now', { facts: { ...facts, now: 'yesterday' } }],
    ['facts.limits.0.key', { facts: { ...facts, limits: [{ limit: 'l', kind: 'count' }] } }],
    ['facts.history.0.done', { facts: { ...facts, history: [{ fact: 'f', underWay: 0, possible: 0 }] } }],
    ['decision.effect', { decision: { ...decision, effect: '' } }],
    ['decision.violations.0.policy', { decision: { ...decision, violations: [{}] } }],
    ['decision.requirements.0.quorum', { decision: { ...decision, requirements: [{ policy: 'p', roles: [] }] } }],
    ['approvals.0.approver', { approvals: [{ roles: [], verdict: 'approve', at: AT }] }],
    ['error.code', { error: { message: 'No.' } }],
    ['status', { status: 'maybe' }],
    ['receipt.seq', { receipt: { seq: 0, hash: HASH } }],
    ['receipt.hash', { receipt: { seq: 1, hash: 'x' } }],
    ['holds.0.limit', { holds: [{}] }],
  ])('%s: %j', (field, change) => {
    const refused = expect.objectContaining({ code: 'INVALID_INPUT', field: `record.${field}` }) as Error;
    expect(() => parseDecisionRecord({ ...RECORD, ...change }, 'record')).toThrow(refused);
  });

  test('a member more', () => {
    expect(() => parseDecisionRecord({ ...RECORD, more: 1 }, 'record')).toThrow(/record/);
  });
});

test('decisions come by when they were made, then by tenant and by receipt, whichever is read first', () => {
  const one = (decidedAt: string, tenant: string, seq: number) =>
    ({ ...RECORD, decidedAt, tenant, receipt: { seq, hash: HASH } }) as unknown as DecisionRecord;
  const LATER = '2026-03-01T12:00:00.001Z';
  const inOrder = [one(AT, 'acme', 1), one(AT, 'acme', 2), one(AT, 'other', 1), one(LATER, 'acme', 1)];
  for (const mixed of [inOrder.toReversed(), [...inOrder.slice(2), ...inOrder.slice(0, 2)], inOrder]) {
    expect(mixed.toSorted(inOrderOfDecision)).toEqual(inOrder);
  }
  expect(inOrderOfDecision(one(AT, 'acme', 1), one(AT, 'acme', 1))).toBe(0);
});

test.each([
  [0.04, '0 ms'],
  [3.14, '3.1 ms'],
  [9.96, '10 ms'],
  [10.4, '10 ms'],
  [999, '999 ms'],
  [1_000, '1.0 s'],
  [1_234, '1.2 s'],
  [Number.NaN, '?'],
  [Number.POSITIVE_INFINITY, '?'],
])('%d milliseconds are shown as %s', (ms, text) => {
  expect(formatLatency(ms)).toBe(text);
});

test('an error of the configuration names the field and where it stands', () => {
  const error = configInvalid('sends.max', 'a number', 'countersign.config.mjs');
  expect(error).toMatchObject({ code: 'CONFIG_INVALID', field: 'sends.max', expected: 'a number' });
  expect(error.fix).toBe('Correct sends.max in countersign.config.mjs.');
  expect(configInvalid('x', 'y').message).toBe('x in the config must be y.');
});

test('a ledger that cannot take a receipt is waited for', () => {
  const cause = new Error('no such table');
  expect(ledgerBroken('Broken.', { cause })).toMatchObject({
    code: 'LEDGER_BROKEN',
    field: 'ledger',
    retryable: true,
    cause,
  });
  expect(ledgerBroken('Broken.').fix).toContain('countersign doctor');
  expect(ledgerBroken('Broken.', { fix: 'Wait.' }).fix).toBe('Wait.');
});
