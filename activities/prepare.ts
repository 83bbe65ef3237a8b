/** Everything before the effect, in one local activity: propose ─ enforce ─ capture ─ authorize. It has no effect on the tool's system. */
import { Context } from '@temporalio/activity';
import type { Decision, Facts, Preview } from '../src/action/decision.js';
import { asCountersignError, CountersignError, type Problem } from '../src/action/errors.js';
import type { Plan } from '../src/action/grant.js';
import { digest } from '../src/action/json.js';
import type { HoldRequest, LimitReading } from '../src/action/limits.js';
import { progress } from '../src/action/quorum.js';
import type { State } from '../src/action/snapshot.js';
import type { Measured, Policy, ResolvedLimits } from '../src/policy/index.js';
import { signGrant, type WarrantClaims } from '../src/trust/index.js';
import { rehearseInvariants } from '../src/verify/index.js';
import { standingApprovals } from './approvals.js';
import { admit, claimsOf, shownOf, type Admitted } from './authorize.js';
import { capture, keep } from './capture.js';
import { concludesAtOnce } from './carry-out.js';
import type { ActionRequest, Prepared, PrepareOptions } from './contract.js';
import type { Dependencies } from './deps.js';
import { enforce, factsOf } from './enforce.js';
import { inAdvance, needed, type InAdvance } from './in-advance.js';
import { denied, limitsMet, rule } from './limits.js';
import { assertRevises, authenticate, resolve, type Authentic, type Proposed } from './propose.js';
import { settle, settleUnauthenticated } from './settle.js';
import { Stopwatch } from './step.js';

/**
 * Nothing that an earlier call found is taken on trust: a call with people's decisions authenticates, previews, decides and
 * captures again, so a grant rests only on what is signed and what is true now.
 */
export async function prepare(
  request: ActionRequest,
  tokens: readonly string[],
  options: PrepareOptions,
  deps: Dependencies,
): Promise<Prepared> {
  const watch = new Stopwatch();
  let authentic: Authentic;
  try {
    authentic = await watch.time('propose', () => authenticate(request, deps));
  } catch (thrown) {
    const error = asCountersignError(thrown);
    if (error.retryable || error.code === 'INTERNAL') throw error;
    return { kind: 'ended', outcome: await settleUnauthenticated(request, error, deps) };
  }

  // Of a chain of delegations the first: it could make any number of others.
  const { tenant, id, via: [first = id] = [] } = authentic.agent;
  const accountable = `${tenant}/${first}`;
  await deps.turns.take(accountable);
  const known: Known = {};
  try {
    return await decide(authentic, { ...options, tokens }, known, watch, deps);
  } catch (thrown) {
    const error = asCountersignError(thrown);
    if (error.retryable || error.code === 'INTERNAL') throw error;
    deps.turns.refused(accountable);
    const { outcome } = await settle({ authentic, status: 'denied', error, watch, ...unseen(known) }, deps);
    return { kind: 'ended', outcome };
  }
}

/** Whoever is refused must not learn from the refusal what the rows hold. */
function unseen({ facts, ...rest }: Known): Known {
  return facts === undefined ? rest : { ...rest, facts: { ...facts, preview: { ...facts.preview, sample: [] } } };
}

async function decide(
  authentic: Authentic,
  { tokens, patienceOver = false }: PrepareOptions & { readonly tokens: readonly string[] },
  known: Known,
  watch: Stopwatch,
  deps: Dependencies,
): Promise<Prepared> {
  const signal = Context.current().cancellationSignal;
  await assertRevises(authentic, deps);
  const looked = await look(authentic, watch, signal, deps);
  if (looked.kind === 'elsewhere') return looked;
  const { proposed, preview, capturing } = looked;
  const policy = deps.policy.current();
  const facts = factsOf(proposed, preview, new Date(), policy);
  known.facts = facts;
  policy.checkInput(facts);
  const met = limitsMet(policy, facts, authentic);
  const measured = met?.measured ?? [];
  const asked: Asked = { proposed, facts, policy, capturing, tokens, patienceOver, measured, known, watch, deps };
  return met === undefined ? unlimited(asked) : limited(asked, met);
}

