/** The state of one action while its workflow runs, and the messages that read or change it. */
import { allHandlersFinished, CancellationScope, condition, setHandler, workflowInfo } from '@temporalio/workflow';
import type {
  ActionRequest,
  EffectReport,
  Enforced,
  Granted,
  LookAgain,
  NamedRecords,
  Pending,
  PreState,
  Proposed,
  Queued,
  Sealed,
  StepRecord,
} from '../activities/contract.js';
import type { ErrorView } from '../src/action/errors.js';
import type { Proposal } from '../src/action/proposal.js';
import type { ActionView, Outcome, OutcomeReply, Phase, Step, StepTimings } from '../src/action/outcome.js';
import { refuse } from './failures.js';
import { Ends } from './interruptions.js';
import { decideSignal, decideUpdate, outcomeUpdate, restateUpdate, viewQuery, type Restatement } from './messages.js';
import { People } from './people.js';
import { showOutcome, showQueued, showSteps } from './temporal-ui.js';

/** Between two looks at a limit, milliseconds. Every look costs events in history, so whoever has waited long looks seldom. */
const PAUSE = { shortest: 250, longest: 5 * 60_000, shareOfWaited: 1 / 4 } as const;

/** How often the words of a repeated call are kept: an agent must not fill the history, which ends the workflow. */
const MAX_RESTATED = 20;

/** How often the action looks again because others were quicker, or because its records became too old. */
const MAX_LOOKS = 5;

export class Action {
  readonly request: ActionRequest;
  readonly tenant: string;
  readonly actionId: string;
  /** The workflow's own scope: what runs in it is told of a cancellation. */
  readonly cancellable = CancellationScope.current();
  /** Set when the steps that touch the tool's system belong on a task queue of their own. */
  taskQueue: string | undefined;
  /** What the steps last found: what is recorded where the action ends before its effect. */
  enforced: Sealed<Enforced> | undefined;
  pre: Sealed<PreState> | undefined;
  /** Named by the receipt, and read by no step after the next. */
  proposed: Sealed<Proposed> | undefined;
  granted: Sealed<Granted> | undefined;
  /** Attempts to make the effect that are known to have had none. */
  readonly attempts: Sealed<EffectReport>[] = [];
  /** Whether the action has waited for room as long as it may. */
  maxWaitOver = false;

  #phase: Phase = 'preparing';
  #steps: { readonly [step in Step]?: number } = {};
  /** What each step came to, for the Temporal UI. */
  readonly #lines = new Map<Step, string>();
  readonly #people = new People(this);
  readonly #looks = { limits: 0, history: 0, standing_approvals: 0, stale_records: 0 };
  #outcome: Outcome | undefined;
  #unrecorded: ErrorView | undefined;
  /** How often the agent said the same in other words. */
  #restated = 0;
  /** When the action first had to wait. Milliseconds since the epoch. */
  #queuedAt: number | undefined;
  /** Callers who wait to be told. Not a condition: that would end with a cancellation. */
  #waiting: ((reply: OutcomeReply) => void)[] = [];

