/** What commands reach for: the ledger, Temporal, keys and credentials. Each is loaded when first asked for, so that `--help` stays quick. */
import type { Client } from '@temporalio/client';
import { CountersignError } from '../action/errors.js';
import type { Countersign } from '../client/countersign.js';
import { given, secretVariable, temporalSettings, type TemporalSettings, variable } from '../environment.js';
import type { Database, Ledger } from '../ledger/index.js';
import type { PayloadEncryption } from '../privacy/data-converter.js';
import type { Credential, CredentialView, Keyring } from '../trust/index.js';
import type { Output } from './output.js';
import type { Terminal } from './terminal.js';
import { usageError } from './usage-error.js';

/** Where development keeps its things: keys, servers' data, anchors of receipts. */
export const LOCAL_FOLDER = '.countersign';

/** How long a query or an update may take when everything is well. Milliseconds. */
const ANSWER_MS = 15_000;

export interface ActionName {
  readonly tenant: string;
  readonly actionId: string;
}

export class Context {
  readonly out: Output;
  readonly env: NodeJS.ProcessEnv;
  readonly terminal: Terminal;
  readonly #closing: (() => Promise<unknown> | void)[] = [];

  constructor(out: Output, terminal: Terminal) {
    this.out = out;
    this.env = terminal.env;
    this.terminal = terminal;
  }

  get temporalSettings(): TemporalSettings {
    return temporalSettings(this.env);
  }

  /** Where links to an action's workflow lead: TEMPORAL_UI_URL, default http://127.0.0.1:8233. */
  get temporalUi(): { readonly uiUrl: string; readonly namespace: string } {
    return {
      uiUrl: variable('TEMPORAL_UI_URL', this.env) ?? 'http://127.0.0.1:8233',
      namespace: this.temporalSettings.namespace,
    };
  }

  /** Closed at the end, the latest first. */
  defer(close: () => Promise<unknown> | void): void {
    this.#closing.push(close);
  }

  async close(): Promise<void> {
    for (const close of this.#closing.toReversed()) await Promise.resolve(close()).catch(() => {});
    this.#closing.length = 0;
  }

  hasLedger(): boolean {
    return this.#ledgerUrl() !== undefined;
  }

  /** @throws CountersignError CONFIG_INVALID */
  ledgerUrl(): string {
    const url = this.#ledgerUrl();
    if (url !== undefined) return url;
    throw new CountersignError('CONFIG_INVALID', 'The address of the ledger is not set.', {
      field: 'COUNTERSIGN_LEDGER_URL',
      expected: 'postgres://user:password@host:port/database',
      fix: 'Set COUNTERSIGN_LEDGER_URL; `countersign dev` prints it for its own ledger.',
    });
  }

  /** COUNTERSIGN_LEDGER_SCHEMA, when set. */
  ledgerSchema(): { schema?: string } {
    const schema = variable('COUNTERSIGN_LEDGER_SCHEMA', this.env);
    return schema === undefined ? {} : { schema };
  }

  /** The Postgres of the ledger, which the gateway's tables are in too. */
  async database(): Promise<Database> {
    const url = this.ledgerUrl();
    const { Database } = await import('../ledger/index.js');
    const database = new Database({ url, ...this.ledgerSchema(), poolSize: 3 });
    this.defer(() => database.close());
    return database;
  }

  async ledger(): Promise<Ledger> {
    const database = await this.database();
    const { Ledger } = await import('../ledger/index.js');
    return new Ledger(database);
  }

  /** What encrypts payloads. @throws CountersignError KEYS_* */
  async encryption(): Promise<PayloadEncryption> {
    const { payloadEncryption } = await import('../privacy/data-converter.js');
    return payloadEncryption(this.env);
  }

  /** @throws CountersignError TEMPORAL_UNAVAILABLE, KEYS_* */
  async temporal(): Promise<Client> {
    const { connectTemporal } = await import('../client/connection.js');
    const connected = await connectTemporal(this.temporalSettings, await this.encryption());
    this.defer(() => connected.close());
    return connected.client;
  }

  /** @throws CountersignError TEMPORAL_UNAVAILABLE, KEYS_* */
  async countersign(credential?: Credential): Promise<Countersign> {
    const { Countersign } = await import('../client/countersign.js');
    const countersign = await Countersign.connect({
      ...this.temporalSettings,
      encryption: await this.encryption(),
      ...(credential === undefined ? {} : { credential }),
    });
    this.defer(() => countersign.close());
    return countersign;
  }

  /**
   * Runs calls that a worker must answer. Without this, they would wait for as long as none runs.
   *
   * @throws CountersignError TIMED_OUT
   */
  async answered<T>(countersign: Countersign, call: () => Promise<T>): Promise<T> {
    const { grpcCode } = await import('../client/connection.js');
    const deadline = Date.now() + ANSWER_MS;
    try {
      return await countersign.temporal.connection.withDeadline(deadline, call);
    } catch (error) {
      const late = grpcCode(error) === 4 || Date.now() >= deadline;
      if (!late && !/no poller|workflow task in failed state/i.test(String(error))) throw error;
      throw new CountersignError(
        'TIMED_OUT',
        `No worker answers on the task queue ${this.temporalSettings.taskQueue}.`,
        {
          field: 'COUNTERSIGN_TASK_QUEUE',
          expected: 'a running worker',
          fix: 'Start one with `countersign worker` (or `countersign dev`); countersign doctor tells what it sees.',
          cause: error,
          retryable: true,
        },
      );
    }
  }

  /** The operator's keys. Only `dev` makes keys; elsewhere a wrong folder would give keys that nobody knows. @throws CountersignError KEYS_* */
  async keyring(): Promise<Keyring> {
    const { loadKeyring } = await import('../trust/index.js');
    const { existsSync } = await import('node:fs');
    const devPath = `${LOCAL_FOLDER}/keys.json`;
    try {
      return await loadKeyring({ env: this.env, ...(existsSync(devPath) ? { devPath } : {}) });
    } catch (error) {
      if (!(error instanceof CountersignError) || error.code !== 'KEYS_MISSING') throw error;
      throw new CountersignError('KEYS_MISSING', error.message, {
        ...error.toJSON(),
        fix: 'Set COUNTERSIGN_KEYS_FILE. `countersign dev` makes keys for development; `countersign keys create --out keys.json` for production.',
        cause: error,
      });
    }
  }

  /** The approver's credential: `as`, else COUNTERSIGN_APPROVER. @throws CountersignError USAGE, KEYS_* */
  async approver(as: string | undefined): Promise<{ credential: Credential; holder: CredentialView }> {
    return this.#credential('approver', as, 'COUNTERSIGN_APPROVER');
  }

  /** The approver's credential, where one is given. @throws CountersignError USAGE, KEYS_* */
  async approverIfAny(as: string | undefined): Promise<{ credential: Credential; holder: CredentialView } | undefined> {
    const none = given(as) === undefined && variable('COUNTERSIGN_APPROVER', this.env) === undefined;
    return none ? undefined : this.approver(as);
  }

  /** The agent's credential: `as`, else COUNTERSIGN_AGENT. @throws CountersignError USAGE, KEYS_* */
  async agent(as: string | undefined): Promise<{ credential: Credential; holder: CredentialView }> {
    return this.#credential('agent', as, 'COUNTERSIGN_AGENT');
  }

  async #credential(kind: 'agent' | 'approver', as: string | undefined, variable: string) {
    const text = given(as) ?? given(this.env[variable]);
    if (text === undefined) {
      throw usageError(`No ${kind} credential was given.`, {
        field: variable,
        expected: `a credential made by \`countersign ${kind} create\`, or its file`,
        fix: `Set ${variable}, or name the file with --as.`,
      });
    }
    const { peekCredential, readCredential } = await import('../trust/index.js');
    const credential = await readCredential(text);
    const holder = peekCredential(credential);
    if (holder.kind === kind) return { credential, holder };
    throw usageError(`This is an ${holder.kind} credential, but the command needs an ${kind} credential.`, {
      field: as === undefined ? variable : '--as',
      expected: `a credential made by \`countersign ${kind} create\``,
    });
  }

