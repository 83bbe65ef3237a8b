/** What agent code imports: propose an action and get its outcome, or learn that people are needed first. */
import { randomUUID } from 'node:crypto';
import { Connection, type Client } from '@temporalio/client';
import type { CommandResult } from '../../activities/contract.js';
import { asCountersignError } from '../action/errors.js';
import { dryRunDigest, type DryRun } from '../action/dry-run.js';
import { withoutUndefined } from '../action/json.js';
import type { ActionView, DecideReply, Outcome, OutcomeReply } from '../action/outcome.js';
import { parseProposal, proposalDigest, signedProposalDigest, type Proposal } from '../action/proposal.js';
import type { CompensationView, SagaView } from '../action/saga.js';
import { temporalSettings, type TemporalSettings, variable } from '../environment.js';
import { payloadEncryption, type PayloadEncryption } from '../privacy/data-converter.js';
import { readCredential, type Credential } from '../trust/index.js';
import { actionHandle, restate, startAction } from './action.js';
import { batchOf, decideBatch, signBatch, type BatchAnswer, type BatchedAction } from './batch.js';
import { submitCommand } from './command-client.js';
import { Calls } from './calls.js';
import { connectTemporal } from './connection.js';
import { dryRun } from './dry-run.js';
import { unrecorded } from './failures.js';
import {
  compensationView,
  isOver,
  sagaId,
  sagaOutcome,
  sagaView,
  signSaga,
  startSaga,
  type SagaInput,
  type SagaResult,
} from './saga.js';
import { OwnOutcomes } from './own-outcomes.js';
import type { PendingAction } from './pending-action.js';
import { Signing, type AttestedAgent } from './signing.js';
import { decideUpdate, viewQuery } from '../../workflows/messages.js';

export type { PendingAction } from './pending-action.js';

/** Where Temporal is, and as whom to propose. What is left out is read from the environment. */
export interface ConnectOptions extends Partial<TemporalSettings> {
  /** The agent's credential, its text, or the path of its file; null for none, whatever the environment says. Default: COUNTERSIGN_AGENT. */
  readonly credential?: Credential | string | null;
  /** What encrypts payloads, as on the workers. Default: what COUNTERSIGN_PAYLOAD_KEYS_FILE and its kin say. */
  readonly encryption?: PayloadEncryption;
}

/** Address, namespace and data converter are those of the client. */
export type OverOptions = Omit<ConnectOptions, 'address' | 'namespace' | 'encryption'>;

/** A proposal as agent code writes it: the action id may be left to the client. */
export type ProposalInput = Omit<Proposal, 'actionId'> & {
  /** Your idempotency key. Give one whenever the same action may be asked for again. Default: a random UUID. */
  readonly actionId?: string;
};

/** For how long a call waits. */
export interface PerformOptions {
  /** How long to wait for an outcome or for the need of an approval. Milliseconds, default 60 000. The action goes on regardless. */
  readonly timeoutMs?: number;
}

/** For how long a batch is decided, and then each of its actions waited for (`timeoutMs`). */
export interface BatchOptions extends PerformOptions {
  /** How long the decision on all of them may take, before any is waited for. Milliseconds, default `timeoutMs`. */
  readonly decisionTimeoutMs?: number;
}

/**
 * A client over a Temporal connection, for services that may have one. It proposes as one agent, reads what became of actions, and hands in what
 * people signed.
 */
export class Countersign {
  /** The client's own Temporal client, for what this class does not offer. */
  readonly temporal: Client;
  readonly #settings: TemporalSettings;
  readonly #signing: Signing;
  readonly #calls: Calls;
  readonly #outcomes: OwnOutcomes;
  readonly #close: () => Promise<void>;

  private constructor(
    temporal: Client,
    settings: TemporalSettings,
    holder: Credential | AttestedAgent | undefined,
    close: () => Promise<void>,
  ) {
    this.temporal = temporal;
    this.#settings = settings;
    this.#signing = new Signing(holder);
    this.#calls = new Calls(temporal, settings);
    this.#outcomes = new OwnOutcomes(temporal, settings, this.#signing);
    this.#close = close;
  }

