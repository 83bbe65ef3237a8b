/** Claims that are right in every field, for tests that make one of them wrong. */
import type { GrantClaims } from '../../src/action/grant.js';
import type { ReceiptClaims } from '../../src/action/receipt.js';
import { digestOf, IAT } from './support.js';

export function grantClaims(changes: Partial<GrantClaims> = {}): GrantClaims {
  return {
    jti: '0d9fb1ce-3a4e-4a7e-9d52-2f8c4fb0a9aa',
    tenant: 'acme',
    actionId: 'refund-42',
    agent: 'billing-bot',
    tool: 'payments',
    environment: 'production',
    actionType: 'WRITE',
    proposalDigest: digestOf('proposal'),
    policyDigest: digestOf('policy'),
    preDigest: digestOf('pre'),
    planDigest: digestOf('plan'),
    approvals: [digestOf('one'), digestOf('two')].sort(),
    constraints: [{ name: 'max_rows', value: 10, policy: 'few-rows' }],
    targets: ['payments.refunds'],
    rows: 1,
    iat: IAT,
    exp: IAT + 120,
    ...changes,
  };
}

export function receiptClaims(changes: Partial<ReceiptClaims> = {}): ReceiptClaims {
  return {
    v: 1,
    tenant: 'acme',
    seq: 1,
    prev: null,
    actionId: 'refund-42',
    proposalDigest: digestOf('proposal'),
    status: 'success',
    reason: 'Verified: 1 row changed as promised.',
    agent: 'billing-bot',
    tool: 'payments',
    environment: 'production',
    actionType: 'WRITE',
    effect: 'allow',
    policyDigest: digestOf('policy'),
    approvals: [],
    grant: '0d9fb1ce-3a4e-4a7e-9d52-2f8c4fb0a9aa',
    preDigest: digestOf('pre'),
    postDigest: digestOf('post'),
    outcomeDigest: digestOf('outcome'),
    iat: IAT,
    ...changes,
  };
}