  /**
   * Whose actions are meant: `tenant`, else that of the agent's or approver's credential in the environment; undefined when
   * nothing says.
   *
   * @throws CountersignError USAGE, KEYS_*
   */
  async tenant(tenant: string | undefined): Promise<string | undefined> {
    if (tenant !== undefined) return (await import('./action-name.js')).checkTenant(tenant);
    const text = variable('COUNTERSIGN_AGENT', this.env) ?? variable('COUNTERSIGN_APPROVER', this.env);
    if (text === undefined) return undefined;
    const { peekCredential, readCredential } = await import('../trust/index.js');
    return peekCredential(await readCredential(text)).tenant;
  }

  /** The action meant by `actionId`, or by `<tenant>/<actionId>` as Temporal names it. @throws CountersignError USAGE, KEYS_* */
  async action(name: string, tenant: string | undefined): Promise<ActionName> {
    const { splitAction } = await import('./action-name.js');
    const named = splitAction(name);
    const found = named.tenant ?? (await this.tenant(tenant));
    if (found !== undefined) return { tenant: found, actionId: named.actionId };
    throw usageError('The tenant of the action is not known.', {
      field: '--tenant',
      expected: 'a tenant',
      fix: `Write --tenant T or <tenant>/${named.actionId}, or set COUNTERSIGN_AGENT, COUNTERSIGN_APPROVER or COUNTERSIGN_LEDGER_URL.`,
    });
  }

  /**
   * As `action`, for commands that only look: where no tenant was named, and that of the credential has no such action or there is none,
   * the ledger is asked which tenant has it.
   *
   * @throws CountersignError USAGE when several tenants have it, NOT_FOUND; KEYS_*
   */
  async anyAction(name: string, tenant: string | undefined): Promise<ActionName> {
    const { splitAction } = await import('./action-name.js');
    const named = splitAction(name);
    const own = named.tenant ?? (await this.tenant(tenant));
    if (named.tenant !== undefined || tenant !== undefined || !this.hasLedger()) return this.action(name, tenant);
    const { tenantOfAction } = await import('./tenant-of-action.js');
    return { tenant: await tenantOfAction(this, named.actionId, own), actionId: named.actionId };
  }

  #ledgerUrl(): string | undefined {
    return secretVariable('COUNTERSIGN_LEDGER_URL', this.env) ?? variable('DATABASE_URL', this.env);
  }
}