  /**
   * Connects with what the environment says (TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, COUNTERSIGN_TASK_QUEUE, COUNTERSIGN_AGENT)
   * unless told otherwise. A credential is needed to propose, not to read.
   *
   * @throws CountersignError TEMPORAL_UNAVAILABLE, AGENT_UNVERIFIED, KEYS_MISSING, KEYS_INVALID
   */
  static async connect(options: ConnectOptions = {}): Promise<Countersign> {
    const { credential = variable('COUNTERSIGN_AGENT'), encryption, ...given } = options;
    const settings = { ...temporalSettings(), ...given };
    const held = typeof credential === 'string' ? await readCredential(credential) : credential;
    const temporal = await connectTemporal(settings, encryption ?? (await payloadEncryption(process.env)));
    return new Countersign(temporal.client, settings, held ?? undefined, () => temporal.close());
  }

  /**
   * Over a Temporal client that is there already: its connection (with its TLS and API key), its namespace. Closing this leaves it open.
   *
   * @throws CountersignError KEYS_MISSING, KEYS_INVALID
   */
  static async over(temporal: Client, options: OverOptions = {}): Promise<Countersign> {
    const { credential = variable('COUNTERSIGN_AGENT'), taskQueue } = options;
    const { connection } = temporal;
    const settings = temporalSettings();
    const held = typeof credential === 'string' ? await readCredential(credential) : credential;
    const place = {
      address: connection instanceof Connection ? connection.options.address : settings.address,
      namespace: temporal.options.namespace,
      taskQueue: taskQueue ?? settings.taskQueue,
    };
    return new Countersign(temporal, place, held ?? undefined, () => Promise.resolve());
  }

  /** The same connection in another agent's name. It costs nothing to make; closing it closes nothing. */
  as(holder: Credential | AttestedAgent): Countersign {
    return new Countersign(this.temporal, this.#settings, holder, () => Promise.resolve());
  }

  /**
   * Proposes an action and waits for its outcome. Calling it again with the same proposal and `actionId` returns the recorded
   * outcome and has no second effect.
   *
   * A refusal is an outcome (`denied`), not an exception.
   *
   * @throws CountersignError INVALID_PROPOSAL and its kin before anything is sent; ACTION_CONFLICT; LEDGER_UNAVAILABLE, when nothing was
   *   done and that cannot be recorded yet; TEMPORAL_UNAVAILABLE and TIMED_OUT; after the last three the same call is safe to repeat
   */
  async perform(input: ProposalInput, options: PerformOptions = {}): Promise<Outcome | PendingAction> {
    const proposal = parseProposal(withoutUndefined({ ...input, actionId: input.actionId ?? randomUUID() }));
    const tenant = this.#tenant();
    const { actionId } = proposal;
    const digest = proposalDigest(proposal);
    const call = { tenant, actionId, digest };
    const signature = await this.#signing.sign(signedProposalDigest(proposal));
    const handle = actionHandle(this.temporal, tenant, actionId);
    const timeoutMs = options.timeoutMs ?? 60_000;

    const begin = (since?: string): Promise<OutcomeReply> =>
      this.#calls.repeatedWithin(actionId, timeoutMs, () =>
        startAction(this.temporal, this.#settings, this.#signing.agent, { proposal, digest, signature }, since),
      );
    const ask = (since?: string): Promise<OutcomeReply> =>
      begin(since).catch(async (error: unknown) => ({
        kind: 'outcome',
        outcome: await this.#outcomes.insteadOf(error, call),
      }));

    let reply = await ask();
    if (reply.kind !== 'outcome') {
      // A repeated call gets the reply recorded for the first one: the action may have gone on since.
      const { status, runId } = await this.#calls.repeatedWithin(actionId, timeoutMs, () => handle.describe());
      if (status.name === 'COMPLETED') return this.#outcomes.of(call, await this.outcome(actionId, { tenant }));
      if (status.name !== 'RUNNING') reply = await ask(runId);
    }
    if (reply.kind === 'outcome') return this.#outcomes.of(call, reply.outcome);
    if (reply.kind === 'unrecorded') throw unrecorded(actionId, reply.error);
    const view = await this.#calls.repeatedWithin(actionId, timeoutMs, () => this.view(actionId, tenant));
    if (view.outcome !== undefined) return this.#outcomes.of(call, view.outcome);
    const pending = view.pending ?? reply.pending;
    this.#outcomes.assertOwn(actionId, pending.shown.agent.id);
    await this.#calls.repeatedWithin(actionId, timeoutMs, () =>
      restate(handle, { proposal, signature }, pending.shown.proposal),
    );
    return {
      status: 'pending',
      tenant,
      actionId,
      reason: pending.decision.reason,
      pending,
      outcome: (options = {}) => this.outcome(actionId, { tenant, ...options }),
    };
  }

