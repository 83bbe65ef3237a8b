/** What people decide and state at the gateway: vouched for, signed on the spot for this one thing, and handed in like anybody's. */
import { randomUUID } from 'node:crypto';
import { CountersignError } from '../action/errors.js';
import type { PendingView } from '../action/outcome.js';
import type { Countersign } from '../client/countersign.js';
import { signApproval, signStatement, vouchForPerson, type Keyring, type StatementOptions } from '../trust/index.js';
import type { Decisions } from './deps.js';
import type { PersonPrincipal } from './principal.js';

/** It is handed in at once. */
const STATEMENT_SECONDS = 300;

/** A decision counts for as long as the action may wait; no longer than a credential that is vouched for lasts. */
const MAX_DECISION_SECONDS = 30 * 86_400;

export function createDecisions({ countersign, keyring }: { countersign: Countersign; keyring: Keyring }): Decisions {
  return {
    async decide(person, { actionId, shownDigest, verdict, reason, assertion }) {
      const { tenant } = person;
      const { phase, pending } = await countersign.view(actionId, tenant);
      if (pending === undefined) throw notPending(actionId, phase);
      if (pending.shownDigest !== shownDigest) throw stale();
      const ttlSeconds = secondsLeft(pending);
      const credential = await vouchForPerson(keyring, approver(person), shownDigest, { ttlSeconds });
      const token = await signApproval(credential, {
        tenant,
        actionId,
        shownDigest,
        verdict,
        ...(reason === undefined ? {} : { reason }),
        ...(assertion === undefined ? {} : { assertion }),
        ttlSeconds,
      });
      return countersign.decide(actionId, token, tenant);
    },
    async state(person, statement) {
      const { jti = randomUUID(), ttlSeconds = STATEMENT_SECONDS } = statement;
      const credential = await vouchForPerson(keyring, approver(person), jti, { ttlSeconds });
      const options = { ...statement, tenant: person.tenant, jti, ttlSeconds } as StatementOptions;
      return countersign.handIn(await signStatement(credential, options));
    },
  };
}

/** @throws CountersignError FORBIDDEN: somebody without any role may look, and no more */
function approver({ id, tenant, roles, auth, jti }: PersonPrincipal): Parameters<typeof vouchForPerson>[1] {
  if (roles.length > 0) return { id, tenant, roles, auth, jti };
  throw new CountersignError('FORBIDDEN', 'You have no role here: you may look, and no more.', {
    field: 'roles',
    expected: 'at least one role',
    fix: 'Have the identity provider give you the role that may do this.',
  });
}

function secondsLeft({ expiresAt }: PendingView): number {
  const seconds = Math.ceil((Date.parse(expiresAt) - Date.now()) / 1000);
  return Math.min(MAX_DECISION_SECONDS, Math.max(1, seconds));
}

function notPending(actionId: string, phase: string): CountersignError {
  return new CountersignError('NOT_PENDING', `The action ${actionId} does not wait for people (it is ${phase}).`, {
    field: 'actionId',
    expected: 'an action that waits for people',
    fix: 'Look at it again.',
  });
}

function stale(): CountersignError {
  return new CountersignError('APPROVAL_STALE', 'What you decided on is no longer what would be done.', {
    field: 'shownDigest',
    expected: 'the digest of what is shown now',
    fix: 'Look at the action again and decide anew.',
  });
}