/** One call of `prepare`, once the real system was looked at. */
interface Asked {
  readonly proposed: Proposed;
  readonly facts: Facts;
  readonly policy: Policy;
  readonly capturing: ReturnType<typeof capture>;
  readonly tokens: readonly string[];
  readonly patienceOver: boolean;
  readonly measured: readonly Measured[];
  readonly known: Known;
  readonly watch: Stopwatch;
  readonly deps: Dependencies;
}

/** No limit says anything of it: it is admitted while policy decides. */
async function unlimited(asked: Asked): Promise<Prepared> {
  const { proposed, facts, policy, known, watch } = asked;
  const admitting = register(asked);
  // An action that is denied first does not care how it went.
  admitting.catch(() => {});
  const decision = await watch.time('enforce', () => enforce(policy, facts, proposed.tool));
  known.decision = decision;
  refuseDenied(decision);

  // Nobody is asked about an action that has ended, conflicts or is frozen.
  const admitted = await admitting;
  if (admitted.kind === 'ended') return admitted;
  if (decision.effect !== 'require_approval') {
    const planned = await planOf(asked, facts, decision);
    return planned.kind === 'pending' ? planned : grant(asked, planned, admitted);
  }
  const answered = await grantOrAsk(asked, facts, decision, []);
  if (answered.kind !== 'lost') return answered;
  throw new CountersignError('INTERNAL', 'The ledger found no room for nothing.');
}

/** An action that others beat to the last room is ruled on anew; that ends, because then the figures say so. */
const MAX_RACES = 5;

/** Nothing is held while anybody waits: what an action asks of its limits is placed with its grant, in one statement. */
async function limited(asked: Asked, met: ResolvedLimits): Promise<Prepared> {
  const { proposed, facts: before, policy, patienceOver, known, watch, deps } = asked;
  const { tenant } = proposed.agent;
  const demands = met.limits.map(({ demand }) => demand);
  let readings = await watch.time('authorize', () =>
    deps.ledger.limits.read(tenant, proposed.proposal.actionId, demands),
  );
  for (let races = 0; ; races++) {
    const { facts, decision, problem, queue, holds } = await watch.time('enforce', () =>
      rule(policy, before, proposed, met, readings),
    );
    known.facts = facts;
    known.decision = decision;
    refuseDenied(decision, problem);
    if (queue !== undefined && (patienceOver || races === MAX_RACES)) {
      known.decision = denied(decision, 'LIMIT_EXCEEDED', queue.reason);
      refuseDenied(known.decision);
    }

    if (queue !== undefined) {
      const admitted = await register(asked, []);
      if (admitted.kind === 'ended') return admitted;
      const { reason, retryAfterMs, patienceMs } = queue;
      return { kind: 'queued', reason, retryAfterMs, patienceMs, facts, decision };
    }
    const answered = await grantOrAsk(asked, facts, decision, holds);
    if (answered.kind !== 'lost') return answered;
    readings = answered.readings;
    if (races === MAX_RACES) throw new CountersignError('LIMIT_EXCEEDED', 'Others took the room that was left.');
  }
}

/** Others took the room that an action asked of its limits: it is ruled on anew. */
interface Lost {
  readonly kind: 'lost';
  readonly readings: readonly LimitReading[];
}

/**
 * Admits the action with what it holds of its limits and of the standing approvals it needs, all or none, and grants it; or else asks
 * people. A standing approval whose budget others were quicker to use is left alone: that denies nothing.
 */