  constructor(request: ActionRequest) {
    this.request = shaped(request);
    const { workflowId } = workflowInfo();
    const slash = workflowId.indexOf('/');
    this.tenant = workflowId.slice(0, slash);
    this.actionId = workflowId.slice(slash + 1);

    setHandler(viewQuery, () => this.#view());
    setHandler(outcomeUpdate, () => this.#reply(), {
      validator: (digest) => this.#sameProposal(digest),
    });
    // The history keeps what was said, and nobody acts on it.
    const keep = (_restatement: Restatement): void => {
      this.#restated++;
    };
    setHandler(restateUpdate, keep, {
      validator: (_restatement: Restatement) => this.#mayRestate(),
    });
    setHandler(decideUpdate, (token, edited) => uncancelled(() => this.#people.decide(token, edited)), {
      validator: (_token: string, _edited?: Proposal) => {
        this.#people.assertAsked();
      },
    });
    setHandler(decideSignal, (token, edited) => uncancelled(() => this.#people.decideUnanswered(token, edited)));
  }

  get phase(): Phase {
    return this.#phase;
  }

  get cancelRequested(): boolean {
    return this.cancellable.consideredCancelled || this.request.cancelled === true;
  }

  /** The decisions signed so far for what is shown now. */
  get tokens(): readonly string[] {
    return this.#people.tokens;
  }

  /** The action that a person made of this one, where they edited it. */
  get edited(): ActionRequest | undefined {
    return this.#people.edited;
  }

  /** What the receipt names beside what the last step reads. */
  get named(): NamedRecords {
    const { proposed, pre, granted } = this;
    return {
      ...(proposed === undefined ? {} : { proposed }),
      ...(pre === undefined ? {} : { pre }),
      ...(granted === undefined ? {} : { granted }),
    };
  }

  /** How long each step took. */
  get steps(): StepTimings {
    return this.#steps;
  }

  /** Others keep taking the budgets of standing approvals: people are asked. */
  get withoutStandingApprovals(): boolean {
    return this.#looks.standing_approvals >= MAX_LOOKS;
  }

  /** The action has looked again often enough. */
  get lastLook(): boolean {
    const { limits, history, stale_records: stale } = this.#looks;
    return Math.max(limits, history, stale) >= MAX_LOOKS;
  }

  looksAgain(because: LookAgain['because']): void {
    this.#looks[because]++;
  }

  enter(phase: 'preparing' | 'executing' | 'verifying'): void {
    this.#phase = phase;
    this.#people.close();
  }

  /** Notes what a step came to. */
  did(step: Step, { tookMs }: StepRecord, line: string): void {
    this.#steps = { ...this.#steps, [step]: tookMs };
    this.#lines.set(step, line);
    showSteps(this.#lines);
  }

  /** @throws Ends */
  stopIfCancelled(): void {
    if (this.cancelRequested) throw new Ends({ kind: 'cancelled', during: 'pipeline' });
  }

  /** Shows people what would be done, and waits until enough of them have said yes. @throws Ends */
  async waitForPeople(pending: Pending): Promise<void> {
    this.#people.show(pending);
    this.#tell();
    this.#phase = 'pending';
    const stopped = await this.#people.decided();
    if (stopped !== undefined) throw new Ends(stopped);
  }

  /** Waits for a limit to have room again, or for what must come before the action. The last look is when the longest wait is over. @throws Ends */
  async waitForRoom(queued: Sealed<Queued>): Promise<void> {
    const { facts, reason, retryAfterMs, maxWaitMs, inVain } = queued;
    const now = Date.now();
    const first = this.#queuedAt === undefined;
    this.#queuedAt ??= now;
    const waitedMs = now - this.#queuedAt;
    const leftMs = maxWaitMs - waitedMs;
    if (leftMs <= 0) throw new Ends({ kind: 'no_room', queued });
    const pauseMs = Math.min(leftMs, pauseInQueue(waitedMs, retryAfterMs));
    this.maxWaitOver = pauseMs === leftMs;
    this.#phase = 'queued';
    const until = new Date(now + leftMs).toISOString();
    showQueued(facts, { reason, until, first, for: inVain === undefined ? 'room' : 'earlier actions' });

    await condition(() => this.cancelRequested, pauseMs);
    if (this.cancelRequested) throw new Ends({ kind: 'cancelled', during: 'queue', queued });
  }

  /** A cancellation ends it early. */
  async pause(ms: number): Promise<void> {
    await condition(() => this.cancelRequested, Math.min(ms, PAUSE.longest));
  }

  /** Lets callers go before the workflow has ended: nothing can be recorded now. */
  cannotRecord(error: ErrorView): void {
    this.#unrecorded = error;
    this.#tell();
  }

  /** Tells everybody, and returns the outcome once that is done. */
  async end(outcome: Outcome): Promise<Outcome> {
    this.#phase = 'ended';
    this.#people.close();
    this.#outcome = outcome;
    this.#tell();
    showOutcome(outcome, this.#lines);
    await this.#people.sendFinalNotification();
    if (!allHandlersFinished()) await condition(allHandlersFinished);
    return outcome;
  }

  #view(): ActionView {
    const { pending, approvals, refused } = this.#people;
    return {
      phase: this.#phase,
      tenant: this.tenant,
      actionId: this.actionId,
      proposalDigest: this.request.digest,
      tool: this.request.proposal.tool,
      ...(pending === undefined ? {} : { pending }),
      approvals,
      refusedApprovals: refused,
      cancelRequested: this.cancelRequested,
      ...(this.#outcome === undefined ? {} : { outcome: this.#outcome }),
    };
  }

  /** Between two looks at people, while everything is looked at again, there is nothing to tell for a moment. */
  #reply(): Promise<OutcomeReply> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#tell();
    });
  }

  #tell(): void {
    const reply = this.#told();
    if (reply === undefined) return;
    for (const answer of this.#waiting) answer(reply);
    this.#waiting = [];
  }

  #told(): OutcomeReply | undefined {
    if (this.#outcome !== undefined) return { kind: 'outcome', outcome: this.#outcome };
    if (this.#unrecorded !== undefined) return { kind: 'unrecorded', error: this.#unrecorded };
    const { pending } = this.#people;
    return pending === undefined ? undefined : { kind: 'pending', pending };
  }

  /** Has no effect: a validator calls it. */
  #mayRestate(): void {
    if (this.#restated < MAX_RESTATED && this.#phase !== 'ended') return;
    throw refuse('NOT_PENDING', `Action ${this.actionId} keeps no more words of repeated calls.`);
  }

  #sameProposal(digest: string): void {
    if (digest === this.request.digest) return;
    throw refuse(
      'ACTION_CONFLICT',
      `Action ${this.actionId} was proposed before with another tool, input or expectation (${this.request.digest}).`,
      'Use a new actionId for a new action; repeat the same tool, input and expectation to get the recorded outcome.',
    );
  }
}

/** What a caller asked for is finished, also when the action is cancelled meanwhile. */
function uncancelled<T>(answer: () => Promise<T>): Promise<T> {
  return CancellationScope.nonCancellable(answer);
}

/** Anybody with access to Temporal can start a workflow with anything: it is refused in a step, for which it needs a shape. */
function shaped(request: Partial<ActionRequest> | null | undefined): ActionRequest {
  return {
    proposal: request?.proposal ?? ({} as ActionRequest['proposal']),
    digest: String(request?.digest) as ActionRequest['digest'],
    signature: String(request?.signature),
    ...(request?.cancelled === true ? { cancelled: true } : {}),
  };
}

/** Not before there may be room, and not all at the same instant: actions that meet a limit together would meet it together again. */
function pauseInQueue(waitedMs: number, retryAfterMs: number): number {
  const pause = Math.max(PAUSE.shortest, retryAfterMs, waitedMs * PAUSE.shareOfWaited);
  return Math.ceil(Math.min(pause, PAUSE.longest) * (1 + Math.random() / 4));
}
