/** Limits, where they meet an action: what they say before it is granted, and what becomes of its holds when it has ended. */
import type { Decision, Facts } from '../src/action/decision.js';
import { asCountersignError, CountersignError, type Problem } from '../src/action/errors.js';
import { DISPOSITIONS, type HoldRequest, type HoldSettlement, type LimitReading } from '../src/action/limits.js';
import type { OutcomeStatus } from '../src/action/outcome.js';
import {
  atLimits,
  bundleFromFiles,
  compilePolicy,
  evaluate,
  figuresOf,
  heldInAdvance,
  resolveLimits,
  settledAmounts,
  type AtLimits,
  type Measured,
  type Policy,
  type ResolvedLimits,
} from '../src/policy/index.js';
import type { Json } from '../src/action/json.js';
import type { Dependencies } from './deps.js';
import { assertHonourable } from './constraints.js';
import type { Tool } from '../src/tools/tool.js';
import type { Authentic } from './authenticate.js';

/** Undefined when no limit says anything of the action. @throws CountersignError POLICY_ERROR */
export function limitsMet(policy: Policy, facts: Facts, authentic: Authentic): ResolvedLimits | undefined {
  const { proposal, authority } = authentic;
  const { input, traceId } = proposal;
  const met = resolveLimits(policy, facts, { input, ...(traceId === undefined ? {} : { traceId }) }, authority);
  return met.limits.length + met.exceeded.length + met.depths.length === 0 ? undefined : met;
}

/** What policy and limits say together. */
export interface Ruling {
  readonly facts: Facts;
  readonly decision: Decision;
  /** What stands beside the decision's code when it denies. */
  readonly problem?: Problem;
  /** Set when the action may wait for room. */
  readonly queue?: Extract<AtLimits, { kind: 'queue' }>;
  /** To be placed once people, if any are needed, have decided. */
  readonly holds: readonly HoldRequest[];
  /** The amounts that the limits found in the input. */
  readonly measured: readonly Measured[];
}

/** Policy decides with the figures before it; what it lets pass, the limits may still stop. @throws CountersignError the refusal */
export function rule(
  policy: Policy,
  before: Facts,
  tool: Tool,
  met: ResolvedLimits,
  readings: readonly LimitReading[],
): Ruling {
  const facts: Facts = { ...before, limits: [...met.depths, ...figuresOf(met.limits, readings)] };
  const decision = evaluate(policy, facts);
  const { measured } = met;
  if (decision.effect === 'deny') return { facts, decision, holds: [], measured };
  assertHonourable(decision.constraints, tool);
  if (met.exceeded.length > 0) {
    const reason = met.exceeded.map((violation) => violation.reason).join('; ');
    return { facts, decision: denied(decision, 'LIMIT_EXCEEDED', reason, met.exceeded), holds: [], measured };
  }
  const at = atLimits(met.limits, readings, facts);
  const holds = met.limits.map(({ demand }): HoldRequest => demand);
  switch (at.kind) {
    case 'fits':
      return { facts, decision, holds, measured };
    case 'queue':
      return { facts, decision, queue: at, holds: [], measured };
    case 'deny': {
      const { kind: _kind, code, reason, violations, retryAfterMs: _retry, ...problem } = at;
      return { facts, decision: denied(decision, code, reason, violations), problem, holds: [], measured };
    }
    case 'approve':
      return {
        facts,
        decision: asked(decision, at.requirements),
        holds: holds.map((demand) => (at.over.includes(demand.limit) ? { ...demand, over: true } : demand)),
        measured,
      };
  }
}

/** The decision when there is no room, and no more waiting for it. */
export function denied(
  decision: Decision,
  code: 'LIMIT_EXCEEDED' | 'BREAKER_OPEN',
  reason: string,
  violations: Decision['violations'] = [],
): Decision {
  return {
    ...decision,
    effect: 'deny',
    code,
    reason,
    violations: [...decision.violations, ...violations],
    requirements: [],
  };
}

function asked(decision: Decision, requirements: Decision['requirements']): Decision {
  const reasons = [
    ...(decision.effect === 'allow' ? [] : [decision.reason]),
    ...requirements.map(({ reason }) => reason),
  ];
  return {
    ...decision,
    effect: 'require_approval',
    reason: reasons.join('; '),
    requirements: [...decision.requirements, ...requirements],
  };
}

export interface Spending {
  readonly status: OutcomeStatus;
  /** The tool was never asked. */
  readonly notAttempted?: boolean;
  /** It is spent, though it is not known how the action ended. */
  readonly spent?: boolean;
  readonly amounts?: Readonly<Record<string, number>>;
}

/** What the end of an action says of what it holds. */
export function holdsOf({ status, notAttempted = false, spent = false, amounts }: Spending): HoldSettlement {
  const bad = status === 'mismatch' || status === 'unknown' || (status === 'failed' && !notAttempted);
  return {
    disposition: spent ? 'consume' : DISPOSITIONS[status],
    ...(status === 'success' ? { result: 'good' } : bad ? { result: 'bad' } : {}),
    ...(amounts === undefined ? {} : { amounts }),
  };
}

/** What was really spent by an effect that was made. Where it cannot be told, what was held counts as spent. */
export async function spentBy(
  authentic: Authentic,
  { facts, decision }: { readonly facts: Facts; readonly decision: Decision },
  result: Json,
  deps: Dependencies,
): Promise<Readonly<Record<string, number>> | undefined> {
  if (facts.limits === undefined) return undefined;
  try {
    const policy = await policyOf(decision, deps);
    const met = limitsMet(policy, facts, authentic);
    if (met === undefined) return undefined;
    return settledAmounts([...met.limits, ...heldInAdvance(facts.limits, met.measured)], result);
  } catch (thrown) {
    // A ledger that is away is waited for; an expression that fails on this result is not going to do better.
    const error = asCountersignError(thrown);
    if (error.retryable) throw error;
    return undefined;
  }
}

/** The policy that decided, also when another one is active by now. */
async function policyOf({ policyDigest }: Decision, { policy, ledger }: Dependencies): Promise<Policy> {
  const current = policy.current();
  if (current.digest === policyDigest) return current;
  const files = await ledger.content.getPolicy(policyDigest);
  if (files === undefined) throw new CountersignError('NOT_FOUND', `The ledger has no policy ${policyDigest}.`);
  return compilePolicy(bundleFromFiles(files));
}
