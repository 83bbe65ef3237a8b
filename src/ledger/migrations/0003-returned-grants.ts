/**
 * A grant that was used in vain can be returned: whoever used it knows that nothing was sent under it. It counts no more as one whose
 * effect may have been made, and it can still not be used again.
 */
import { sql, type Kysely, type RawBuilder } from 'kysely';

export async function up(db: Kysely<unknown>, schema: string): Promise<void> {
  const name = (object: string): RawBuilder<unknown> => sql.id(schema, object);
  await sql`
    alter table ${name('actions')}
      add column returned integer not null default 0 check (returned between 0 and uses)`.execute(db);
  await sql`
    alter table ${name('grants')} add column returned_at timestamptz check (returned_at is null or used_at is not null)`.execute(
    db,
  );
  await sql`drop trigger final on ${name('grants')}`.execute(db);
  await sql`
    create trigger final before update on ${name('grants')} for each row when (
      old.returned_at is not null
      or (old.used_at is not null
        and row(new.used_at, new.used_by) is distinct from row(old.used_at, old.used_by))
      or row(new.jti, new.tenant, new.action_id, new.agent, new.tool, new.expires_at)
        is distinct from row(old.jti, old.tenant, old.action_id, old.agent, old.tool, old.expires_at)
    ) execute function ${name('refuse_change')}()`.execute(db);
}
