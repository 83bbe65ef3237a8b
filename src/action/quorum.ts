/** Whether the decisions people gave satisfy what policy demands. Pure: the workflow calls it on every decision. */
import type { Requirement } from './decision.js';
import type { ApprovalRecord } from './outcome.js';

/** A requirement that more people must satisfy. */
export interface Missing {
  readonly policy: string;
  /** Any one of these roles. */
  readonly roles: readonly string[];
  /** Different people who said yes. */
  readonly have: number;
  readonly need: number;
}

export interface Progress {
  readonly state: 'waiting' | 'approved' | 'denied';
  /** What is still missing, in the order of the requirements; empty unless the state is `waiting`. */
  readonly missing: readonly Missing[];
  /** Who denied it, when the state is `denied`: the first by time of signing. */
  readonly by?: string;
}

/**
 * One no by anyone with a role that any requirement names denies, whatever else was said. Otherwise every requirement needs
 * its quorum of different people with one of its roles; one person may count for several requirements, but once for each.
 * The order of the approvals does not matter.
 */
export function progress(requirements: readonly Requirement[], approvals: readonly ApprovalRecord[]): Progress {
  const no = approvals
    .filter(({ verdict, roles }) => verdict === 'deny' && requirements.some((wanted) => shareRole(wanted.roles, roles)))
    .reduce<ApprovalRecord | undefined>(
      (first, next) => (first === undefined || before(next, first) ? next : first),
      undefined,
    );
  if (no !== undefined) return { state: 'denied', missing: [], by: no.approver };

  const missing: Missing[] = [];
  for (const { policy, roles, quorum } of requirements) {
    const people = new Set(
      approvals
        .filter((given) => given.verdict === 'approve' && shareRole(roles, given.roles))
        .map(({ approver }) => identity(approver)),
    );
    // A quorum that is no number, or below one, must not mean that nobody is needed.
    const need = Math.max(1, quorum);
    if (!(people.size >= need)) missing.push({ policy, roles, have: people.size, need });
  }
  return { state: missing.length === 0 ? 'approved' : 'waiting', missing };
}

/** Whether two ids name one person. Directories rarely tell `Ann@x` from `ann@x`; taking them for one is the safe side. */
export function samePerson(a: string, b: string): boolean {
  return identity(a) === identity(b);
}

function identity(id: string): string {
  return id.toLowerCase();
}

function shareRole(wanted: readonly string[], has: readonly string[]): boolean {
  return has.some((role) => wanted.includes(role));
}

function before(a: ApprovalRecord, b: ApprovalRecord): boolean {
  if (a.at !== b.at) return a.at < b.at;
  return a.approver < b.approver;
}
