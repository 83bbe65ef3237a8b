/** The chains of receipts, and the settling of an action at the end of its tenant's chain. */
import { sql, type RawBuilder } from 'kysely';
import { asCountersignError, CountersignError } from '../action/errors.js';
import { canonical, type Digest } from '../action/json.js';
import type { ReceiptRef } from '../action/outcome.js';
import { outcomeOf, type EndColumns } from './actions.js';
import type { Database, Prepared, Session } from './database.js';
import type {
  AppendReceiptRequest,
  ChainHead,
  ChainLink,
  Settlement,
  SettleRequest,
  SignReceipt,
  SignedReceipt,
  StoredReceipt,
} from './port.js';

interface HeadRow {
  readonly seq: string;
  readonly hash: Digest | null;
}

interface ActionRow extends EndColumns {
  readonly digest: Digest;
}

interface WrittenRow {
  readonly written: boolean;
}

/** Two round trips: lock and read, then write and commit. The chain is locked from the first to the second. */
export async function settle(database: Database, request: SettleRequest): Promise<Settlement> {
  const { tenant, actionId, proposalDigest, outcome, sign } = request;
  const text = canonicalText({ ...outcome, receipt: undefined });
  return await database.atChain(tenant, async (session) => {
    const [head, [action]] = await lockChain(database, session, tenant, actionStatement(database, tenant, actionId));
    const ended = action && endedAs(request, action);
    if (ended !== undefined) return ended;

    const link = nextLink(head);
    const signed = await signFor(sign, link);
    // The action is written first and the rest follows from its row: all of it, or nothing.
    const write: Prepared<WrittenRow> = {
      name: 'settle',
      query: sql<WrittenRow>`
        with action as (
          insert into ${database.table('actions')} as a
            (tenant, action_id, digest, agent, tool, environment, status, outcome, receipt_seq, receipt_hash, ended_at)
          values
            (${tenant}, ${actionId}, ${proposalDigest}, ${outcome.facts?.agent.id ?? null}, ${outcome.tool}, ${outcome.facts?.tool.environment ?? null},
             ${outcome.status}, ${text}, ${link.seq}, ${signed.hash}, clock_timestamp())
          on conflict (tenant, action_id) do update set
            status = excluded.status, outcome = excluded.outcome, receipt_seq = excluded.receipt_seq,
            receipt_hash = excluded.receipt_hash, ended_at = excluded.ended_at
          where a.digest = excluded.digest and a.status is null
          returning a.action_id
        ),
        ${append(database, tenant, actionId, link, signed, sql`action`)}
        select exists (select from action) as written`,
    };
    const [[result]] = await Promise.all([session.rows(write), session.run('commit')]);
    if (result?.written === true) {
      return { outcome: { ...outcome, receipt: { tenant, seq: link.seq, hash: signed.hash } }, recorded: false };
    }
    // Another proposal was admitted under this id after we read.
    const [now] = await session.rows(actionStatement(database, tenant, actionId));
    const since = now && endedAs(request, now);
    if (since !== undefined) return since;
    throw new CountersignError('INTERNAL', 'The ledger neither settled the action nor knows why not.');
  });
}

export async function appendReceipt(database: Database, request: AppendReceiptRequest): Promise<ReceiptRef> {
  const { tenant, actionId, sign } = request;
  return await database.atChain(tenant, async (session) => {
    const [head] = await lockChain(database, session, tenant, actionStatement(database, tenant, actionId));
    const link = nextLink(head);
    const signed = await signFor(sign, link);
    const write: Prepared<unknown> = {
      name: 'append_receipt',
      query: sql`
        with ${append(database, tenant, actionId, link, signed, sql`(values (true)) as always`)}
        select`,
    };
    await Promise.all([session.rows(write), session.run('commit')]);
    return { tenant, seq: link.seq, hash: signed.hash };
  });
}

export async function head(database: Database, tenant: string): Promise<ChainHead> {
  return await database.ask(async (kysely) => {
    const row = await kysely
      .selectFrom('chains')
      .select(['seq', 'hash'])
      .where('tenant', '=', tenant)
      .executeTakeFirst();
    return { seq: Number(row?.seq ?? 0), hash: row?.hash ?? null };
  });
}

