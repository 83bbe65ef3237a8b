/** The state of one action while its workflow runs, and the messages that read or change it. */
import { CancellationScope, condition, setHandler, workflowInfo } from '@temporalio/workflow';
import type { ActionRequest, Prepared, Truth } from '../activities/contract.js';
import type { Facts } from '../src/action/decision.js';
import type { ActionView, Outcome, OutcomeReply, Phase } from '../src/action/outcome.js';
import { refuse } from './failures.js';
import { decideSignal, decideUpdate, outcomeUpdate, viewQuery } from './messages.js';
import { People, stop } from './people.js';
import { showExecuting, showOutcome, showQueued } from './surface.js';

type Stopped = Extract<Truth, { kind: 'stopped' }>;
type Queued = Extract<Prepared, { kind: 'queued' }>;

/** Between two looks at a limit, milliseconds. Every look costs events in history, so whoever has waited long looks seldom. */
const PAUSE = { shortest: 250, longest: 5 * 60_000, shareOfWaited: 1 / 4 } as const;

export class Action {
  readonly request: ActionRequest;
  readonly tenant: string;
  readonly actionId: string;
  /** Set when the tool's steps belong on a task queue of their own. */
  taskQueue: string | undefined;
  /** The workflow's own scope: what runs in it is told of a cancellation. */
  readonly cancellable = CancellationScope.current();
  /** Whether the action has waited for room as long as it may. */
  patienceOver = false;

  #phase: Phase = 'preparing';
  readonly #people = new People(this);
  #outcome: Outcome | undefined;
  /** When the action first met a limit that lets it wait. Milliseconds since the epoch. */
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
    setHandler(decideUpdate, (token) => untouched(() => this.#people.decide(token)), {
      validator: (_token: string) => {
        this.#people.assertAsked();
      },
    });
    setHandler(decideSignal, (token) => untouched(() => this.#people.decideUnanswered(token)));
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

  enter(phase: 'preparing' | 'concluding'): void;
  enter(phase: 'executing', facts: Facts): void;
  enter(phase: Phase, facts?: Facts): void {
    this.#phase = phase;
    this.#people.close();
    if (facts !== undefined) showExecuting(facts);
  }

  /** Shows people what would be done and waits for them. See `People.decided`. */
  waitForPeople(prepared: Extract<Prepared, { kind: 'pending' }>): Promise<Stopped | undefined> {
    this.#people.show(prepared);
    this.#tell();
    this.#phase = 'pending';
    return this.#people.decided();
  }

  /**
   * Waits for a limit to have room again. Returns why the action stops here, or undefined when it is time to look again. The last
   * look is when patience is over.
   */
  async waitForRoom({ facts, reason, retryAfterMs, patienceMs }: Queued): Promise<Stopped | undefined> {
    const now = Date.now();
    const first = this.#queuedAt === undefined;
    this.#queuedAt ??= now;
    const waitedMs = now - this.#queuedAt;
    const leftMs = patienceMs - waitedMs;
    if (leftMs <= 0) return stop('denied', 'LIMIT_EXCEEDED', reason);
    const pauseMs = Math.min(leftMs, pauseInQueue(waitedMs, retryAfterMs));
    this.patienceOver = pauseMs === leftMs;
    this.#phase = 'queued';
    showQueued(facts, { reason, until: new Date(now + leftMs).toISOString(), first });

    await condition(() => this.cancelRequested, pauseMs);
    return this.cancelRequested ? stop('cancelled', 'CANCELLED', 'Cancelled while it waited for room.') : undefined;
  }

  /** A cancellation ends it early. */
  async pause(ms: number): Promise<void> {
    await condition(() => this.cancelRequested, Math.min(ms, PAUSE.longest));
  }

  /** Lets callers go before the workflow has ended. */
  answer(outcome: Outcome): void {
    this.#outcome = outcome;
    this.#tell();
  }

  /** What it returns is to be awaited before the workflow returns. */
  end(outcome: Outcome): Promise<unknown> | undefined {
    this.#phase = 'ended';
    this.#people.close();
    this.answer(outcome);
    showOutcome(outcome);
    return this.#people.farewell();
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

  /** Between two looks at people, while all is prepared again, there is nothing to tell for a moment. */
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
    const { pending } = this.#people;
    return pending === undefined ? undefined : { kind: 'pending', pending };
  }

  #sameProposal(digest: string): void {
    if (digest === this.request.digest) return;
    throw refuse(
      'ACTION_CONFLICT',
      `Action ${this.actionId} was proposed before with another content (${this.request.digest}).`,
      'Use a new actionId for a new action; repeat the same proposal to get the recorded outcome.',
    );
  }
}

/** What a caller asked for is finished, also when the action is cancelled meanwhile. */
function untouched<T>(answer: () => Promise<T>): Promise<T> {
  return CancellationScope.nonCancellable(answer);
}

/** Anybody with access to Temporal can start a workflow with anything: it is refused in a step, for which it needs a shape. */
function shaped(request: Partial<ActionRequest> | null | undefined): ActionRequest {
  return {
    proposal: request?.proposal ?? ({} as ActionRequest['proposal']),
    digest: String(request?.digest) as ActionRequest['digest'],
    proof: String(request?.proof),
    ...(request?.cancelled === true ? { cancelled: true } : {}),
  };
}

/** Not before there may be room, and not all at the same instant: actions that meet a limit together would meet it together again. */
function pauseInQueue(waitedMs: number, retryAfterMs: number): number {
  const pause = Math.max(PAUSE.shortest, retryAfterMs, waitedMs * PAUSE.shareOfWaited);
  return Math.ceil(Math.min(pause, PAUSE.longest) * (1 + Math.random() / 4));
}
