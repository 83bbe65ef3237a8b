/** What agent code imports: propose an action and get its outcome, or learn that people are needed first. */
import { randomUUID } from 'node:crypto';
import {
  WithStartWorkflowOperation,
  WorkflowExecutionAlreadyStartedError,
  WorkflowFailedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  type Client,
  type WorkflowHandle,
} from '@temporalio/client';
import {
  ApplicationFailure,
  defineSearchAttributeKey,
  SearchAttributeType,
  TypedSearchAttributes,
  WorkflowIdConflictPolicy,
  WorkflowIdReusePolicy,
} from '@temporalio/common';
import { asCountersignError, CountersignError, type ErrorView } from '../action/errors.js';
import type { Digest } from '../action/json.js';
import type { ActionView, DecideReply, Outcome, OutcomeReply, PendingView } from '../action/outcome.js';
import { parseProposal, proposalDigest, type Proposal } from '../action/proposal.js';
import { temporalSettings, type TemporalSettings } from '../environment.js';
import { peekCredential, readCredential, signProposal, type Credential } from '../trust/index.js';
import { connectTemporal, isUnreached, temporalUnavailable } from './connection.js';

export interface ConnectOptions extends Partial<TemporalSettings> {
  /** The agent's credential, its text, or the path of its file. Default: COUNTERSIGN_AGENT. */
  readonly credential?: Credential | string;
}

/** A proposal as agent code writes it: the action id may be left to the client. */
export type ProposalInput = Omit<Proposal, 'actionId'> & {
  /** Your idempotency key. Give one whenever the same action may be asked for again. Default: a random UUID. */
  readonly actionId?: string;
};

export interface PerformOptions {
  /** How long to wait for an outcome or for the need of an approval. Milliseconds, default 60 000. The action goes on regardless. */
  readonly timeoutMs?: number;
}

/** An action that waits for people. */
export interface PendingAction {
  readonly status: 'pending';
  readonly tenant: string;
  readonly actionId: string;
  readonly reason: string;
  readonly pending: PendingView;
  /** Waits for the end, however long people take. @throws CountersignError TIMED_OUT after `timeoutMs`, if given */
  outcome(options?: { timeoutMs?: number }): Promise<Outcome>;
}

/** How long a worker that died in the middle of a step is waited for. A step that lives longer keeps its task by heartbeats. */
const WORKFLOW_TASK_TIMEOUT = '5s';

type TrustedAction = (request: { proposal: Proposal; digest: Digest; proof: string }) => Promise<Outcome>;

const TENANT = defineSearchAttributeKey('CountersignTenant', SearchAttributeType.KEYWORD);
const TOOL = defineSearchAttributeKey('CountersignTool', SearchAttributeType.KEYWORD);
const STATUS = defineSearchAttributeKey('CountersignStatus', SearchAttributeType.KEYWORD);

export class Countersign {
  /** The client's own Temporal client, for what this class does not offer. */
  readonly temporal: Client;
  readonly #settings: TemporalSettings;
  readonly #credential: Credential | undefined;
  readonly #close: () => Promise<void>;
  #ownTenant: string | undefined;

  private constructor(
    temporal: Client,
    settings: TemporalSettings,
    credential: Credential | undefined,
    close: () => Promise<void>,
  ) {
    this.temporal = temporal;
    this.#settings = settings;
    this.#credential = credential;
    this.#close = close;
  }

  /**
   * Connects with what the environment says (TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, COUNTERSIGN_TASK_QUEUE, COUNTERSIGN_AGENT)
   * unless told otherwise. A credential is needed to propose, not to read.
   *
   * @throws CountersignError TEMPORAL_UNAVAILABLE, AGENT_UNVERIFIED
   */
  static async connect(options: ConnectOptions = {}): Promise<Countersign> {
    const { credential = process.env['COUNTERSIGN_AGENT'], ...given } = options;
    const settings = { ...temporalSettings(), ...given };
    const held = typeof credential === 'string' ? await readCredential(credential) : credential;
    const temporal = await connectTemporal(settings);
    return new Countersign(temporal.client, settings, held, () => temporal.close());
  }

