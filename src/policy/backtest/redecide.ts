/** Decides a recorded action again, as a worker would have decided it under another policy. */
import type { DecisionRecord } from '../../action/decision-record.js';
import type { Decision, Facts } from '../../action/decision.js';
import { asCountersignError } from '../../action/errors.js';
import type { Json, JsonObject } from '../../action/json.js';
import { standingLimit, type LimitReading } from '../../action/limits.js';
import type { Authority, DelegationCap } from '../../action/principal.js';
import type { PolicyBundle } from '../bundle.js';
import type { Policy } from '../compile.js';
import { evaluate } from '../evaluate.js';
import { resolveLimits } from '../limits/resolve.js';
import type { ResolvedLimits } from '../limits/resolved.js';
import { deniedAtLimit, ruleOnLimits } from '../ruling.js';

/** A record that policy decided on. */
export type DecidedRecord = DecisionRecord & { readonly facts: Facts };

/** What the policy asks of its limits for a record; or why it can ask nothing, which denies the action. */
export type Asked =
  | { readonly kind: 'asked'; readonly facts: Facts; readonly resolved: ResolvedLimits }
  | { readonly kind: 'unusable'; readonly decision: Decision };

export interface Redecided {
  readonly decision: Decision;
  /** The action may wait for room. */
  readonly queued: boolean;
}

const CAP = 'delegation:';
const STANDING = standingLimit('');

/** @param sameSchema whether the policy declares of the input what the policy declared that the record was decided under */
export function ask(policy: Policy, record: DecidedRecord, sameSchema: boolean): Asked {
  const { limits: _limits, input: recorded, ...rest } = record.facts;
  try {
    const input = sameSchema ? recorded : declared(policy, record);
    const facts: Facts = input === undefined ? rest : { ...rest, input };
    policy.checkInput(facts);
    const traceId = record.proposal?.traceId;
    const proposal = { input: record.proposal?.input ?? {}, ...(traceId === undefined ? {} : { traceId }) };
    return { kind: 'asked', facts, resolved: resolveLimits(policy, facts, proposal, authorityOf(record)) };
  } catch (thrown) {
    const { code, message } = asCountersignError(thrown);
    return { kind: 'unusable', decision: undecided(policy, code, message) };
  }
}

/** @param readings of `asked.resolved.limits`, in their order */
export function redecide(
  policy: Policy,
  record: DecidedRecord,
  asked: Extract<Asked, { kind: 'asked' }>,
  readings: readonly LimitReading[],
): Redecided {
  const { facts, resolved } = asked;
  if (resolved.limits.length + resolved.exceeded.length + resolved.depths.length === 0) {
    return { decision: evaluate(policy, facts), queued: false };
  }
  const { decision, queue } = ruleOnLimits(policy, facts, resolved, readings);
  if (queue === undefined) return { decision, queued: false };
  // The record is of the last look, and it was in vain: the action had waited for as long as it may.
  const inVain = record.decision?.effect === 'deny' && record.decision.code === 'LIMIT_EXCEEDED';
  return { decision: inVain ? deniedAtLimit(decision, 'LIMIT_EXCEEDED', queue.reason) : decision, queued: !inVain };
}

/** What was decided: of an action that policy could not decide on, the error that denied it. */
export function decisionOf(
  { decision, error, facts }: DecisionRecord,
  policy: Pick<Policy, 'digest'>,
): Decision | undefined {
  if (decision !== undefined || facts === undefined) return decision;
  return error?.code === 'POLICY_ERROR' ? undecided(policy, 'POLICY_ERROR', error.message) : undefined;
}

function undecided({ digest }: Pick<Policy, 'digest'>, code: Decision['code'], reason: string): Decision {
  return {
    effect: 'deny',
    ...(code === undefined ? {} : { code }),
    reason,
    policies: [],
    constraints: [],
    violations: [],
    requirements: [],
    errors: [],
    policyDigest: digest,
  };
}

/** What the tool made of the input, where that was recorded, goes before what was proposed: defaults are in it. */
function declared(policy: Policy, { facts, proposal }: DecidedRecord): JsonObject | undefined {
  return policy.declaredInput(facts.actionType, overlaid(proposal?.input ?? {}, facts.input ?? {}));
}

/** All members of both, down to the values; of a member that both have, the upper one's. */
export function overlaid(lower: JsonObject, upper: JsonObject): JsonObject {
  const both = Object.entries(upper).map(([name, value]): [string, Json] => {
    const under = Object.hasOwn(lower, name) ? lower[name] : undefined;
    return [name, isObject(under) && isObject(value) ? overlaid(under, value) : value];
  });
  return { ...lower, ...Object.fromEntries(both) };
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The caps of the delegations, as their figures were recorded. */
export function authorityOf({ facts }: Pick<DecidedRecord, 'facts'>): Authority {
  const caps = new Map<string, { jti: string; actions?: number; amounts?: Record<string, number> }>();
  for (const { limit, kind, max, unit } of facts.limits ?? []) {
    if (!limit.startsWith(CAP)) continue;
    const amount = kind === 'budget' && unit !== undefined;
    const jti = limit.slice(CAP.length, amount ? -(unit.length + 1) : undefined);
    const cap = caps.get(jti) ?? { jti };
    caps.set(jti, amount ? { ...cap, amounts: { ...cap.amounts, [unit]: max } } : { ...cap, actions: max });
  }
  return { credentials: [], caps: [...caps.values()] satisfies readonly DelegationCap[], above: facts.above ?? [] };
}

/** Whether a limit is the policy's own, not the budget of a standing approval: what those allow stays as it was. */
export function isOfPolicy({ limit }: { readonly limit: string }): boolean {
  return !limit.startsWith(STANDING);
}

/** Whether two bundles have the same text in a file, or both have none. Another text may say more. */
export function sameFile(one: Pick<PolicyBundle, 'files'>, other: Pick<PolicyBundle, 'files'>, file: string): boolean {
  return one.files[file] === other.files[file];
}
