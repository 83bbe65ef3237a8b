/** What a step's result says to whoever watches: kinds, codes and statuses, and nothing of what an agent, a person or a system said. */
import type { Activities } from '../../activities/contract.js';
import { ERROR_CODES, type ErrorCode } from '../action/errors.js';
import type { Outcome, OutcomeStatus, StepTimings } from '../action/outcome.js';

/** What a decision came to; `queue` where the action waits for room. */
export type DecidedEffect = 'allow' | 'deny' | 'require_approval' | 'queue';

export interface StepFacts {
  /** The kind of the record: `proposed`, `refused`, `granted`. */
  readonly result: string;
  /** Why the step refused the action, or what its effect failed of. */
  readonly code?: ErrorCode;
  /** The effect was to be made, and nobody can say that it was. */
  readonly failed?: boolean;
  readonly decision?: { readonly effect: DecidedEffect; readonly rules: readonly string[]; readonly code?: ErrorCode };
  /** The id of the agent, once it was verified. */
  readonly agent?: string;
  /** The action has ended with this. */
  readonly ended?: { readonly status: OutcomeStatus; readonly code?: ErrorCode; readonly steps: StepTimings };
  /** A person's decision that was verified. */
  readonly person?: { readonly verdict: string; readonly waitedSeconds?: number };
}

type Result<Step extends keyof Activities> = Awaited<ReturnType<Activities[Step]>>;
/** Any record of a step: those of its members that are looked at. */
type AnyRecord = {
  readonly kind?: unknown;
  readonly error?: { readonly code?: unknown };
};

export function factsOf(step: string, result: unknown): StepFacts {
  const { kind, error } = (result ?? {}) as AnyRecord;
  const base = { result: typeof kind === 'string' ? kind : 'done', ...codeIn(error?.code) };
  switch (step) {
    case 'enforce':
      return { ...base, ...decided(result as Result<'enforce'>) };
    case 'execute':
      return { ...base, failed: base.result !== 'done' };
    case 'verify':
    case 'settle':
      return { ...base, ...concluded(result as Result<'verify'>) };
    case 'checkApproval':
    case 'checkEdit':
      return { ...base, ...saidBy(result as Result<'checkApproval'> | Result<'checkEdit'>) };
    default:
      return base;
  }
}

function decided(result: Result<'enforce'>): Pick<StepFacts, 'decision' | 'agent'> {
  if (result.kind === 'ended') return {};
  const { decision, facts, kind } = result;
  const agent = facts === undefined ? {} : { agent: facts.agent.id };
  if (decision === undefined) return agent;
  const { effect, policies: rules, code } = decision;
  return { decision: { effect: kind === 'queued' ? 'queue' : effect, rules, ...codeIn(code) }, ...agent };
}

function concluded(result: Result<'verify'>): Pick<StepFacts, 'ended'> {
  if (result.kind === 'effect_possible') return {};
  const { status, error, steps }: Pick<Outcome, 'status' | 'error' | 'steps'> =
    result.kind === 'verified' ? result.ending : result.outcome;
  return { ended: { status, steps, ...codeIn(error?.code) } };
}

function saidBy(result: Result<'checkApproval'> | Result<'checkEdit'>): Pick<StepFacts, 'person'> {
  const { verdict, waitedSeconds } = 'record' in result ? result.record : result;
  return { person: { verdict, ...(waitedSeconds === undefined ? {} : { waitedSeconds }) } };
}

/** Only codes of ours: a record may come from elsewhere. */
function codeIn(code: unknown): { readonly code?: ErrorCode } {
  return typeof code === 'string' && Object.hasOwn(ERROR_CODES, code) ? { code: code as ErrorCode } : {};
}
