/** Undoes one action: as an action of its own, and if that fails, as loudly as it takes until a person decides. */
import { allHandlersFinished, CancellationScope, condition, log, setHandler, workflowInfo } from '@temporalio/workflow';
import type { CompensationRequest, CommandResult, CompensationPlan } from '../activities/contract.js';
import type { ErrorView } from '../src/action/errors.js';
import type { Outcome } from '../src/action/outcome.js';
import type { CompensationView } from '../src/action/saga.js';
import { resolved, runAction, settled } from './children.js';
import { errorView, refusal, refuse } from './failures.js';
import { compensationQuery, childStatusSignal, recoverUpdate, type ChildStatus } from './messages.js';
import { reportToParent } from './child-status.js';
import { commands, undoing } from './steps.js';
import { showCompensation } from './temporal-ui.js';

type Recovered = Extract<CommandResult, { kind: 'recover' }>;

/** How one attempt ended. `undone`: there is nothing left to do. */
interface Attempt {
  readonly undone: boolean;
  readonly view: Pick<CompensationView, 'reason'> & Partial<CompensationView>;
}

/**
 * Workflow id: `undo/<tenant>/<the cause's actionId>`. What is wanted and allowed here, activities find out from what is signed and
 * recorded; the only thing that is believed is that somebody asks.
 *
 * It is not cancelled by its workflow's cancellation: what is half undone is worse than both.
 */
export function compensation(request: CompensationRequest): Promise<CompensationView> {
  const compensating = new Compensation(request);
  return CancellationScope.nonCancellable(() => compensating.run());
}

class Compensation {
  readonly #request: CompensationRequest;
  #view: CompensationView;
  #heard: Recovered | undefined;
  #shown: CompensationView['status'] | undefined;
  #taskQueue: string | undefined;

  constructor(request: CompensationRequest) {
    this.#request = request;
    const { actionId: cause } = request.proposal;
    this.#view = { tenant: request.tenant, cause, status: 'running', reason: `Undoing ${cause}.` };
    setHandler(compensationQuery, () => this.#view);
    setHandler(childStatusSignal, (status: ChildStatus) =>
      CancellationScope.nonCancellable(() => reportToParent(status)),
    );
    setHandler(recoverUpdate, (token) => CancellationScope.nonCancellable(() => this.#recover(token)), {
      validator: (_token: string) => this.#mustNeedPerson(),
    });
  }

  async run(): Promise<CompensationView> {
    let retryOf: string | undefined;
    for (;;) {
      const { undone, view } = await this.#attempt(retryOf);
      this.#view = { ...this.#view, ...view };
      if (undone) break;
      const { verdict, by, reason, receipt } = await this.#person();
      if (verdict === 'accept') {
        this.#view = { ...this.#view, status: 'accepted', acceptedBy: { by, reason, receipt } };
        break;
      }
      retryOf = this.#view.actionId;
      this.#view = { ...this.#view, status: 'running', reason: `Tried again by ${by}: ${reason}` };
      this.#show();
    }
    if (!allHandlersFinished()) await condition(allHandlersFinished);
    this.#show();
    return this.#view;
  }

  async #attempt(retryOf: string | undefined): Promise<Attempt> {
    let made: CompensationPlan;
    try {
      made = await undoing(this.#taskQueue)({ ...this.#request, ...(retryOf === undefined ? {} : { retryOf }) });
    } catch (failure) {
      return failed(errorView(failure));
    }
    switch (made.kind) {
      case 'other_task_queue':
        this.#taskQueue = made.taskQueue;
        return this.#attempt(retryOf);
      case 'nothing':
        return { undone: true, view: { status: 'nothing', reason: made.reason } };
      case 'impossible':
        return failed(made.error);
      case 'ended':
        return this.#judge(made.outcome);
      case 'underway': {
        const { tenant } = this.#request;
        const standing = await settled({ tenant, actionId: made.actionId, resolved: true });
        if (standing.kind === 'ended') return this.#judge(standing.outcome);
        return failed({ code: 'INTERNAL', message: `It is not known how ${made.actionId} ended.` });
      }
      case 'proposed':
        this.#view = { ...this.#view, actionId: made.request.proposal.actionId };
        this.#show();
        return this.#judge(await runAction(this.#request.tenant, made.request));
    }
  }

  async #judge(ended: Outcome): Promise<Attempt> {
    const { actionId } = ended;
    let outcome = ended;
    if (outcome.status === 'unknown') {
      const { reason } = outcome;
      await reportToParent({ actionId, kind: 'unknown', reason, waits: true });
      outcome = await resolved(outcome);
      await reportToParent({ actionId, kind: 'unknown', reason, waits: false });
    }
    const { status, reason, receipt } = outcome;
    const undone = status === 'success';
    return {
      undone,
      view: {
        actionId,
        ...(undone ? { status: 'success' } : {}),
        reason: undone ? reason : `${status}: ${reason}`,
        ...(receipt === undefined ? {} : { receipt }),
      },
    };
  }

  /** Loud, for as long as it takes. */
  async #person(): Promise<Recovered> {
    const { cause, tenant, reason } = this.#view;
    this.#heard = undefined;
    this.#view = { ...this.#view, status: 'needs_person' };
    log.error('undoing failed: a person must decide', { tenant, cause, reason, workflowId: workflowInfo().workflowId });
    this.#show();
    await reportToParent({ actionId: cause, kind: 'compensation', reason, waits: true });
    await condition(() => this.#heard !== undefined);
    await reportToParent({ actionId: cause, kind: 'compensation', reason, waits: false });
    return this.#heard as unknown as Recovered;
  }

  #show(): void {
    showCompensation(this.#view, { changed: this.#view.status !== this.#shown });
    this.#shown = this.#view.status;
  }

  #mustNeedPerson(): void {
    if (this.#view.status === 'needs_person' && this.#heard === undefined) return;
    throw refuse('NOT_PENDING', `The undoing of ${this.#view.cause} is not waiting for a person.`);
  }

  async #recover(token: string): Promise<CommandResult> {
    let said: CommandResult;
    try {
      said = await commands.executeCommand(token);
    } catch (failure) {
      throw refusal(errorView(failure));
    }
    if (said.kind !== 'recover') throw refuse('COMMAND_INVALID', 'The signed command is about something else.');
    // Of two people at once, the first is heard; the other's word is on record all the same.
    this.#mustNeedPerson();
    this.#heard = said;
    return said;
  }
}

function failed({ code, message }: ErrorView): Attempt {
  return { undone: false, view: { reason: `${code}: ${message}` } };
}
