/** Duties: a role that one person has another exercise for a while, such as whoever is on call. */
import { sql } from 'kysely';
import { CountersignError } from '../action/errors.js';
import type { Database } from './database.js';
import { endOf, toGiven, type Adding, type Given, type GivenRow, type Signed } from './given.js';

export interface GivenDuty extends Given {
  /** Who exercises the role. */
  readonly person: string;
  /** One that the giver (`by`) has by a credential of their own. */
  readonly role: string;
  /** From when, RFC 3339 UTC. */
  readonly since: string;
}

interface DutyRow extends GivenRow {
  readonly person: string;
  readonly role: string;
  readonly since: Date;
}

const MOST_LISTED = 1000;

export class Duties {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Idempotent: what was added under this id comes back. @throws CountersignError INVALID_INPUT when that was something else */
  async add(adding: Adding<GivenDuty>): Promise<GivenDuty> {
    const { tenant, id, person, role, since, until, by, credentials, reason, statement, digest } = adding;
    await this.#database.rows({
      name: 'add_duty',
      query: sql`
        insert into ${this.#database.table('duties')}
          (tenant, id, person, role, since, until, given_by, credentials, reason, statement, digest)
        values (${tenant}, ${id}, ${person}, ${role}, ${since}::timestamptz, ${until}::timestamptz,
          ${by}, ${credentials}::text[], ${reason}, ${statement}, ${digest})
        on conflict (tenant, id) do nothing`,
    });
    const added = await this.find(tenant, id);
    if (added?.digest === digest) return added;
    throw new CountersignError('INVALID_INPUT', `Another duty has the id ${id}.`, { field: 'id' });
  }

  /** Also one that is over. */
  async find(tenant: string, id: string): Promise<GivenDuty | undefined> {
    const [row] = await this.#database.rows({
      name: 'find_duty',
      query: sql<DutyRow>`
        select g.*, ending.* from ${this.#database.table('duties')} as g ${endOf(this.#database)}
        where g.tenant = ${tenant} and g.id = ${id}`,
    });
    return row && toDuty(row);
  }

  /** What the person has for others now, by the database's clock. Ids are compared without regard to case. One round trip. */
  async of(tenant: string, person: string): Promise<readonly Signed<GivenDuty>[]> {
    const rows = await this.#database.rows({
      name: 'duties_of',
      query: sql<DutyRow>`
        select g.* from ${this.#database.table('duties')} as g ${endOf(this.#database)}
        where g.tenant = ${tenant} and lower(g.person) = lower(${person}) and ending.ended_at is null
          and g.since <= clock_timestamp() and g.until > clock_timestamp()
        order by g.given_at, g.id`,
    });
    return rows.map((row) => ({ ...toDuty(row), statement: row.statement }));
  }

  /** Newest first, at most 1000. Default: also those that are over; with `activeOnly` also those that are still to come. */
  async list({
    tenant,
    activeOnly = false,
  }: {
    readonly tenant: string;
    readonly activeOnly?: boolean;
  }): Promise<readonly GivenDuty[]> {
    const rows = await this.#database.rows({
      name: 'list_duties',
      query: sql<DutyRow>`
        select g.*, ending.* from ${this.#database.table('duties')} as g ${endOf(this.#database)}
        where g.tenant = ${tenant}
          and (not ${activeOnly}::boolean or (g.until > clock_timestamp() and ending.ended_at is null))
        order by g.given_at desc, g.id
        limit ${sql.lit(MOST_LISTED)}`,
    });
    return rows.map(toDuty);
  }
}

function toDuty(row: DutyRow): GivenDuty {
  return { ...toGiven(row), person: row.person, role: row.role, since: row.since.toISOString() };
}
