/** What the ledger keeps under its digest: snapshots of captured state, and policy bundles. */
import { CountersignError } from '../action/errors.js';
import { canonical, digestText, type Digest, type Json } from '../action/json.js';
import type { Database } from './database.js';

export async function putSnapshot(database: Database, tenant: string, digest: Digest, body: Json): Promise<void> {
  const text = canonical(body);
  if (digestText(text) !== digest) {
    throw new CountersignError('INVALID_JSON', 'The snapshot is not what its digest says.', {
      field: 'digest',
      expected: "the digest of the body's canonical text",
      fix: 'Digest the state that is stored.',
    });
  }
  await database.ask((kysely) =>
    kysely
      .insertInto('snapshots')
      .values({ tenant, digest, body: text })
      .onConflict((conflict) => conflict.doNothing())
      .execute(),
  );
}

export async function getSnapshot(database: Database, tenant: string, digest: Digest): Promise<Json | undefined> {
  const row = await database.ask((kysely) =>
    kysely
      .selectFrom('snapshots')
      .select('body')
      .where('tenant', '=', tenant)
      .where('digest', '=', digest)
      .executeTakeFirst(),
  );
  return row?.body;
}

export async function putPolicy(
  database: Database,
  digest: Digest,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  const text = canonical(files);
  const written = await database.ask((kysely) =>
    kysely
      .insertInto('policies')
      .values({ digest, files: text })
      .onConflict((conflict) => conflict.doNothing())
      .returning('digest')
      .executeTakeFirst(),
  );
  if (written !== undefined) return;
  const kept = await getPolicy(database, digest);
  if (kept !== undefined && canonical(kept) === text) return;
  throw new CountersignError('POLICY_INVALID', `Other files are kept under the policy digest ${digest}.`, {
    field: 'digest',
    expected: 'the digest of these files',
    fix: 'Digest the files that are stored.',
  });
}

export async function getPolicy(
  database: Database,
  digest: Digest,
): Promise<Readonly<Record<string, string>> | undefined> {
  const row = await database.ask((kysely) =>
    kysely.selectFrom('policies').select('files').where('digest', '=', digest).executeTakeFirst(),
  );
  return row?.files;
}
