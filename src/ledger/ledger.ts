/** The ledger on Postgres: its rooms, over one database. */
import { sql } from 'kysely';
import { Actions } from './actions/actions.js';
import { ApprovalRequests } from './approvals/approval-requests.js';
import { Passkeys } from './approvals/passkeys.js';
import { RoleDelegations } from './approvals/role-delegations.js';
import { StandingApprovals } from './approvals/standing-approvals.js';
import { Archive } from './archive/archive.js';
import { Canaries } from './canaries/canaries.js';
import { CanarySchedules } from './canaries/canary-schedules.js';
import { Catalogue } from './catalogue/catalogue.js';
import { LedgerClock } from './clock.js';
import { Content } from './content/content.js';
import { Controls } from './controls/controls.js';
import { Nonces } from './controls/nonces.js';
import { Database, type DatabaseOptions } from './database/database.js';
import { LEDGER_TABLES } from './database/ledger-tables.js';
import { migrate, pendingMigrations } from './database/migrate.js';
import { Deliveries } from './deliveries/deliveries.js';
import { Edits } from './edits/edits.js';
import { Figures } from './figures.js';
import { Grants } from './grants/grants.js';
import { RadarAlerts } from './radar/alerts.js';
import { RadarEffects } from './radar/effects.js';
import { RadarRecords } from './radar/radar.js';
import { Limits } from './limits/limits.js';
import { Receipts } from './receipts/receipts.js';
import { SeenHeads } from './receipts/seen-heads.js';
import { Retention } from './retention/index.js';
import { SubjectKeys } from './subjects/index.js';
import { Rollout } from './rollout/rollout.js';
import { Trail } from './trail/trail.js';

export interface LedgerHealth {
  /** Of the database server: `18.4`. */
  readonly version: string;
  readonly schema: string;
  /** Migrations that `countersign setup` would run. */
  readonly pending: readonly string[];
  /** False on a standby, where nothing can be admitted or settled. */
  readonly writable: boolean;
  /** One round trip, milliseconds. */
  readonly latencyMs: number;
}

/** Any number of workers may share one ledger. Every method of a room may throw CountersignError LEDGER_UNAVAILABLE (retryable). */
export class Ledger {
  readonly actions: Actions;
  readonly grants: Grants;
  readonly receipts: Receipts;
  readonly limits: Limits;
  readonly controls: Controls;
  readonly nonces: Nonces;
  readonly approvalRequests: ApprovalRequests;
  readonly standingApprovals: StandingApprovals;
  readonly roleDelegations: RoleDelegations;
  readonly passkeys: Passkeys;
  readonly content: Content;
  readonly archive: Archive;
  readonly canaries: Canaries;
  readonly canarySchedules: CanarySchedules;
  readonly catalogue: Catalogue;
  readonly deliveries: Deliveries;
  readonly edits: Edits;
  readonly retention: Retention;
  readonly subjectKeys: SubjectKeys;
  readonly rollout: Rollout;
  readonly trail: Trail;
  readonly radar: RadarRecords;
  readonly radarAlerts: RadarAlerts;
  readonly radarEffects: RadarEffects;
  readonly figures: Figures;
  /** The time that all workers share. */
  readonly clock: LedgerClock;
  readonly #database: Database;

  /** Connects when first asked something, not before. */
  constructor(database: Database) {
    this.#database = database;
    const heads = new SeenHeads();
    this.actions = new Actions(database, heads);
    this.grants = new Grants(database);
    this.receipts = new Receipts(database, heads);
    this.limits = new Limits(database);
    this.controls = new Controls(database);
    this.nonces = new Nonces(database);
    this.approvalRequests = new ApprovalRequests(database);
    this.standingApprovals = new StandingApprovals(database);
    this.roleDelegations = new RoleDelegations(database);
    this.passkeys = new Passkeys(database);
    this.content = new Content(database);
    this.archive = new Archive(database);
    this.canaries = new Canaries(database);
    this.canarySchedules = new CanarySchedules(database);
    this.catalogue = new Catalogue(database);
    this.deliveries = new Deliveries(database);
    this.edits = new Edits(database);
    this.retention = new Retention(database);
    this.subjectKeys = new SubjectKeys(database);
    this.rollout = new Rollout(database);
    this.trail = new Trail(database);
    this.radar = new RadarRecords(database);
    this.radarAlerts = new RadarAlerts(database);
    this.radarEffects = new RadarEffects(database);
    this.figures = new Figures(database);
    this.clock = new LedgerClock(database);
  }

  /** A ledger on a database of its own. @throws CountersignError CONFIG_INVALID */
  static async connect(options: DatabaseOptions): Promise<Ledger> {
    return new Ledger(new Database(options));
  }

  /**
   * Sets the ledger's tables up, or brings them up to date; any number of callers may at once.
   *
   * @returns the names of the migrations that this call ran
   * @throws CountersignError LEDGER_UNAVAILABLE, CONFIG_INVALID
   */
  migrate(): Promise<readonly string[]> {
    return migrate(this.#database, LEDGER_TABLES);
  }

  /** The names of the migrations that `migrate` would run. @throws CountersignError LEDGER_UNAVAILABLE */
  pendingMigrations(): Promise<readonly string[]> {
    return pendingMigrations(this.#database, LEDGER_TABLES);
  }

  /** Whether the ledger can be written to, and what is still to be set up. @throws CountersignError LEDGER_UNAVAILABLE */
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

  /** Closes the database, also where others were given it. Safe to call twice. */
  close(): Promise<void> {
    return this.#database.close();
  }
}
