/** What agents and models are told, and the names of actions that follow from others. */
import { describe, expect, test } from 'vitest';
import { cannotRecord } from '../../src/action/cannot-record.js';
import { inputOf, type OperationDescription } from '../../src/action/catalogue.js';
import { hasCharacters } from '../../src/action/characters.js';
import { compensationActionId, compensationWorkflowId, isUndoAgent } from '../../src/action/compensation-ids.js';
import { derivedActionId } from '../../src/action/derived-id.js';
import { assertEdited, editedProposal, newEditId } from '../../src/action/edit.js';
import {
  actionNotFound,
  freezeNotFound,
  passkeyNotFound,
  radarAlertNotFound,
  trailNotFound,
} from '../../src/action/errors-not-found.js';
import { asCountersignError, CountersignError, ERROR_CODES } from '../../src/action/errors.js';
import { planOf, type Plan } from '../../src/action/grant.js';
import { idempotencyKey, workflowNameOf } from '../../src/action/idempotency-key.js';
import { digest, digestText } from '../../src/action/json.js';
import { holdSettlementOf, standingLimit } from '../../src/action/limits.js';
import type { Outcome } from '../../src/action/outcome.js';
import { ACTION_ID_PATTERN, proposalDigest, type Proposal } from '../../src/action/proposal.js';
import { isRecordedProposal, isRedacted } from '../../src/action/redacted.js';
import { sagaDigest } from '../../src/action/saga.js';
import { toldOfDryRun, toldOfError, toldOfOutcome } from '../../src/action/told.js';
import type { DryRun } from '../../src/action/dry-run.js';

describe('what is told of an outcome', () => {
  const outcome = (more: Partial<Outcome>) => ({ actionId: 'refund-42', reason: 'Because.', ...more }) as Outcome;

  test('that succeeded is short', () => {
    expect(toldOfOutcome(outcome({ status: 'success' }))).toBe('Done and verified. Because.');
  });

  test.each([
    ['denied', 'Nothing was done'],
    ['expired', 'It can be proposed again'],
    ['cancelled', 'Nothing was done'],
    ['failed', 'Nothing was done'],
    ['mismatch', 'do not repeat the call'],
    ['unknown', 'Do not repeat the call'],
  ] as const)('that is %s says whether anything was done, why, and of which action', (status, said) => {
    const [meaning, ...lines] = toldOfOutcome(outcome({ status })).split('\n');
    expect(meaning).toContain(said);
    expect(lines).toEqual(['Reason: Because.', 'Action: refund-42']);
  });

  test('says all that can be done about it, and what is done in its place', () => {
    const error = {
      code: 'TOOL_UNAVAILABLE',
      message: 'Away.',
      field: 'tool',
      expected: 'a tool that answers',
      fix: 'Wait.',
      retryAfterMs: 1_001,
    } as const;
    const lines = toldOfOutcome(outcome({ status: 'failed', error, revisedBy: 'edit:1' })).split('\n');
    expect(lines.slice(1)).toEqual([
      'Reason: Because.',
      'Code: TOOL_UNAVAILABLE',
      'Where: tool',
      'What would be accepted: a tool that answers',
      'What to do: Wait.',
      'Not before: 2 seconds from now',
      'A person changed it: the action edit:1 is done in its place.',
      'Action: refund-42',
    ]);
  });

  test('an error before there was an action is told by itself', () => {
    expect(toldOfError({ code: 'UNKNOWN_TOOL', message: 'No such tool.' })).toBe('No such tool.\nCode: UNKNOWN_TOOL');
  });
});

describe('what is told of a dry run', () => {
  const dryRun = (more: Partial<DryRun>) => toldOfDryRun({ reason: 'Because.', ...more } as DryRun).split('\n');

  test.each<[string, Partial<DryRun>, string]>([
    ['allowed', { effect: 'allow' }, 'It would be done at once.'],
    ['denied', { effect: 'deny' }, 'It would be denied.'],
    [
      'for people',
      { effect: 'require_approval', missing: [{ roles: ['dba'], have: 0, need: 1 }] },
      'It would wait until people approve it.',
    ],
    [
      'approved in advance',
      { effect: 'require_approval' },
      'It would be done at once: people have approved it in advance.',
    ],
  ])('that is %s', (_what, more, first) => {
    expect(dryRun(more)[0]).toBe(first);
    expect(dryRun(more)[1]).toBe('Reason: Because.');
  });

  test('says nothing of what there is nothing to say of', () => {
    expect(dryRun({ effect: 'allow' })).toEqual(['It would be done at once.', 'Reason: Because.']);
    const missing = [{ policy: 'p', roles: ['dba'], have: 0, need: 1 }];
    expect(dryRun({ effect: 'deny', missing, error: { code: 'FROZEN', message: 'Stop.' } })).toEqual([
      'It would be denied.',
      'Reason: Because.',
      'Code: FROZEN',
      'Approvals needed: 1 of dba',
    ]);
    expect(dryRun({ effect: 'require_approval', missing: [] })[0]).toContain('approved it in advance');
    expect(dryRun({ effect: 'allow', missing: [] })[0]).toBe('It would be done at once.');
  });

  test('says what it would do, who is needed, and what it would wait for', () => {
    const preview = { rows: 1, targets: [], summary: 'pay 5 EUR' };
    const missing = [{ roles: ['dba', 'risk'], have: 1, need: 3 }] as never;
    const waits = { reason: 'two at once', retryAfterMs: 5 };
    expect(dryRun({ effect: 'require_approval', preview, missing, waits }).slice(2)).toEqual([
      'What it would do: pay 5 EUR',
      'Approvals needed: 2 of dba or risk',
      'It would wait for room first: two at once',
    ]);
  });
});

