/** Actions in the ledger: admitted, found, listed while they are open and when they have ended. */
import { sql } from 'kysely';
import type { Digest } from '../../action/json.js';
import type { Outcome, OutcomeStatus, UnreceiptedOutcome } from '../../action/outcome.js';
import type { Database } from '../database/database.js';
import { StatementBatcher } from '../database/statement-batcher.js';
import type { SeenHeads } from '../receipts/seen-heads.js';
import { admit } from './admit.js';
import type { Admission, AdmitRequest } from './admission.js';
import { outcomeOf, type EndColumns } from './recorded-outcome.js';
import { standingsOf, type ActionStanding, type NamedAction } from './standing.js';

export interface LedgerAction {
  /** The proposal that this action id stands for. */
  readonly digest: Digest;
  /** `open` until the action has an outcome. */
  readonly status: 'open' | OutcomeStatus;
  /** How many of its grants were used and not returned: 0 means that no effect was ever begun. */
  readonly uses: number;
  /** Who proposed it. Absent where it was never admitted. */
  readonly agent?: string;
  /** The person who answers for the agent, where there is one. */
  readonly owner?: string;
  readonly outcome?: Outcome;
}

/** How many open actions one page of them has. */
export const OPEN_ACTIONS_PAGE = 100;

/** An action without an outcome. Its workflow may be at it, or gone. */
export interface OpenAction {
  readonly tenant: string;
  readonly actionId: string;
  readonly digest: Digest;
  readonly agent: string | null;
  readonly tool: string;
  readonly environment: string | null;
  /** How many of its grants were used and not returned: 0 means that no effect was ever begun. */
  readonly uses: number;
  /** The same, with those that were returned. */
  readonly usesInAll: number;
  /** Whether a grant of it could still be used. */
  readonly liveGrant: boolean;
  /** With microseconds, so that pages join exactly. */
  readonly admittedAt: string;
}

export interface EndedAction {
  readonly actionId: string;
  readonly outcome: UnreceiptedOutcome;
  readonly receiptSeq: number;
  readonly receiptHash: Digest;
}

/** How many ended actions are read at once. */
const ENDED_PAGE = 100;

/** Every method may throw CountersignError LEDGER_UNAVAILABLE (retryable). Further errors are named with each. */
export class Actions {
  readonly #database: Database;
  readonly #batcher: StatementBatcher;
  readonly #heads: SeenHeads;

  constructor(database: Database, heads: SeenHeads) {
    this.#database = database;
    this.#batcher = new StatementBatcher(database);
    this.#heads = heads;
  }

  /**
   * Registers the action unless it is there, and records the grant unless the action conflicts, has ended, is frozen, rests on a
   * revoked credential or does not fit its limits. One round trip. Repeating it, with the same grant or a new one, is fine.
   *
   * @throws CountersignError LEDGER_BROKEN where the receipt of the action could not be taken; GRANT_INVALID when the grant's id was issued before for something else; INVALID_INPUT, INVALID_NUMBER or
   *   INVALID_TEXT when a hold cannot be counted
   */
  admit(request: AdmitRequest): Promise<Admission> {
    return admit({ database: this.#database, batcher: this.#batcher, heads: this.#heads }, request);
  }

  async find(tenant: string, actionId: string): Promise<LedgerAction | undefined> {
    const rows = await this.#database.rows({
      name: 'find_action',
      query: sql<FoundRow>`
        select digest, agent, owner, status, uses - returned as uses, outcome, receipt_seq, receipt_hash from ${this.#database.table('actions')}
        where tenant = ${tenant} and action_id = ${actionId}`,
    });
    const row = rows[0];
    if (row === undefined) return undefined;
    const outcome = outcomeOf(tenant, row);
    return {
      digest: row.digest,
      status: row.status ?? 'open',
      uses: row.uses,
      ...(row.agent === null ? {} : { agent: row.agent }),
      ...(row.owner === null ? {} : { owner: row.owner }),
      ...(outcome === undefined ? {} : { outcome }),
    };
  }