  /**
   * Proposes an action and waits for its outcome. Calling it again with the same proposal and `actionId` returns the recorded
   * outcome and has no second effect.
   *
   * A refusal is an outcome (`denied`), not an exception.
   *
   * @throws CountersignError INVALID_PROPOSAL and its kin before anything is sent; ACTION_CONFLICT; TEMPORAL_UNAVAILABLE and TIMED_OUT,
   *   after which the same call is safe to repeat
   */
  async perform(input: ProposalInput, options: PerformOptions = {}): Promise<Outcome | PendingAction> {
    const proposal = parseProposal(withoutUndefined({ ...input, actionId: input.actionId ?? randomUUID() }));
    const credential = this.#holder();
    const tenant = this.#tenant();
    const digest = proposalDigest(proposal);
    const proof = await signProposal(credential, digest);
    const handle = this.#handle(tenant, proposal.actionId);
    const timeoutMs = options.timeoutMs ?? 60_000;

    const reply = await this.#guard(proposal.actionId, timeoutMs, () =>
      this.#start(tenant, { proposal, digest, proof }, handle),
    );
    if (reply.kind === 'outcome') return sameProposal(reply.outcome, digest, proposal.actionId);
    // A repeated call gets the reply recorded for the first one: the action may have gone on since.
    const view = await this.view(proposal.actionId, tenant);
    if (view.outcome !== undefined) return view.outcome;
    const { status } = await this.#found(tenant, proposal.actionId, (running) => running.describe());
    if (status.name !== 'RUNNING') return this.outcome(proposal.actionId, { tenant });
    return this.#pendingAction(tenant, proposal.actionId, view.pending ?? reply.pending);
  }

  /** What is known of an action now. @throws CountersignError NOT_FOUND */
  async view(actionId: string, tenant = this.#tenant()): Promise<ActionView> {
    return this.#found(tenant, actionId, (handle) => handle.query<ActionView>('view'));
  }

  /** Waits for an action's end. @throws CountersignError NOT_FOUND, TIMED_OUT */
  async outcome(actionId: string, options: { tenant?: string; timeoutMs?: number } = {}): Promise<Outcome> {
    const tenant = options.tenant ?? this.#tenant();
    return this.#found(tenant, actionId, (handle) =>
      options.timeoutMs === undefined
        ? handle.result()
        : this.#guard(actionId, options.timeoutMs, () => handle.result()),
    );
  }

  /** Hands in a person's signed decision. @throws CountersignError APPROVAL_*, NOT_PENDING, NOT_FOUND */
  async decide(actionId: string, token: string, tenant = this.#tenant()): Promise<DecideReply> {
    return this.#found(tenant, actionId, (handle) =>
      handle.executeUpdate<DecideReply, [string]>('decide', { args: [token] }),
    );
  }

  /** Asks an action to stop. Before its effect it is `cancelled`; during it, the truth is found out. @throws CountersignError NOT_FOUND */
  async cancel(actionId: string, tenant = this.#tenant()): Promise<void> {
    await this.#found(tenant, actionId, (handle) => handle.cancel());
  }

  async close(): Promise<void> {
    await this.#close();
  }

  async #start(
    tenant: string,
    request: { proposal: Proposal; digest: Digest; proof: string },
    handle: WorkflowHandle<TrustedAction>,
  ): Promise<OutcomeReply> {
    const { proposal, digest } = request;
    const operation = new WithStartWorkflowOperation<TrustedAction>('trustedAction', {
      workflowId: handle.workflowId,
      taskQueue: this.#settings.taskQueue,
      args: [request],
      workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
      workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
      workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
      staticSummary: `${proposal.tool}: ${describe(proposal)}`.slice(0, 200),
      ...(proposal.reasoning === undefined ? {} : { staticDetails: quoted(proposal.reasoning) }),
      typedSearchAttributes: new TypedSearchAttributes([
        { key: TENANT, value: tenant },
        { key: TOOL, value: proposal.tool },
        { key: STATUS, value: 'running' },
      ]),
    });
    // Whoever waits for the operation itself hears of its failure through the update.
    operation.workflowHandle().catch(() => {});
    try {
      return await this.temporal.workflow.executeUpdateWithStart<TrustedAction, OutcomeReply, [Digest]>('outcome', {
        args: [digest],
        updateId: digest.slice('sha256:'.length, 32 + 'sha256:'.length),
        startWorkflowOperation: operation,
      });
    } catch (error) {
      // The action has ended (and this is not the call whose reply was recorded), or ended while it was asked.
      if (hasEnded(error)) return { kind: 'outcome', outcome: await handle.result() };
      throw error;
    }
  }

  /** Runs a call against Temporal: bounded in time, and with failures that say what to do. */
  async #guard<T>(actionId: string, timeoutMs: number, call: () => Promise<T>): Promise<T> {
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), timeoutMs);
    try {
      return await this.temporal.connection.withAbortSignal(controller.signal, call);
    } catch (error) {
      if (controller.signal.aborted) {
        throw new CountersignError(
          'TIMED_OUT',
          `No answer on action ${actionId} within ${timeoutMs} ms; it goes on regardless.`,
          {
            fix: `Ask again with the same actionId (${actionId}): that is safe. If it stays so, check that a worker runs: countersign doctor`,
            retryable: true,
            cause: error,
          },
        );
      }
      throw this.#translate(error, actionId);
    } finally {
      clearTimeout(timer);
    }
  }

  async #found<T>(
    tenant: string,
    actionId: string,
    call: (handle: WorkflowHandle<TrustedAction>) => Promise<T>,
  ): Promise<T> {
    try {
      return await call(this.#handle(tenant, actionId));
    } catch (error) {
      throw this.#translate(error, actionId);
    }
  }

  #translate(error: unknown, actionId: string): CountersignError {
    if (error instanceof CountersignError) return error;
    if (error instanceof WorkflowNotFoundError) {
      return new CountersignError('NOT_FOUND', `There is no running action ${actionId}.`, {
        field: 'actionId',
        expected: 'the id of an action of this tenant that Temporal still keeps',
        fix: 'List the actions: countersign list',
        cause: error,
      });
    }
    if (error instanceof WorkflowUpdateFailedError || error instanceof WorkflowFailedError) {
      const view =
        error.cause instanceof ApplicationFailure ? (error.cause.details?.[0] as ErrorView | undefined) : undefined;
      if (view?.code !== undefined) return new CountersignError(view.code, view.message, { ...view, cause: error });
    }
    if (error instanceof WorkflowFailedError) {
      const how = error.cause instanceof Error ? error.cause.message : error.message;
      return new CountersignError(
        'EFFECT_UNKNOWN',
        `The workflow of action ${actionId} was ended from outside: ${how}`,
        {
          fix: `See how far it came (countersign show ${actionId}) and look at the system itself; then propose under a new actionId.`,
          cause: error,
        },
      );
    }
    if (isUnreached(error)) return temporalUnavailable(this.#settings.address, error);
    return asCountersignError(error);
  }

  #pendingAction(tenant: string, actionId: string, pending: PendingView): PendingAction {
    return {
      status: 'pending',
      tenant,
      actionId,
      reason: pending.decision.reason,
      pending,
      outcome: (options = {}) => this.outcome(actionId, { tenant, ...options }),
    };
  }

  #handle(tenant: string, actionId: string): WorkflowHandle<TrustedAction> {
    return this.temporal.workflow.getHandle<TrustedAction>(`${tenant}/${actionId}`);
  }

  #holder(): Credential {
    if (this.#credential !== undefined) return this.#credential;
    throw new CountersignError('AGENT_UNVERIFIED', 'To propose, an agent needs its credential.', {
      field: 'credential',
      expected: 'a credential made by `countersign agent create`',
      fix: 'Set COUNTERSIGN_AGENT to it or to its file, or pass `credential` to connect().',
    });
  }

  #tenant(): string {
    this.#ownTenant ??= peekCredential(this.#holder()).tenant;
    return this.#ownTenant;
  }
}

