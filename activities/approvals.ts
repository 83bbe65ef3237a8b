/** Verifies people's decisions: that each was signed by a person who may decide, on exactly what is shown, and how it counts. */
import type { Requirement } from '../src/action/decision.js';
import { asCountersignError, CountersignError, type ErrorView } from '../src/action/errors.js';
import { digest, type Digest } from '../src/action/json.js';
import type { ApprovalRecord, Shown } from '../src/action/outcome.js';
import { isAgentItself, isOwnerOf } from '../src/action/own-agents.js';
import { rolesOf } from '../src/action/quorum.js';
import { assertMayDecide, verifyApproval, verifyAssertion, type Approval } from '../src/trust/index.js';
import type { ApprovalCheck } from './contract.js';
import type { Dependencies } from './deps.js';
import { delegatedRolesOf } from './role-delegations.js';

/**
 * Verifies one signed decision and records it in the ledger. It can be repeated: what depends on the time of the decision, such as the
 * approval rate limit, is taken from the ledger's first record of it.
 *
 * @throws CountersignError APPROVAL_INVALID, APPROVAL_STALE, APPROVAL_FORBIDDEN, APPROVAL_TOO_FAST, PASSKEY_REQUIRED, PASSKEY_INVALID or
 *   CREDENTIAL_REVOKED; EDIT_INVALID; LEDGER_UNAVAILABLE
 */
export async function checkApproval(check: ApprovalCheck, deps: Dependencies): Promise<ApprovalRecord> {
  return decisionOf(check, deps, ({ edit }) => {
    if (edit === undefined) return;
    throw new CountersignError(
      'EDIT_INVALID',
      'The decision edits the proposal, and comes without what it makes of it.',
      {
        field: 'edited',
        expected: 'the edited proposal, handed in beside the decision',
        fix: 'Edit the action through the client library, the gateway or the command line.',
      },
    );
  });
}

/** The same for a decision that is an edit, or was taken before. `assert`: what else must hold before it is recorded. */
export async function decisionOf(
  check: ApprovalCheck,
  deps: Dependencies,
  assert?: (approval: Approval) => void,
): Promise<ApprovalRecord> {
  return recordDecision(check, await verifiedDecision(check, deps, assert), deps);
}

/** The same, and recorded nowhere. */
export async function verifiedDecision(
  check: ApprovalCheck,
  deps: Dependencies,
  assert: (approval: Approval) => void = () => {},
): Promise<ApprovalRecord> {
  const { token, shown, shownDigest } = check;
  const { tenant, actionId } = shown;
  const now = await deps.ledger.clock.read();
  const approval = await verifyApproval(deps.keyring, token, { tenant, actionId, shownDigest, now });
  assert(approval);
  await assertNotRevoked(tenant, approval, deps);
  const decider = await deciderOf(check, approval, deps);
  const passkey = await passkeyOf(check, approval, decider.requirements, deps);
  return { ...approval.record, ...decider.record, ...passkey };
}

/** The decisions that people signed, divided into those that count now and those that do not. */
export interface CountedDecisions {
  readonly records: readonly ApprovalRecord[];
  /** The tokens of the decisions that count. */
  readonly counting: readonly string[];
  /** Why each of the others does not count. */
  readonly dropped: readonly ErrorView[];
}

/** Verifies every decision again, against what would be shown now and the policy that requires approval now. */
export async function countDecisions(
  tokens: readonly string[],
  shown: Shown,
  policyDigest: Digest,
  deps: Dependencies,
): Promise<CountedDecisions> {
  const shownDigest = digest(shown);
  const { requirements } = shown;
  const records: ApprovalRecord[] = [];
  const counting: string[] = [];
  const dropped: ErrorView[] = [];
  for (const token of tokens) {
    try {
      records.push(await decisionOf({ token, shown, shownDigest, requirements, policyDigest }, deps));
      counting.push(token);
    } catch (thrown) {
      const error = asCountersignError(thrown, 'APPROVAL_INVALID');
      // An unavailable ledger says nothing about whether the decision is valid.
      if (error.retryable) throw error;
      dropped.push(error.toJSON());
    }
  }
  return { records, counting, dropped };
}