async function grantOrAsk(
  asked: Asked,
  facts: Facts,
  decision: Decision,
  holds: readonly HoldRequest[],
): Promise<Prepared | Lost> {
  const used = new Set<string>();
  for (;;) {
    const planned = await planOf(asked, facts, decision, used);
    if (planned.kind === 'pending') {
      const admitted = await register(asked, []);
      return admitted.kind === 'ended' ? admitted : ask(asked, planned);
    }
    const { given } = planned;
    const admitted = await admission(asked, [...holds, ...given.flatMap((one) => one.holds)]);
    if (admitted.kind === 'ended') return admitted;
    if (admitted.kind === 'admitted') return grant(asked, planned, admitted);
    const unfit = new Set(admitted.limits.slice(holds.length).flatMap(({ limit, fits }) => (fits ? [] : [limit])));
    const lost = given.filter((one) => one.holds.some(({ limit }) => unfit.has(limit)));
    const readings = admitted.limits.slice(0, holds.length);
    if (lost.length === 0 || readings.some(({ fits }) => !fits)) return { kind: 'lost', readings };
    for (const { record } of lost) used.add(record.digest);
  }
}

/** Whoever may decide finds it in the ledger. */
async function ask({ proposed, tokens, deps }: Asked, pending: Pending): Promise<Pending> {
  const { shown, shownDigest, plan } = pending;
  const { tenant, via = [] } = proposed.agent;
  const { actionId } = proposed.proposal;
  const { decision, approvals: given } = plan;
  await deps.ledger.approvalRequests.open({
    tenant,
    actionId,
    shown,
    shownDigest,
    decision,
    given,
    renewed: tokens.length > 0,
    via,
  });
  return deps.notifier !== undefined ? { ...pending, announce: true } : pending;
}

function refuseDenied({ effect, code, reason }: Decision, problem: Problem = {}): void {
  if (effect === 'deny') throw new CountersignError(code ?? 'POLICY_DENIED', reason, problem);
}

function admission({ proposed, facts, watch, deps }: Asked, holds?: readonly HoldRequest[]) {
  return watch.time('authorize', () => admit(proposed, facts.preview.targets, deps, holds));
}

/** Admits the action without asking anything of limits. */
async function register(asked: Asked, holds?: readonly []): Promise<Admitted | Ended> {
  const admitted = await admission(asked, holds);
  if (admitted.kind !== 'limited') return admitted;
  throw new CountersignError('INTERNAL', 'The ledger found no room for nothing.');
}

type Ended = Extract<Prepared, { kind: 'ended' }>;
type Pending = Extract<Prepared, { kind: 'pending' }>;

interface Planned {
  readonly kind: 'planned';
  readonly plan: Plan;
  /** The standing approvals it rests on. */
  readonly given: readonly InAdvance[];
}

/**
 * The plan with the decisions of people that it needs, given now or in advance, or that more of them are needed. `used`: the standing
 * approvals that have no room, by the digests of their statements.
 */
async function planOf(
  asked: Asked,
  facts: Facts,
  decision: Decision,
  used: ReadonlySet<string> = new Set(),
): Promise<Planned | Pending> {
  const { proposed, capturing, tokens, measured, deps } = asked;
  const captured = await capturing;
  await keep(proposed.agent.tenant, captured, deps);
  // An expectation that is too costly on the real state is refused now, while nothing has been done.
  await rehearse(proposed, captured.state, deps);
  const pre = captured.snapshot;
  if (proposed.warrant !== undefined && pre.digest !== proposed.warrant.preDigest) throw movedOn(proposed.warrant);
  if (decision.effect !== 'require_approval') {
    return { kind: 'planned', plan: { facts, decision, approvals: [], pre }, given: [] };
  }
  const { requirements } = decision;
  const shown = shownOf(proposed, { facts, decision, pre });
  const { records, standing, dropped } = await standingApprovals(tokens, shown, decision.policyDigest, deps);
  const plan: Plan = { facts, decision, approvals: records, pre };
  if (progress(requirements, records).state === 'approved') return { kind: 'planned', plan, given: [] };

  const all = await inAdvance(proposed, facts, shown, measured, deps);
  const given = all.filter(({ record }) => !used.has(record.digest));
  const enough = needed(requirements, records, given);
  if (enough !== undefined) return { kind: 'planned', plan: withGiven(plan, enough), given: enough };
  const approvals = [...records, ...given.map(({ record }) => record)];
  return { kind: 'pending', plan: { ...plan, approvals }, shown, shownDigest: digest(shown), standing, dropped };
}

