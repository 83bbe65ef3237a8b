/** Whether the decisions people gave satisfy what policy demands. Pure: the workflow calls it on every decision. */
import type { Requirement } from './decision.js';
import type { ErrorView } from './errors.js';
import type { ApprovalRecord, DecisionState, Verdict } from './outcome.js';

/** A requirement that more people must satisfy. */
export interface MissingApprovals {
  readonly policy: string;
  /** Any one of these roles. */
  readonly roles: readonly string[];
  /** Different people who said yes. */
  readonly have: number;
  /** How many different people it takes. */
  readonly need: number;
  /** Set when their yes counts only with the assertion of a passkey. */
  readonly passkey?: boolean;
  /** Set when it needs one more person than its quorum, because a yes came among too many others in too short a time. */
  readonly overRateLimit?: boolean;
}

export interface ApprovalProgress {
  readonly state: DecisionState;
  /** What is still missing, in the order of the requirements; empty unless the state is `waiting`. */
  readonly missing: readonly MissingApprovals[];
  /** Who denied it or asks for changes, when the state says so: the first by time of signing. */
  readonly by?: string;
}

/**
 * Where the decisions stand, whatever order they came in:
 *
 * 1. A requirement has its noes (one, unless `denials` asks for more different people's): denied, whatever else was said.
 * 2. One person asks for changes: that ends it as well.
 * 3. Every requirement has its quorum of different people: approved. One person may count for several requirements, but once for each;
 *    whoever has a role delegated by somebody takes that person's seat, which is one, whichever of them says yes. A yes over the approval rate limit
 *    counts beside one more person's than the quorum asks for. Who also said no has said no.
 *
 * A decision counts for a requirement when its giver has one of the roles, the requirement's own or one that it had been escalated to
 * when the decision came. `waitedSeconds` tells who may decide now, for `missing`; it decides nothing. Default 0.
 */
export function progress(
  requirements: readonly Requirement[],
  approvals: readonly ApprovalRecord[],
  waitedSeconds = 0,
): ApprovalProgress {
  const said = (verdict: Verdict): readonly ApprovalRecord[] =>
    approvals.filter((given) => given.verdict === verdict && requirements.some((wanted) => appliesTo(wanted, given)));

  const noes = said('deny');
  const denying = requirements.flatMap((wanted) => {
    const against = noes.filter((no) => appliesTo(wanted, no));
    const needed = Math.max(1, wanted.denials ?? 1);
    // Not `>=`: with a number that is none, nobody could deny.
    return people(against).size < needed ? [] : against;
  });
  if (denying.length > 0) return { state: 'denied', missing: [], by: first(denying) };

  const asking = said('request_changes');
  if (asking.length > 0) return { state: 'changes_requested', missing: [], by: first(asking) };

  const against = people(noes);
  const approving = said('approve').filter(({ approver }) => !against.has(identity(approver)));
  const missing = requirements.flatMap((wanted) => missingOf(wanted, approving, waitedSeconds));
  return { state: missing.length === 0 ? 'approved' : 'waiting', missing };
}

/** Who may decide on a requirement once it has waited that long: its own roles, and those it has been escalated to. */
export function rolesOf({ roles, escalations = [] }: Requirement, waitedSeconds: number): readonly string[] {
  const others = escalations.filter(({ afterSeconds }) => afterSeconds <= waitedSeconds);
  return [...new Set([...roles, ...others.flatMap((escalation) => escalation.roles)])];
}

/** Whether a person says what they said before, and it counts for no more than it did: not for another requirement, nor with a passkey. */
export function repeatsEarlier(
  requirements: readonly Requirement[],
  before: readonly ApprovalRecord[],
  given: ApprovalRecord,
): boolean {
  return before.some(
    (said) =>
      said.verdict === given.verdict &&
      samePerson(said.approver, given.approver) &&
      (said.passkey !== undefined || given.passkey === undefined) &&
      requirements.every((wanted) => appliesTo(wanted, said) || !appliesTo(wanted, given)),
  );
}

/** Whether a decision is about this requirement at all: its giver had a role in it, and may use it there. */
function appliesTo(wanted: Requirement, given: ApprovalRecord): boolean {
  if (given.self === true && wanted.self !== true) return false;
  return shareRole(rolesOf(wanted, given.waitedSeconds ?? 0), given.roles);
}