export async function tenants(database: Database): Promise<readonly string[]> {
  return await database.ask(async (kysely) => {
    const rows = await kysely.selectFrom('chains').select('tenant').where('seq', '>', '0').orderBy('tenant').execute();
    return rows.map((row) => row.tenant);
  });
}

const PAGE = 500;

export async function* receipts(database: Database, tenant: string, after: number): AsyncGenerator<StoredReceipt> {
  let last = after;
  for (;;) {
    const rows = await database.ask((kysely) =>
      kysely
        .selectFrom('receipts')
        .select(['seq', 'hash', 'jws', 'action_id', 'at'])
        .where('tenant', '=', tenant)
        .where('seq', '>', String(last))
        .orderBy('seq')
        .limit(PAGE)
        .execute(),
    );
    for (const row of rows) {
      last = Number(row.seq);
      yield { seq: last, hash: row.hash, jws: row.jws, actionId: row.action_id, at: row.at.toISOString() };
    }
    if (rows.length < PAGE) return;
  }
}

/** Begins a transaction that holds the tenant's chain, and reads something under the lock: a statement of its own, so that it sees what the holder before committed. */
async function lockChain<Row>(
  database: Database,
  session: Session,
  tenant: string,
  read: Prepared<Row>,
): Promise<[HeadRow, readonly Row[]]> {
  const lock: Prepared<HeadRow> = {
    name: 'lock_chain',
    query: sql<HeadRow>`select seq, hash from ${database.table('chains')} where tenant = ${tenant} for update`,
  };
  const create: Prepared<unknown> = {
    name: 'create_chain',
    query: sql`insert into ${database.table('chains')} (tenant) values (${tenant}) on conflict do nothing`,
  };
  let [, heads, found] = await Promise.all([session.run('begin'), session.rows(lock), session.rows(read)]);
  if (heads.length === 0) {
    [, heads, found] = await Promise.all([session.rows(create), session.rows(lock), session.rows(read)]);
  }
  const [head] = heads;
  if (head === undefined) throw new CountersignError('INTERNAL', "The tenant's chain could not be made.");
  return [head, found];
}

function actionStatement(database: Database, tenant: string, actionId: string): Prepared<ActionRow> {
  return {
    name: 'settled_action',
    query: sql<ActionRow>`
      select digest, outcome, receipt_seq, receipt_hash from ${database.table('actions')}
      where tenant = ${tenant} and action_id = ${actionId}`,
  };
}

/** The common table expressions that append a receipt for each row of `source` (one or none). */
function append(
  database: Database,
  tenant: string,
  actionId: string,
  link: ChainLink,
  signed: SignedReceipt,
  source: RawBuilder<unknown>,
): RawBuilder<unknown> {
  return sql`
    receipt as (
      insert into ${database.table('receipts')} (tenant, seq, hash, prev, jws, action_id)
      select ${tenant}, ${link.seq}, ${signed.hash}, ${link.prev}, ${signed.jws}, ${actionId} from ${source}
      returning seq, hash
    ),
    chain as (
      update ${database.table('chains')} as c set seq = receipt.seq, hash = receipt.hash
      from receipt
      where c.tenant = ${tenant}
    )`;
}

function nextLink(head: HeadRow): ChainLink {
  return { seq: Number(head.seq) + 1, prev: head.hash };
}

/** What `sign` throws is not the database's: it must not look like a ledger that is down. */
async function signFor(sign: SignReceipt, link: ChainLink): Promise<SignedReceipt> {
  try {
    return await sign(link);
  } catch (error) {
    throw asCountersignError(error);
  }
}

function endedAs(request: SettleRequest, action: ActionRow): Settlement | undefined {
  if (action.digest !== request.proposalDigest) {
    throw new CountersignError('ACTION_CONFLICT', `The action ${request.actionId} stands for another proposal.`, {
      field: 'actionId',
      expected: `the proposal with the digest ${action.digest}`,
      fix: 'Propose under a new action id.',
    });
  }
  const outcome = outcomeOf(request.tenant, action);
  return outcome && { outcome, recorded: true };
}

/** Canonical, because the receipt's digest of the outcome is over this text. */
function canonicalText(outcome: object): string {
  try {
    return canonical(outcome);
  } catch (error) {
    throw asCountersignError(error, 'INVALID_JSON');
  }
}