/** With their yeses among the approvals, and with what was left of their budgets among the figures. */
function withGiven(plan: Plan, given: readonly InAdvance[]): Plan {
  const { facts, approvals } = plan;
  const figures = given.flatMap((one) => one.figures);
  return {
    ...plan,
    facts: figures.length === 0 ? facts : { ...facts, limits: [...(facts.limits ?? []), ...figures] },
    approvals: [...approvals, ...given.map(({ record }) => record)],
  };
}

/** What somebody changed since is not overwritten in order to undo what was before. */
function movedOn({ cause: { actionId } }: WarrantClaims): CountersignError {
  return new CountersignError(
    'STATE_CHANGED',
    `The system has changed since it was to be undone what ${actionId} did.`,
    {
      field: 'preDigest',
      fix: 'Look at what changed; then try again, or accept that it is not undone.',
    },
  );
}

async function rehearse({ tool, expectations }: Proposed, state: State, deps: Dependencies): Promise<void> {
  for (const expectation of expectations) await deps.expectations.rehearse(expectation, state);
  const invariants = deps.verification?.invariants.get(tool.name);
  if (invariants !== undefined) await rehearseInvariants(invariants, state, deps.expectations);
}

async function grant(asked: Asked, { plan, given }: Planned, admitted: Admitted): Promise<Prepared> {
  const { proposed, tokens, watch, deps } = asked;
  const { keyring, ledger, recent } = deps;
  const own = claimsOf(proposed, plan, admitted);
  // What a standing approval rests on, the grant rests on too: revoked or withdrawn, it is void up to the instant of the effect.
  const credentials = [...(own.credentials ?? []), ...given.flatMap((one) => one.credentials)];
  const claims = { ...own, credentials: [...new Set(credentials)] };
  const { tenant, actionId } = claims;
  const token = await watch.time('authorize', () => signGrant(keyring, claims));
  if (tokens.length > 0) await ledger.approvalRequests.close({ tenant, actionId });
  const { tool } = proposed;
  const steps = watch.timings;
  recent.keep({ proposed, plan, grant: claims, steps });
  return {
    kind: 'granted',
    plan,
    grant: token,
    effect: { timeoutMs: tool.timeoutMs },
    // What concludes in the effect's own activity has them from here.
    ...(concludesAtOnce(proposed) ? {} : { steps }),
  };
}

/** What was found out before something refused. */
interface Known {
  facts?: Plan['facts'];
  decision?: Plan['decision'];
}

type Looked =
  | { readonly kind: 'elsewhere'; readonly taskQueue: string }
  | {
      readonly kind: 'here';
      readonly proposed: Proposed;
      readonly preview: Preview;
      readonly capturing: ReturnType<typeof capture>;
    };

/** Reads the real system: what policy decides on, and at the same time what is captured if policy lets the action go on. */
async function look(authentic: Authentic, watch: Stopwatch, signal: AbortSignal, deps: Dependencies): Promise<Looked> {
  const proposed = resolve(authentic, deps);
  const { tool, input } = proposed;
  if (tool.taskQueue !== undefined && tool.taskQueue !== deps.taskQueue) {
    return { kind: 'elsewhere', taskQueue: tool.taskQueue };
  }
  const capturing = watch.time('capture', () => capture(tool, input, {}, signal));
  // Whoever needs it awaits it; an action that is refused first does not care how it went.
  capturing.catch(() => {});
  const previewed = await watch.time('propose', () => tool.preview(input, { signal }));
  // What a read would return is its result, not something to be shown before it is allowed.
  const preview = proposed.actionType === 'READ' ? { ...previewed, sample: [] } : previewed;
  return { kind: 'here', proposed, preview, capturing };
}
