/** Role delegations as the ledger keeps them. */
import { sql } from 'kysely';
import { CountersignError } from '../../action/errors.js';
import type { NewAuthorization, SignedAuthorization } from '../../action/person-authorization.js';
import type { RoleDelegation } from '../../action/role-delegation.js';
import type { Database } from '../database/database.js';
import { endOf, toPersonAuthorization, type PersonAuthorizationRow } from './person-authorizations.js';

interface RoleDelegationRow extends PersonAuthorizationRow {
  readonly person: string;
  readonly role: string;
  readonly since: Date;
}

const MOST_LISTED = 1000;

export class RoleDelegations {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Idempotent: what was added under this id comes back. @throws CountersignError INVALID_INPUT when that was something else */
  async add(adding: NewAuthorization<RoleDelegation>): Promise<RoleDelegation> {
    const { tenant, id, person, role, since, until, by, credentials, reason, statement, digest } = adding;
    await this.#database.rows({
      name: 'add_role_delegation',
      query: sql`
        insert into ${this.#database.table('role_delegations')}
          (tenant, id, person, role, since, until, given_by, credentials, reason, statement, digest)
        values (${tenant}, ${id}, ${person}, ${role}, ${since}::timestamptz, ${until}::timestamptz,
          ${by}, ${credentials}::text[], ${reason}, ${statement}, ${digest})
        on conflict (tenant, id) do nothing`,
    });
    const added = await this.find(tenant, id);
    if (added?.digest === digest) return added;
    throw new CountersignError('INVALID_INPUT', `Another role delegation has the id ${id}.`, { field: 'id' });
  }

  /** Also one that is over. */
  async find(tenant: string, id: string): Promise<RoleDelegation | undefined> {
    const [row] = await this.#database.rows({
      name: 'find_role_delegation',
      query: sql<RoleDelegationRow>`
        select g.*, ending.* from ${this.#database.table('role_delegations')} as g ${endOf(this.#database)}
        where g.tenant = ${tenant} and g.id = ${id}`,
    });
    return row && toRoleDelegation(row);
  }

  /** The roles that the person exercises for others now, by the database's clock. Ids are compared without regard to case. One round trip. */
  async of(tenant: string, person: string): Promise<readonly SignedAuthorization<RoleDelegation>[]> {
    const rows = await this.#database.rows({
      name: 'role_delegations_of',
      query: sql<RoleDelegationRow>`
        select g.* from ${this.#database.table('role_delegations')} as g ${endOf(this.#database)}
        where g.tenant = ${tenant} and lower(g.person) = lower(${person}) and ending.ended_at is null
          and g.since <= clock_timestamp() and g.until > clock_timestamp()
        order by g.given_at, g.id`,
    });
    return rows.map((row) => ({ ...toRoleDelegation(row), statement: row.statement }));
  }

  /** Newest first, at most 1000. Default: also those that are over; with `activeOnly` also those that are still to come. */
  async list({
    tenant,
    activeOnly = false,
  }: {
    readonly tenant: string;
    readonly activeOnly?: boolean;
  }): Promise<readonly RoleDelegation[]> {
    const rows = await this.#database.rows({
      name: 'list_role_delegations',
      query: sql<RoleDelegationRow>`
        select g.*, ending.* from ${this.#database.table('role_delegations')} as g ${endOf(this.#database)}
        where g.tenant = ${tenant}
          and (not ${activeOnly}::boolean or (g.until > clock_timestamp() and ending.ended_at is null))
        order by g.given_at desc, g.id
        limit ${sql.lit(MOST_LISTED)}`,
    });
    return rows.map(toRoleDelegation);
  }
}

function toRoleDelegation(row: RoleDelegationRow): RoleDelegation {
  return { ...toPersonAuthorization(row), person: row.person, role: row.role, since: row.since.toISOString() };
}
