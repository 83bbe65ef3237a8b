/** The archive: every action, open or ended, found by what it was; and all that is recorded of one. */
import { sql, type RawBuilder } from 'kysely';
import { CountersignError } from '../../action/errors.js';
import type { Digest } from '../../action/json.js';
import type { Proposal } from '../../action/proposal.js';
import { isRecordedProposal } from '../../action/redacted.js';
import type { UnreceiptedOutcome } from '../../action/outcome.js';
import { compensationActionId } from '../../action/compensation-ids.js';
import { outcomeOf, type EndColumns } from '../actions/recorded-outcome.js';
import {
  archived,
  requestOf,
  COLUMNS,
  cursorAfter,
  ended,
  merged,
  open,
  placeOf,
  wantsEnded,
  wantsOpen,
  type ArchiveFilter,
  type ArchivePage,
  type SearchedRow,
} from './search.js';
import type { ArchivedDecision, ArchivedRecord, SettlingReceipt } from './archived-record.js';
import { canaryRecord, openCanaries } from './canary-records.js';
import { ApprovalRequests } from '../approvals/approval-requests.js';
import { pageSize } from '../database/cursor.js';
import { dashboard, type Dashboard } from './dashboard.js';
import { decidedActions, type DecidedAction, type DecidedFilter } from './decided.js';
import { bundlesInUse, isOnlyTenant, ruleFigures, type NamedBundle, type RuleFigures } from './policy-figures.js';
import { overseenDecisions, type OverseenDecisions, type OverseenOptions } from './overseen.js';
import type { Database } from '../database/database.js';
import { recordOf, type DecisionJson } from '../approvals/person-decisions.js';
import { Deliveries } from '../deliveries/deliveries.js';
import { Limits } from '../limits/limits.js';

/** Every method may throw CountersignError LEDGER_UNAVAILABLE (retryable). */
export class Archive {
  readonly #database: Database;
  readonly #requests: ApprovalRequests;
  readonly #limits: Limits;
  readonly #deliveries: Deliveries;

  constructor(database: Database) {
    this.#database = database;
    this.#limits = new Limits(database);
    this.#requests = new ApprovalRequests(database);
    this.#deliveries = new Deliveries(database);
  }

