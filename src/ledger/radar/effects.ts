/** What the radar asks of effects: what became of the actions that made them, and which transaction each one explained. */
import { sql } from 'kysely';
import { idempotencyKey } from '../../action/idempotency-key.js';
import type { OutcomeStatus } from '../../action/outcome.js';
import type { Database } from '../database/database.js';

/** What the ledger has of the action that a key names. */
export interface EffectStanding {
  readonly key: string;
  readonly tool: string;
  readonly status: 'open' | OutcomeStatus;
  /** How many grants were used and not returned. */
  readonly uses: number;
  readonly endedAt: Date | undefined;
  /** Whether it changes nothing. */
  readonly reads: boolean;
}

interface StandingRow {
  readonly key: string;
  readonly tool: string;
  readonly status: OutcomeStatus | null;
  readonly uses: number;
  readonly ended_at: Date | null;
  readonly reads: boolean;
}

/** That the effect of a key explains the transaction at this position. */
export interface EffectClaim {
  readonly key: string;
  readonly position: string;
}

/** For how long it is remembered which transaction an effect explained. An effect explains none that comes later than that. Days. */
const EFFECTS_DAYS = 2;

/** Every method may throw CountersignError LEDGER_UNAVAILABLE (retryable). */
export class RadarEffects {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** What the ledger has of the actions with these names; those that it does not know are left out. */
  async standings(
    names: readonly { readonly key: string; readonly tenant: string; readonly actionId: string }[],
  ): Promise<readonly EffectStanding[]> {
    if (names.length === 0) return [];
    const rows = await this.#database.rows({
      name: 'radar_standings',
      query: sql<StandingRow>`
        select asked.key, a.tool, a.status, a.uses - a.returned as uses, a.ended_at, a.reads
        from unnest(${names.map(({ key }) => key)}::text[], ${names.map(({ tenant }) => tenant)}::text[],
          ${names.map(({ actionId }) => actionId)}::text[]) as asked (key, tenant, action_id)
        join ${this.#database.table('actions')} as a on a.tenant = asked.tenant and a.action_id = asked.action_id`,
    });
    return rows.map((row) => ({
      key: row.key,
      tool: row.tool,
      status: row.status ?? 'open',
      uses: row.uses,
      endedAt: row.ended_at ?? undefined,
      reads: row.reads,
    }));
  }

  /** The keys of the tool's actions that were sent within the day before then, or later. */
  async keysOf(tool: string, since: Date): Promise<readonly string[]> {
    const rows = await this.#database.rows({
      name: 'radar_keys',
      query: sql<{ tenant: string; action_id: string }>`
        select tenant, action_id from ${this.#database.table('actions')}
        where tool = ${tool} and last_sent_at > ${since}::timestamptz - interval '1 day'`,
    });
    return rows.map((row) => idempotencyKey({ tenant: row.tenant, actionId: row.action_id }));
  }

  /**
   * Notes which transaction each effect explains: the first, in one system. Of two systems that are read at once at least one is told that the
   * other has it. Idempotent.
   *
   * @returns the claims of those that are another
   */
  async claim(source: string, system: string, claims: readonly EffectClaim[]): Promise<readonly EffectClaim[]> {
    if (claims.length === 0) return [];
    const effects = this.#database.table('radar_effects');
    const given = sql`
      unnest(${claims.map(({ key }) => key)}::text[], ${claims.map(({ position }) => position)}::text[])
        with ordinality as g (key, position, n)`;
    await this.#database.rows({
      name: 'radar_claim',
      query: sql`
        insert into ${effects} (source, system, key, position)
        select ${source}, ${system}, g.key, g.position from ${given} order by g.n on conflict do nothing returning key`,
    });
    return this.#database.rows({
      name: 'radar_claimed',
      query: sql<EffectClaim>`
        select distinct g.key, g.position from ${given} join ${effects} as e on e.key = g.key
        where e.system <> ${system} or (e.source = ${source} and e.position <> g.position)`,
    });
  }

  /** Forgets which transactions old effects explained. @returns how many */
  async forgetClaims(source: string): Promise<number> {
    const rows = await this.#database.rows({
      name: 'radar_forget',
      query: sql<{ key: string }>`
        delete from ${this.#database.table('radar_effects')}
        where source = ${source} and at < clock_timestamp() - make_interval(days => ${EFFECTS_DAYS}) returning key`,
    });
    return rows.length;
  }
}
