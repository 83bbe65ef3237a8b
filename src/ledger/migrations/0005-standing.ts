/**
 * What people give in advance: standing approvals, and duties (a role that somebody else exercises for a while). A row is never changed:
 * it ends by its time, or with the revocation of its id or of a credential of whoever gave it.
 */
import { sql, type Kysely, type RawBuilder } from 'kysely';

const DIGEST = sql.lit('^sha256:[0-9a-f]{64}$');

export async function up(db: Kysely<unknown>, schema: string): Promise<void> {
  const name = (object: string): RawBuilder<unknown> => sql.id(schema, object);
  const refuse = sql`execute function ${name('refuse_change')}()`;
  // `statement` is what the giver signed: a row that nobody signed is worth nothing to a worker.
  const given = sql`
      given_by text not null check (given_by <> ''),
      credentials text[] not null check (cardinality(credentials) > 0),
      reason text not null check (reason <> ''),
      statement text not null,
      digest text not null check (digest ~ ${DIGEST} and digest = 'sha256:' || encode(sha256(convert_to(statement, 'UTF8')), 'hex')),
      given_at timestamptz not null default clock_timestamp()`;

  await sql`
    create table ${name('standing')} (
      tenant text not null check (tenant <> ''),
      id text not null check (id <> ''),
      agent text not null check (agent <> ''),
      tool text not null check (tool <> ''),
      operation text,
      environment text,
      max_rows bigint check (max_rows >= 0),
      actions bigint check (actions >= 0),
      amounts json,
      roles text[] not null,
      until timestamptz not null,
      ${given},
      primary key (tenant, id)
    )`.execute(db);
  await sql`create index standing_of_agent on ${name('standing')} (tenant, agent, until)`.execute(db);

  await sql`
    create table ${name('duties')} (
      tenant text not null check (tenant <> ''),
      id text not null check (id <> ''),
      person text not null check (person <> ''),
      role text not null check (role <> ''),
      since timestamptz not null,
      until timestamptz not null,
      ${given},
      primary key (tenant, id),
      check (until > since)
    )`.execute(db);
  // Directories rarely tell Ann@x from ann@x.
  await sql`create index duties_of_person on ${name('duties')} (tenant, lower(person), until)`.execute(db);

  for (const table of ['standing', 'duties']) {
    await sql`
      create trigger keep before update or delete or truncate on ${name(table)} for each statement ${refuse}`.execute(
      db,
    );
  }
}
