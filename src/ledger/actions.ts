/** Actions in the ledger: one row for each action id, from its admission to its outcome, for good. */
import { sql } from 'kysely';
import { CountersignError } from '../action/errors.js';
import type { Digest } from '../action/json.js';
import type { Outcome, OutcomeStatus } from '../action/outcome.js';
import type { Database } from './database.js';
import { activeFreeze, toFreeze, type FreezeJson } from './freezes.js';
import type { ActionRecord, Admission, AdmitRequest, EndedAction, UnreceiptedOutcome } from './port.js';

/** The columns that say how an action ended. All null, or none. */
export interface EndColumns {
  readonly outcome: UnreceiptedOutcome | null;
  readonly receipt_seq: string | null;
  readonly receipt_hash: Digest | null;
}

/** The outcome with its receipt, or undefined while the action is open. */
export function outcomeOf(tenant: string, row: EndColumns): Outcome | undefined {
  if (row.outcome === null || row.receipt_seq === null || row.receipt_hash === null) return undefined;
  return { ...row.outcome, receipt: { tenant, seq: Number(row.receipt_seq), hash: row.receipt_hash } };
}

export async function findAction(
  database: Database,
  tenant: string,
  actionId: string,
): Promise<ActionRecord | undefined> {
  const rows = await database.rows({
    name: 'find_action',
    query: sql<EndColumns & { digest: Digest; status: OutcomeStatus | null }>`
      select digest, status, outcome, receipt_seq, receipt_hash from ${database.table('actions')}
      where tenant = ${tenant} and action_id = ${actionId}`,
  });
  const row = rows[0];
  if (row === undefined) return undefined;
  const outcome = outcomeOf(tenant, row);
  return { digest: row.digest, status: row.status ?? 'open', ...(outcome === undefined ? {} : { outcome }) };
}

interface AdmissionRow extends EndColumns {
  readonly digest: Digest;
  readonly frozen: FreezeJson | null;
  readonly issued: boolean;
}

export async function admit(database: Database, request: AdmitRequest): Promise<Admission> {
  const { tenant, actionId, digest, agent, tool, environment, grant } = request;
  const rows = await database.rows({
    name: 'admit',
    // The update changes nothing. It is there because only "do update" waits for a concurrent insert of the same action and returns
    // the row that won; "do nothing" returns no row, and a select beside it reads a snapshot from before.
    query: sql<AdmissionRow>`
      with action as (
        insert into ${database.table('actions')} as a (tenant, action_id, digest, agent, tool, environment)
        values (${tenant}, ${actionId}, ${digest}, ${agent}, ${tool}, ${environment})
        on conflict (tenant, action_id) do update set digest = a.digest
        returning a.digest, a.outcome, a.receipt_seq, a.receipt_hash
      ),
      frozen as materialized (${activeFreeze(database, request)}),
      issued as (
        insert into ${database.table('grants')} (jti, tenant, action_id, agent, tool, expires_at)
        select ${grant.jti}, ${tenant}, ${actionId}, ${agent}, ${tool}, ${grant.expiresAt}
        from action
        where action.digest = ${digest} and action.receipt_seq is null and not exists (select from frozen)
        on conflict (jti) do nothing
        returning jti
      )
      select
        action.digest, action.outcome, action.receipt_seq, action.receipt_hash,
        (select row_to_json(frozen) from frozen) as frozen,
        exists (select from issued) as issued
      from action`,
  });
  const row = rows[0];
  if (row === undefined) throw new CountersignError('INTERNAL', 'The ledger admitted nothing and refused nothing.');
  if (row.digest !== digest) return { kind: 'conflict', digest: row.digest };
  const outcome = outcomeOf(tenant, row);
  if (outcome !== undefined) return { kind: 'ended', outcome };
  if (row.frozen !== null) return { kind: 'frozen', freeze: toFreeze(row.frozen) };
  if (!row.issued) await checkSameGrant(database, request);
  return { kind: 'admitted' };
}

/** A grant id that was there before is a repeated call, or a forgery. */
async function checkSameGrant(database: Database, request: AdmitRequest): Promise<void> {
  const same = await database.ask((kysely) =>
    kysely
      .selectFrom('grants')
      .select('jti')
      .where('jti', '=', request.grant.jti)
      .where('tenant', '=', request.tenant)
      .where('action_id', '=', request.actionId)
      .where('agent', '=', request.agent)
      .where('tool', '=', request.tool)
      .executeTakeFirst(),
  );
  if (same !== undefined) return;
  throw new CountersignError('GRANT_INVALID', 'This grant id was issued before for something else.', {
    field: 'grant.jti',
    expected: 'an id that no other grant has',
    fix: 'Sign a grant with a new id.',
  });
}

const PAGE = 100;

export async function* endedActions(database: Database, tenant: string): AsyncGenerator<EndedAction> {
  let after = 0;
  for (;;) {
    const rows = await database.ask((kysely) =>
      kysely
        .selectFrom('actions')
        .select(['action_id', 'outcome', 'receipt_seq', 'receipt_hash'])
        .where('tenant', '=', tenant)
        .where('receipt_seq', '>', String(after))
        .orderBy('receipt_seq')
        .limit(PAGE)
        .$narrowType<{ outcome: UnreceiptedOutcome; receipt_seq: string; receipt_hash: Digest }>()
        .execute(),
    );
    for (const row of rows) {
      after = Number(row.receipt_seq);
      yield { actionId: row.action_id, outcome: row.outcome, receiptSeq: after, receiptHash: row.receipt_hash };
    }
    if (rows.length < PAGE) return;
  }
}
