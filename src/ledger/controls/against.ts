/** What stands against an action: the freeze that stops it, and the revocation of a credential that it rests on. */
import { sql } from 'kysely';
import type { Freeze } from '../../action/freeze.js';
import type { Revocation } from '../../action/revocation.js';
import type { Database } from '../database/database.js';
import { activeFreeze, toFreeze, type FreezeJson, type Frozen } from './freezes.js';
import { revokedCredential, toRevocation, type AuthorizedCredential, type RevocationJson } from './revocations.js';

export interface Against {
  readonly freeze?: Freeze;
  readonly revocation?: Revocation;
}

export async function against(database: Database, subject: Frozen & Required<AuthorizedCredential>): Promise<Against> {
  const [row] = await database.rows({
    name: 'against',
    query: sql<{ frozen: FreezeJson | null; revoked: RevocationJson | null }>`
      with frozen as materialized (${activeFreeze(database, subject)}),
      revoked as materialized (${revokedCredential(database, subject)})
      select (select row_to_json(frozen) from frozen) as frozen, (select row_to_json(revoked) from revoked) as revoked`,
  });
  return {
    ...(row?.frozen == null ? {} : { freeze: toFreeze(row.frozen) }),
    ...(row?.revoked == null ? {} : { revocation: toRevocation(row.revoked) }),
  };
}