function missingOf(
  wanted: Requirement,
  approvals: readonly ApprovalRecord[],
  waitedSeconds: number,
): readonly MissingApprovals[] {
  const { policy, quorum, passkey = false } = wanted;
  const counting = approvals.filter(
    (yes) => appliesTo(wanted, yes) && (!passkey || (yes.passkey !== undefined && yes.standingApproval === undefined)),
  );
  // A quorum that is no number, or below one, must not mean that nobody is needed.
  const asked = Math.max(1, quorum);
  const calm = seats(
    wanted,
    counting.filter(({ overRateLimit = false }) => !overRateLimit),
  );
  if (calm >= asked) return [];
  const overRateLimit = counting.some((yes) => yes.overRateLimit === true);
  const need = overRateLimit ? asked + 1 : asked;
  const have = overRateLimit ? seats(wanted, counting) : calm;
  if (have >= need) return [];
  const roles = rolesOf(wanted, waitedSeconds);
  return [{ policy, roles, have, need, ...(passkey ? { passkey } : {}), ...(overRateLimit ? { overRateLimit } : {}) }];
}

/**
 * How many different seats these people fill, each person one of those that are theirs: their own, where they have a role of their own,
 * else that of anyone they have it from. The largest number there can be (Kuhn's algorithm), so that one more yes never takes one away.
 */
function seats(wanted: Requirement, approvals: readonly ApprovalRecord[]): number {
  const open = new Map<string, Set<string>>();
  for (const yes of approvals) {
    const person = identity(yes.approver);
    const theirs = open.get(person) ?? new Set<string>();
    for (const seat of seatsOf(wanted, yes)) theirs.add(seat);
    open.set(person, theirs);
  }
  const taken = new Map<string, string>();
  const sits = (person: string, tried: Set<string>): boolean => {
    for (const seat of open.get(person) ?? []) {
      if (tried.has(seat)) continue;
      tried.add(seat);
      const other = taken.get(seat);
      if (other !== undefined && !sits(other, tried)) continue;
      taken.set(seat, person);
      return true;
    }
    return false;
  };
  return [...open.keys()].filter((person) => sits(person, new Set())).length;
}

function seatsOf(
  wanted: Requirement,
  { approver, roles, delegatedRoles = [], waitedSeconds = 0 }: ApprovalRecord,
): string[] {
  const may = rolesOf(wanted, waitedSeconds);
  const own = roles.filter((role) => !delegatedRoles.some((duty) => duty.role === role));
  if (shareRole(may, own)) return [identity(approver)];
  return delegatedRoles.filter(({ role }) => may.includes(role)).map(({ from }) => identity(from));
}

/** Whether two ids name one person. Directories rarely tell `Ann@x` from `ann@x`; taking them for one is the safe side. */
export function samePerson(a: string, b: string): boolean {
  return identity(a) === identity(b);
}

function identity(id: string): string {
  return id.toLowerCase();
}

function people(records: readonly ApprovalRecord[]): ReadonlySet<string> {
  return new Set(records.map(({ approver }) => identity(approver)));
}

function shareRole(wanted: readonly string[], has: readonly string[]): boolean {
  return has.some((role) => wanted.includes(role));
}

/** Who signed first. */
function first(records: readonly ApprovalRecord[]): string {
  return records.reduce((earliest, next) => (before(next, earliest) ? next : earliest)).approver;
}

function before(a: ApprovalRecord, b: ApprovalRecord): boolean {
  if (a.at !== b.at) return a.at < b.at;
  return a.approver < b.approver;
}

/** Why an action ends on which people decided against it, with the person's words where there are any. */
export function refusalBy({ state, by }: ApprovalProgress, approvals: readonly ApprovalRecord[]): ErrorView {
  if (state === 'changes_requested') {
    const { edited } = approvals.find((given) => given.verdict === 'request_changes' && given.approver === by) ?? {};
    const did = edited === undefined ? 'asks for changes' : 'changed what is to be done';
    return { code: 'CHANGES_REQUESTED', message: worded(`${by ?? 'Somebody'} ${did}`, 'request_changes') };
  }
  return { code: 'APPROVAL_DENIED', message: worded(`${by ?? 'Somebody'} said no`, 'deny') };

  function worded(what: string, verdict: Verdict): string {
    const { reason } = approvals.find((given) => given.verdict === verdict && given.approver === by) ?? {};
    return reason === undefined ? `${what}.` : `${what}: ${reason}`;
  }
}
