/** People's decisions: whether each was signed by somebody who may decide, on exactly what is shown, and how it counts. */
import type { Requirement } from '../src/action/decision.js';
import { asCountersignError, CountersignError, type ErrorView } from '../src/action/errors.js';
import { digest, type Digest } from '../src/action/json.js';
import type { ApprovalRecord, Shown } from '../src/action/outcome.js';
import { rolesOf, samePerson } from '../src/action/quorum.js';
import { assertMayDecide, verifyApproval, verifyAssertion, type Approval } from '../src/trust/index.js';
import type { ApprovalCheck } from './contract.js';
import type { Dependencies } from './deps.js';
import { delegatedRolesOf } from './role-delegations.js';

/**
 * Can be repeated: what depends on when a decision came is what the ledger found when it came first.
 *
 * @throws CountersignError APPROVAL_INVALID, APPROVAL_STALE, APPROVAL_FORBIDDEN, APPROVAL_TOO_FAST, PASSKEY_REQUIRED, PASSKEY_INVALID or
 *   CREDENTIAL_REVOKED; LEDGER_UNAVAILABLE
 */
export async function checkApproval(check: ApprovalCheck, deps: Dependencies): Promise<ApprovalRecord> {
  const { token, shown, shownDigest } = check;
  const { tenant, actionId } = shown;
  const approval = await verifyApproval(deps.keyring, token, { tenant, actionId, shownDigest, now: new Date() });
  await assertNotRevoked(tenant, approval, deps);
  const decider = await deciderOf(check, approval, deps);
  const passkey = await passkeyOf(check, approval, decider.requirements, deps);
  return recorded(check, { ...approval.record, ...decider.record, ...passkey }, deps);
}

/** Which of the decisions that people signed count now. */
export interface CountedDecisions {
  readonly records: readonly ApprovalRecord[];
  /** The tokens of those that count. */
  readonly counting: readonly string[];
  /** Why the others do not. */
  readonly dropped: readonly ErrorView[];
}

/** Checks every decision again, now, against what would be shown now, under the policy of now. */
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
      records.push(await checkApproval({ token, shown, shownDigest, requirements, policyDigest }, deps));
      counting.push(token);
    } catch (thrown) {
      const error = asCountersignError(thrown, 'APPROVAL_INVALID');
      // A ledger that is away says nothing of the decision.
      if (error.retryable) throw error;
      dropped.push(error.toJSON());
    }
  }
  return { records, counting, dropped };
}

async function assertNotRevoked(tenant: string, { credentials }: Approval, { ledger }: Dependencies): Promise<void> {
  const gone = await ledger.controls.revoked({ tenant, credentials });
  if (gone === undefined) return;
  throw new CountersignError('CREDENTIAL_REVOKED', `The credential that signed this was revoked: ${gone.reason}`, {
    field: 'approval.credential',
    fix: 'Ask the operator for a new credential.',
  });
}

/** Somebody who may decide. */
interface Decider {
  /** What they may decide on. */
  readonly requirements: readonly Requirement[];
  readonly record: Pick<ApprovalRecord, 'roles' | 'delegatedRoles' | 'self'>;
}

/**
 * With what they have for others, and those that it was escalated to by now. Nobody has for another what that one could not do: a role delegation
 * that the agent's owner gave is none here.
 */
async function deciderOf(
  { shown: { tenant, actionId, agent }, requirements }: ApprovalCheck,
  { approver }: Approval,
  deps: Dependencies,
): Promise<Decider> {
  const { selfApproval } = deps.settings;
  const answers = (id: string): boolean => !selfApproval && agent.owner !== undefined && samePerson(id, agent.owner);
  const [root = agent.id] = agent.id.split('/');
  const delegatedRoles = (await delegatedRolesOf(approver, deps)).filter(
    ({ role, from }) => !approver.roles.includes(role) && !answers(from) && !samePerson(from, root),
  );
  const roles = [...new Set([...approver.roles, ...delegatedRoles.map(({ role }) => role)])];

  const self = answers(approver.id);
  const open = self ? requirements.filter((wanted) => wanted.self === true) : requirements;
  assertMayDecide({
    approver: { ...approver, roles },
    agent,
    requirements: open.map((wanted) => ({ ...wanted, roles: rolesOf(wanted, Infinity) })),
    selfApproval: selfApproval || (self && open.length > 0),
  });
  const escalates = open.some(({ escalations = [] }) => escalations.length > 0);
  const waitedSeconds = escalates ? await deps.ledger.approvalRequests.secondsWaited(tenant, actionId) : 0;
  const theirs = open.filter((wanted) => rolesOf(wanted, waitedSeconds).some((role) => roles.includes(role)));
  if (theirs.length === 0) throw tooEarly(open, roles, waitedSeconds);
  return {
    requirements: theirs,
    record: { roles, ...(delegatedRoles.length === 0 ? {} : { delegatedRoles }), ...(self ? { self } : {}) },
  };
}

function tooEarly(
  requirements: readonly Requirement[],
  roles: readonly string[],
  waitedSeconds: number,
): CountersignError {
  const times = requirements
    .flatMap(({ escalations = [] }) => escalations)
    .flatMap((escalation) => (escalation.roles.some((role) => roles.includes(role)) ? [escalation.afterSeconds] : []));
  const left = Math.ceil(Math.min(...times) - waitedSeconds);
  return new CountersignError(
    'APPROVAL_FORBIDDEN',
    `The approver may not decide yet: it is escalated to them in ${left} s.`,
    {
      field: 'approval.approver',
      expected: 'one of the roles that may decide by now',
      fix: `Ask somebody who may decide now, or decide in ${left} s.`,
    },
  );
}

/** A yes to whatever wants a passkey comes with its word, on exactly this; a word that does not verify counts for nothing else either. */
async function passkeyOf(
  { policyDigest }: ApprovalCheck,
  { approver, assertion, record }: Approval,
  requirements: readonly Requirement[],
  { ledger, settings }: Dependencies,
): Promise<Pick<ApprovalRecord, 'passkey'>> {
  const wanting = record.verdict === 'approve' ? requirements.find(({ passkey }) => passkey === true) : undefined;
  if (assertion === undefined) {
    if (wanting === undefined) return {};
    throw passkeyRequired(`Policy ${wanting.policy} takes a yes only with a passkey, and this one comes without.`);
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

/** As the ledger found it when it came: how long the action had waited, and how many yeses of this person came just before. */
async function recorded(
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
    const { approvals: yeses, withinSeconds } = approvalRateLimit;
    throw new CountersignError(
      'APPROVAL_TOO_FAST',
      `${person} said yes to ${2 * yeses} actions within ${withinSeconds} s: nobody reads that fast.`,
      {
        field: 'approval',
        expected: `at most ${2 * yeses} yeses of one person in ${withinSeconds} s`,
        fix: `Wait ${withinSeconds} s, look at the action again and decide anew; or have somebody else decide.`,
      },
    );
  }
  return { ...record, waitedSeconds, ...(overRateLimit ? { overRateLimit } : {}) };
}
