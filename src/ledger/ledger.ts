/** The ledger on Postgres, as one object. */
import { sql } from 'kysely';
import type { Digest, Json } from '../action/json.js';
import type { LimitDemand, LimitReading } from '../action/limits.js';
import type { ReceiptRef } from '../action/outcome.js';
import * as actions from './actions.js';
import { Archive } from './archive.js';
import { Asks } from './asks.js';
import * as content from './content.js';
import { Database, DEFAULT_CONNECT_TIMEOUT_MS, type LedgerOptions } from './database.js';
import { Deliveries } from './deliveries.js';
import { Duties } from './duties.js';
import * as freezes from './freezes.js';
import { returnGrant, useGrant } from './grants.js';
import * as limits from './limits.js';
import { migrate, pendingMigrations } from './migrate.js';
import { useNonce } from './nonces.js';
import { openActions, voidGrants } from './open-actions.js';
import { Passkeys } from './passkeys.js';
import type {
  ActionRecord,
  Admission,
  AdmitRequest,
  AppendReceiptRequest,
  ChainHead,
  EndedAction,
  Freeze,
  FreezeRequest,
  GrantUse,
  Hold,
  LedgerHealth,
  LedgerPort,
  LiftRequest,
  LimitCounter,
  OpenAction,
  ResolveRequest,
  Revocation,
  RevokeRequest,
  Settled,
  Settlement,
  ReturnGrantRequest,
  SettleRequest,
  StoredReceipt,
  UseGrantRequest,
} from './port.js';
import * as receipts from './receipts.js';
import { resolve } from './resolve.js';
import * as revocations from './revocations.js';
import { Standing } from './standing.js';

/** Contracts and errors of the methods are with `LedgerPort`. Any number of workers may share one ledger. */
export class Ledger implements LedgerPort {
  readonly #database: Database;
  readonly #migrate: () => Promise<readonly string[]>;
  readonly passkeys: Passkeys;
  readonly standing: Standing;
  readonly duties: Duties;
  readonly asks: Asks;
  readonly archive: Archive;
  readonly deliveries: Deliveries;

  private constructor(options: LedgerOptions) {
    const database = new Database(options);
    this.#database = database;
    this.passkeys = new Passkeys(database);
    this.standing = new Standing(database);
    this.duties = new Duties(database);
    this.asks = new Asks(database);
    this.archive = new Archive(database);
    this.deliveries = new Deliveries(database);
    this.#migrate = () => migrate(database, options.url, options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS);
  }

  /** Connects when first asked something, not before. @throws CountersignError CONFIG_INVALID */
  static async connect(options: LedgerOptions): Promise<Ledger> {
    return new Ledger(options);
  }

  /**
   * Sets the schema up, or brings it up to date; any number of callers may at once.
   *
   * @returns the names of the migrations that this call ran
   * @throws CountersignError LEDGER_UNAVAILABLE, CONFIG_INVALID
   */
  migrate(): Promise<readonly string[]> {
    return this.#migrate();
  }

