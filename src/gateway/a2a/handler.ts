/** What A2A asks of an agent, for one request: a message proposes an action, and the task is the action. The gateway keeps no tasks of its own. */
import type {
  AgentCard,
  CancelTaskRequest,
  GetTaskRequest,
  Message,
  Part,
  SendMessageRequest,
  StreamResponse,
  Task,
} from '@a2a-js/sdk';
import {
  A2AError,
  ContentTypeNotSupportedError,
  ExtendedAgentCardNotConfiguredError,
  PushNotificationNotSupportedError,
  RequestMalformedError,
  TaskNotCancelableError,
  TaskNotFoundError,
  UnsupportedOperationError,
} from '@a2a-js/sdk/errors';
import type { A2ARequestHandler } from '@a2a-js/sdk/server';
import { asCountersignError, ERROR_CODES } from '../../action/errors.js';
import { digestText, withoutUndefined } from '../../action/json.js';
import { ACTION_ID_PATTERN } from '../../action/proposal.js';
import { toldOfError } from '../../action/told.js';
import { findFor } from '../api/found.js';
import { BEGIN_MS, propose } from '../api/propose.js';
import { outcomeOf } from '../api/views.js';
import { settled } from '../api/waiting.js';
import type { AgentPrincipal } from '../auth/principal.js';
import type { GatewayDependencies } from '../deps.js';
import { statusOf } from '../middleware/problem.js';
import { cardOf } from './card.js';
import { taskOf } from './task.js';

export class A2aHandler implements A2ARequestHandler {
  readonly #deps: GatewayDependencies;
  readonly #agent: AgentPrincipal;
  /** Aborts when nobody listens any more. */
  readonly #gone: AbortSignal;

  constructor(deps: GatewayDependencies, agent: AgentPrincipal, gone: AbortSignal) {
    this.#deps = deps;
    this.#agent = agent;
    this.#gone = gone;
  }

  /** Proposes what the message holds; with the id of a task tells how that one stands, because what it waits for is no message. */
  async sendMessage({ message, configuration }: SendMessageRequest): Promise<Task> {
    if (message === undefined) throw new RequestMalformedError('There is no message.');
    return await this.#told(async () => {
      if (message.taskId !== '') return await this.#task(message.taskId);
      const given = proposalIn(message);
      const waitMs = configuration?.returnImmediately === true ? 0 : this.#deps.settings.limits.callWaitMs;
      return taskOf(await propose(this.#deps, this.#agent, given, waitMs), contextOf(message));
    });
  }

  async getTask({ id }: GetTaskRequest): Promise<Task> {
    return await this.#told(() => this.#task(id));
  }

  async cancelTask({ id }: CancelTaskRequest): Promise<Task> {
    return await this.#told(async () => {
      const found = await findFor(this.#deps, this.#agent, id);
      if (outcomeOf(found) !== undefined) throw new TaskNotCancelableError('The action has ended.');
      await this.#deps.countersign.cancel(id, this.#agent.tenant);
      await settled(this.#deps, found, BEGIN_MS, this.#gone);
      return await this.#task(id);
    });
  }

  async getAgentCard(): Promise<AgentCard> {
    return cardOf(this.#deps.settings.publicUrl);
  }

  async getAuthenticatedExtendedAgentCard(): Promise<never> {
    throw new ExtendedAgentCardNotConfiguredError();
  }

  async listTasks(): Promise<never> {
    throw new UnsupportedOperationError('Actions are listed by GET /v1/actions.');
  }

  // Both are generators in the interface; that they cannot be used is told before the first answer.
  sendMessageStream(): AsyncGenerator<StreamResponse, void, undefined> {
    throw new UnsupportedOperationError('Nothing is streamed. Send the message without it.');
  }

  resubscribe(): AsyncGenerator<StreamResponse, void, undefined> {
    throw new UnsupportedOperationError('Nothing is streamed. Get the task again.');
  }

  async createTaskPushNotificationConfig(): Promise<never> {
    throw new PushNotificationNotSupportedError();
  }

  async getTaskPushNotificationConfig(): Promise<never> {
    throw new PushNotificationNotSupportedError();
  }

  async listTaskPushNotificationConfigs(): Promise<never> {
    throw new PushNotificationNotSupportedError();
  }

  async deleteTaskPushNotificationConfig(): Promise<never> {
    throw new PushNotificationNotSupportedError();
  }

  async #task(id: string): Promise<Task> {
    return taskOf(await findFor(this.#deps, this.#agent, id));
  }

  async #told<T>(body: () => Promise<T>): Promise<T> {
    try {
      return await body();
    } catch (thrown) {
      throw thrown instanceof A2AError ? thrown : this.#errorOf(thrown);
    }
  }

  /** Of the system's own faults only the code is told. */
  #errorOf(thrown: unknown): A2AError {
    const error = asCountersignError(thrown);
    const { code, field } = error;
    const metadata = { code, ...(field === undefined ? {} : { field }) };
    if (statusOf(code) >= 500) {
      this.#deps.logger.error({ err: thrown }, 'a message could not be answered');
      return new A2AError({ message: ERROR_CODES[code], metadata: { code } });
    }
    const message = toldOfError(error.toJSON());
    return code === 'NOT_FOUND'
      ? new TaskNotFoundError({ message, metadata })
      : new RequestMalformedError({ message, metadata });
  }
}

/** @throws A2AError */
function proposalIn({ messageId, contextId, parts }: Message): object {
  const [data, ...others] = parts.flatMap(({ content }) =>
    content?.$case === 'data' ? [content.value as unknown] : [],
  );
  if (data === undefined) {
    throw new ContentTypeNotSupportedError('A message needs one part `data`: a proposal, with `tool` and `input`.');
  }
  if (others.length > 0 || typeof data !== 'object' || data === null || Array.isArray(data)) {
    throw new RequestMalformedError('A message holds one proposal, which is an object.');
  }
  const given = data as { readonly actionId?: unknown; readonly traceId?: unknown };
  const traceId = given.traceId ?? (ACTION_ID_PATTERN.test(contextId) ? contextId : undefined);
  return withoutUndefined({
    reasoning: wordsIn(parts),
    ...given,
    actionId: given.actionId ?? idOf(messageId),
    traceId,
  });
}

/** A message that is sent again is the same action. */
function idOf(messageId: string): string {
  const id = `a2a-${messageId}`;
  return ACTION_ID_PATTERN.test(id) ? id : `a2a-${digestText(messageId).slice('sha256:'.length)}`;
}

function contextOf({ contextId }: Message): string | undefined {
  return contextId === '' ? undefined : contextId;
}

/** What the agent says beside the proposal is its reasoning. */
function wordsIn(parts: readonly Part[]): string | undefined {
  const words = parts.flatMap(({ content }) => (content?.$case === 'text' ? [content.value] : []));
  return words.length === 0 ? undefined : words.join('\n');
}
