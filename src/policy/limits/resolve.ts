/** Finds the limits that apply to an action, and what it needs of each. */
import type { Facts, Violation } from '../../action/decision.js';
import { CountersignError } from '../../action/errors.js';
import type { Json } from '../../action/json.js';
import type { LimitFigure } from '../../action/limits.js';
import type { Agent, Authority } from '../../action/principal.js';
import type { Policy } from '../compile.js';
import { clip } from '../reason.js';
import { amountOf, type CounterDemand } from './amounts.js';
import { capLimits } from './caps.js';
import { depthFigure } from './figures.js';
import { keysOf } from './keys.js';
import type { BudgetLimit, CountedLimit, DepthLimit } from './limit.js';
import { Reading, type LimitedProposal } from './reading.js';
import type { Measured, ResolvedLimit, ResolvedLimits } from './resolved.js';

/** The most counters of one action. Targets come from inputs, and each may be a counter of its own. */
const MAX_DEMANDS = 200;

/** Of an action to which no limit applies. */
export const NO_LIMITS_APPLY: ResolvedLimits = Object.freeze({ limits: [], exceeded: [], depths: [], measured: [] });

/**
 * Determines what an action needs of its policy's limits and of the caps of its delegations. A limit is evaluated for every agent of a
 * chain as if that agent did the action itself, so delegating does not evade a limit. The function is pure, and does nothing when the
 * policy has no limits and the authority no caps. The same action gives the same limits in the same order.
 *
 * @throws CountersignError POLICY_ERROR when a limit cannot be evaluated for this action: its CEL fails, is too costly, or yields an
 *   invalid value; an amount is negative or not finite; the action has too many counters
 */
export function resolveLimits(
  policy: Policy,
  facts: Facts,
  proposal: LimitedProposal,
  authority?: Authority,
): ResolvedLimits {
  const caps = authority?.caps ?? [];
  const { limits: declared } = policy.limits;
  if (declared.length === 0 && caps.length === 0) return NO_LIMITS_APPLY;
  const resolving = new LimitResolver(policy, facts, proposal, authority?.above);
  for (const limit of declared) resolving.add(limit);
  const capped = capLimits(caps, policy.limits, resolving.measured);
  const limits = [...resolving.limits, ...capped.limits];
  if (limits.length > MAX_DEMANDS) {
    throw new CountersignError('POLICY_ERROR', `The action falls under ${limits.length} counters of limits.`, {
      field: 'proposal.input',
      expected: `at most ${MAX_DEMANDS} counters`,
      fix: 'Split the action: each of its targets is a counter of its own.',
    });
  }
  const { depths, measured } = resolving;
  return { limits, exceeded: [...resolving.exceeded, ...capped.exceeded], depths, measured };
}

class LimitResolver {
  readonly limits: ResolvedLimit[] = [];
  readonly exceeded: Violation[] = [];
  readonly depths: LimitFigure[] = [];
  /** The amount that each budget measured. */
  readonly measured: Measured[] = [];
  readonly #facts: Facts;
  readonly #traceId: string | undefined;
  /** One reading for each agent of the chain. The agent that proposes comes first. */
  readonly #readings: readonly [Reading, ...Reading[]];

  constructor(policy: Policy, facts: Facts, proposal: LimitedProposal, above: readonly Agent[] | undefined) {
    this.#facts = facts;
    this.#traceId = proposal.traceId;
    policy.limits.evaluator?.begin();
    const reading = (agent: Agent): Reading => new Reading(policy.limits, { ...facts, agent }, proposal);
    this.#readings = [reading(facts.agent), ...chainAbove(facts.agent, above).map(reading)];
  }

