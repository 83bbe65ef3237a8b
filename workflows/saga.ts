/** Several actions that succeed together: one after the other, and when one does not succeed, what was done is undone in reverse order. */
import { allHandlersFinished, CancellationScope, condition, log, setHandler, workflowInfo } from '@temporalio/workflow';
import type { ActionRequest, CompensationRequest, SagaRequest } from '../activities/contract.js';
import { sagaConflict } from '../src/action/errors-conflict.js';
import type { Outcome } from '../src/action/outcome.js';
import { isProposedUnder } from '../src/action/principal.js';
import type { CompensationView, SagaStep, SagaView, WaitsFor } from '../src/action/saga.js';
import { resolved, runAction, runCompensation } from './children.js';
import { refusal } from './failures.js';
import { childStatusSignal, sagaQuery, sagaUpdate } from './messages.js';
import { showSaga } from './temporal-ui.js';

/**
 * Workflow id: `saga/<tenant>/<traceId>`. Each step is an action of its own, signed beforehand; nothing is decided here but their order.
 * A cancellation is passed on to the step that runs, keeps the next one from being done, and has what was done undone.
 */
export function saga(request: SagaRequest): Promise<SagaView> {
  const running = new Saga(request);
  return CancellationScope.nonCancellable(() => running.run());
}

const DONE: ReadonlySet<SagaStep['status']> = new Set(['success', 'mismatch']);

class Saga {
  readonly #request: SagaRequest;
  readonly #tenant: string;
  readonly #cancellable = CancellationScope.current();
  readonly #steps: SagaStep[];
  readonly #compensations: CompensationView[] = [];
  readonly #waiting = new Map<string, WaitsFor>();
  #status: SagaView['status'] = 'running';
  #reason = 'Under way.';
  #shown: SagaView['status'] | undefined;

  constructor(request: SagaRequest) {
    this.#request = request;
    const [, tenant = ''] = workflowInfo().workflowId.split('/');
    this.#tenant = tenant;
    this.#steps = request.steps.map(({ proposal: { actionId, tool } }) => ({ actionId, tool, status: 'waiting' }));
    setHandler(sagaQuery, () => this.#view());
    setHandler(childStatusSignal, ({ waits, ...waitsFor }) => {
      this.#waitsFor(waitsFor, waits);
    });
    setHandler(sagaUpdate, () => this.#told(), {
      validator: (digest, agent) => this.#sameSaga(digest, agent),
    });
  }

  async run(): Promise<SagaView> {
    const failed = await this.#forward();
    if (failed === undefined) this.#enter('success', 'Every step succeeded.');
    else await this.#back(failed);
    if (!allHandlersFinished()) await condition(allHandlersFinished);
    return this.#view();
  }

  /** Returns the step that did not succeed, if one did not. */
  async #forward(): Promise<number | undefined> {
    for (const [index, request] of this.#request.steps.entries()) {
      this.#set(index, { status: 'running' });
      const outcome = await this.#outcomeOf(request);
      const { status, reason, error, receipt } = outcome;
      this.#set(index, {
        status,
        reason,
        ...(error === undefined ? {} : { error }),
        ...(receipt === undefined ? {} : { receipt }),
      });
      if (status !== 'success') return index;
    }
    return undefined;
  }

  /** Never `unknown`: neither going on nor undoing would be right then, so a person is waited for. */
  async #outcomeOf(request: ActionRequest): Promise<Outcome> {
    // A step that must not be done any more is settled as cancelled: that is on record when the others are undone for it.
    const cancelled = this.#cancellable.consideredCancelled;
    const outcome = await runAction(this.#tenant, cancelled ? { ...request, cancelled } : request, {
      ...(cancelled ? {} : { cancellable: this.#cancellable }),
      // Nor what a delegate did: it could not be undone for this saga, which its agent alone has signed.
      isOwn: (proposer) => this.#request.agent === undefined || proposer === this.#request.agent,
    });
    const { actionId, reason } = outcome;
    this.#waiting.clear();
    if (outcome.status !== 'unknown') return outcome;
    this.#waitsFor({ actionId, kind: 'unknown', reason }, true);
    const known = await resolved(outcome);
    this.#waiting.clear();
    return known;
  }

  async #back(failed: number): Promise<void> {
    for (let index = failed + 1; index < this.#steps.length; index++) this.#set(index, { status: 'skipped' });
    const { actionId, status, reason = '' } = this.#steps[failed] as SagaStep;
    const why = `Step ${failed + 1} (${actionId}) is ${status}: ${reason}`;
    this.#enter('compensating', why);
    for (let index = failed; index >= 0; index--) {
      if (DONE.has((this.#steps[index] as SagaStep).status))
        await this.#undo(this.#request.steps[index] as ActionRequest);
    }
    const left = this.#compensations.filter((one) => one.status === 'accepted');
    if (left.length === 0) return this.#enter('compensated', why);
    log.error('a saga is not wholly undone', { tenant: this.#tenant, traceId: this.#request.traceId });
    this.#enter('compensation_failed', `${why} Not undone: ${left.map(({ cause }) => cause).join(', ')}.`);
  }

  async #undo({ proposal }: ActionRequest): Promise<void> {
    const { traceId, signature, steps } = this.#request;
    const tenant = this.#tenant;
    const { actionId: cause } = proposal;
    const manifest = steps.map((step) => ({ actionId: step.proposal.actionId, digest: step.digest }));
    const request: CompensationRequest = { tenant, proposal, saga: { traceId, signature, steps: manifest } };
    const place = this.#compensations.push({ tenant, cause, status: 'running', reason: `Undoing ${cause}.` }) - 1;
    this.#show();
    this.#compensations[place] = await runCompensation(request);
    this.#waiting.clear();
    this.#show();
  }

  #show(): void {
    const view = this.#view();
    showSaga(view, { changed: view.status !== this.#shown });
    this.#shown = view.status;
  }

  #enter(status: SagaView['status'], reason: string): void {
    this.#status = status;
    this.#reason = reason;
    this.#show();
  }

  #set(index: number, change: Partial<SagaStep>): void {
    this.#steps[index] = { ...(this.#steps[index] as SagaStep), ...change };
    this.#show();
  }

  #waitsFor(waitsFor: WaitsFor, waits: boolean): void {
    if (waits) this.#waiting.set(waitsFor.actionId, waitsFor);
    else this.#waiting.delete(waitsFor.actionId);
    this.#show();
  }

  /** Another saga under the same id is none of the caller's, and neither is the same one of another agent's. Has no effect: a validator calls it. */
  #sameSaga(digest: string, asking: string | undefined): void {
    const { digest: own, agent, traceId } = this.#request;
    const foreign = agent !== undefined && asking !== undefined && !isProposedUnder(asking, agent);
    if (digest === own && !foreign) return;
    throw refusal(sagaConflict(traceId));
  }

  async #told(): Promise<SagaView> {
    const open: ReadonlySet<SagaView['status']> = new Set(['running', 'compensating']);
    await CancellationScope.nonCancellable(() => condition(() => !open.has(this.#view().status)));
    return this.#view();
  }

  #view(): SagaView {
    const { traceId, digest } = this.#request;
    const [waitsFor] = this.#waiting.values();
    return {
      status: waitsFor === undefined ? this.#status : 'needs_person',
      tenant: this.#tenant,
      traceId,
      digest,
      reason: waitsFor === undefined ? this.#reason : waitsFor.reason,
      steps: [...this.#steps],
      compensations: [...this.#compensations],
      ...(waitsFor === undefined ? {} : { waitsFor }),
    };
  }
}