describe('an action that follows from another', () => {
  const long = 'a'.repeat(128);

  test('names it where there is room, and else its hash', () => {
    expect(derivedActionId('undo:1', 'refund-42')).toBe('undo:1:refund-42');
    expect(derivedActionId('undo:1', 'a'.repeat(121))).toBe(`undo:1:${'a'.repeat(121)}`);
    expect(derivedActionId('undo:1', 'a'.repeat(122))).toMatch(/^undo:1\.[0-9a-f]{64}$/);
    expect(derivedActionId('undo:1', long)).not.toBe(derivedActionId('undo:1', `${long.slice(1)}b`));
    for (const id of [compensationActionId(long, 12), newEditId(long)]) expect(id).toMatch(ACTION_ID_PATTERN);
  });

  test('undoes it once for each attempt, in one workflow', () => {
    expect(compensationActionId('refund-42', 2)).toBe('undo:2:refund-42');
    expect(compensationWorkflowId('acme', 'refund-42')).toBe('undo/acme/refund-42');
  });

  test('is undone under a name that no agent has', () => {
    expect(isUndoAgent('bot/undo')).toBe(true);
    expect(isUndoAgent('bot/undoer')).toBe(false);
    expect(isUndoAgent('undo')).toBe(false);
  });
});

describe('the key of an effect', () => {
  test('tells which action it belongs to', () => {
    const name = { tenant: 'acme', actionId: 'undo:1:a' };
    expect(idempotencyKey(name)).toBe('countersign:acme/undo:1:a');
    expect(workflowNameOf(idempotencyKey(name))).toEqual(name);
  });

  test.each(['', 'acme/a', 'other:acme/a', 'countersign:acme', 'xcountersign:acme/a'])('%j is none of ours', (key) => {
    expect(workflowNameOf(key)).toBeUndefined();
  });
});

describe('an edit of a proposal', () => {
  const ORIGINAL: Proposal = {
    actionId: 'refund-42',
    tool: 'payments',
    input: { amount: 100 },
    expect: 'post.paid',
    expectedOutcome: 'Paid 100.',
    reasoning: 'Asked for.',
  };
  const refusal = (field: string) => expect.objectContaining({ code: 'EDIT_INVALID', field }) as Error;

  test('is another action in its place, with the same promise and without the outcome that was described', () => {
    const edited = editedProposal(ORIGINAL, { input: { amount: 50 } });
    expect(edited).toEqual({
      actionId: expect.stringMatching(/^edit:[0-9a-f]{8}:refund-42$/) as string,
      revises: 'refund-42',
      tool: 'payments',
      input: { amount: 50 },
      expect: 'post.paid',
      reasoning: 'Asked for.',
    });
    expect(() => assertEdited(ORIGINAL, edited)).not.toThrow();
  });

  test('may promise something else, or nothing', () => {
    const input = { amount: 50 };
    expect(editedProposal(ORIGINAL, { input, expect: 'post.half' }).expect).toBe('post.half');
    const without = editedProposal(ORIGINAL, { input, expect: null });
    expect(without).not.toHaveProperty('expect');
    for (const edited of [without, editedProposal(ORIGINAL, { input: ORIGINAL.input, expect: null })])
      expect(() => assertEdited(ORIGINAL, edited)).not.toThrow();
    const unpromised = { ...ORIGINAL, expect: undefined };
    expect(() => assertEdited(unpromised, editedProposal(unpromised, { input }))).not.toThrow();
  });

  test('is no edit when nothing is changed', () => {
    const same = editedProposal(ORIGINAL, { input: ORIGINAL.input });
    expect(() => assertEdited(ORIGINAL, same)).toThrow(refusal('edited.input'));
  });

  test.each<[string, Partial<Proposal>]>([
    ['another tool', { tool: 'payouts' }],
    ['other words', { reasoning: 'Mine.' }],
    ['another original', { revises: 'refund-41' }],
    ['the outcome that was described', { expectedOutcome: 'Paid 100.' }],
    ['an id that anybody could have taken first', { actionId: 'edit:refund-42' }],
    ['an id with more before it', { actionId: 'xedit:01234567:refund-42' }],
  ])('is no edit with %s', (_what, change) => {
    const edited = { ...editedProposal(ORIGINAL, { input: { amount: 50 } }), ...change };
    expect(() => assertEdited(ORIGINAL, edited)).toThrow(refusal('edited'));
  });
});

