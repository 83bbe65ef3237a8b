/** The audit trail: read from the ledger, whose triggers write it, and its checkpoints. */
import { sql } from 'kysely';
import type { Digest } from '../../action/json.js';
import type { Database } from '../database/database.js';

/** One entry, as it is hashed. */
export interface TrailEntry {
  readonly seq: number;
  /** JSON, exactly as the hash is over it. */
  readonly entry: string;
  readonly hash: Digest;
}

export interface EvidencedEntry extends TrailEntry {
  /** What the entry's digest is of, as its table has it now; null where it is not kept, or not any more. */
  readonly evidence: string | null;
}

export interface StoredCheckpoint {
  /** How many entries it covers. */
  readonly size: number;
  readonly jws: string;
  /** Roots of the complete subtrees, largest first. */
  readonly peaks: readonly string[];
}

/** Of one tenant. */
interface TenantGrants {
  readonly tenant: string;
  readonly jtis: readonly string[];
}

/** How many entries are read at once. */
const PAGE = 1_000;

/** How many grants one round enters at most. */
const MOST_GRANTS = 10_000;

/** Every method may throw CountersignError LEDGER_UNAVAILABLE (retryable). */
export class Trail {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Those that have a trail, sorted; `*` is the one of what is about every tenant. */
  async tenants(): Promise<readonly string[]> {
    const rows = await this.#database.rows({
      name: 'trail_tenants',
      query: sql<{ tenant: string }>`
        select tenant from ${this.#database.table('trail')} where seq = 1 order by tenant collate "C"`,
    });
    return rows.map(({ tenant }) => tenant);
  }

  /**
   * Grants that were used longer ago than this, whose actions have no outcome and which have no entry of their own: the oldest, at most
   * 10,000. What has an outcome came into the trail with its receipt.
   *
   * @param tenants whose. Default: everybody's
   */
  async unenteredGrants(
    olderThanMs: number,
    tenants: readonly string[] | null = null,
  ): Promise<readonly TenantGrants[]> {
    return this.#database.rows({
      name: 'trail_unentered_grants',
      query: sql<TenantGrants>`
        select tenant, array_agg(jti order by used_at, jti) as jtis from (
          select g.tenant, g.jti, g.used_at
          from ${this.#database.table('actions')} as a
          join ${this.#database.table('grants')} as g on g.tenant = a.tenant and g.action_id = a.action_id
          where a.status is null and a.uses > 0 and g.trail_seq is null
            and g.used_at < clock_timestamp() - make_interval(secs => ${olderThanMs / 1000}::float8)
            and (${tenants}::text[] is null or a.tenant = any (${tenants}::text[]))
          order by g.used_at limit ${sql.lit(MOST_GRANTS)}
        ) as due
        group by tenant order by tenant collate "C"`,
    });
  }

  /**
   * Gives each of these grants the entry that it should have and has not. Safe to repeat, also beside the settling of their actions: each
   * grant is in the trail once. What somebody else has locked is left.
   *
   * @returns how many got one
   */
  async enterGrants(tenant: string, jtis: readonly string[]): Promise<number> {
    const rows = await this.#database.rows({
      name: 'trail_enter_grants',
      query: sql<{ entered: number }>`
        select ${sql.id(this.#database.schema, 'enter_grants')}(${tenant}, ${jtis}::text[]) as entered`,
    });
    return rows[0]?.entered ?? 0;
  }

  /** How many entries a tenant's trail has. */
  async size(tenant: string): Promise<number> {
    const rows = await this.#database.rows({
      name: 'trail_size',
      query: sql<{ size: string }>`
        select coalesce(max(seq), 0) as size from ${this.#database.table('trail')} where tenant = ${tenant}`,
    });
    return Number(rows[0]?.size ?? 0);
  }

  /** Entries in their order, read in pages, up to `upTo`. */
  entries(tenant: string, range: { readonly after?: number; readonly upTo: number }): AsyncGenerator<TrailEntry> {
    return this.#pages<TrailEntry>(tenant, range, 'trail_entries', sql``);
  }

  /** The same with what their digests are of. */
  evidenced(tenant: string, range: { readonly after?: number; readonly upTo: number }): AsyncGenerator<EvidencedEntry> {
    const evidence = sql`, ${sql.id(this.#database.schema, 'trail_evidence')}(tenant, kind, subject, receipt_seq, grant_jti) as evidence`;
    return this.#pages<EvidencedEntry>(tenant, range, 'trail_evidenced', evidence);
  }

  async *#pages<Entry extends TrailEntry>(
    tenant: string,
    { after = 0, upTo }: { readonly after?: number; readonly upTo: number },
    name: string,
    more: ReturnType<typeof sql>,
  ): AsyncGenerator<Entry> {
    let last = after;
    for (;;) {
      const rows = await this.#database.rows({
        name,
        query: sql<Omit<Entry, 'seq'> & { seq: string }>`
          select seq, entry, hash ${more} from ${this.#database.table('trail')}
          where tenant = ${tenant} and seq > ${last} and seq <= ${upTo} order by seq limit ${sql.lit(PAGE)}`,
      });
      for (const row of rows) {
        last = Number(row.seq);
        yield { ...row, seq: last } as unknown as Entry;
      }
      if (rows.length < PAGE) return;
    }
  }

  /** Numbers of the entries about a subject, such as an action's id, oldest first; at most 100. */
  async about(tenant: string, subject: string): Promise<readonly number[]> {
    const rows = await this.#database.rows({
      name: 'trail_about',
      query: sql<{ seq: string }>`
        select seq from ${this.#database.table('trail')}
        where tenant = ${tenant} and subject = ${subject} order by seq limit 100`,
    });
    return rows.map(({ seq }) => Number(seq));
  }

  /** Numbers of receipts that have no entry, though they were appended since there is a trail; at most 20. */
  async receiptsWithoutEntry(tenant: string): Promise<readonly number[]> {
    const rows = await this.#database.rows({
      name: 'trail_missing_receipts',
      query: sql<{ seq: string }>`
        select r.seq from ${this.#database.table('receipts')} as r
        where r.tenant = ${tenant} and not exists (
          select from ${this.#database.table('trail')} as t where t.tenant = r.tenant and t.receipt_seq = r.seq)
        order by r.seq limit 20`,
    });
    return rows.map(({ seq }) => Number(seq));
  }

  /** A tenant's checkpoints by their size, read in pages, up to the one over `upTo` entries. */
  async *checkpoints(
    tenant: string,
    { upTo }: { readonly upTo: number },
  ): AsyncGenerator<Pick<StoredCheckpoint, 'size' | 'jws'>> {
    let last = 0;
    for (;;) {
      const rows = await this.#database.rows({
        name: 'trail_checkpoints',
        query: sql<{ size: string; jws: string }>`
          select size, jws from ${this.#database.table('trail_checkpoints')}
          where tenant = ${tenant} and size > ${last} and size <= ${upTo} order by size limit ${sql.lit(PAGE)}`,
      });
      for (const { size, jws } of rows) {
        last = Number(size);
        yield { size: last, jws };
      }
      if (rows.length < PAGE) return;
    }
  }

  /** The one over so many entries. */
  async checkpoint(tenant: string, size: number): Promise<StoredCheckpoint | undefined> {
    const rows = await this.#database.rows({
      name: 'trail_checkpoint',
      query: sql<CheckpointRow>`
        select size, jws, peaks from ${this.#database.table('trail_checkpoints')} where tenant = ${tenant} and size = ${size}`,
    });
    return rows[0] && toCheckpoint(rows[0]);
  }

  async lastCheckpoint(tenant: string): Promise<StoredCheckpoint | undefined> {
    const rows = await this.#database.rows({
      name: 'trail_last_checkpoint',
      query: sql<CheckpointRow>`
        select size, jws, peaks from ${this.#database.table('trail_checkpoints')}
        where tenant = ${tenant} order by size desc limit 1`,
    });
    return rows[0] && toCheckpoint(rows[0]);
  }

  /** @returns whether it was stored: of several that go on from the same one, the first is */
  async addCheckpoint(tenant: string, prevSize: number, { size, jws, peaks }: StoredCheckpoint): Promise<boolean> {
    const rows = await this.#database.rows({
      name: 'trail_add_checkpoint',
      query: sql<{ size: string }>`
        insert into ${this.#database.table('trail_checkpoints')} (tenant, size, prev_size, jws, peaks)
        values (${tenant}, ${size}, ${prevSize}, ${jws}, ${peaks}::text[])
        on conflict do nothing returning size`,
    });
    return rows.length > 0;
  }

  /** Whether a checkpoint was put to this place. */
  async isAnchored(tenant: string, size: number, anchor: string): Promise<boolean> {
    const rows = await this.#database.rows({
      name: 'trail_is_anchored',
      query: sql<{ size: string }>`
        select size from ${this.#database.table('trail_anchors')}
        where tenant = ${tenant} and size = ${size} and anchor = ${anchor}`,
    });
    return rows.length > 0;
  }

  /** Notes that it was. Noting it again changes nothing. */
  async noteAnchor(tenant: string, size: number, anchor: string, detail: string): Promise<void> {
    await this.#database.rows({
      name: 'trail_note_anchor',
      query: sql`
        insert into ${this.#database.table('trail_anchors')} (tenant, size, anchor, detail)
        values (${tenant}, ${size}, ${anchor}, ${detail})
        on conflict do nothing`,
    });
  }
}

interface CheckpointRow {
  readonly size: string;
  readonly jws: string;
  readonly peaks: readonly string[];
}

function toCheckpoint({ size, jws, peaks }: CheckpointRow): StoredCheckpoint {
  return { size: Number(size), jws, peaks };
}