/** The recorded outcome must be of this proposal: another one under the same id is a conflict. */
function sameProposal(outcome: Outcome, digest: Digest, actionId: string): Outcome {
  if (outcome.proposalDigest === digest && outcome.error?.code !== 'ACTION_CONFLICT') return outcome;
  throw new CountersignError('ACTION_CONFLICT', `Action ${actionId} was proposed before with another content.`, {
    field: 'actionId',
    expected: 'an actionId that was never used, or the same proposal again',
    fix: 'Use a new actionId for a new action.',
  });
}

function hasEnded(error: unknown): boolean {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof WorkflowExecutionAlreadyStartedError || cause instanceof WorkflowNotFoundError) return true;
    if (/already started|already completed|workflow execution not found/i.test(cause.message)) return true;
  }
  return false;
}

function withoutUndefined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T;
}

/** One line of the agent's own words on what it wants; the trusted line is the workflow's current details. */
function describe({ input }: Proposal): string {
  const words = [input['op'] ?? input['operation'], input['table'] ?? input['sql'] ?? input['path']];
  return words.filter((word) => typeof word === 'string').join(' ') || 'action';
}

/** The agent's words as a literal block: whatever they hold, the Temporal UI shows them as text. */
function quoted(reasoning: string): string {
  const text = reasoning.slice(0, 4000).replaceAll('`', "'");
  return `The agent's words:\n\n\`\`\`\n${text}\n\`\`\``;
}