async function assertNotRevoked(tenant: string, { credentials }: Approval, { ledger }: Dependencies): Promise<void> {
  const revocation = await ledger.controls.revoked({ tenant, credentials });
  if (revocation === undefined) return;
  throw new CountersignError(
    'CREDENTIAL_REVOKED',
    `The credential that signed this was revoked: ${revocation.reason}`,
    {
      field: 'approval.credential',
      fix: 'Ask the operator for a new credential.',
    },
  );
}

/** A person who may decide. */
interface Decider {
  /** The requirements that this person may decide on. */
  readonly requirements: readonly Requirement[];
  readonly record: Pick<ApprovalRecord, 'roles' | 'delegatedRoles' | 'self'>;
}

/**
 * Determines what the approver may decide on, with the roles delegated to them and the requirements escalated to them by now. A role
 * delegation gives nobody what its giver could not do: one given by the agent's owner, or by the agent itself, does not count here.
 *
 * @throws CountersignError APPROVAL_FORBIDDEN
 */
async function deciderOf(
  { shown: { tenant, actionId, agent }, requirements }: ApprovalCheck,
  { approver }: Approval,
  deps: Dependencies,
): Promise<Decider> {
  const { selfApproval } = deps.settings;
  const isRestrictedOwner = (id: string): boolean => !selfApproval && isOwnerOf(id, agent);
  const delegatedRoles = (await delegatedRolesOf(approver, deps)).filter(
    ({ role, from }) => !approver.roles.includes(role) && !isRestrictedOwner(from) && !isAgentItself(from, agent),
  );
  const roles = [...new Set([...approver.roles, ...delegatedRoles.map(({ role }) => role)])];

  const self = isRestrictedOwner(approver.id);
  const eligible = self ? requirements.filter((requirement) => requirement.self === true) : requirements;
  assertMayDecide({
    approver: { ...approver, roles },
    agent,
    requirements: eligible.map((requirement) => ({ ...requirement, roles: rolesOf(requirement, Infinity) })),
    selfApproval: selfApproval || (self && eligible.length > 0),
  });
  const escalates = eligible.some(({ escalations = [] }) => escalations.length > 0);
  const waitedSeconds = escalates ? await deps.ledger.approvalRequests.secondsWaited(tenant, actionId) : 0;
  const decidable = eligible.filter((requirement) =>
    rolesOf(requirement, waitedSeconds).some((role) => roles.includes(role)),
  );
  if (decidable.length === 0) throw tooEarly(eligible, roles, waitedSeconds);
  return {
    requirements: decidable,
    record: { roles, ...(delegatedRoles.length === 0 ? {} : { delegatedRoles }), ...(self ? { self } : {}) },
  };
}

function tooEarly(
  requirements: readonly Requirement[],
  roles: readonly string[],
  waitedSeconds: number,
): CountersignError {
  const escalationTimes = requirements
    .flatMap(({ escalations = [] }) => escalations)
    .flatMap((escalation) => (escalation.roles.some((role) => roles.includes(role)) ? [escalation.afterSeconds] : []));
  const secondsLeft = Math.ceil(Math.min(...escalationTimes) - waitedSeconds);
  return new CountersignError(
    'APPROVAL_FORBIDDEN',
    `The approver may not decide yet: it is escalated to them in ${secondsLeft} s.`,
    {
      field: 'approval.approver',
      expected: 'one of the roles that may decide by now',
      fix: `Ask somebody who may decide now, or decide in ${secondsLeft} s.`,
    },
  );
}

