/** Signs what people decide and command at the gateway: the gateway attests who they are, for this one thing, and hands it in. */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { asCountersignError, CountersignError } from '../../action/errors.js';
import { editedProposal } from '../../action/edit.js';
import { parseProposal } from '../../action/proposal.js';
import type { Countersign } from '../../client/countersign.js';
import type { ApprovalRequest } from '../../action/approval-request.js';
import type { Ledger } from '../../ledger/index.js';
import {
  signApproval,
  signCommand,
  signedEdit,
  attestPerson,
  type Keyring,
  type CommandOptions,
} from '../../trust/index.js';
import type { Decisions } from '../deps.js';
import type { PersonPrincipal } from './principal.js';

/** A command is handed in at once. */
const COMMAND_SECONDS = 300;

/** A decision counts for as long as the action may wait; no longer than an attested credential lasts. */
const MAX_DECISION_SECONDS = 30 * 86_400;

/** The ledger has an approval request a moment before the action's workflow takes decisions on it. */
const RETRY_MS = 200;
const RETRIES = 15;

interface DecisionsOptions {
  readonly countersign: Countersign;
  readonly ledger: Pick<Ledger, 'approvalRequests' | 'actions'>;
  readonly keyring: Keyring;
}

export function createDecisions({ countersign, ledger, keyring }: DecisionsOptions): Decisions {
  return {
    async decide(person, { actionId, shownDigest, verdict, reason, edit, assertion }) {
      const { tenant } = person;
      const ask = await ledger.approvalRequests.find(tenant, actionId);
      if (ask === undefined || ask.closedAt !== undefined) throw await notAsked(tenant, actionId);
      if (ask.shownDigest !== shownDigest) throw stale();
      const ttlSeconds = secondsLeft(ask);
      const credential = await attestPerson(keyring, approver(person), shownDigest, { ttlSeconds });
      const { proposal } = ask.shown;
      const edited = edit === undefined ? undefined : parseProposal(editedProposal(proposal, edit));
      const token = await signApproval(credential, {
        tenant,
        actionId,
        shownDigest,
        verdict,
        ...(reason === undefined ? {} : { reason }),
        ...(assertion === undefined ? {} : { assertion }),
        ...(edited === undefined ? {} : { edit: signedEdit(proposal, edited) }),
        ttlSeconds,
      });
      for (let times = 0; ; times++) {
        try {
          return await countersign.decide(actionId, token, tenant, edited);
        } catch (thrown) {
          if (asCountersignError(thrown).code !== 'NOT_PENDING' || times === RETRIES) throw thrown;
          const now = await ledger.approvalRequests.find(tenant, actionId);
          if (now?.shownDigest !== shownDigest || now.closedAt !== undefined) throw thrown;
          await delay(RETRY_MS);
        }
      }
    },
    async state(person, command) {
      const { jti = randomUUID(), ttlSeconds = COMMAND_SECONDS } = command;
      const credential = await attestPerson(keyring, approver(person), jti, { ttlSeconds });
      const options = { ...command, tenant: person.tenant, jti, ttlSeconds } as CommandOptions;
      return countersign.submitCommand(await signCommand(credential, options));
    },
  };

  async function notAsked(tenant: string, actionId: string): Promise<CountersignError> {
    const record = await ledger.actions.find(tenant, actionId);
    if (record !== undefined) return notPending(actionId, record.status);
    // It may be too young to be in the ledger.
    const { phase } = await countersign.view(actionId, tenant);
    return notPending(actionId, phase);
  }
}

/** Without a role of their own they may have a delegated one: workers know. */
function approver({ id, tenant, roles, auth, jti }: PersonPrincipal): Parameters<typeof attestPerson>[1] {
  return { id, tenant, roles, auth, jti };
}

function secondsLeft({ expiresAt }: Pick<ApprovalRequest, 'expiresAt'>): number {
  const seconds = Math.ceil((Date.parse(expiresAt) - Date.now()) / 1000);
  return Math.min(MAX_DECISION_SECONDS, Math.max(1, seconds));
}

function notPending(actionId: string, state: string): CountersignError {
  return new CountersignError('NOT_PENDING', `Action ${actionId} does not wait for people: it is ${state}.`, {
    field: 'actionId',
    expected: 'an action that waits for people',
    fix: 'Look at the action again.',
  });
}

function stale(): CountersignError {
  return new CountersignError('APPROVAL_STALE', 'The action is no longer what you decided on.', {
    field: 'shownDigest',
    expected: 'the digest of what is shown now',
    fix: 'Look at the action again and decide anew.',
  });
}
