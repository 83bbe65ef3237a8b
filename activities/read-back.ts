/** Steps 6 and 7: the real system is read again and compared with what was promised. */
import { Context } from '@temporalio/activity';
import { CountersignError } from '../src/action/errors.js';
import type { Plan } from '../src/action/grant.js';
import type { Check } from '../src/action/outcome.js';
import type { Delta, Snapshot, State } from '../src/action/snapshot.js';
import type { Execution } from '../src/tools/tool.js';
import {
  allHold,
  awaitChecks,
  createDelta,
  deadlinesOf,
  verifyEffect,
  type Verification,
} from '../src/verify/index.js';
import { capture, keep, recall, type Captured } from './capture.js';
import type { Done } from './contract.js';
import type { Dependencies } from './deps.js';
import type { Proposed } from './propose.js';
import type { Settlement } from './settle.js';
import type { Stopwatch } from './step.js';

/** Reads the real system until it shows what was promised, or the time for that is over. */
export async function readBack(
  proposed: Proposed,
  plan: Plan,
  { execution, startedAt }: Done,
  watch: Stopwatch,
  deps: Dependencies,
): Promise<Omit<Settlement, 'authentic' | 'watch'>> {
  const context = Context.current();
  const pre = await recall(proposed.agent.tenant, plan.pre, deps);
  const reading = await awaitChecks(
    () => readOnce(proposed, plan, { pre, execution, startedAt }, watch, deps),
    deadlinesOf(proposed.proposal),
    {
      now: () => performance.now(),
      sleep: (ms) => {
        context.heartbeat();
        return context.sleep(ms);
      },
    },
  );
  return verdict(await withMeaning(reading, proposed, deps), execution);
}

/** Meaning is asked for last, once, and only of what holds: it can only take away from a success. */
async function withMeaning(
  reading: Reading,
  { proposal: { expectedOutcome }, digest }: Proposed,
  { verification }: Dependencies,
): Promise<Reading> {
  const { delta, checks } = reading;
  if (expectedOutcome === undefined || verification?.semantic === undefined || !allHold(checks)) return reading;
  const meant = await verification.semantic.check({ about: digest, expectedOutcome, delta, checks });
  return { ...reading, checks: [...checks, meant] };
}

interface Reading {
  readonly post: Snapshot;
  readonly delta: Delta;
  readonly checks: readonly Check[];
}

async function readOnce(
  { tool, input, proposal, agent }: Proposed,
  plan: Plan,
  { pre, execution, startedAt }: { pre: State; execution: Execution; startedAt: number },
  watch: Stopwatch,
  deps: Dependencies,
): Promise<Reading> {
  const signal = Context.current().cancellationSignal;
  const captured = await watch.time('recapture', async () => {
    const taken = await capture(tool, input, { after: { pre, execution } }, signal);
    await keep(agent.tenant, taken, deps);
    return taken;
  });
  const delta = createDelta(pre, captured.state, Date.now() - startedAt);
  const checks = await watch.time('verify', () =>
    verifyEffect({
      tool,
      input,
      preview: plan.facts.preview,
      pre,
      post: captured.state,
      delta,
      execution,
      ...(proposal.expect === undefined ? {} : { expect: proposal.expect }),
      constraints: plan.decision.constraints,
      invariants: deps.verification?.invariants.get(tool.name),
      sample: sampled(plan.pre, captured),
      runner: deps.expectations,
    }),
  );
  return { post: captured.snapshot, delta, checks };
}

function sampled({ sample: before }: Snapshot, { snapshot, unsampled }: Captured): Verification<unknown>['sample'] {
  if (before === undefined) return undefined;
  return { before, after: unsampled === undefined ? { state: snapshot.sample ?? {} } : { problem: unsampled } };
}

function verdict({ post, delta, checks }: Reading, { result }: Execution): Omit<Settlement, 'authentic' | 'watch'> {
  if (allHold(checks)) {
    return {
      status: 'success',
      reason: `Done and verified: ${checks.length} checks hold.`,
      post,
      delta,
      checks,
      result,
    };
  }
  const broken = checks.filter(({ ok }) => !ok).map(({ name, detail }) => `${name}: ${detail ?? 'does not hold'}`);
  const error = new CountersignError(
    'EXPECTATION_UNMET',
    `The system does not hold what was promised: ${broken.slice(0, 3).join('; ')}`,
    {
      ...(checks.length === 0 ? {} : { field: `checks.${checks.find(({ ok }) => !ok)?.name ?? ''}` }),
      fix: 'Compare the delta with the proposal; the pre-state is recorded.',
    },
  );
  return { status: 'mismatch', error, post, delta, checks, result };
}