test.each([
  ['', 0, 3, true],
  ['', 1, 3, false],
  ['👋👋👋', 3, 3, true],
  ['👋👋👋', 4, 9, false],
  ['👋👋👋👋', 1, 3, false],
  ['abcdefg', 1, 3, false],
])('%j has from %i to %i characters: %s', (text, min, max, has) => {
  expect(hasCharacters(text, min, max)).toBe(has);
});

test('the input of an operation has the arguments where the tool looks for them', () => {
  const operation = { fixed: { op: 'select' } } as unknown as OperationDescription;
  expect(inputOf(operation, { table: 't', op: 'delete' })).toEqual({ table: 't', op: 'select' });
  expect(inputOf({ ...operation, argumentsIn: 'args' }, { table: 't' })).toEqual({
    op: 'select',
    args: { table: 't' },
  });
});

describe('an error', () => {
  test('is told as data with all that it says, and nothing that it does not', () => {
    const error = new CountersignError('INTERNAL', 'Broken.', {
      field: 'f',
      expected: 'e',
      fix: 'x',
      retryAfterMs: 5,
      retryable: true,
    });
    expect(error.toJSON()).toEqual({
      code: 'INTERNAL',
      message: 'Broken.',
      field: 'f',
      expected: 'e',
      fix: 'x',
      retryAfterMs: 5,
    });
    expect(new CountersignError('INTERNAL', 'Broken.').toJSON()).toEqual({ code: 'INTERNAL', message: 'Broken.' });
    expect(new CountersignError('INTERNAL', 'Broken.')).toMatchObject({ name: 'CountersignError', retryable: false });
    expect('cause' in new CountersignError('INTERNAL', 'Broken.')).toBe(false);
  });

  test('shows no secret that a system repeats', () => {
    const token = `ghp_${'a'.repeat(36)}`;
    expect(new CountersignError('TOOL_FAILED', `No ${token} here.`).message).toBe(
      'No ⟨GitHub token, struck out⟩ here.',
    );
  });

  test('that is not ours is taken in with its cause', () => {
    const own = new CountersignError('FROZEN', 'Stop.');
    expect(asCountersignError(own)).toBe(own);
    const cause = new TypeError('odd');
    expect(asCountersignError(cause)).toMatchObject({ code: 'INTERNAL', message: 'odd', cause });
    expect(asCountersignError('text', 'EFFECT_UNKNOWN')).toMatchObject({ code: 'EFFECT_UNKNOWN', message: 'text' });
    expect(asCountersignError(new Error(''))).toMatchObject({ message: ERROR_CODES.INTERNAL });
  });

  test('of something that is not there says what would be', () => {
    for (const error of [actionNotFound('a', ' of tenant acme'), freezeNotFound(7, ' here')]) {
      expect(error).toMatchObject({ code: 'NOT_FOUND', fix: expect.stringContaining('countersign') as string });
    }
    expect(actionNotFound('a', ' of tenant acme')).toMatchObject({
      field: 'actionId',
      message: 'There is no action a of tenant acme.',
    });
    expect(actionNotFound('a', '', { fix: 'Wait.' })).toMatchObject({ fix: 'Wait.', message: 'There is no action a.' });
    expect(freezeNotFound(7)).toMatchObject({ field: 'id', message: 'There is no freeze 7.' });
    expect(passkeyNotFound('credentialId')).toMatchObject({ code: 'NOT_FOUND', field: 'credentialId' });
    expect(radarAlertNotFound(7)).toMatchObject({
      code: 'NOT_FOUND',
      field: 'id',
      message: 'The radar has no alert 7.',
    });
    expect(trailNotFound('No trail.', 'Begin one.')).toMatchObject({
      field: 'trail',
      message: 'No trail.',
      fix: 'Begin one.',
    });
  });

  test('of the ledger means that nothing can be recorded now', () => {
    const codes = Object.keys(ERROR_CODES) as (keyof typeof ERROR_CODES)[];
    expect(codes.filter(cannotRecord)).toEqual(['LEDGER_UNAVAILABLE', 'LEDGER_BROKEN']);
  });
});