  /** The names of the migrations that `migrate` would run. @throws CountersignError LEDGER_UNAVAILABLE */
  pendingMigrations(): Promise<readonly string[]> {
    return pendingMigrations(this.#database);
  }

  findAction(tenant: string, actionId: string): Promise<ActionRecord | undefined> {
    return actions.findAction(this.#database, tenant, actionId);
  }

  admit(request: AdmitRequest): Promise<Admission> {
    return actions.admit(this.#database, request);
  }

  useGrant(request: UseGrantRequest): Promise<GrantUse> {
    return useGrant(this.#database, request);
  }

  returnGrant(request: ReturnGrantRequest): Promise<boolean> {
    return returnGrant(this.#database, request);
  }

  settle(request: SettleRequest): Promise<Settlement> {
    return receipts.settle(this.#database, request);
  }

  readLimits(tenant: string, actionId: string, demands: readonly LimitDemand[]): Promise<readonly LimitReading[]> {
    return limits.readLimits(this.#database, tenant, actionId, demands);
  }

  limitCounters(options: { readonly tenant?: string } = {}): Promise<readonly LimitCounter[]> {
    return limits.limitCounters(this.#database, options.tenant);
  }

  holds(options: { readonly tenant: string; readonly actionId?: string }): Promise<readonly Hold[]> {
    return limits.holds(this.#database, options.tenant, options.actionId);
  }

  resolve(request: ResolveRequest): Promise<Settled> {
    return resolve(this.#database, request);
  }

  openActions(options: Parameters<LedgerPort['openActions']>[0]): Promise<readonly OpenAction[]> {
    return openActions(this.#database, options);
  }

  voidGrants(tenant: string, actionId: string): Promise<number> {
    return voidGrants(this.#database, tenant, actionId);
  }

  useNonce(request: Parameters<LedgerPort['useNonce']>[0]): Promise<boolean> {
    return useNonce(this.#database, request);
  }

  revoke(request: RevokeRequest): Promise<Revocation> {
    return revocations.revoke(this.#database, request);
  }

  revocations(tenant?: string): Promise<readonly Revocation[]> {
    return revocations.revocations(this.#database, tenant);
  }

  revoked(authority: Parameters<LedgerPort['revoked']>[0]): Promise<Revocation | undefined> {
    return revocations.revoked(this.#database, authority);
  }

  appendReceipt(request: AppendReceiptRequest): Promise<ReceiptRef> {
    return receipts.appendReceipt(this.#database, request);
  }

  putSnapshot(tenant: string, digest: Digest, body: Json): Promise<void> {
    return content.putSnapshot(this.#database, tenant, digest, body);
  }

  getSnapshot(tenant: string, digest: Digest): Promise<Json | undefined> {
    return content.getSnapshot(this.#database, tenant, digest);
  }

  putPolicy(digest: Digest, files: Readonly<Record<string, string>>): Promise<void> {
    return content.putPolicy(this.#database, digest, files);
  }

  getPolicy(digest: Digest): Promise<Readonly<Record<string, string>> | undefined> {
    return content.getPolicy(this.#database, digest);
  }

  freeze(request: FreezeRequest): Promise<Freeze> {
    return freezes.freeze(this.#database, request);
  }

  unfreeze(id: number, request: LiftRequest): Promise<Freeze> {
    return freezes.unfreeze(this.#database, id, request);
  }

  freezes(options: { readonly activeOnly?: boolean } = {}): Promise<readonly Freeze[]> {
    return freezes.freezes(this.#database, options.activeOnly ?? false);
  }

  receipts(tenant: string, options: { readonly after?: number } = {}): AsyncIterable<StoredReceipt> {
    return receipts.receipts(this.#database, tenant, options.after ?? 0);
  }

  head(tenant: string): Promise<ChainHead> {
    return receipts.head(this.#database, tenant);
  }

  tenants(): Promise<readonly string[]> {
    return receipts.tenants(this.#database);
  }

  endedActions(tenant: string): AsyncIterable<EndedAction> {
    return actions.endedActions(this.#database, tenant);
  }

  async health(): Promise<LedgerHealth> {
    const pending = await this.pendingMigrations();
    const start = performance.now();
    const { rows } = await this.#database.ask((kysely) =>
      sql<{ version: string; writable: boolean }>`
        select current_setting('server_version') as version, current_setting('transaction_read_only') = 'off' as writable`.execute(
        kysely,
      ),
    );
    const latencyMs = performance.now() - start;
    return {
      version: rows[0]?.version ?? '',
      writable: rows[0]?.writable ?? false,
      schema: this.#database.schema,
      pending,
      latencyMs,
    };
  }

  /** A store on the ledger's database, for a part that keeps tables of its own there: the gateway. */
  store<T>(make: (database: Database) => T): T {
    return make(this.#database);
  }

  close(): Promise<void> {
    return this.#database.close();
  }
}
