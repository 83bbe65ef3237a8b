/** The state of one action while its workflow runs, and the messages that read or change it. */
import { CancellationScope, condition, log, patched, setHandler, workflowInfo } from '@temporalio/workflow';
import type { ActionRequest, Prepared, Truth } from '../activities/contract.js';
import type { Facts } from '../src/action/decision.js';
import type { ErrorView } from '../src/action/errors.js';
import type {
  ActionView,
  ApprovalRecord,
  DecideReply,
  Outcome,
  OutcomeReply,
  PendingView,
  Phase,
} from '../src/action/outcome.js';
import { progress } from '../src/action/quorum.js';
import { errorView, refusal, refuse } from './failures.js';
import { decideSignal, decideUpdate, outcomeUpdate, viewQuery } from './messages.js';
import { tellParent } from './news.js';
import { local, people } from './steps.js';
import { showExecuting, showOutcome, showPending, showQueued } from './surface.js';

/** How many refused decisions the view keeps. */
const REFUSED_KEPT = 20;

interface Signed {
  readonly token: string;
  readonly record: ApprovalRecord;
}

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
  #pending: PendingView | undefined;
  #signed: Signed[] = [];
  #refused: ErrorView[] = [];
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
    setHandler(decideUpdate, (token) => untouched(() => this.#decide(token)), {
      validator: (_token: string) => {
        this.#mustBePending();
      },
    });
    setHandler(decideSignal, async (token) => {
      try {
        await untouched(() => this.#decide(token));
      } catch (refused) {
        this.#refuse(errorView(refused));
      }
    });
  }

  get cancelRequested(): boolean {
    return this.cancellable.consideredCancelled || this.request.cancelled === true;
  }

  /** The decisions signed so far for what is shown now. */
  get tokens(): readonly string[] {
    return this.#signed.map(({ token }) => token);
  }

  enter(phase: 'preparing' | 'concluding'): void;
  enter(phase: 'executing', facts: Facts): void;
  enter(phase: Phase, facts?: Facts): void {
    this.#phase = phase;
    this.#pending = undefined;
    if (facts !== undefined) showExecuting(facts);
  }

  /**
   * Shows people what would be done and waits for them. Returns why the action stops here, or undefined when the decisions
   * signed satisfy every requirement: then all is prepared again, under the policy and on the state of that moment.
   */
  async waitForPeople(prepared: Extract<Prepared, { kind: 'pending' }>): Promise<Stopped | undefined> {
    const { shown, shownDigest, plan } = prepared;
    this.#signed = this.#signed.filter(({ token }) => prepared.standing.includes(token));
    for (const dropped of prepared.dropped) this.#refuse(dropped);

    const patience = Math.min(...shown.requirements.map(({ ttlSeconds }) => ttlSeconds)) * 1000;
    const expiresAt = new Date(Date.now() + patience).toISOString();
    this.#pending = { shown, shownDigest, decision: plan.decision, expiresAt };
    this.#tell();
    this.#phase = 'pending';
    showPending(this.#pending, plan.facts);
    const { actionId } = this;
    await tellParent({ actionId, kind: 'approval', reason: plan.decision.reason, waits: true });

    const decided = await condition(() => this.#verdict() !== 'waiting' || this.cancelRequested, patience);
    await tellParent({ actionId, kind: 'approval', reason: plan.decision.reason, waits: false });
    if (this.cancelRequested) return stop('cancelled', 'CANCELLED', 'Cancelled while it waited for people.');
    if (!decided) return stop('expired', 'APPROVAL_EXPIRED', `Nobody decided by ${expiresAt}.`);
    if (this.#verdict() === 'approved') return undefined;
    const no = this.#signed.find(({ record }) => record.verdict === 'deny')?.record;
    const why = no?.reason === undefined ? '.' : `: ${no.reason}`;
    return stop('denied', 'APPROVAL_DENIED', `${no?.approver ?? 'Somebody'} said no${why}`);
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

  end(outcome: Outcome): void {
    this.#phase = 'ended';
    this.#pending = undefined;
    this.answer(outcome);
    showOutcome(outcome);
  }

  #view(): ActionView {
    return {
      phase: this.#phase,
      tenant: this.tenant,
      actionId: this.actionId,
      proposalDigest: this.request.digest,
      tool: this.request.proposal.tool,
      ...(this.#pending === undefined ? {} : { pending: this.#pending }),
      approvals: this.#signed.map(({ record }) => record),
      refusedApprovals: this.#refused,
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
    return this.#pending === undefined ? undefined : { kind: 'pending', pending: this.#pending };
  }

  #sameProposal(digest: string): void {
    if (digest === this.request.digest) return;
    throw refuse(
      'ACTION_CONFLICT',
      `Action ${this.actionId} was proposed before with another content (${this.request.digest}).`,
      'Use a new actionId for a new action; repeat the same proposal to get the recorded outcome.',
    );
  }

  #mustBePending(): PendingView {
    if (this.#pending !== undefined) return this.#pending;
    throw refuse('NOT_PENDING', `Action ${this.actionId} is ${this.#phase}: it is not waiting for a person.`);
  }

  async #decide(token: string): Promise<DecideReply> {
    const { shown, shownDigest } = this.#mustBePending();
    let record: ApprovalRecord;
    try {
      const { checkApproval } = patched('decisions-in-one-order') ? people : local;
      record = await checkApproval({ token, shown, shownDigest, requirements: shown.requirements });
    } catch (failure) {
      throw refusal(errorView(failure));
    }
    // Another decision may have ended the wait, or the state may have moved, while this one was checked.
    if (this.#mustBePending().shownDigest !== shownDigest) {
      throw refuse(
        'APPROVAL_STALE',
        'What is shown changed while the decision was checked.',
        'Look again and decide anew.',
      );
    }
    // One decision per person: repeating it adds nothing, to the count or to what is kept.
    const repeated = this.#signed.some(
      ({ record: { approver, verdict } }) => approver === record.approver && verdict === record.verdict,
    );
    if (!repeated) this.#signed.push({ token, record });
    return { recorded: record, state: this.#verdict() };
  }

  #verdict(): DecideReply['state'] {
    const requirements = this.#pending?.shown.requirements ?? [];
    return progress(
      requirements,
      this.#signed.map(({ record }) => record),
    ).state;
  }

  #refuse(error: ErrorView): void {
    log.warn('decision refused', { code: error.code });
    this.#refused = [...this.#refused, error].slice(-REFUSED_KEPT);
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

function stop(status: Stopped['status'], code: ErrorView['code'], message: string): Stopped {
  return { kind: 'stopped', status, error: { code, message } };
}
