/** Revocations: credentials and delegations that are good for nothing any more, from the next admission and use of a grant on. */
import { sql, type RawBuilder, type Selectable } from 'kysely';
import { CountersignError } from '../../action/errors.js';
import { assertJson } from '../../action/json.js';
import type { Revocation } from '../../action/revocation.js';
import type { Database } from '../database/database.js';
import type { LedgerTables } from '../database/tables.js';

type RevocationRow = Selectable<LedgerTables['revocations']>;
/** As `row_to_json` gives it. */
export type RevocationJson = {
  readonly [K in keyof RevocationRow]: RevocationRow[K] extends Date ? string : RevocationRow[K];
};

export interface AuthorizedCredential {
  readonly tenant: string;
  readonly credentials?: readonly string[];
}

/** A select of the first revocation that one of these credentials met, for use inside a larger statement. */
export function revokedCredential(
  database: Database,
  { tenant, credentials = [] }: AuthorizedCredential,
): RawBuilder<RevocationRow> {
  return sql<RevocationRow>`
    select * from ${database.table('revocations')}
    where tenant = ${tenant} and jti = any (${credentials}::text[])
    order by revoked_at, jti
    limit 1`;
}

export interface RevokeRequest {
  readonly tenant: string;
  readonly jti: string;
  readonly reason: string;
  readonly by: string;
}

export async function revoke(database: Database, { tenant, jti, reason, by }: RevokeRequest): Promise<Revocation> {
  assertJson({ tenant, jti, reason, by }, 'revoke');
  for (const [field, text] of Object.entries({ tenant, jti, reason, by })) {
    if (text !== '') continue;
    throw new CountersignError('INVALID_INPUT', `A revocation needs "${field}".`, {
      field: `revoke.${field}`,
      expected: 'a text',
      fix: 'Give it; it is kept with the revocation.',
    });
  }
  return database.ask(async (kysely) => {
    const made = await kysely
      .insertInto('revocations')
      .values({ tenant, jti, reason, revoked_by: by })
      .onConflict((conflict) => conflict.doNothing())
      .returningAll()
      .executeTakeFirst();
    return toRevocation(
      made ??
        (await kysely
          .selectFrom('revocations')
          .selectAll()
          .where('tenant', '=', tenant)
          .where('jti', '=', jti)
          .executeTakeFirstOrThrow()),
    );
  });
}

export async function revoked(
  database: Database,
  authority: Required<AuthorizedCredential>,
): Promise<Revocation | undefined> {
  const [row] = await database.rows({ name: 'revoked', query: revokedCredential(database, authority) });
  return row === undefined ? undefined : toRevocation(row);
}

export function revocations(database: Database, tenant: string | undefined): Promise<readonly Revocation[]> {
  return database.ask(async (kysely) => {
    const all = kysely.selectFrom('revocations').selectAll().orderBy('revoked_at').orderBy('tenant').orderBy('jti');
    const rows = await (tenant === undefined ? all : all.where('tenant', '=', tenant)).execute();
    return rows.map(toRevocation);
  });
}

export function toRevocation(row: RevocationRow | RevocationJson): Revocation {
  return {
    tenant: row.tenant,
    jti: row.jti,
    reason: row.reason,
    by: row.revoked_by,
    at: new Date(row.revoked_at).toISOString(),
  };
}
