/**
 * Signed commands by which people change which policy is active or in shadow. A promotion is checked as an action is: against the state that
 * the person saw (the active policy), on evidence (the backtest), by as many people as the config asks for.
 */
import { decodeJwt } from 'jose';
import { CountersignError } from '../src/action/errors.js';
import { digestText, type Digest } from '../src/action/json.js';
import type { OrderedPolicyChange, PlacedPolicy, PolicyChange } from '../src/action/policy-rollout.js';
import { samePerson } from '../src/action/quorum.js';
import { policyReceiptId, type PolicyApproval } from '../src/ledger/index.js';
import { compilePolicy, storedBundle } from '../src/policy/index.js';
import { signPolicyChange, verifyCommand, verifyEvidence, type SignedCommand } from '../src/trust/index.js';
import type { Execute } from './authority-commands.js';
import { appendCommandReceipt } from './command-receipt.js';
import type { CommandResult } from './contract.js';
import type { Dependencies } from './deps.js';

const CHANGES = {
  promote_policy: 'promote',
  roll_back_policy: 'rollback',
  shadow_policy: 'shadow',
  retire_policy: 'retire',
} as const satisfies Record<string, OrderedPolicyChange>;

export type PolicyCommandKind = keyof typeof CHANGES;
type PolicyCommand = Extract<SignedCommand, { kind: PolicyCommandKind }>;
type Promote = Extract<PolicyCommand, { kind: 'promote_policy' }>;

export function isPolicyCommand(command: SignedCommand): command is PolicyCommand {
  return Object.hasOwn(CHANGES, command.kind);
}

/** How often a change is signed anew because another one, which does not concern it, came first. */
const ATTEMPTS = 8;

/**
 * Checks whether the command may be carried out, and returns the function that does so. A command that was carried out before it could be
 * told is carried out again without a second effect.
 *
 * @throws CountersignError ROLE_REQUIRED, POLICY_CONFLICT, POLICY_INVALID, EVIDENCE_REQUIRED, FINDING_INVALID, NOT_FOUND
 */
export async function checkPolicyCommand(command: PolicyCommand, token: string, deps: Dependencies): Promise<Execute> {
  const { ledger } = deps;
  assertRole(command, deps);
  const done = await ledger.rollout.find(command.jti);
  if (done !== undefined) return () => concluded(command, done, done.people.length, deps);
  assertActiveIs(command, await activeNow(deps));
  // What is retired is not run any more, so that one that cannot be used can still be put away.
  if (command.kind !== 'retire_policy') {
    await usable(command.subject, deps);
  }
  if (command.kind === 'promote_policy') await assertEvidence(command, deps);
  return () => carryOut(command, token, deps);
}

function assertRole({ by, kind, roles }: PolicyCommand, { settings }: Dependencies): void {
  const { policy } = settings.roles;
  if (policy.some((role) => roles.includes(role))) return;
  throw new CountersignError('ROLE_REQUIRED', `${by} has none of the roles that may ${CHANGES[kind]} a policy.`, {
    field: 'command.roles',
    expected: `one of: ${policy.join(', ') || '(nobody may)'}`,
    fix: 'Ask somebody who has the role; the operator gives it with `countersign approver create --role`.',
  });
}

/** This worker can run it. @throws CountersignError POLICY_INVALID, NOT_FOUND */
async function usable(subject: Digest, { policy, ledger }: Dependencies): Promise<void> {
  if (policy.prepare !== undefined) await policy.prepare(subject);
  else compilePolicy(await storedBundle(subject, (digest) => ledger.content.getPolicy(digest)));
}

async function activeNow({ ledger }: Dependencies): Promise<PlacedPolicy | undefined> {
  return (await ledger.rollout.placed()).policies.find(({ state }) => state === 'active');
}

/** A person signs for a change of what they saw. @throws CountersignError POLICY_CONFLICT */
function assertActiveIs({ replaces }: PolicyCommand, active: PlacedPolicy | undefined): void {
  if (active?.digest === replaces) return;
  const now = active === undefined ? 'no policy is active' : `${active.digest} is active`;
  throw new CountersignError('POLICY_CONFLICT', `The command was signed for other circumstances: now ${now}.`, {
    field: 'command.replaces',
    expected: active?.digest ?? 'absent, because no policy is active',
    fix: 'Look at countersign policy status, compare the policy with the one that is active now, and sign anew.',
  });
}

/** Where none is active, or the policy is active already, there is nothing to compare. @throws CountersignError EVIDENCE_REQUIRED, FINDING_INVALID */
async function assertEvidence(
  { subject, replaces, evidence }: Promote,
  { ledger, keyring, settings }: Dependencies,
): Promise<void> {
  if (replaces === undefined || replaces === subject) return;
  if (evidence === undefined) {
    if (settings.promotion.withoutEvidence) return;
    throw evidenceRequired(subject, replaces);
  }
  const found = (await ledger.rollout.evidence(subject, replaces)).find(({ report }) => report === evidence);
  if (found === undefined) throw evidenceRequired(subject, replaces);
  const { tenant, credentials } = await verifyEvidence(keyring, found);
  if ((await ledger.controls.revoked({ tenant, credentials })) !== undefined) {
    throw evidenceRequired(subject, replaces);
  }
}

