/** What a candidate changes of one decision. */
import { isDeepStrictEqual } from 'node:util';
import type { Decision } from '../../action/decision.js';
import { canonical } from '../../action/json.js';
import type { ApprovalRecord } from '../../action/outcome.js';
import { progress } from '../../action/quorum.js';

/** Kinds of changes, those that let more happen first. */
export const CHANGE_KINDS = [
  /** Nobody allowed it, and now policy does. */
  'newly-allowed',
  /** It was denied, and now people may allow it. */
  'newly-askable',
  /** It was done, and now policy denies it. */
  'newly-denied',
  /** It was done, and now people must be asked first, or more of them. */
  'newly-asked',
  /** It was done, and now it would have to wait for room. */
  'newly-queued',
  /** People were asked, and now need not be. */
  'no-longer-asked',
  /** It ends as before, on other terms: constraints, requirements, policies or the code of the refusal. */
  'other-terms',
] as const;
export type ChangeKind = (typeof CHANGE_KINDS)[number];

/** Where a decision leaves an action, with what people said of it. */
export type Standing = 'allowed' | 'approved' | 'asked' | 'refused' | 'denied';

/** An approval counts when those who gave it meet what is required, whatever they were asked then. */
export function standingOf({ effect, requirements }: Decision, approvals: readonly ApprovalRecord[]): Standing {
  if (effect !== 'require_approval') return effect === 'allow' ? 'allowed' : 'denied';
  switch (progress(requirements, approvals).state) {
    case 'approved':
      return 'approved';
    case 'waiting':
      return 'asked';
    case 'denied':
    case 'changes_requested':
      return 'refused';
  }
}

/**
 * Undefined when nothing changes.
 *
 * @param how `waited`: the action had waited for room; `letter`: both decisions are the same to the letter
 */
export function changeKind(
  before: { readonly decision: Decision; readonly standing: Standing },
  after: { readonly decision: Decision; readonly standing: Standing; readonly queued: boolean },
  how: { readonly waited: boolean; readonly letter: boolean },
): ChangeKind | undefined {
  const kind = KINDS[before.standing][after.standing];
  if (kind !== undefined) return kind;
  const passes = after.standing === 'allowed' || after.standing === 'approved';
  if (after.queued && passes && !how.waited) return 'newly-queued';
  return how.letter || termsOf(before.decision) === termsOf(after.decision) ? undefined : 'other-terms';
}

const KINDS: Readonly<Record<Standing, Partial<Record<Standing, ChangeKind>>>> = {
  allowed: { approved: 'newly-asked', asked: 'newly-asked', refused: 'newly-denied', denied: 'newly-denied' },
  approved: { allowed: 'no-longer-asked', asked: 'newly-asked', refused: 'newly-denied', denied: 'newly-denied' },
  asked: { allowed: 'newly-allowed', approved: 'newly-allowed', denied: 'no-longer-asked' },
  refused: { allowed: 'newly-allowed', approved: 'newly-allowed', asked: 'newly-askable', denied: 'no-longer-asked' },
  denied: { allowed: 'newly-allowed', approved: 'newly-allowed', asked: 'newly-askable', refused: 'newly-askable' },
};

/** What a decision obliges anybody to. Its sentences are no part of it: figures in them change with every action before it. */
function termsOf({ effect, code, policies, constraints, violations, requirements, errors }: Decision): string {
  return canonical({
    effect,
    code: code ?? null,
    policies,
    constraints,
    violations: violations.map(({ policy }) => policy),
    requirements: requirements.map(({ reason: _reason, ...requirement }) => requirement),
    errors,
  });
}

/** Whether a decision is the same to the letter, but for which policy made it. */
export function toTheLetter(one: Decision, other: Decision): boolean {
  return isDeepStrictEqual({ ...one, policyDigest: '' }, { ...other, policyDigest: '' });
}

/** The rules that made the difference: those that determined one of the two and not the other; all of them where none does. */
export function rulesOf(before: Decision, after: Decision): readonly string[] {
  const [one, other] = [determiningOf(before), determiningOf(after)];
  const different = [...one].filter((id) => !other.has(id)).concat([...other].filter((id) => !one.has(id)));
  const found = different.length > 0 ? different : [...one, ...other];
  return found.length === 0 ? ['(no rule)'] : [...new Set(found)].sort();
}

function determiningOf({ policies, violations, requirements, errors }: Decision): ReadonlySet<string> {
  const limits = [...violations, ...requirements].map(({ policy }) => policy).filter((id) => id.startsWith('limit:'));
  return new Set([...policies, ...errors, ...limits]);
}
