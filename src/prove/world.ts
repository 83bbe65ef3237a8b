/** The scratch world: a Temporal, a ledger, keys and people that are nobody's, and the operator's policies and tools in it. */
import { randomUUID } from 'node:crypto';
import type { CommandResult } from '../../activities/contract.js';
import { asCountersignError, type CountersignError } from '../action/errors.js';
import type { Outcome } from '../action/outcome.js';
import type { JsonObject } from '../action/json.js';
import { Countersign, type PendingAction, type ProposalInput } from '../client/countersign.js';
import type { CountersignConfig } from '../config/config.js';
import type { TemporalSettings } from '../environment.js';
import type { Ledger } from '../ledger/index.js';
import type { Policy } from '../policy/compile.js';
import type { PayloadEncryption } from '../privacy/data-converter.js';
import {
  issueAgent,
  issueApprover,
  signApproval,
  signCommand,
  type AgentOptions,
  type CommandOptions,
  type Credential,
  type Keyring,
} from '../trust/index.js';
import { startWorkerWith, type RunningWorker, type WorkerOptions } from '../worker/worker.js';
import { OWNER, type Case, type ToolCases } from './cases.js';
import type { CapturedLog } from './scratch/captured-log.js';
import type { ScratchServers } from './scratch/servers.js';

/** What is the operator's own: to be read, never to be run. */
export interface Operator {
  readonly config: CountersignConfig;
  readonly configFile: string;
  readonly env: NodeJS.ProcessEnv;
  /** Where `countersign dev` keeps its keys, if it was run here. */
  readonly developmentKeys: string;
}

interface WorldParts {
  readonly tenant: string;
  readonly servers: ScratchServers;
  readonly temporal: TemporalSettings;
  readonly ledgerUrl: string;
  readonly ledger: Ledger;
  /** The text of the made-up keys, and the keys. */
  readonly keys: string;
  readonly keyring: Keyring;
  readonly encryption: PayloadEncryption;
  /** As the workers of this world have it. */
  readonly config: CountersignConfig;
  readonly operator: Operator;
  readonly policies: string;
  readonly policy: Policy;
  readonly cases: readonly ToolCases[];
  readonly untried: Readonly<Record<string, string>>;
  readonly log: CapturedLog;
  /** What stands in for every credential: it must be nowhere. */
  readonly secret: string;
  /** What stands in for every value that is redacted. */
  readonly redacted: string;
  readonly publicKeys: string | undefined;
  /** A folder that goes with the world. */
  readonly folder: string;
}

export interface ProposedAction {
  readonly actionId: string;
  readonly tool: string;
  /** How it ended, where it has not to wait. */
  readonly outcome?: Outcome;
  readonly pending?: PendingAction;
  /** Set where it was refused before it became an action. */
  readonly error?: CountersignError;
}

/** How long one action may take. Milliseconds. */
const ACTION_MS = 45_000;

export class World {
  readonly parts: WorldParts;
  /** Every action that was proposed. */
  readonly proposed: ProposedAction[] = [];
  readonly #client: Countersign;
  readonly #workers: RunningWorker[] = [];
  readonly #kept: (() => Promise<void>)[] = [];
  #count = 0;

  private constructor(parts: WorldParts, client: Countersign) {
    this.parts = parts;
    this.#client = client;
  }

  static async open(parts: WorldParts): Promise<World> {
    const { temporal, encryption } = parts;
    const client = await Countersign.connect({ ...temporal, credential: null, encryption });
    const world = new World(parts, client);
    await world.startWorker();
    return world;
  }

  /** Something that goes with the world: closed before its workers are stopped, the latest first. */
  keep(close: () => Promise<void>): void {
    this.#kept.push(close);
  }

  /** For the worker of another task queue. */
  async connect(temporal: TemporalSettings): Promise<Countersign> {
    const { encryption } = this.parts;
    const client = await Countersign.connect({ ...temporal, credential: null, encryption });
    this.keep(() => client.close());
    return client;
  }

