/** Everything before the effect, in one local activity: propose ─ enforce ─ capture ─ authorize. It has no effect on the tool's system. */
import { Context } from '@temporalio/activity';
import type { Preview } from '../src/action/decision.js';
import { asCountersignError, CountersignError } from '../src/action/errors.js';
import type { Plan } from '../src/action/grant.js';
import { digest } from '../src/action/json.js';
import type { ApprovalRecord } from '../src/action/outcome.js';
import { progress } from '../src/action/quorum.js';
import { signGrant } from '../src/trust/index.js';
import { admit, claimsOf, shownOf, standingApprovals } from './authorize.js';
import { capture, keep } from './capture.js';
import type { ActionRequest, Prepared } from './contract.js';
import type { Dependencies } from './deps.js';
import { enforce, factsOf } from './enforce.js';
import { authenticate, resolve, type Authentic, type Proposed } from './propose.js';
import { settle, settleUnauthenticated } from './settle.js';
import { Stopwatch } from './step.js';

/**
 * Nothing that an earlier call found is taken on trust: a call with people's decisions authenticates, previews, decides and
 * captures again, so a grant rests only on what is signed and what is true now.
 */
export async function prepare(
  request: ActionRequest,
  tokens: readonly string[],
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

  const known: Known = {};
  try {
    return await decide(authentic, tokens, known, watch, deps);
  } catch (thrown) {
    const error = asCountersignError(thrown);
    if (error.retryable || error.code === 'INTERNAL') throw error;
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
  tokens: readonly string[],
  known: Known,
  watch: Stopwatch,
  deps: Dependencies,
): Promise<Prepared> {
  const signal = Context.current().cancellationSignal;
  const looked = await look(authentic, watch, signal, deps);
  if (looked.kind === 'elsewhere') return looked;
  const { proposed, preview: previewed, capturing } = looked;

  const facts = factsOf(proposed, previewed, new Date());
  known.facts = facts;
  const admitting = watch.time('authorize', () => admit(proposed, previewed.targets, deps));
  // An action that is denied first does not care how it went.
  admitting.catch(() => {});
  const decision = await watch.time('enforce', () => enforce(facts, proposed.tool, deps));
  known.decision = decision;
  if (decision.effect === 'deny') throw new CountersignError(decision.code ?? 'POLICY_DENIED', decision.reason);

  // Nobody is asked about an action that has ended, conflicts or is frozen.
  const admitted = await admitting;
  if (admitted.kind === 'ended') return admitted;
  const captured = await capturing;
  await keep(authentic.agent.tenant, captured, deps);
  // An expectation that is too costly on the real state is refused now, while nothing has been done.
  if (proposed.expectation !== undefined) await deps.expectations.rehearse(proposed.expectation, captured.state);
  let approvals: readonly ApprovalRecord[] = [];
  if (decision.effect === 'require_approval') {
    const shown = shownOf(proposed, { facts, decision, pre: captured.snapshot });
    const { records, standing, dropped } = await standingApprovals(tokens, shown, deps);
    if (progress(decision.requirements, records).state !== 'approved') {
      const plan: Plan = { facts, decision, approvals: records, pre: captured.snapshot };
      return { kind: 'pending', plan, shown, shownDigest: digest(shown), standing, dropped };
    }
    approvals = records;
  }
  const plan: Plan = { facts, decision, approvals, pre: captured.snapshot };
  const claims = claimsOf(proposed, plan, admitted);
  const grant = await watch.time('authorize', () => signGrant(deps.keyring, claims));
  const steps = watch.timings;
  deps.recent.keep({ proposed, plan, grant: claims, steps });
  return { kind: 'granted', plan, grant, steps, effect: { timeoutMs: proposed.tool.timeoutMs } };
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