  add(limit: CountedLimit | DepthLimit): void {
    const under = this.#readingsUnder(limit);
    if (under.length === 0) return;
    if (limit.kind === 'depth') return this.#depth(limit);
    if (limit.kind !== 'budget') return this.#counted(limit, under, () => demandOf(limit));
    const { kind, max, unit, window } = limit;
    const amounts = new Map<Reading, number>();
    for (const reading of under)
      amounts.set(reading, amounts.get(this.#sharedReading(limit, reading)) ?? reading.amount(limit));
    const settle = settleOf(limit, under);
    this.measured.push({ unit, amount: Math.max(...amounts.values()), ...(settle === undefined ? {} : { settle }) });
    this.#counted(
      limit,
      under,
      (reading) => ({
        kind,
        amount: amounts.get(reading) ?? 0,
        max,
        unit,
        ...(window === undefined ? {} : { window }),
      }),
      settle,
    );
  }

  /** The readings of those agents of the chain to which the limit applies. */
  #readingsUnder(limit: CountedLimit | DepthLimit): readonly Reading[] {
    if (limit.when?.readsAgent === true) return this.#readings.filter((reading) => reading.applies(limit));
    return this.#readings[0].applies(limit) ? this.#readings : [];
  }

  /** The reading whose amount is the same: an expression that does not read the agent is evaluated only once. */
  #sharedReading({ amount }: BudgetLimit, reading: Reading): Reading {
    return amount.readsAgent ? reading : this.#readings[0];
  }

  #depth({ id, max }: DepthLimit): void {
    const { agent } = this.#facts;
    const figure = depthFigure(id, max, agent.via?.length ?? 0);
    this.depths.push(figure);
    if (figure.fits) return;
    const reason = `${id}: ${figure.used} agents delegated to ${clip(agent.id)}, at most ${max} may`;
    this.exceeded.push({ policy: `limit:${id}`, reason });
  }

  /** Adds the counters of a limit. Agents that share a counter, because its scope does not distinguish them, need the largest amount. */
  #counted(
    { id, atLimit, scope }: CountedLimit,
    under: readonly Reading[],
    ask: (reading: Reading) => CounterDemand,
    settled?: (result: Json) => number,
  ): void {
    const first = this.#facts.agent.via?.[0] ?? this.#facts.agent.id;
    const byKey = new Map<string, CounterDemand>();
    for (const reading of under) {
      const demand = ask(reading);
      for (const key of keysOf(scope, this.#facts, { agent: reading.agent, first, traceId: this.#traceId })) {
        const other = byKey.get(key);
        if (other === undefined || amountOf(demand) > amountOf(other)) byKey.set(key, demand);
      }
    }
    for (const [key, demand] of byKey) {
      this.limits.push({
        demand: { limit: id, key, ...demand },
        atLimit,
        label: key === '' ? id : `${id} ${key}`,
        ...(settled === undefined ? {} : { settled }),
      });
    }
  }
}

/** The agents above an agent. Where they are not given, they have the agent's own attributes and only another id. */
function chainAbove(agent: Agent, above: readonly Agent[] | undefined): readonly Agent[] {
  const { via = [] } = agent;
  return via.map((id, index) => {
    const given = above?.[index];
    return { ...(given?.id === id ? given : { ...agent, id }), via: via.slice(0, index) };
  });
}

function settleOf(limit: BudgetLimit, under: readonly Reading[]): ((result: Json) => number) | undefined {
  const { settled } = limit;
  if (settled === undefined) return undefined;
  const readings = settled.readsAgent ? under : under.slice(0, 1);
  return (result) => Math.max(...readings.map((reading) => reading.settled(limit, settled, result)));
}

/** What a limit other than a budget asks of each of its counters. */
export function demandOf(limit: Exclude<CountedLimit, BudgetLimit>): CounterDemand {
  switch (limit.kind) {
    case 'count': {
      const { kind, max, window } = limit;
      return { kind, amount: 1, max, unit: 'actions', ...(window === undefined ? {} : { window }) };
    }
    case 'rate':
      return { kind: limit.kind, capacity: limit.capacity, refillMs: limit.refillMs };
    case 'concurrency':
      return { kind: limit.kind, max: limit.max };
    case 'breaker': {
      const { kind, windowMs, minimum, ratio, openMs, probes } = limit;
      return { kind, windowMs, minimum, ratio, openMs, probes };
    }
  }
}