  get client(): Countersign {
    return this.#client;
  }

  async startWorker(
    overrides: Partial<WorkerOptions> = {},
    settings: Parameters<typeof startWorkerWith>[0] = {},
  ): Promise<RunningWorker> {
    const { config, temporal, ledgerUrl, keyring, log } = this.parts;
    const worker = await startWorkerWith(settings, {
      config,
      temporal,
      ledgerUrl,
      keyring,
      logger: log.logger,
      reconcileEveryMs: 0,
      production: false,
      ...overrides,
    });
    this.#workers.push(worker);
    return worker;
  }

  /** A number that was not used before: for the input of a candidate. */
  next(): number {
    return this.#count++;
  }

  /** @param at when it was issued; default: now */
  agentCredential(options: Partial<AgentOptions> = {}, at?: Date): Promise<Credential> {
    const { keyring, tenant } = this.parts;
    const who = { id: 'countersign-prove-agent', tenant, roles: [], scopes: ['*'], owner: OWNER, ...options };
    return issueAgent(keyring, who, at);
  }

  person(id: string, roles: readonly string[]): Promise<Credential> {
    const { keyring, tenant } = this.parts;
    return issueApprover(keyring, { id, tenant, roles });
  }

  proposalOf(
    one: Case,
    more: Partial<ProposalInput> = {},
  ): ProposalInput & { readonly actionId: string; readonly input: JsonObject } {
    const { tool, from } = one;
    return {
      tool,
      input: one.input(this.next()),
      reasoning: 'countersign prove tries to break what is promised.',
      ...(from === undefined ? {} : { from }),
      ...more,
      actionId: more.actionId ?? `prove-${randomUUID()}`,
    };
  }

  /** Proposes as an agent with the case's roles, and waits for the end or for the need of people. Never throws a refusal. */
  async propose(one: Case, more: Partial<ProposalInput> = {}, as?: Credential): Promise<ProposedAction> {
    const credential = as ?? (await this.agentCredential({ roles: [...one.roles] }));
    return this.proposeAs(credential, this.proposalOf(one, more));
  }

  async proposeAs(
    credential: Credential,
    proposal: ProposalInput & { readonly actionId: string },
    client = this.#client,
  ): Promise<ProposedAction> {
    const { actionId, tool } = proposal;
    let proposed: ProposedAction;
    try {
      const answer = await client.as(credential).perform(proposal, { timeoutMs: ACTION_MS });
      proposed = { actionId, tool, ...(answer.status === 'pending' ? { pending: answer } : { outcome: answer }) };
    } catch (thrown) {
      const error = asCountersignError(thrown);
      if (error.retryable || error.code === 'INTERNAL') throw thrown;
      proposed = { actionId, tool, error };
    }
    this.proposed.push(proposed);
    return proposed;
  }

  /** A signed decision on what the action shows now. */
  async approval(
    action: PendingAction,
    by: Credential,
    more: Partial<Parameters<typeof signApproval>[1]> = {},
  ): Promise<string> {
    const { tenant, actionId } = action;
    const { pending } = await this.#client.view(actionId, tenant);
    const { shownDigest } = pending ?? action.pending;
    return signApproval(by, { tenant, actionId, shownDigest, verdict: 'approve', ...more });
  }

  /** Has a person's signed command carried out. */
  async command(by: Credential, options: CommandOptions): Promise<CommandResult> {
    return this.#client.submitCommand(await signCommand(by, options));
  }

  async cancel({ actionId }: ProposedAction): Promise<void> {
    await this.#client.cancel(actionId, this.parts.tenant).catch(() => {});
    await this.#client.outcome(actionId, { tenant: this.parts.tenant, timeoutMs: ACTION_MS }).catch(() => {});
  }

  async close(): Promise<void> {
    for (const close of this.#kept.toReversed()) await close().catch(() => {});
    await this.#client.close();
    for (const worker of this.#workers.toReversed()) await worker.stop().catch(() => {});
  }
}
