/** The activity `settle`: records the end of an action without an effect, and the reason. */
import { asCountersignError, CountersignError, type ErrorView } from '../src/action/errors.js';
import { progress, refusalBy } from '../src/action/quorum.js';
import type { ApprovalRecord } from '../src/action/outcome.js';
import { EMPTY_SNAPSHOT } from '../src/action/snapshot.js';
import { authorOf, type Author } from './author.js';
import { countDecisions } from './approvals.js';
import type { Activities, Concluded, Enforced, PreState, Queued, Refused, SettleInput } from './contract.js';
import type { Dependencies } from './deps.js';
import { recordOutcome, recordUnauthenticated, type OutcomeSettlement } from './record-outcome.js';
import { editedRequest } from './edits.js';
import { shownOf } from './request-approval.js';
import { fromView, openReport, usesOf } from './effect-reports.js';
import { recordsOf } from './step-digests.js';
import { redactorOf, StepRun } from './step.js';

export async function settle(input: SettleInput, deps: Dependencies): ReturnType<Activities['settle']> {
  return recordEnding(input, {}, deps);
}

/** Records the end of an action without an effect. `ruledOut`: it is certain that no earlier run made the effect either. */
export async function recordEnding(
  input: SettleInput,
  { ruledOut }: { readonly ruledOut?: 'all' },
  deps: Dependencies,
): Promise<Concluded> {
  const { request, attempts, steps } = input;
  const run = new StepRun('enforce', request.proposal, deps);
  let author: Author;
  try {
    author = await authorOf(request, deps);
  } catch (thrown) {
    const error = asCountersignError(thrown);
    if (error.retryable || error.code === 'INTERNAL') throw error;
    return { kind: 'complete', outcome: await recordUnauthenticated(request, error, deps) };
  }
  const { prior, ending } = await readEnding(input, run, deps);
  const uses = usesOf(attempts.map((attempt) => openReport(attempt, run)));
  const recorded = await recordOutcome(
    {
      author,
      ...prior,
      ...ending,
      ruledOut: ruledOut ?? uses,
      records: recordsOf(run, input.named ?? {}),
      steps: { ...steps, settle: run.tookMs },
    },
    deps,
  );
  return recorded.kind === 'effect_possible' ? recorded : { kind: 'complete', outcome: recorded.outcome };
}

/** Reads why the action ended. When a record was not sealed by a step of this action, the receipt states only that. */
async function readEnding(
  input: SettleInput,
  run: StepRun,
  deps: Dependencies,
): Promise<{ prior: PriorRecords; ending: Ending }> {
  try {
    const prior = priorRecords(input, run);
    return { prior, ending: await endingOf(input, prior, run, deps) };
  } catch (thrown) {
    const error = asCountersignError(thrown);
    if (error.code !== 'SEAL_INVALID') throw error;
    return { prior: {}, ending: { status: 'denied', error } };
  }
}

type PriorRecords = Pick<OutcomeSettlement, 'facts' | 'decision' | 'pre'>;

function priorRecords({ ending, enforced, pre }: SettleInput, run: StepRun): PriorRecords {
  const refused = ending.kind === 'refused' ? run.open<Refused>(ending.step, ending) : undefined;
  const from = refused?.facts === undefined ? enforced && run.open<Enforced>('enforce', enforced) : refused;
  const captured = pre && run.open<PreState>('capturePreState', pre);
  return {
    ...(from?.facts === undefined ? {} : { facts: from.facts }),
    ...(from?.decision === undefined ? {} : { decision: from.decision }),
    ...(captured === undefined ? {} : { pre: captured.snapshot }),
  };
}

type Ending = Pick<OutcomeSettlement, 'status' | 'error' | 'approvals' | 'facts' | 'decision' | 'revisedBy' | 'edited'>;

async function endingOf(
  { request, ending }: SettleInput,
  prior: PriorRecords,
  run: StepRun,
  deps: Dependencies,
): Promise<Ending> {
  switch (ending.kind) {
    case 'refused':
      return { status: 'denied', error: fromView(ending.error) };
    case 'cancelled': {
      const error = fromView({ code: 'CANCELLED', message: CANCELLED[ending.during] });
      if (ending.during !== 'queue') return { status: 'cancelled', error };
      const { facts, decision } = run.open<Queued>('enforce', ending.queued);
      return { status: 'cancelled', error, facts, decision };
    }
    case 'expired': {
      const { expiresAt } = ending;
      const by = Number.isNaN(Date.parse(expiresAt)) ? 'in time' : `by ${new Date(expiresAt).toISOString()}`;
      return { status: 'expired', error: fromView({ code: 'APPROVAL_EXPIRED', message: `Nobody decided ${by}.` }) };
    }
    case 'decided': {
      const approvals = await decisionsOf(request, ending.tokens, prior, deps);
      const requirements = prior.decision?.requirements ?? [];
      const error = fromView(refusalBy(progress(requirements, approvals), approvals));
      const by = approvals.find((approval) => approval.edited !== undefined);
      if (error.code !== 'CHANGES_REQUESTED' || by?.edited === undefined) return { status: 'denied', error, approvals };
      const edited = editedRequest(request, ending, by);
      const revisedBy = by.edited.actionId;
      return { status: 'denied', error, approvals, revisedBy, ...(edited === undefined ? {} : { edited }) };
    }
    case 'no_room': {
      const { facts, decision, reason, inVain } = run.open<Queued>('enforce', ending.queued);
      if (inVain !== undefined) {
        const { code = 'POLICY_DENIED', reason: why } = inVain;
        return { status: 'denied', error: fromView({ code, message: why }), facts, decision: inVain };
      }
      return { status: 'denied', error: fromView({ code: 'LIMIT_EXCEEDED', message: reason }), facts, decision };
    }
    case 'step_failed':
      return { status: 'denied', error: stepFailed(ending.error) };
  }
}

const CANCELLED = {
  approval: 'Cancelled while it waited for people.',
  queue: 'Cancelled while it waited for room.',
  pipeline: 'Cancelled before the effect.',
} as const;

/** Verifies once more the decisions that people signed on what they were shown. */
async function decisionsOf(
  request: SettleInput['request'],
  tokens: readonly string[],
  { facts, decision, pre: captured }: PriorRecords,
  deps: Dependencies,
): Promise<readonly ApprovalRecord[]> {
  const pre = captured ?? (facts?.actionType === 'READ' ? EMPTY_SNAPSHOT : undefined);
  if (facts === undefined || decision === undefined || pre === undefined) return [];
  const shown = shownOf(request, { facts, decision, pre }, await redactorOf(request, deps));
  return (await countDecisions(tokens, shown, decision.policyDigest, deps)).records;
}

/** Only Temporal reported this error, so it may say that a step could not be carried out, and nothing else. */
function stepFailed({ code, message, retryAfterMs }: ErrorView): CountersignError {
  return new CountersignError(code, message.slice(0, 1_000), {
    fix: 'Nothing was done. Propose again under a new actionId when the system is back.',
    retryAfterMs: typeof retryAfterMs === 'number' ? retryAfterMs : undefined,
  });
}