  /**
   * One page of what fits the filter. An action that ends between two pages may be on both; none is on neither.
   *
   * @param limit at most 200, default 25
   * @param canaries whether those that wait are among the open ones: for people, and never for agents. Default false
   * @throws CountersignError INVALID_INPUT when the cursor is none, or a time
   */
  async search({
    tenant,
    cursor,
    limit = 25,
    canaries = false,
    ...filter
  }: ArchiveFilter & {
    readonly tenant: string;
    /** The `next` of the page before. */
    readonly cursor?: string;
    readonly limit?: number;
    readonly canaries?: boolean;
  }): Promise<ArchivePage> {
    const most = pageSize(limit);
    checkPeriod(filter);
    const place = placeOf(cursor);
    const wanted = new Set([filter.status ?? []].flat());
    const rows: SearchedRow[] = [];
    if (place.kind !== 'ended' && wantsOpen(wanted, filter)) {
      const waits = canaries && (wanted.size === 0 || wanted.has('pending'));
      const [actions, besides] = await Promise.all([
        this.#rows(open(this.#database, tenant, filter, wanted, place, most + 1)),
        waits ? this.#rows(openCanaries(this.#database, tenant, filter, place, most + 1)) : [],
      ]);
      rows.push(...(besides.length === 0 ? actions : merged(actions, besides, most + 1)));
    }
    if (rows.length <= most && wantsEnded(wanted)) {
      const from = place.kind === 'ended' ? place : undefined;
      rows.push(...(await this.#rows(ended(this.#database, tenant, filter, wanted, from, most + 1 - rows.length))));
    }
    const found = rows.slice(0, most);
    const last = found.at(-1);
    return {
      actions: found.map((row) => archived(tenant, row)),
      ...(rows.length > most && last !== undefined ? { next: cursorAfter(last) } : {}),
    };
  }

  async #rows(query: RawBuilder<SearchedRow>): Promise<readonly SearchedRow[]> {
    return await this.#database.ask(async (kysely) => (await query.execute(kysely)).rows);
  }

  /** The tenants that have an action of this id, at most 20, in order. */
  async tenantsOf(actionId: string): Promise<readonly string[]> {
    const rows = await this.#database.rows({
      name: 'tenants_of_action',
      query: sql<{ tenant: string }>`
        select tenant from ${this.#database.table('actions')} where action_id = ${actionId} order by tenant limit 20`,
    });
    return rows.map(({ tenant }) => tenant);
  }

  /** All that is recorded of an action. Undefined when the tenant has none of this id. */
  async action(tenant: string, actionId: string): Promise<ArchivedRecord | undefined> {
    const row = await this.#find(tenant, actionId);
    if (row === undefined) return undefined;
    const [approvalRequest, deliveries, held, decisions] = await Promise.all([
      this.#requests.find(tenant, actionId),
      this.#deliveries.list(tenant, actionId),
      this.#limits.holds({ tenant, actionId }),
      this.#decisions(tenant, actionId),
    ]);
    const outcome = outcomeOf(tenant, row);
    const previously = row.before === null ? undefined : outcomeOf(tenant, row.before);
    const undoes = outcome?.facts?.compensates?.actionId;
    return {
      ...archived(tenant, row),
      proposalDigest: row.digest,
      ...(outcome === undefined ? {} : { outcome }),
      ...(isOf(row) ? { proposal: row.proposal } : {}),
      ...(previously === undefined ? {} : { previously }),
      ...(approvalRequest === undefined ? {} : { approvalRequest }),
      decisions,
      deliveries,
      holds: held,
      receipts: row.receipts.map(({ seq, hash, at }) => ({ seq, hash, at: new Date(at).toISOString() })),
      ...(approvalRequest?.revises === undefined ? {} : { revises: approvalRequest.revises }),
      revisedBy: row.revised_by,
      ...(undoes === undefined ? {} : { undoes }),
      undoneBy: row.undone_by,
    };
  }

  /** The same for people, to whom a canary is an action as long as it waits. Never for agents: none proposed it. */
  async actionForPeople(tenant: string, actionId: string): Promise<ArchivedRecord | undefined> {
    return (await this.action(tenant, actionId)) ?? (await canaryRecord(this.#database, tenant, actionId));
  }

  /** Every action that has ended, with what it was decided on, in the order of the receipts of each tenant. Read in pages. */
  decided(filter: DecidedFilter = {}): AsyncGenerator<DecidedAction> {
    return decidedActions(this.#database, filter);
  }

  /**
   * What became of actions, by the time they ended.
   *
   * @param period at most 366 days; default: 30 days in UTC, today the last. A day that is cut by an end counts what is within
   * @throws CountersignError INVALID_INPUT
   */
  dashboard(tenant: string, period: { readonly from?: Date; readonly to?: Date } = {}): Promise<Dashboard> {
    return dashboard(this.#database, tenant, period);
  }

  /** How often each rule determined a decision of what has ended since. It looks at the latest `most` actions, by default 100,000, and says so. */
  ruleFigures(tenant: string, since: Date, most?: number): Promise<RuleFigures> {
    return ruleFigures(this.#database, tenant, since, most);
  }

  /** What people decided since, the latest first. It looks at the latest `most` decisions, by default 100,000, and says so. */
  overseenDecisions(tenant: string, since: Date, options?: OverseenOptions): Promise<OverseenDecisions> {
    return overseenDecisions(this.#database, tenant, since, options);
  }

  /** The bundles that the tenant's latest decisions name, the latest first: what is in force where no bundle was promoted. */
  bundlesInUse(tenant: string): Promise<readonly NamedBundle[]> {
    return bundlesInUse(this.#database, tenant);
  }

  /** Whether figures over the whole ledger are the tenant's own. */
  isOnlyTenant(tenant: string): Promise<boolean> {
    return isOnlyTenant(this.#database, tenant);
  }

  async #find(tenant: string, actionId: string): Promise<FoundRow | undefined> {
    const table = (name: 'actions' | 'approval_requests' | 'resolved' | 'receipts') => this.#database.table(name);
    const [actions, requests, resolved, receipts] = [
      table('actions'),
      table('approval_requests'),
      table('resolved'),
      table('receipts'),
    ];
    // An action may be undone several times until it succeeds; each attempt has its own id.
    const undoing = Array.from({ length: UNDOINGS }, (_, index) => compensationActionId(actionId, index + 1));
    const [row] = await this.#database.rows<FoundRow>({
      name: 'archived_action',
      query: sql<FoundRow>`
        select ${COLUMNS}, a.digest, a.outcome, a.proposal, k.expires_at, k.reason as asked_because, k.summary as asked_summary,
          (select row_to_json(b) from (
            select outcome, receipt_seq, receipt_hash from ${resolved} where tenant = ${tenant} and action_id = ${actionId}
          ) as b) as before,
          coalesce((select json_agg(json_build_object('seq', r.seq, 'hash', r.hash, 'at', r.at) order by r.seq)
            from ${receipts} as r where r.tenant = ${tenant} and r.seq in (
              a.receipt_seq, (select receipt_seq from ${resolved} where tenant = ${tenant} and action_id = ${actionId})
            )), '[]') as receipts,
          array(select v.action_id from ${requests} as v where v.tenant = ${tenant} and v.revises = ${actionId}
            order by v.first_asked_at) as revised_by,
          array(select u.action_id from ${actions} as u where u.tenant = ${tenant} and u.action_id = any(${undoing}::text[])
            order by u.created_at) as undone_by
        from ${actions} as a
        left join lateral ${requestOf(this.#database, tenant)} as k on k.closed_at is null
        where a.tenant = ${tenant} and a.action_id = ${actionId}`,
    });
    return row;
  }

  async #decisions(tenant: string, actionId: string): Promise<readonly ArchivedDecision[]> {
    const rows = await this.#database.rows<DecisionRow>({
      name: 'archived_decisions',
      query: sql<DecisionRow>`
        select record, waited_seconds as waited, over_rate_limit as "overRateLimit", shown_digest, decided_at, prior_approvals, refused
        from ${this.#database.table('decisions')}
        where tenant = ${tenant} and action_id = ${actionId}
        order by decided_at, digest
        limit ${sql.lit(MOST_DECISIONS)}`,
    });
    return rows.map((row) => ({
      ...recordOf(row),
      shownDigest: row.shown_digest,
      decidedAt: row.decided_at.toISOString(),
      priorApprovals: row.prior_approvals,
      refused: row.refused,
    }));
  }
}

/** Whoever can write to the ledger can write a proposal there: what the action id does not stand for is not shown as if it did. */
function isOf<Row extends Pick<FoundRow, 'digest' | 'outcome' | 'proposal'>>(
  row: Row,
): row is Row & { proposal: Proposal } {
  return row.proposal !== null && isRecordedProposal(row.proposal, row);
}

function checkPeriod({ from, to }: ArchiveFilter): void {
  for (const [field, time] of Object.entries({ from, to })) {
    if (time === undefined || !Number.isNaN(time.getTime())) continue;
    throw new CountersignError('INVALID_INPUT', 'The period to search has no valid time.', {
      field,
      expected: 'a time',
      fix: 'Correct the period.',
    });
  }
}

const UNDOINGS = 20;
const MOST_DECISIONS = 200;

interface FoundRow extends SearchedRow, EndColumns {
  readonly receipt_seq: string | null;
  readonly receipt_hash: Digest | null;
  readonly digest: Digest;
  readonly proposal: Proposal | null;
  readonly before: { outcome: UnreceiptedOutcome; receipt_seq: string; receipt_hash: Digest } | null;
  readonly receipts: readonly SettlingReceipt[];
  readonly revised_by: readonly string[];
  readonly undone_by: readonly string[];
}

interface DecisionRow extends DecisionJson {
  readonly shown_digest: Digest;
  readonly decided_at: Date;
  readonly prior_approvals: number;
  readonly refused: boolean;
}
