/** What a model is told of its call: enough to go on, and what not to try. */
import { CountersignError } from './errors.js';
import type { Outcome, PendingAction } from './types.js';

/** JSON for the model. */
export interface ToolAnswer {
  /** An outcome's; `pending`: it waits for people; `open`: it goes on; `refused`: it could not be proposed like this. */
  readonly status: Outcome['status'] | 'pending' | 'open' | 'refused';
  /** Absent where no answer named the action: it was refused, or the wait for it ended. */
  readonly actionId?: string;
  readonly reason: string;
  /** What the tool returned. */
  readonly result?: unknown;
  /** Why it did not succeed: one of docs/errors.md. */
  readonly code?: string;
  /** Where it is wrong, as a path from the root: `proposal.input.where`. */
  readonly field?: string;
  /** What would have been right there. */
  readonly expected?: string;
  /** What can be done about it. */
  readonly fix?: string;
  /** When trying again is of use. Milliseconds from now. */
  readonly retryAfterMs?: number;
  /** The checks that did not hold. */
  readonly failedChecks?: readonly string[];
  /** Who must decide first: any one of these roles, each. */
  readonly waitingFor?: readonly (readonly string[])[];
  /** Until when they may decide. RFC 3339 UTC. */
  readonly expiresAt?: string;
  /** What to do, and what not to. */
  readonly advice?: string;
}

const UNCHANGED = 'Do not repeat the call unchanged: it is refused again.';

const ADVICE: Readonly<Partial<Record<ToolAnswer['status'], string>>> = {
  denied: `Nothing was done. ${UNCHANGED} Do something that is allowed, or tell the user why this cannot be done.`,
  expired: 'Nothing was done: nobody decided in time. Ask the user whether it is still wanted.',
  cancelled: 'Nothing was done: it was cancelled. Do not propose it again unless the user asks for it.',
  mismatch:
    'It was done, and the system is not as was promised. Do not repeat it: look at the state, and tell the user.',
  unknown:
    'It cannot be known whether it was done, and a person looks into it. Do not repeat it, and do not report it as done.',
  pending: 'Not done yet: people decide first, and then it is done without another call. Do not repeat the call.',
  open: 'Not done yet: it goes on. Do not repeat the call with other arguments, and do not report it as done.',
  refused: `Nothing was done. Correct what is named and call again. ${UNCHANGED}`,
};

/** @param answer what `perform` or `outcome` answered */
export function forModel(answer: Outcome | PendingAction): ToolAnswer {
  if (answer.status === 'pending') return pendingForModel(answer);
  const { status, actionId, reason, result, error, checks = [] } = answer;
  const { code, field, expected, fix, retryAfterMs } = error ?? {};
  const failedChecks = checks.filter(({ ok }) => !ok).map(({ name }) => name);
  return defined({
    status,
    actionId,
    reason,
    result,
    code,
    field,
    expected,
    fix,
    retryAfterMs,
    failedChecks: failedChecks.length === 0 ? undefined : failedChecks,
    advice: asEdited(actionId, adviceFor(answer)),
  });
}

/** Nothing was done, and the frameworks' own word for it is that somebody said no. */
export function wasRefused({ status }: Outcome): boolean {
  return status === 'denied' || status === 'expired' || status === 'cancelled';
}

/** Ids that begin so are given to what a person made of a proposal, and to nothing else. */
const EDIT_PREFIX = 'edit:';

function asEdited(actionId: string, advice: string | undefined): string | undefined {
  if (!actionId.startsWith(EDIT_PREFIX)) return advice;
  const edited = 'A person changed what you proposed: this is about what they made of it.';
  return advice === undefined ? edited : `${edited} ${advice}`;
}

function adviceFor({ status, actionId, error, revisedBy }: Outcome): string | undefined {
  if (revisedBy !== undefined) {
    return `Nothing was done as it was proposed. A person changed it, and it goes on as the action ${revisedBy}. Do not propose it again.`;
  }
  if (error?.code === 'CHANGES_REQUESTED') {
    return `Nothing was done: a person wants it changed. Propose what the reason asks for; it revises ${actionId}.`;
  }
  if (status === 'denied' && error?.retryAfterMs !== undefined) {
    return `Nothing was done. It may be allowed later, in ${Math.ceil(error.retryAfterMs / 1000)} s; not before.`;
  }
  return ADVICE[status];
}

function pendingForModel({ actionId, reason, pending }: PendingAction): ToolAnswer {
  return defined({
    status: 'pending' as const,
    actionId,
    reason,
    waitingFor: pending.missing?.map(({ roles }) => roles),
    expiresAt: pending.expiresAt,
    advice: asEdited(actionId, ADVICE.pending),
  });
}

/** What the model itself can do something about, or must know. Anything else is for whoever runs the agent. */
export function errorForModel(error: unknown): ToolAnswer | undefined {
  if (!(error instanceof CountersignError)) return undefined;
  const { code, message, field, expected, fix, status } = error;
  if (code === 'EFFECT_UNKNOWN') {
    return defined({ status: 'unknown' as const, code, reason: message, advice: ADVICE.unknown });
  }
  if (code === 'TIMED_OUT') return defined({ status: 'open' as const, code, reason: message, advice: ADVICE.open });
  if (status !== 400 && status !== 409 && status !== 413 && code !== 'SCOPE_DENIED') return undefined;
  return defined({
    status: 'refused' as const,
    code,
    reason: message,
    field,
    expected,
    fix,
    advice: ADVICE.refused,
  });
}

type Defined<T> = { readonly [K in keyof T]: Exclude<T[K], undefined> };

function defined<T extends object>(value: T): Partial<Defined<T>> & ToolAnswer {
  const entries = Object.entries(value).filter(([, each]) => each !== undefined);
  return Object.fromEntries(entries) as Partial<Defined<T>> & ToolAnswer;
}