describe('the holds of an action', () => {
  test.each([
    [{ status: 'success' }, { disposition: 'consume', result: 'good' }],
    [{ status: 'mismatch' }, { disposition: 'consume', result: 'bad' }],
    [{ status: 'unknown' }, { disposition: 'keep', result: 'bad' }],
    [
      { status: 'unknown', spent: true },
      { disposition: 'consume', result: 'bad' },
    ],
    [{ status: 'failed' }, { disposition: 'release', result: 'bad' }],
    [{ status: 'failed', notAttempted: true }, { disposition: 'release' }],
    [{ status: 'denied' }, { disposition: 'release' }],
    [{ status: 'expired' }, { disposition: 'release' }],
    [{ status: 'cancelled' }, { disposition: 'release' }],
    [
      { status: 'success', amounts: { refunds: 5 } },
      { disposition: 'consume', result: 'good', amounts: { refunds: 5 } },
    ],
  ] as const)('of %j: %j', (ended, settled) => {
    expect(holdSettlementOf(ended)).toEqual(settled);
  });

  test('of a standing approval are its own, by unit', () => {
    expect(standingLimit('s1')).toBe('standing:s1');
    expect(standingLimit('s1', 'EUR')).toBe('standing:s1:EUR');
  });
});

describe('a plan', () => {
  const limit = (name: string) => ({ limit: name, key: '' }) as never;
  const [decision, pre] = [{ effect: 'allow' }, { count: 1 }] as never[];
  const facts = { operation: 'pay', limits: [limit('own')] } as unknown as Plan['facts'];

  test('is what the steps found, and without approvals rests on none', () => {
    expect(planOf({ facts, decision } as never, pre as never)).toEqual({ facts, decision, approvals: [], pre });
  });

  test('says nothing of limits where there were none, also beside approvals', () => {
    const { limits: _limits, ...without } = facts;
    const plan = planOf({ facts: without, decision } as never, pre as never, { approvals: [], figures: [] });
    expect(plan.facts).not.toHaveProperty('limits');
  });

  test('has what was left of standing approvals among its figures', () => {
    const approved = { approvals: [{ approver: 'ann' } as never], figures: [limit('standing')] };
    const plan = planOf({ facts, decision } as never, pre as never, approved);
    expect(plan.facts.limits).toEqual([limit('own'), limit('standing')]);
    expect(plan.approvals).toEqual(approved.approvals);
    const { limits: _, ...without } = facts;
    expect(planOf({ facts: without, decision } as never, pre as never, approved).facts.limits).toEqual([
      limit('standing'),
    ]);
  });
});

describe('a saga', () => {
  const step = (actionId: string) => ({ actionId, digest: digestText(actionId) });

  test('is signed as its steps in their order, of one task, and as nothing else of them', () => {
    const manifest = { traceId: 't', steps: [step('a'), step('b')] };
    const signed = sagaDigest(manifest);
    expect(signed).toBe(digest({ saga: 't', steps: [step('a'), step('b')] }));
    const more = { ...manifest, steps: manifest.steps.map((one) => ({ ...one, tool: 'x' })) };
    expect(sagaDigest(more)).toBe(signed);
    expect(sagaDigest({ ...manifest, steps: manifest.steps.toReversed() })).not.toBe(signed);
    expect(sagaDigest({ ...manifest, traceId: 'u' })).not.toBe(signed);
  });
});

describe('what was redacted', () => {
  const proposal: Proposal = { actionId: 'a', tool: 'db', input: { name: 'Ann' } };
  const stands = `redacted:${'a'.repeat(22)}`;

  test.each([
    [stands, true],
    [`x${stands}`, false],
    [`${stands}b`, false],
    [`redacted:${'a'.repeat(21)}`, false],
    [`redacted:${'a'.repeat(21)}!`, false],
    [[stands], false],
    [5, false],
  ])('stands under a pseudonym of its own form: %j %s', (value, is) => {
    expect(isRedacted(value)).toBe(is);
  });

  test('is the recorded proposal by the digest in the outcome, and else by its own', () => {
    const own = { digest: proposalDigest(proposal) };
    expect(isRecordedProposal(proposal, own)).toBe(true);
    expect(isRecordedProposal(proposal, { ...own, outcome: null })).toBe(true);
    expect(isRecordedProposal({ ...proposal, input: {} }, own)).toBe(false);
    const redacted = { ...proposal, input: { name: stands } };
    const outcome = { redacted: { proposal: digest(redacted) } } as never;
    expect(isRecordedProposal(redacted, { ...own, outcome })).toBe(true);
    expect(isRecordedProposal(proposal, { ...own, outcome })).toBe(false);
    expect(isRecordedProposal({ ...proposal, input: 5n as never }, own)).toBe(false);
  });
});
