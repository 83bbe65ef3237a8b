/** Everything before the effect, in one local activity: propose ─ enforce ─ capture ─ authorize. It has no effect on the tool's system. */
import { Context } from '@temporalio/activity';
import { asCountersignError, CountersignError } from '../src/action/errors.js';
import type { Plan } from '../src/action/grant.js';
import { digest } from '../src/action/json.js';
import { progress } from '../src/action/quorum.js';
import { authorize, conflict, shownOf, standingApprovals } from './authorize.js';
import { capture, keep } from './capture.js';
import type { ActionRequest, Prepared } from './contract.js';
import type { Dependencies } from './deps.js';
import { enforce, factsOf } from './enforce.js';
import { authenticate, preview, resolve, type Authentic } from './propose.js';
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

  const known: { facts?: Plan['facts']; decision?: Plan['decision'] } = {};
  try {
    return await decide(authentic, tokens, known, watch, deps);
  } catch (thrown) {
    const error = asCountersignError(thrown);
    if (error.retryable || error.code === 'INTERNAL') throw error;
    const { outcome } = await settle({ authentic, status: 'denied', error, watch, ...known }, deps);
    return { kind: 'ended', outcome };
  }
}

async function decide(
  authentic: Authentic,
  tokens: readonly string[],
  known: { facts?: Plan['facts']; decision?: Plan['decision'] },
  watch: Stopwatch,
  deps: Dependencies,
): Promise<Prepared> {
  const signal = Context.current().cancellationSignal;
  const { tenant } = authentic.agent;

  // For good: an action that ended is answered from the record, even when its tool is gone.
  const earlier = deps.ledger.findAction(tenant, authentic.proposal.actionId);
  const proposing = watch.time('propose', async () => {
    const proposed = resolve(authentic, deps);
    if (belongsElsewhere(proposed.tool.taskQueue, deps)) return { proposed };
    return { proposed, preview: await preview(proposed, signal) };
  });
  const [recorded, proposal] = await Promise.allSettled([earlier, proposing]);
  if (recorded.status === 'rejected') throw asCountersignError(recorded.reason);
  if (recorded.value !== undefined) {
    if (recorded.value.digest !== authentic.digest) throw conflict(authentic.proposal.actionId, recorded.value.digest);
    if (recorded.value.outcome !== undefined) return { kind: 'ended', outcome: recorded.value.outcome };
  }
  if (proposal.status === 'rejected') throw asCountersignError(proposal.reason);
  const { proposed, preview: previewed } = proposal.value;
  if (previewed === undefined) return { kind: 'elsewhere', taskQueue: proposed.tool.taskQueue as string };

  const facts = factsOf(proposed, previewed, new Date());
  known.facts = facts;
  const decision = await watch.time('enforce', () => enforce(facts, proposed.tool, deps));
  known.decision = decision;
  if (decision.effect === 'deny') throw new CountersignError(decision.code ?? 'POLICY_DENIED', decision.reason);

  const captured = await watch.time('capture', async () => {
    const taken = await capture(proposed.tool, proposed.input, {}, signal);
    await keep(tenant, taken, deps);
    return taken;
  });
  // An expectation that is too costly on the real state is refused now, while nothing has been done.
  if (proposed.expectation !== undefined) await deps.expectations.rehearse(proposed.expectation, captured.state);
  const shown = shownOf(proposed, { facts, decision, pre: captured.snapshot });
  const { records, standing, dropped } = await standingApprovals(tokens, shown, deps);
  const plan: Plan = { facts, decision, approvals: records, pre: captured.snapshot };

  if (decision.effect === 'require_approval' && progress(decision.requirements, records).state !== 'approved') {
    return { kind: 'pending', plan, shown, shownDigest: digest(shown), standing, dropped };
  }
  const authorization = await watch.time('authorize', () => authorize(proposed, plan, deps));
  if (authorization.kind === 'ended') return authorization;
  return {
    kind: 'granted',
    plan,
    grant: authorization.grant,
    steps: watch.timings,
    effect: {
      timeoutMs: proposed.tool.timeoutMs,
      summary: `${previewed.summary} on ${proposed.tool.name} (${proposed.tool.environment})`.slice(0, 200),
    },
  };
}

function belongsElsewhere(taskQueue: string | undefined, deps: Dependencies): boolean {
  return taskQueue !== undefined && taskQueue !== deps.taskQueue;
}
