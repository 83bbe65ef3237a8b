/** Freezes: the switch that stops actions before they are admitted and grants before they are used. */
import { sql, type RawBuilder, type Selectable } from 'kysely';
import { CountersignError } from '../../action/errors.js';
import { freezeNotFound } from '../../action/errors-not-found.js';
import type { Freeze, FreezeScope } from '../../action/freeze.js';
import { assertJson } from '../../action/json.js';
import { isUndoAgent } from '../../action/compensation-ids.js';
import type { Database } from '../database/database.js';
import type { LedgerTables } from '../database/tables.js';

export type FreezeRow = Selectable<LedgerTables['freezes']>;
/** As `row_to_json` gives it. */
export type FreezeJson = { readonly [K in keyof FreezeRow]: FreezeRow[K] extends Date ? string : FreezeRow[K] };

export interface Frozen {
  readonly tenant: string;
  readonly agent: string;
  readonly tool: string;
  readonly targets: readonly string[];
}

/** A select of the oldest active freeze that stops this, for use inside a larger statement. */
export function activeFreeze(database: Database, subject: Frozen): RawBuilder<FreezeRow> {
  return sql<FreezeRow>`
    select * from ${database.table('freezes')}
    where lifted_at is null
      and tenant in (${subject.tenant}, '*')
      and (scope_kind = 'all'
        or (scope_kind = 'tenant' and scope_value = ${subject.tenant})
        or (scope_kind = 'agent' and (scope_value = ${subject.agent}
          or (starts_with(${subject.agent}, scope_value || '/') and not ${isUndoAgent(subject.agent)}::boolean)))
        or (scope_kind = 'tool' and scope_value = ${subject.tool})
        or (scope_kind = 'target' and lower(scope_value) in (select lower(target) from unnest(${subject.targets}::text[]) as target)))
    order by id
    limit 1`;
}

export interface FreezeRequest {
  readonly tenant: string;
  readonly scope: FreezeScope;
  readonly reason: string;
  /** Who freezes. */
  readonly by: string;
}

export interface LiftRequest {
  readonly by: string;
  readonly reason?: string;
}

export function freeze(database: Database, request: FreezeRequest): Promise<Freeze> {
  assertJson({ ...request, scope: { ...request.scope } }, 'freeze');
  const scope = checkScope(request.tenant, request.scope);
  const reason = required(request.reason, 'reason');
  const by = required(request.by, 'by');
  return database.ask(async (kysely) =>
    toFreeze(
      await kysely
        .insertInto('freezes')
        .values({
          tenant: required(request.tenant, 'tenant'),
          scope_kind: scope.kind,
          scope_value: scope.value ?? null,
          reason,
          frozen_by: by,
        })
        .returningAll()
        .executeTakeFirstOrThrow(),
    ),
  );
}

export function unfreeze(database: Database, id: number, request: LiftRequest): Promise<Freeze> {
  assertJson({ ...request }, 'unfreeze');
  const by = required(request.by, 'by');
  return database.ask(async (kysely) => {
    const lifted = await kysely
      .updateTable('freezes')
      .set({ lifted_at: sql<Date>`clock_timestamp()`, lifted_by: by, lift_reason: request.reason ?? null })
      .where('id', '=', id)
      .where('lifted_at', 'is', null)
      .returningAll()
      .executeTakeFirst();
    const row = lifted ?? (await kysely.selectFrom('freezes').selectAll().where('id', '=', id).executeTakeFirst());
    if (row !== undefined) return toFreeze(row);
    throw freezeNotFound(id);
  });
}

export function freezes(database: Database, activeOnly: boolean): Promise<readonly Freeze[]> {
  return database.ask(async (kysely) => {
    const all = kysely.selectFrom('freezes').selectAll().orderBy('id');
    const rows = await (activeOnly ? all.where('lifted_at', 'is', null) : all).execute();
    return rows.map(toFreeze);
  });
}

export function toFreeze(row: FreezeRow | FreezeJson): Freeze {
  return {
    id: row.id,
    tenant: row.tenant,
    scope: { kind: row.scope_kind, ...(row.scope_value === null ? {} : { value: row.scope_value }) },
    reason: row.reason,
    by: row.frozen_by,
    at: new Date(row.frozen_at).toISOString(),
    ...(row.lifted_at === null || row.lifted_by === null
      ? {}
      : {
          lifted: {
            at: new Date(row.lifted_at).toISOString(),
            by: row.lifted_by,
            ...(row.lift_reason === null ? {} : { reason: row.lift_reason }),
          },
        }),
  };
}

/** A freeze that could never match would be worse than none: it would look as if it held. */
function checkScope(tenant: string, scope: FreezeScope): FreezeScope {
  switch (scope.kind) {
    case 'all':
      if (scope.value === undefined) return scope;
      throw badScope('no value, because `all` stops everything');
    case 'tenant': {
      const value = scope.value ?? tenant;
      if (value !== '' && value !== '*' && (tenant === '*' || tenant === value)) return { kind: 'tenant', value };
      throw badScope('the name of one tenant, and the freeze its own or of `*`');
    }
    case 'agent':
    case 'tool':
    case 'target':
      if (scope.value !== undefined && scope.value !== '') return scope;
      throw badScope(`the name of the ${scope.kind} to stop`);
    default:
      throw badScope('a kind of `all`, `tenant`, `agent`, `tool` or `target`');
  }
}

function badScope(expected: string): CountersignError {
  return new CountersignError('INVALID_INPUT', `A freeze of this scope would stop nothing: it needs ${expected}.`, {
    field: 'freeze.scope',
    expected,
    fix: 'Correct the scope and freeze again.',
  });
}

function required(text: string, field: string): string {
  if (text !== '') return text;
  throw new CountersignError('INVALID_INPUT', `A freeze needs "${field}".`, {
    field: `freeze.${field}`,
    expected: 'a text',
    fix: 'Give it; it is kept with the freeze.',
  });
}
