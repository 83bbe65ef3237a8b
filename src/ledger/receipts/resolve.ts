/** The one way in which an outcome changes, from `unknown` to what a person found out. */
import { sql } from 'kysely';
import { CountersignError } from '../../action/errors.js';
import { actionNotFound } from '../../action/errors-not-found.js';
import type { Digest } from '../../action/json.js';
import type { OutcomeStatus } from '../../action/outcome.js';
import { outcomeOf, type EndColumns } from '../actions/recorded-outcome.js';
import type { Database, PreparedStatement } from '../database/database.js';
import { settledHolds } from '../limits/settled-holds.js';
import { append, type Chains } from './chain.js';
import { searchableColumns } from './searchable.js';
import { canonicalText } from './settle.js';
import type { ResolveRequest, Settled } from './settlement.js';

interface EndedRow extends EndColumns {
  readonly digest: Digest;
  readonly status: OutcomeStatus | null;
  readonly resolved: boolean;
}

/** What a person can have found out: it happened as it should, or otherwise, or not at all. */
const RESOLVED: readonly OutcomeStatus[] = ['success', 'mismatch', 'failed'];

export async function resolve(database: Database, chains: Chains, request: ResolveRequest): Promise<Settled> {
  const { tenant, actionId, outcome, sign } = request;
  if (!RESOLVED.includes(outcome.status)) {
    throw new CountersignError('INVALID_INPUT', `An unknown outcome cannot be resolved to "${outcome.status}".`, {
      field: 'outcome.status',
      expected: RESOLVED.join(', '),
      fix: 'Say whether the effect happened.',
    });
  }
  const text = canonicalText({ ...outcome, receipt: undefined });
  const { code, reason } = searchableColumns(outcome);
  const read: PreparedStatement<EndedRow> = {
    name: 'resolvable_action',
    query: sql<EndedRow>`
      select digest, status, outcome, receipt_seq, receipt_hash, resolved_at is not null as resolved
      from ${database.table('actions')}
      where tenant = ${tenant} and action_id = ${actionId}`,
  };
  return await chains.inTurn(tenant, () =>
    database.transaction(async (session) => {
      const { head, rows } = await chains.lock(session, tenant, read);
      const recorded = resolvedBefore(request, rows[0]);
      if (recorded !== undefined) return recorded;

      const { link, signed } = await chains.sign(tenant, head, sign);
      // Only settling and resolving change how an action ended, and both hold the chain: what was read is still so.
      const write: PreparedStatement<unknown> = {
        name: 'resolve',
        query: sql`
          with before as (
            insert into ${database.table('resolved')} (tenant, action_id, outcome, receipt_seq, receipt_hash, ended_at)
            select tenant, action_id, outcome, receipt_seq, receipt_hash, ended_at from ${database.table('actions')}
            where tenant = ${tenant} and action_id = ${actionId}
            returning tenant, action_id
          ),
          action as (
            update ${database.table('actions')} as a set
              status = ${outcome.status}, outcome = ${text}, receipt_seq = ${link.seq}, receipt_hash = ${signed.hash},
              ended_at = clock_timestamp(), resolved_at = clock_timestamp(), code = ${code}, reason = ${reason}
            from before
            where a.tenant = before.tenant and a.action_id = before.action_id
            returning a.action_id
          ),
          ${append(database, request, link, signed, sql`action`)},
          holds as materialized (${settledHolds(database, request, sql`action`)})
          select ended from holds`,
      };
      await Promise.all([session.rows(write), session.run('commit')]);
      chains.seen.saw(tenant, link.seq);
      return {
        kind: 'settled',
        outcome: { ...outcome, receipt: { tenant, seq: link.seq, hash: signed.hash } },
        recorded: false,
      };
    }),
  );
}

function resolvedBefore(
  { tenant, actionId, outcome }: ResolveRequest,
  action: EndedRow | undefined,
): Settled | undefined {
  if (action === undefined) {
    throw actionNotFound(actionId, '', { expected: 'the id of an action that ended unknown' });
  }
  if (action.digest !== outcome.proposalDigest) {
    throw new CountersignError('ACTION_CONFLICT', `The action ${actionId} stands for another proposal.`, {
      field: 'outcome.proposalDigest',
      expected: action.digest,
      fix: 'Resolve what is recorded.',
    });
  }
  if (action.resolved) {
    const recorded = outcomeOf(tenant, action);
    if (recorded !== undefined) return { kind: 'settled', outcome: recorded, recorded: true };
  }
  if (action.status === 'unknown') return undefined;
  throw new CountersignError('NOT_UNKNOWN', `The action ${actionId} ${action.status ?? 'has not ended'}.`, {
    field: 'actionId',
    expected: 'an action whose outcome is unknown',
    fix: action.status === null ? 'Wait until it has ended.' : 'There is nothing to resolve.',
  });
}