function evidenceRequired(candidate: Digest, baseline: Digest): CountersignError {
  return new CountersignError(
    'EVIDENCE_REQUIRED',
    `No backtest of ${candidate} against ${baseline} is recorded that the command names.`,
    {
      field: 'command.evidence',
      expected: 'the digest of the report of a backtest of this policy against the active one',
      fix: 'Run countersign policy backtest, then promote again.',
    },
  );
}

async function carryOut(command: PolicyCommand, token: string, deps: Dependencies): Promise<CommandResult> {
  const kind = CHANGES[command.kind];
  const needed = command.kind === 'promote_policy' ? deps.settings.promotion.quorum : 1;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const { latest, policies } = await deps.ledger.rollout.placed();
    // After a ledger was cut back, a number below the latest that was made is one that no worker follows.
    const seq = Math.max(latest, deps.policy.latestChange?.() ?? 0) + 1;
    const active = policies.find(({ state }) => state === 'active');
    assertActiveIs(command, active);
    const signers = await signersOf(command, token, active?.since ?? 0, needed, deps);
    if (signers.length < needed) return concluded(command, undefined, signers.length, deps);
    const statements = signers.map(({ statement }) => statement);
    const signed = await signPolicyChange(deps.keyring, {
      seq,
      kind,
      digest: command.subject,
      statements: statements.map(digestText),
      iat: Math.floor(deps.ledger.clock.now().getTime() / 1000),
    });
    const change = await deps.ledger.rollout.change({
      id: command.jti,
      seq,
      kind,
      digest: command.subject,
      by: command.by,
      people: signers.map(({ person }) => person),
      statements,
      reason: command.reason,
      ...(command.kind === 'promote_policy' ? { evidence: command.evidence } : {}),
      signed,
    });
    if (change === undefined) continue;
    await deps.faults.at('policy.after-change');
    return concluded(command, change, signers.length, deps);
  }
  throw new CountersignError('POLICY_CONFLICT', 'The policies change too fast for this change to find its place.', {
    field: 'command.subject',
    fix: 'Find out who changes them, then order it again.',
    retryable: true,
  });
}

type Signer = Pick<PolicyApproval, 'person' | 'statement'>;

/** A yes counts for a day after it was signed; the ledger counts by its own clock too. Milliseconds. */
const YES_COUNTS_MS = 25 * 60 * 60 * 1000;

/** Everybody who signed the same promotion, each on a command of their own, and whose standing was not revoked since. */
async function signersOf(
  command: PolicyCommand,
  token: string,
  activeSince: number,
  needed: number,
  deps: Dependencies,
): Promise<readonly Signer[]> {
  const { ledger } = deps;
  const own = { person: command.by, statement: token };
  if (command.kind !== 'promote_policy' || needed === 1) return [own];
  const { jti: id, subject: candidate, tenant, by: person, credentials, evidence } = command;
  await ledger.rollout.approve({ id, candidate, activeSince, evidence, tenant, person, credentials, statement: token });
  const signers: Signer[] = [];
  for (const approval of await ledger.rollout.approvals({ candidate, activeSince, evidence })) {
    if (await counts(approval, command, deps)) signers.push(approval);
  }
  return signers;
}

/** Whether a person really signed it: what stands in the ledger beside the signed text is worth nothing. */
async function counts({ person, statement }: PolicyApproval, command: Promote, deps: Dependencies): Promise<boolean> {
  let said: SignedCommand;
  try {
    const { iat = 0 } = decodeJwt(statement);
    if (Math.abs(deps.ledger.clock.now().getTime() - iat * 1000) > YES_COUNTS_MS) return false;
    said = await verifyCommand(deps.keyring, statement, { now: new Date(iat * 1000) });
  } catch {
    return false;
  }
  const { tenant, credentials, roles } = said;
  const same =
    said.kind === 'promote_policy' &&
    said.subject === command.subject &&
    said.replaces === command.replaces &&
    said.evidence === command.evidence;
  if (!same || !samePerson(said.by, person) || !deps.settings.roles.policy.some((role) => roles.includes(role))) {
    return false;
  }
  return (await deps.ledger.controls.revoked({ tenant, credentials })) === undefined;
}

async function concluded(
  command: PolicyCommand,
  change: PolicyChange | undefined,
  signed: number,
  deps: Dependencies,
): Promise<CommandResult> {
  const { kind, by, subject, reason } = command;
  const needed = change === undefined ? deps.settings.promotion.quorum : signed;
  const done = change === undefined ? `signed (${signed} of ${needed} people)` : `carried out as change ${change.seq}`;
  const instead = change?.replaced === undefined ? '' : `, in place of ${change.replaced}`;
  const summary = `${by}'s order to ${CHANGES[kind]} the policy ${subject} is ${done}${instead}: ${reason}`;
  const id = change === undefined ? undefined : policyReceiptId(change.seq, command.jti);
  const receipt = await appendCommandReceipt(command, summary, deps, id);
  return { kind, ...(change === undefined ? {} : { change }), signed, needed, receipt };
}
