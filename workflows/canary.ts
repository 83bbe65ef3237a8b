/**
 * One canary, from its sending to its end. It answers what an action that waits for people answers, so that nobody can tell it from one; and
 * there is no way from here to an effect: no step of an action is called, and no activity of this file returns a record that one takes.
 */
import { allHandlersFinished, CancellationScope, condition, log, setHandler, workflowInfo } from '@temporalio/workflow';
import type { CanaryTicket, CommandResult, OpenedCanary } from '../activities/contract.js';
import type { ErrorView } from '../src/action/errors.js';
import type { ActionView, DecideReply, Outcome, Verdict } from '../src/action/outcome.js';
import type { Proposal } from '../src/action/proposal.js';
import { announce } from './announce.js';
import { errorView, refusal, refuse } from './failures.js';
import { canarySentUpdate, decideSignal, decideUpdate, outcomeUpdate, viewQuery } from './messages.js';
import { canaries, onTaskQueue } from './steps.js';
import { showOutcome, showPending } from './temporal-ui.js';

/** How many refused decisions the view keeps. */
const REFUSED_KEPT = 20;

/** Workflow id: `<tenant>/<actionId>`, as of the action that it seems to be. Fails where it could not be sent. */
export function canary(ticket: CanaryTicket): Promise<Outcome> {
  const running = new RunningCanary();
  return CancellationScope.nonCancellable(() => running.run(ticket));
}

const STATES = { approve: 'approved', deny: 'denied', request_changes: 'changes_requested' } as const satisfies Record<
  Verdict,
  DecideReply['state']
>;

class RunningCanary {
  readonly #cancellable = CancellationScope.current();
  readonly #tenant: string;
  readonly #actionId: string;
  #opened: OpenedCanary | undefined;
  #failed: ErrorView | undefined;
  #outcome: Outcome | undefined;
  #refused: readonly ErrorView[] = [];

  constructor() {
    const { workflowId } = workflowInfo();
    const slash = workflowId.indexOf('/');
    this.#tenant = workflowId.slice(0, slash);
    this.#actionId = workflowId.slice(slash + 1);
    setHandler(canarySentUpdate, () => CancellationScope.nonCancellable(() => this.#sent()));
    setHandler(viewQuery, () => this.#view());
    setHandler(outcomeUpdate, () => Promise.reject(this.#conflict()), {
      validator: (_digest) => {
        throw this.#conflict();
      },
    });
    setHandler(decideUpdate, (token) => CancellationScope.nonCancellable(() => this.#decide(token)), {
      validator: (_token: string, _edited?: Proposal) => {
        this.#mustBeAsked();
      },
    });
    setHandler(decideSignal, (token) => CancellationScope.nonCancellable(() => this.#decideUnanswered(token)));
  }

  async run(ticket: CanaryTicket): Promise<Outcome> {
    try {
      this.#opened = await opened(ticket);
    } catch (failure) {
      this.#failed = errorView(failure);
      await condition(allHandlersFinished);
      throw refusal(this.#failed);
    }
    const { pending } = this.#opened;
    showPending(pending, pending.shown);
    const asked = this.#announce(0, 'asked');
    const over = (): boolean => this.#outcome !== undefined || this.#cancelRequested;
    await condition(over, Math.max(1, Date.parse(pending.expiresAt) - Date.now()));
    const outcome = this.#outcome ?? (await canaries.endCanary(this.#cancelRequested ? 'withdrawn' : 'expired'));
    this.#outcome = outcome;
    showOutcome(outcome, new Map());
    // Nobody is reminded, and it is escalated to nobody.
    await Promise.all([asked, this.#announce(1, 'ended')]);
    await condition(allHandlersFinished);
    return outcome;
  }

  get #cancelRequested(): boolean {
    return this.#cancellable.consideredCancelled;
  }

  async #announce(n: number, kind: 'asked' | 'ended'): Promise<void> {
    if (this.#opened?.announce !== true) return;
    await announce({ tenant: this.#tenant, actionId: this.#actionId, n, kind });
  }

  /** For whoever sent it. */
  async #sent(): Promise<CommandResult> {
    await condition(() => this.#opened !== undefined || this.#failed !== undefined);
    if (this.#opened === undefined) throw refusal(this.#failed as ErrorView);
    const { canary: sent, receipt } = this.#opened;
    if (receipt === undefined) throw refuse('COMMAND_INVALID', 'No signed command sent this canary.');
    return { kind: 'send_canary', canary: sent, receipt };
  }

  async #decide(token: string): Promise<DecideReply> {
    this.#mustBeAsked();
    try {
      const { record, outcome } = await canaries.decideCanary(token);
      this.#outcome = outcome;
      return { recorded: record, state: STATES[record.verdict], canary: outcome.reason };
    } catch (failure) {
      throw refusal(errorView(failure));
    }
  }

  async #decideUnanswered(token: string): Promise<void> {
    try {
      await this.#decide(token);
    } catch (refused) {
      const error = errorView(refused);
      log.warn('decision refused', { code: error.code });
      this.#refused = [...this.#refused, error].slice(-REFUSED_KEPT);
    }
  }

  #mustBeAsked(): void {
    if (this.#opened !== undefined && this.#outcome === undefined) return;
    const state = this.#outcome === undefined ? 'preparing' : 'ended';
    throw refuse('NOT_PENDING', `Action ${this.#actionId} is ${state}: it is not waiting for a person.`);
  }

  #view(): ActionView {
    if (this.#opened === undefined) throw refuse('NOT_FOUND', `There is no action ${this.#actionId} yet.`);
    const { pending } = this.#opened;
    const { shown } = pending;
    return {
      phase: this.#outcome === undefined ? 'pending' : 'ended',
      tenant: this.#tenant,
      actionId: this.#actionId,
      proposalDigest: shown.proposalDigest,
      tool: shown.tool.name,
      ...(this.#outcome === undefined ? { pending } : {}),
      approvals: [],
      refusedApprovals: this.#refused,
      cancelRequested: this.#cancelRequested,
      ...(this.#outcome === undefined ? {} : { outcome: this.#outcome }),
    };
  }

  /** Nobody proposed this, so whoever proposes under its id proposes something else. */
  #conflict(): Error {
    return refuse(
      'ACTION_CONFLICT',
      `Action ${this.#actionId} was proposed before with another tool, input or expectation.`,
      'Use a new actionId for a new action.',
    );
  }
}

async function opened(ticket: CanaryTicket): Promise<OpenedCanary> {
  const here = await canaries.previewCanary(ticket);
  const seen = here.kind === 'other_task_queue' ? await onTaskQueue(here.taskQueue).previewCanary(ticket) : here;
  if (seen.kind === 'seen') return canaries.openCanary({ ticket, seen });
  throw refuse('UNKNOWN_TOOL', 'Workers disagree on which task queue the tool belongs to.');
}