  /** Those of the actions that the ledger has, and how they stand. */
  standings(actions: readonly NamedAction[]): Promise<readonly ActionStanding[]> {
    return standingsOf(this.#database, actions);
  }

  /** Actions without an outcome, admitted at least `olderThanMs` ago, oldest first, at most OPEN_ACTIONS_PAGE; `after` takes the last of the page before. */
  async listOpen({
    olderThanMs,
    after,
  }: {
    readonly olderThanMs: number;
    readonly after?: Pick<OpenAction, 'tenant' | 'actionId' | 'admittedAt'>;
  }): Promise<readonly OpenAction[]> {
    const from = after ?? { admittedAt: '-infinity', tenant: '', actionId: '' };
    const rows = await this.#database.rows({
      name: 'open_actions',
      query: sql<OpenRow>`
        select a.tenant, a.action_id, a.digest, a.agent, a.tool, a.environment, a.uses - a.returned as uses, a.uses as uses_in_all,
          to_char(a.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as admitted_at,
          exists (
            select from ${this.#database.table('grants')} as g
            where g.tenant = a.tenant and g.action_id = a.action_id and g.used_at is null and g.expires_at > clock_timestamp()
          ) as live
        from ${this.#database.table('actions')} as a
        where a.status is null
          and a.created_at <= statement_timestamp() - ${olderThanMs}::float8 * interval '1 millisecond'
          and (a.created_at, a.tenant, a.action_id) > (${from.admittedAt}::timestamptz, ${from.tenant}, ${from.actionId})
        order by a.created_at, a.tenant, a.action_id
        limit ${sql.lit(OPEN_ACTIONS_PAGE)}`,
    });
    return rows.map((row) => ({
      tenant: row.tenant,
      actionId: row.action_id,
      digest: row.digest,
      agent: row.agent,
      tool: row.tool,
      environment: row.environment,
      uses: row.uses,
      usesInAll: row.uses_in_all,
      liveGrant: row.live,
      admittedAt: row.admitted_at,
    }));
  }

  /**
   * Settled actions in the order of their receipts, to be checked against them. An action that was resolved comes twice: as it was
   * when it was unknown, and as it is.
   */
  async *listEnded(tenant: string): AsyncGenerator<EndedAction> {
    let after = 0;
    for (;;) {
      const rows = await this.#database.rows({
        name: 'ended_actions',
        query: sql<{ action_id: string; outcome: UnreceiptedOutcome; receipt_seq: string; receipt_hash: Digest }>`
          (select action_id, outcome, receipt_seq, receipt_hash from ${this.#database.table('actions')}
            where tenant = ${tenant} and receipt_seq > ${after} order by receipt_seq limit ${sql.lit(ENDED_PAGE)})
          union all
          (select action_id, outcome, receipt_seq, receipt_hash from ${this.#database.table('resolved')}
            where tenant = ${tenant} and receipt_seq > ${after} order by receipt_seq limit ${sql.lit(ENDED_PAGE)})
          order by receipt_seq limit ${sql.lit(ENDED_PAGE)}`,
      });
      for (const row of rows) {
        after = Number(row.receipt_seq);
        yield { actionId: row.action_id, outcome: row.outcome, receiptSeq: after, receiptHash: row.receipt_hash };
      }
      if (rows.length < ENDED_PAGE) return;
    }
  }
}

interface FoundRow extends EndColumns {
  readonly digest: Digest;
  readonly agent: string | null;
  readonly owner: string | null;
  readonly status: OutcomeStatus | null;
  readonly uses: number;
}

interface OpenRow {
  readonly tenant: string;
  readonly action_id: string;
  readonly digest: Digest;
  readonly agent: string | null;
  readonly tool: string;
  readonly environment: string | null;
  readonly uses: number;
  readonly uses_in_all: number;
  readonly live: boolean;
  readonly admitted_at: string;
}
