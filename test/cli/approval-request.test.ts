/** A Temporal server that lies to the person who is about to sign. */
import { describe, expect, test } from 'vitest';
import { digest, digestText } from '../../src/action/json.js';
import type { ActionView, PendingView, Shown } from '../../src/action/outcome.js';
import { proposalDigest, type Proposal } from '../../src/action/proposal.js';
import { secondsLeft, verifiedPending } from '../../src/cli/approval-request.js';

const name = { tenant: 'acme', actionId: 'a1' };
const proposal: Proposal = { actionId: 'a1', tool: 'shop-db', input: { op: 'delete', table: 'orders' } };
const shown: Shown = {
  ...name,
  proposal,
  proposalDigest: proposalDigest(proposal),
  agent: { id: 'bot', roles: [] },
  tool: { name: 'shop-db', kind: 'postgres', environment: 'production' },
  actionType: 'DELETE',
  operation: 'delete',
  preview: { rows: 5000, targets: ['orders'], reads: [], schemaChange: false, sample: [], summary: 'delete 5000 rows' },
  preDigest: digestText('pre'),
  requirements: [],
};

function view(pending: Partial<PendingView> | undefined): ActionView {
  return {
    phase: pending === undefined ? 'executing' : 'pending',
    ...name,
    proposalDigest: shown.proposalDigest,
    tool: 'shop-db',
    approvals: [],
    refusedApprovals: [],
    cancelRequested: false,
    ...(pending === undefined
      ? {}
      : {
          pending: {
            shown,
            shownDigest: digest(pending.shown ?? shown),
            decision: {} as PendingView['decision'],
            expiresAt: new Date(Date.now() + 60_000).toISOString(),
            ...pending,
          },
        }),
  };
}

test('what is honest is signed for', () => {
  expect(verifiedPending(view({}), name).shown).toBe(shown);
});

describe('nothing is signed', () => {
  test.each<[string, Partial<PendingView>]>([
    [
      'a harmless page under the digest of a harmful one',
      { shown: { ...shown, preview: { ...shown.preview, rows: 1 } }, shownDigest: digest(shown) },
    ],
    ['a digest that is not of the page', { shownDigest: digestText('something else') }],
    ['another action', { shown: { ...shown, actionId: 'a2' } }],
    ['the action of another tenant', { shown: { ...shown, tenant: 'beta' } }],
    ['a proposal of another action', { shown: { ...shown, proposal: { ...proposal, actionId: 'a2' } } }],
    [
      'another input than the one that was digested',
      { shown: { ...shown, proposal: { ...proposal, input: { op: 'select' } } } },
    ],
    ['another tool than the one proposed', { shown: { ...shown, tool: { ...shown.tool, name: 'test-db' } } }],
  ])('for %s', (_, lie) => {
    expect(() => verifiedPending(view(lie), name)).toThrow(expect.objectContaining({ code: 'APPROVAL_INVALID' }));
  });

  test('for an action that does not wait', () => {
    expect(() => verifiedPending(view(undefined), name)).toThrow(expect.objectContaining({ code: 'NOT_PENDING' }));
  });

  test.each([new Date(Date.now() - 1000).toISOString(), 'never', ''])('after its time: %s', (expiresAt) => {
    expect(() => verifiedPending(view({ expiresAt }), name)).toThrow(
      expect.objectContaining({ code: 'APPROVAL_EXPIRED' }),
    );
  });
});

test('a decision is good for as long as the action waits, and never for more than 30 days', () => {
  const at = (ms: number): PendingView => ({ expiresAt: new Date(Date.now() + ms).toISOString() }) as PendingView;
  expect(secondsLeft(at(90_000))).toBeGreaterThanOrEqual(89);
  expect(secondsLeft(at(90_000))).toBeLessThanOrEqual(90);
  expect(secondsLeft(at(1e12))).toBe(30 * 86_400);
});
