/** Settling an action: its outcome, its receipt at the end of the tenant's chain, and the end of its holds, in one transaction. */
import { sql, type RawBuilder } from 'kysely';
import { asCountersignError, CountersignError } from '../../action/errors.js';
import { canonical, type Digest } from '../../action/json.js';
import { proposerOf } from '../../action/outcome.js';
import { isRecordedProposal } from '../../action/redacted.js';
import { DISPOSITIONS } from '../../action/limits.js';
import { outcomeOf, type EndColumns } from '../actions/recorded-outcome.js';
import { closing } from '../approvals/list-changes.js';
import type { Database, PreparedStatement } from '../database/database.js';
import { settledHolds } from '../limits/settled-holds.js';
import { append, nextLink, signFor, type Chains } from './chain.js';
import type { ChainLink, SignedReceipt } from './receipt.js';
import { searchableColumns } from './searchable.js';
import type { Settlement, SettleRequest } from './settlement.js';

interface ActionRow extends EndColumns {
  readonly digest: Digest;
  /** How many of its grants others used and did not return. */
  readonly others: number;
  /** How many of its grants were used in all. */
  readonly uses: number;
}

interface WrittenRow {
  readonly written: boolean;
}

/**
 * One round trip where this process alone writes to the chain: it knows the head, signs for the place after it, and one statement
 * checks under the lock that it is still the head. Else two, with the chain locked from the first to the second.
 */
export async function settle(database: Database, chains: Chains, request: SettleRequest): Promise<Settlement> {
  const { tenant, outcome, sign } = request;
  const text = canonicalText({ ...outcome, receipt: undefined });
  const proposed = proposedText(request);
  const settled = (link: ChainLink, signed: SignedReceipt): Settlement => {
    chains.seen.saw(tenant, link.seq);
    return {
      kind: 'settled',
      outcome: { ...outcome, receipt: { tenant, seq: link.seq, hash: signed.hash } },
      recorded: false,
    };
  };
  return await chains.inTurn(tenant, async (alone) => {
    const guess = alone ? chains.heads.guess(tenant) : undefined;
    if (guess !== undefined) {
      const link = nextLink(guess);
      // Signed in vain where the action has ended before; whether signing fails matters only where it has not.
      const signed = await signFor(sign, link).catch(() => undefined);
      const [result] = signed
        ? await database.rows(settleStatement(database, request, { text, proposed }, link, signed))
        : [];
      if (signed && result?.written === true) {
        chains.heads.wrote(tenant, link, signed);
        return settled(link, signed);
      }
    }

    return await database.transaction(async (session) => {
      const read = actionStatement(database, request);
      const { head, rows } = await chains.lock(session, tenant, read);
      const obstacle = rows[0] && obstacleTo(request, rows[0]);
      if (obstacle !== undefined) return obstacle;

      const { link, signed } = await chains.sign(tenant, head, sign);
      const write = settleStatement(database, request, { text, proposed }, link, signed);
      const [[result]] = await Promise.all([session.rows(write), session.run('commit')]);
      if (result?.written === true) return settled(link, signed);
      // After we read, another proposal was admitted under this id, or a grant was used.
      const [now] = await session.rows(read);
      const since = now && obstacleTo(request, now);
      if (since !== undefined) return since;
      throw new CountersignError('INTERNAL', 'The ledger did not settle the action, and found no reason for it.');
    });
  });
}

/** The action is written first and the rest follows from its row: all of it, or nothing. Nothing when the head is not the one signed for. */
function settleStatement(
  database: Database,
  request: SettleRequest,
  { text, proposed }: { readonly text: string; readonly proposed: string | null },
  link: ChainLink,
  signed: SignedReceipt,
): PreparedStatement<WrittenRow> {
  const { tenant, actionId, proposalDigest, outcome, edit } = request;
  const guarded = saysNotDone(request);
  const seen = request.usesRuledOut !== undefined;
  const counted = seen ? sql`a.uses` : sql`a.uses - a.returned`;
  const { effect, policies, code, reason, summary, via } = searchableColumns(outcome);
  // What policy simply allowed nobody was asked about, but for a while: whoever authorizes it then takes it off the list.
  const asked = effect !== 'allow';
  return {
    name: `settle${asked ? '_asked' : ''}${edit === undefined ? '' : '_edited'}${guarded ? (seen ? '_ruled_out' : '_not_done') : ''}`,
    query: sql<WrittenRow>`
      with head as materialized (
        select seq, hash from ${database.table('chains')} where tenant = ${tenant} for update
      ),
      ${guarded ? sql`own as materialized (${usesKnown(database, request)}),` : sql``}
      action as (
        insert into ${database.table('actions')} as a
          (tenant, action_id, digest, agent, tool, environment, status, outcome, proposal, receipt_seq, receipt_hash, ended_at,
            effect, policies, code, reason, summary, via${guarded ? sql`, uses` : sql``})
        select
          ${tenant}, ${actionId}, ${proposalDigest}, ${proposerOf(outcome) ?? null}, ${outcome.tool}, ${outcome.facts?.tool.environment ?? null},
          ${outcome.status}, ${text}, ${proposed}, ${link.seq}, ${signed.hash}, clock_timestamp(),
          ${effect}, ${policies}::text[], ${code}, ${reason}, ${summary}, ${via}::text[]${guarded ? sql`, own.uses` : sql``}
        from head ${guarded ? sql`cross join own` : sql``}
        where head.seq = ${link.seq - 1} and head.hash is not distinct from ${link.prev}
        on conflict (tenant, action_id) do update set
          status = excluded.status, outcome = excluded.outcome, proposal = excluded.proposal, receipt_seq = excluded.receipt_seq,
          receipt_hash = excluded.receipt_hash, ended_at = excluded.ended_at, effect = excluded.effect, policies = excluded.policies,
          code = excluded.code, reason = excluded.reason, summary = excluded.summary, via = excluded.via
        where a.digest = excluded.digest and a.status is null ${guarded ? sql`and ${counted} <= excluded.uses` : sql``}
        returning a.action_id
      ),
      ${append(database, request, link, signed, sql`action`)},
      ${edit === undefined ? sql`` : sql`${keptEdit(database, request, edit)},`}
      ${asked ? sql`${closing(database, request, sql`action`)},` : sql``}
      holds as materialized (${settledHolds(database, request, sql`action`)})
      select exists (select from action) as written, (select ended from holds) as holds`,
  };
}

