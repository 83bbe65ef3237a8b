/** What agent code imports: propose an action and get its outcome, or learn that people are needed first. */
import { followed } from './edited.js';
import type { Batch } from './api.js';
import type { ClientOptions } from './settings.js';
import { Transport, type Answer } from './transport.js';
import type {
  Action,
  ActionPage,
  BatchAnswer,
  BatchedAction,
  DryRun,
  ListOptions,
  Me,
  Outcome,
  PendingAction,
  ProposalInput,
  SagaInput,
  SagaResult,
  SagaView,
  SagaWaitOptions,
  WaitOptions,
} from './types.js';
import { pathOf, pause, sagaPath, timedOut, waitSecondsUntil, type Until } from './waiting.js';

/** The gateway as an agent uses it: to propose, to wait, to look and to cancel. It holds no connection, so there is nothing to close. */
export class Countersign {
  readonly #transport: Transport;

  /** Nothing is sent yet. @throws CountersignError CONFIG_INVALID */
  constructor(options: ClientOptions = {}) {
    this.#transport = new Transport(options);
  }

  /**
   * Proposes an action and waits for its outcome, or until it is known that people are needed first. Calling it again with the same
   * proposal and `actionId` returns the recorded outcome and has no second effect; after a failure of the network that is done here.
   *
   * A refusal is an outcome (`denied`), not an exception.
   *
   * @param options `timeoutMs`, default 60 000; `followEdits`
   * @throws CountersignError INVALID_PROPOSAL and its kin; ACTION_CONFLICT; UNAUTHENTICATED; TIMED_OUT, GATEWAY_UNAVAILABLE and what
   *   else is `retryable`: the same call is safe to repeat
   */
  async perform(input: ProposalInput, options: WaitOptions = {}): Promise<Outcome | PendingAction> {
    const actionId = input.actionId ?? crypto.randomUUID();
    const proposal = { ...input, actionId };
    const { signal, followEdits = false } = options;
    const until = { deadline: Date.now() + (options.timeoutMs ?? 60_000), signal };
    for (;;) {
      // Proposing it again tells of people that it waits for as well, which waiting for its outcome does not.
      const answer = await this.#waiting('POST', '/v1/actions', until, proposal);
      if (answer.status === 200) return this.#ended(answer.body as Outcome, followEdits, until);
      const action = answer.body as Action;
      if (action.status === 'pending') return this.#pending(action, followEdits);
      await pause(answer, until);
      if (Date.now() >= until.deadline) throw timedOut(actionId);
    }
  }