/**
 * Verifies the passkey assertion of a decision. An approval needs one, bound to exactly this decision, where a requirement demands a
 * passkey. An assertion that does not verify makes the decision invalid even where none is demanded.
 *
 * @throws CountersignError PASSKEY_REQUIRED, PASSKEY_INVALID, APPROVAL_STALE
 */
async function passkeyOf(
  { policyDigest }: ApprovalCheck,
  { approver, assertion, record }: Approval,
  requirements: readonly Requirement[],
  { ledger, settings }: Dependencies,
): Promise<Pick<ApprovalRecord, 'passkey'>> {
  const demanding = record.verdict === 'approve' ? requirements.find(({ passkey }) => passkey === true) : undefined;
  if (assertion === undefined) {
    if (demanding === undefined) return {};
    throw passkeyRequired(`Policy ${demanding.policy} takes a yes only with a passkey, and this one comes without.`);
  }
  if (settings.passkeys === undefined) throw passkeyRequired('This worker knows of no place where passkeys are used.');
  if (assertion.policyDigest !== policyDigest) {
    throw new CountersignError(
      'APPROVAL_STALE',
      'The passkey was used under another policy than the one that asks now.',
      {
        field: 'approval.assertion.policyDigest',
        expected: 'the digest of the policy that asks now',
        fix: 'Look at the action again and decide anew.',
      },
    );
  }
  const { response, challenge } = assertion;
  const credentialId = response.id;
  const passkey = await ledger.passkeys.find(approver.tenant, credentialId);
  if (passkey === undefined) throw passkeyInvalid('The passkey is not enrolled.', 'Enrol it in the inbox first.');
  const { newCounter } = await verifyAssertion({ response, challenge, passkey, approver, settings: settings.passkeys });
  const { tenant } = approver;
  const use = await ledger.passkeys.used({ tenant, credentialId, challenge, counter: newCounter });
  if (use === 'ok') return { passkey: credentialId };
  throw passkeyInvalid(
    "The passkey's counter went back: there may be a copy of it.",
    'Retire it, find out why, and use another one.',
  );
}

function passkeyRequired(message: string): CountersignError {
  return new CountersignError('PASSKEY_REQUIRED', message, {
    field: 'approval.assertion',
    expected: 'the assertion of a passkey that the approver enrolled',
    fix: 'Decide in the inbox of the gateway, with a passkey enrolled there; workers need `passkeys` in their config.',
  });
}

function passkeyInvalid(message: string, fix: string): CountersignError {
  return new CountersignError('PASSKEY_INVALID', message, { field: 'approval.assertion', fix });
}

/**
 * Records the decision in the ledger, which determines how long the action had waited and how many approvals the person gave just before.
 *
 * @throws CountersignError APPROVAL_TOO_FAST
 */
async function recordDecision(
  { shown: { tenant, actionId }, shownDigest }: ApprovalCheck,
  record: ApprovalRecord,
  { ledger, settings: { approvalRateLimit } }: Dependencies,
): Promise<ApprovalRecord> {
  const { approver: person, ...rest } = record;
  const { waitedSeconds, overRateLimit, refused } = await ledger.approvalRequests.recordDecision({
    ...rest,
    tenant,
    actionId,
    shownDigest,
    person,
    windowSeconds: approvalRateLimit.withinSeconds,
    overRateLimitFrom: approvalRateLimit.approvals,
    refusedFrom: 2 * approvalRateLimit.approvals,
  });
  if (refused) {
    const { approvals, withinSeconds } = approvalRateLimit;
    throw new CountersignError(
      'APPROVAL_TOO_FAST',
      `${person} said yes to ${2 * approvals} actions within ${withinSeconds} s: nobody reads that fast.`,
      {
        field: 'approval',
        expected: `at most ${2 * approvals} approvals of one person in ${withinSeconds} s`,
        fix: `Wait ${withinSeconds} s, look at the action again and decide anew; or have somebody else decide.`,
      },
    );
  }
  return { ...record, waitedSeconds, ...(overRateLimit ? { overRateLimit } : {}) };
}
