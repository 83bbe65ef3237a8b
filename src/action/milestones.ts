/** When people who are waited for are reminded, and when others may decide as well. Pure: the workflow sets its timers by it. */
import type { Requirement } from './decision.js';
import { rolesOf } from './quorum.js';

/** Milliseconds since the epoch. */
export interface ApprovalWait {
  /** When people were first shown the action, or what it was then. */
  readonly since: number;
  /** When they were shown what they are shown now. */
  readonly shownAt: number;
  readonly until: number;
}

export interface Milestone {
  readonly kind: 'reminded' | 'escalated';
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Who may decide from then on; of an escalation only. */
  readonly roles: readonly string[];
}

/**
 * What is still to come, earliest first. Escalations count from when the action was first shown, so that showing it anew does not put
 * them off. Reminders count from what is shown now, and each comes after twice the time of the one before (30 min: after 30, 90 and 210):
 * the longest wait has some twenty of them.
 */
export function milestonesOf(
  requirements: readonly Requirement[],
  { since, shownAt, until }: ApprovalWait,
): readonly Milestone[] {
  const escalations = new Map<number, Set<string>>();
  for (const { afterSeconds, roles } of requirements.flatMap((wanted) => wanted.escalations ?? [])) {
    const at = since + afterSeconds * 1000;
    escalations.set(at, new Set([...(escalations.get(at) ?? []), ...roles]));
  }
  const reminders: Milestone[] = [];
  const [remindMs] = requirements
    .flatMap(({ remindSeconds }) => (remindSeconds === undefined ? [] : [Math.max(1, remindSeconds) * 1000]))
    .sort((a, b) => a - b);
  if (remindMs !== undefined) {
    for (let pause = remindMs, at = shownAt + pause; at < until; pause *= 2, at += pause) {
      reminders.push({ kind: 'reminded', at, roles: [] });
    }
  }
  return [
    ...[...escalations].map(([at, roles]): Milestone => ({ kind: 'escalated', at, roles: [...roles] })),
    ...reminders,
  ]
    .filter(({ at }) => at > shownAt && at < until)
    .sort((a, b) => a.at - b.at);
}

/** Who may decide by now besides those whom the requirements name first; sorted. */
export function escalatedTo(requirements: readonly Requirement[], waitedSeconds: number): readonly string[] {
  const others = requirements.flatMap((wanted) => {
    return rolesOf(wanted, waitedSeconds).filter((role) => !wanted.roles.includes(role));
  });
  return [...new Set(others)].sort();
}