  /**
   * Tells what would become of a proposal if it were made now: what policy and limits say, whom it would wait for, what it would touch. It
   * has no effect and leaves nothing behind, and the answer holds nothing: another action may be quicker, and people may decide otherwise.
   *
   * What would be refused is an answer (`deny`), not an exception.
   *
   * @throws CountersignError INVALID_PROPOSAL and its kin before anything is sent; LEDGER_UNAVAILABLE, TOOL_UNAVAILABLE,
   *   TEMPORAL_UNAVAILABLE, TIMED_OUT
   */
  async dryRun(input: ProposalInput, { timeoutMs = 60_000 }: PerformOptions = {}): Promise<DryRun> {
    const proposal = parseProposal(withoutUndefined({ ...input, actionId: input.actionId ?? randomUUID() }));
    const signature = await this.#signing.sign(dryRunDigest(proposal));
    const request = { proposal, signature };
    return this.#calls.within('of the dry run', timeoutMs, () =>
      dryRun(this.temporal, this.#settings, this.#tenant(), request),
    );
  }

  /**
   * Proposes up to 20 actions that are decided together: where policy denies one of them, or limits have no room for all, none is begun, and
   * the answer says of each what would have become of it (`not_begun`). Else all are begun at once, in no order, and each has its own outcome,
   * waits for people (`pending`) or goes on (`open`). Nothing is held until each is authorized, so one of them may still be denied then. For
   * actions that must succeed together there is `saga`.
   *
   * What was begun before is not decided again, so calling it again with the same proposals and `actionId`s is safe.
   *
   * @throws CountersignError INVALID_PROPOSAL and its kin before anything is sent; LEDGER_UNAVAILABLE, TOOL_UNAVAILABLE, TEMPORAL_UNAVAILABLE
   *   and TIMED_OUT while it is decided: the same call is safe to repeat
   */
  async performAll(inputs: readonly ProposalInput[], options: BatchOptions = {}): Promise<BatchAnswer> {
    const { timeoutMs = 60_000, decisionTimeoutMs = timeoutMs } = options;
    const proposals = batchOf(
      inputs.map((one) => withoutUndefined({ ...one, actionId: one.actionId ?? randomUUID() })),
    );
    const { id: agent, tenant } = this.#signing.agent;
    const actions = await signBatch(this.#signing.sign, proposals);
    const { begun, actions: decisions } = await this.#calls.within('of the batch', decisionTimeoutMs, () =>
      decideBatch(this.temporal, this.#settings, tenant, { agent, actions }),
    );
    const answers = proposals.map((proposal, index): Promise<BatchedAction> => {
      const { actionId } = proposal;
      const decision = decisions[index];
      if (begun || decision?.kind !== 'decided') return this.#begun(proposal, timeoutMs);
      return Promise.resolve({ status: 'not_begun', actionId, decided: decision.decided });
    });
    return { begun, actions: await Promise.all(answers) };
  }

  /**
   * Proposes several actions that shall succeed together. They are done in order; when one does not succeed, those that were done are
   * undone in reverse order, each as an action of its own. Answers when it has ended, or as soon as it waits for a person
   * (`needs_person`). Calling it again with the same steps and `traceId` returns what became of it.
   *
   * @throws CountersignError as `perform` does
   */
  async saga(input: SagaInput, { timeoutMs = 60_000 }: PerformOptions = {}): Promise<SagaResult> {
    const request = await signSaga(this.#signing.sign, input);
    const { agent } = this.#signing;
    const { tenant } = agent;
    const { traceId } = request;
    const view = await this.#calls.within(traceId, timeoutMs, () =>
      startSaga(this.temporal, this.#settings, agent, request),
    );
    if (isOver(view)) return view;
    return {
      ...view,
      status: 'needs_person',
      outcome: (options = {}) => this.sagaOutcome(traceId, { tenant, ...options }),
    };
  }

  /** How a saga stands now. @param tenant of the saga, default the agent's @throws CountersignError NOT_FOUND */
  async sagaView(traceId: string, tenant = this.#tenant()): Promise<SagaView> {
    return this.#calls.unbounded(traceId, () => sagaView(this.temporal, tenant, traceId));
  }

  /**
   * Waits for a saga's end, however long people take.
   *
   * @param options `tenant` of the saga, default the agent's; `timeoutMs`, default none
   * @throws CountersignError NOT_FOUND, TIMED_OUT
   */
  async sagaOutcome(traceId: string, options: { tenant?: string; timeoutMs?: number } = {}): Promise<SagaView> {
    const { tenant = this.#tenant(), timeoutMs } = options;
    const wait = (): Promise<SagaView> => sagaOutcome(this.temporal, tenant, traceId);
    return timeoutMs === undefined
      ? this.#calls.unbounded(traceId, wait)
      : this.#calls.within(traceId, timeoutMs, wait);
  }

  /**
   * Asks a saga to stop: the next step is not done, and what was done is undone.
   *
   * @param tenant of the saga, default the agent's
   * @throws CountersignError NOT_FOUND
   */
  async cancelSaga(traceId: string, tenant = this.#tenant()): Promise<void> {
    await this.#calls.unbounded(traceId, () => this.temporal.workflow.getHandle(sagaId(tenant, traceId)).cancel());
  }

  /** How the undoing of an action stands. @param tenant of the action, default the agent's @throws CountersignError NOT_FOUND */
  async compensation(actionId: string, tenant = this.#tenant()): Promise<CompensationView> {
    return this.#calls.unbounded(actionId, () => compensationView(this.temporal, tenant, actionId));
  }

  /** What is known of an action now. @param tenant of the action, default the agent's @throws CountersignError NOT_FOUND */
  async view(actionId: string, tenant = this.#tenant()): Promise<ActionView> {
    return this.#calls.onAction(tenant, actionId, (handle) => handle.query(viewQuery));
  }

  /**
   * Waits for an action's end.
   *
   * @param options `tenant` of the action, default the agent's; `timeoutMs`, default none
   * @throws CountersignError NOT_FOUND, TIMED_OUT; EFFECT_UNKNOWN when its workflow was ended from outside
   */
  async outcome(actionId: string, options: { tenant?: string; timeoutMs?: number } = {}): Promise<Outcome> {
    const tenant = options.tenant ?? this.#tenant();
    try {
      return await this.#outcomes.latest(
        await this.#calls.onAction(tenant, actionId, (handle) =>
          options.timeoutMs === undefined
            ? handle.result()
            : this.#calls.within(actionId, options.timeoutMs, () => handle.result()),
        ),
      );
    } catch (error) {
      return await this.#outcomes.insteadOf(error, { tenant, actionId });
    }
  }

  /**
   * Hands in a person's signed decision.
   *
   * @param tenant of the action, default the agent's
   * @param edited what they made of the proposal (`editedProposal`), where the decision is an edit
   * @throws CountersignError APPROVAL_*, NOT_PENDING, NOT_FOUND; EDIT_INVALID and INVALID_* of an edit
   */
  async decide(actionId: string, token: string, tenant = this.#tenant(), edited?: Proposal): Promise<DecideReply> {
    const args: [string, Proposal?] = edited === undefined ? [token] : [token, edited];
    return this.#calls.onAction(tenant, actionId, (handle) => handle.executeUpdate(decideUpdate, { args }));
  }

  /**
   * Asks an action to stop. Before its effect it is `cancelled`; during it, the truth is found out.
   *
   * @param tenant of the action, default the agent's
   * @throws CountersignError NOT_FOUND
   */
  async cancel(actionId: string, tenant = this.#tenant()): Promise<void> {
    await this.#calls.onAction(tenant, actionId, (handle) => handle.cancel());
  }

  /**
   * Hands in a person's signed command (`signCommand`): it lifts a freeze, resolves an unknown outcome, revokes a credential
   * or decides on an undoing that failed.
   * It is good once.
   *
   * @throws CountersignError COMMAND_INVALID, ROLE_REQUIRED, CREDENTIAL_REVOKED, NOT_FOUND, NOT_UNKNOWN; TIMED_OUT, when it may
   *   still be carried out
   */
  async submitCommand(command: string, { timeoutMs = 60_000 }: PerformOptions = {}): Promise<CommandResult> {
    return this.#calls.within('of the signed command', timeoutMs, () =>
      submitCommand(this.temporal, this.#settings, command),
    );
  }

  /** Closes the connection that `connect` made. One that `over` or `as` made has none of its own, and closes nothing. */
  async close(): Promise<void> {
    await this.#close();
  }

  /** What became of one action of a batch. An error is of this one alone: the others have their own answers. */
  async #begun(proposal: Proposal, timeoutMs: number): Promise<BatchedAction> {
    const { actionId } = proposal;
    try {
      return await this.perform(proposal, { timeoutMs });
    } catch (thrown) {
      return { status: 'open', actionId, error: asCountersignError(thrown).toJSON() };
    }
  }

  #tenant(): string {
    return this.#signing.agent.tenant;
  }
}