function keptEdit(
  database: Database,
  { tenant, actionId }: SettleRequest,
  { taskQueue, request }: NonNullable<SettleRequest['edit']>,
): RawBuilder<unknown> {
  return sql`edit as (
    insert into ${database.table('edits')} (tenant, action_id, task_queue, request)
    select ${tenant}, ${actionId}, ${taskQueue}, ${canonical(request)} from action
  )`;
}

/** Whether the outcome says that nothing was done, and nobody made sure of it for every use that there may be. */
function saysNotDone({ outcome: { status }, effectRuledOut = false, usesRuledOut }: SettleRequest): boolean {
  return (!effectRuledOut || usesRuledOut !== undefined) && DISPOSITIONS[status] === 'release';
}

/** A select of how many uses stand against nothing, which goes into the row to be inserted: see `ownUses`. */
function usesKnown(database: Database, request: SettleRequest): RawBuilder<unknown> {
  const { usesRuledOut } = request;
  return usesRuledOut === undefined ? ownUses(database, request) : sql`select ${usesRuledOut}::int as uses`;
}

/**
 * A select of how many uses of the action's grants are known to have had no effect; it goes into the row to be inserted, to be compared with the row
 * that is there, once that is locked: a count of the others in this statement's snapshot would miss a use that was committed since.
 * These grants are locked before the action, in the order of `useGrant`, so that none of them is returned meanwhile. An
 * action that is not there has no grants, and is inserted with 0.
 */
function ownUses(database: Database, { tenant, actionId, withoutEffect = [] }: SettleRequest): RawBuilder<unknown> {
  return sql`
    select count(*)::int as uses from (
      select from ${database.table('grants')}
      where tenant = ${tenant} and action_id = ${actionId} and used_at is not null and returned_at is null
        and used_by = any(${withoutEffect}::text[])
      for share
    ) as own_grants`;
}

export function actionStatement(
  database: Database,
  { tenant, actionId, withoutEffect = [] }: Pick<SettleRequest, 'tenant' | 'actionId' | 'withoutEffect'>,
): PreparedStatement<ActionRow> {
  return {
    name: 'settled_action',
    query: sql<ActionRow>`
      select digest, outcome, receipt_seq, receipt_hash,
        uses - returned - (
          select count(*)::int from ${database.table('grants')}
          where tenant = ${tenant} and action_id = ${actionId} and used_at is not null and returned_at is null
            and used_by = any(${withoutEffect}::text[])
        ) as others, uses
      from ${database.table('actions')}
      where tenant = ${tenant} and action_id = ${actionId}`,
  };
}

/** What stands against settling the action as the request says, if anything does. */
function obstacleTo(request: SettleRequest, action: ActionRow): Settlement | undefined {
  if (action.digest !== request.proposalDigest) {
    throw new CountersignError('ACTION_CONFLICT', `The action ${request.actionId} stands for another proposal.`, {
      field: 'actionId',
      expected: `the proposal with the digest ${action.digest}`,
      fix: 'Propose under a new action id.',
    });
  }
  const outcome = outcomeOf(request.tenant, action);
  if (outcome !== undefined) return { kind: 'settled', outcome, recorded: true };
  if (!saysNotDone(request)) return undefined;
  const { usesRuledOut } = request;
  const uses = usesRuledOut === undefined ? action.others : action.uses - usesRuledOut;
  return uses > 0 ? { kind: 'effect_possible', uses } : undefined;
}

/** @throws CountersignError INVALID_PROPOSAL when it is not the proposal that the action id stands for */
function proposedText({ proposal, proposalDigest: expected, outcome }: SettleRequest): string | null {
  if (proposal === undefined) return null;
  if (isRecordedProposal(proposal, { digest: expected, outcome })) return canonicalText(proposal);
  throw new CountersignError('INVALID_PROPOSAL', 'The proposal to keep is not the one that the outcome is of.', {
    field: 'proposal',
    expected: `a proposal with the digest ${expected}`,
    fix: 'Settle the action with the proposal that was admitted.',
  });
}

/** Canonical, because the receipt's digest of the outcome is over this text. */
export function canonicalText(outcome: object): string {
  try {
    return canonical(outcome);
  } catch (error) {
    throw asCountersignError(error, 'INVALID_JSON');
  }
}