  /**
   * Tells what would become of a proposal if it were made now: what policy and limits say, whom it would wait for, what it would touch. It
   * has no effect and leaves nothing behind, and the answer holds nothing. What would be refused is an answer (`deny`), not an exception.
   *
   * @throws CountersignError INVALID_PROPOSAL and its kin; UNAUTHENTICATED; TIMED_OUT, GATEWAY_UNAVAILABLE and what else is `retryable`
   */
  async dryRun(input: ProposalInput, options: Pick<WaitOptions, 'signal'> = {}): Promise<DryRun> {
    const request = { method: 'POST', path: '/v1/dry-runs', body: input, ...options } as const;
    return (await this.#transport.send(request)).body as DryRun;
  }

  /**
   * Proposes up to 20 actions that are decided together: where policy denies one of them, or limits have no room for all, none is begun, and
   * the answer says of each what would have become of it (`not_begun`). Else all are begun at once, in no order, and each has its own outcome,
   * waits for people (`pending`) or goes on when the time is over (`open`). Nothing is held until each is authorized, so one of them may still
   * be denied then.
   *
   * What was begun before is not decided again: calling it again with the same proposals and `actionId`s is safe.
   *
   * @param options `timeoutMs`, default 60 000; `followEdits`
   * @throws CountersignError INVALID_PROPOSAL and its kin; UNAUTHENTICATED; TIMED_OUT, GATEWAY_UNAVAILABLE and what else is `retryable`
   */
  async performAll(inputs: readonly ProposalInput[], options: WaitOptions = {}): Promise<BatchAnswer> {
    const proposals = inputs.map((one) => ({ ...one, actionId: one.actionId ?? crypto.randomUUID() }));
    const { signal, followEdits = false } = options;
    const until = { deadline: Date.now() + (options.timeoutMs ?? 60_000), signal };
    for (;;) {
      const answer = await this.#waiting('POST', '/v1/batches', until, { proposals });
      const { begun, actions } = answer.body as Batch;
      const goesOn = actions.some(({ status }) => status === 'open');
      if (goesOn) await pause(answer, until);
      if (goesOn && Date.now() < until.deadline) continue;
      return { begun, actions: await Promise.all(actions.map((one) => this.#batched(one, followEdits, until))) };
    }
  }

  /**
   * Waits for an action's end, however long people take.
   *
   * @param options `timeoutMs`, default none; `followEdits`
   * @throws CountersignError NOT_FOUND, TIMED_OUT
   */
  async outcome(actionId: string, options: WaitOptions = {}): Promise<Outcome> {
    const { timeoutMs = Infinity, signal, followEdits = false } = options;
    const until = { deadline: Date.now() + timeoutMs, signal };
    for (let waitsFor = actionId; ;) {
      const answer = await this.#waiting('GET', `${pathOf(waitsFor)}/outcome`, until);
      if (answer.status === 200) {
        const ended = await this.#ended(answer.body as Outcome, followEdits, until);
        if (ended.status !== 'pending') return ended;
        waitsFor = ended.actionId;
      } else {
        await pause(answer, until);
      }
      if (Date.now() >= until.deadline) throw timedOut(waitsFor);
    }
  }

  /**
   * Proposes several actions that shall succeed together. They are done in order; when one does not succeed, those that were done are undone
   * in reverse order, each as an action of its own. Answers when it has ended, or as soon as it waits for a person (`needs_person`). It goes on
   * without this process; calling it again with the same steps and `traceId`, from any process, returns what became of it.
   *
   * @param options `timeoutMs`, default 60 000
   * @throws CountersignError INVALID_PROPOSAL and its kin; ACTION_CONFLICT for other steps; UNAUTHENTICATED; TIMED_OUT, GATEWAY_UNAVAILABLE and
   *   what else is `retryable`: the same call is safe to repeat
   */
  async saga(input: SagaInput, { timeoutMs = 60_000, signal }: SagaWaitOptions = {}): Promise<SagaResult> {
    const { traceId } = input;
    const until = { deadline: Date.now() + timeoutMs, signal };
    for (;;) {
      // Proposing it again tells that it waits for a person as well, which waiting for its end does not.
      const answer = await this.#waiting('POST', '/v1/sagas', until, input);
      const view = answer.body as SagaView;
      if (answer.status === 200) return view as SagaResult;
      if (view.status === 'needs_person') {
        const { status } = view;
        return { ...view, status, outcome: (options = {}) => this.sagaOutcome(traceId, options) };
      }
      await pause(answer, until);
      if (Date.now() >= until.deadline) throw timedOut(traceId);
    }
  }

  /** Waits for a saga's end, however long people take. @throws CountersignError NOT_FOUND; TIMED_OUT after `timeoutMs`, if given */
  async sagaOutcome(traceId: string, { timeoutMs = Infinity, signal }: SagaWaitOptions = {}): Promise<SagaView> {
    const until = { deadline: Date.now() + timeoutMs, signal };
    for (;;) {
      const answer = await this.#waiting('GET', sagaPath(traceId), until);
      if (answer.status === 200) return answer.body as SagaView;
      await pause(answer, until);
      if (Date.now() >= until.deadline) throw timedOut(traceId);
    }
  }

  /** How a saga stands now. @throws CountersignError NOT_FOUND */
  async sagaView(traceId: string, options: Pick<WaitOptions, 'signal'> = {}): Promise<SagaView> {
    return (await this.#transport.send({ method: 'GET', path: sagaPath(traceId), ...options })).body as SagaView;
  }

  /** Asks a saga to stop: the next step is not done, and what was done is undone. @throws CountersignError NOT_FOUND */
  async cancelSaga(traceId: string, options: Pick<WaitOptions, 'signal'> = {}): Promise<void> {
    await this.#transport.send({ method: 'POST', path: `${sagaPath(traceId)}/cancel`, ...options });
  }

  /** What is known of an action now. @throws CountersignError NOT_FOUND */
  async view(actionId: string, options: Pick<WaitOptions, 'signal'> = {}): Promise<Action> {
    return (await this.#transport.send({ method: 'GET', path: pathOf(actionId), ...options })).body as Action;
  }

  /** One page of your actions, and of those of agents below you: open ones first, the latest first. */
  async list(filter: ListOptions = {}, options: Pick<WaitOptions, 'signal'> = {}): Promise<ActionPage> {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(filter)) if (value !== undefined) query.set(name, String(value));
    const path = query.size === 0 ? '/v1/actions' : `/v1/actions?${query}`;
    return (await this.#transport.send({ method: 'GET', path, ...options })).body as ActionPage;
  }

  /**
   * Asks an action to stop. Before its effect it is `cancelled`; during it, the truth is found out; after it nothing happens.
   *
   * @throws CountersignError NOT_FOUND
   */
  async cancel(actionId: string, options: Pick<WaitOptions, 'signal'> = {}): Promise<void> {
    await this.#transport.send({ method: 'POST', path: `${pathOf(actionId)}/cancel`, ...options });
  }

  /** Who the gateway knows you as. @throws CountersignError UNAUTHENTICATED */
  async me(options: Pick<WaitOptions, 'signal'> = {}): Promise<Me> {
    return (await this.#transport.send({ method: 'GET', path: '/v1/me', ...options })).body as Me;
  }

  #waiting(method: 'GET' | 'POST', path: string, until: Until, body?: object): Promise<Answer> {
    return this.#transport.send({ method, path, waitSeconds: waitSecondsUntil(until.deadline), ...until, body });
  }

  async #ended(outcome: Outcome, followEdits: boolean, until: Until): Promise<Outcome | PendingAction> {
    if (!followEdits) return outcome;
    const found = await followed(this.#transport, outcome, until);
    return found.status === 'pending' ? this.#pending(found, followEdits) : (found as Outcome);
  }

  async #batched(one: Batch['actions'][number], followEdits: boolean, until: Until): Promise<BatchedAction> {
    switch (one.status) {
      case 'not_begun':
      case 'open':
        return one as BatchedAction;
      case 'pending':
        return this.#pending(one, followEdits);
      default:
        return this.#ended(one as Outcome, followEdits, until);
    }
  }

  #pending(action: Action, followEdits: boolean): PendingAction {
    const { tenant, actionId, pending = {} } = action;
    return {
      status: 'pending',
      tenant,
      actionId,
      reason: pending.reason ?? action.reason ?? 'It waits for people.',
      pending,
      outcome: (options = {}) => this.outcome(actionId, { followEdits, ...options }),
    };
  }
}
