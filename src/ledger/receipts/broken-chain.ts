/** Whether a tenant's chain can take another receipt: asked with each admission, before there is an effect to record. */
import { sql, type RawBuilder } from 'kysely';
import { ledgerBroken } from '../../action/errors-ledger.js';
import type { CountersignError } from '../../action/errors.js';
import type { Database } from '../database/database.js';

/** What can be wrong with the end of a chain, as the statement finds it. */
export type ChainFault = 'set_back' | 'head_missing' | 'beyond_head' | 'outcome_beyond' | 'entry_beyond';

export interface BrokenChain {
  readonly fault: ChainFault;
  /** The last receipt by the chain's head; 0 where there is no head. */
  readonly seq: number;
}

/**
 * A select that gives one row where the chain of the tenant cannot take the next receipt, and none where it can. Five look-ups by index.
 *
 * @param tenant as an expression, so that one statement can ask about many
 * @param seen the last receipt that is known to have been there; 0 where nothing is known
 */
export function brokenChain(database: Database, tenant: RawBuilder<unknown>, seen: number): RawBuilder<BrokenChain> {
  const receipts = database.table('receipts');
  return sql<BrokenChain>`
    select fault, seq::int as seq from (
      select head.seq, case
        when head.seq < ${seen}::bigint then 'set_back'
        when head.seq > 0 and not exists (
          select from ${receipts} as r where r.tenant = ${tenant} and r.seq = head.seq and r.hash = head.hash) then 'head_missing'
        when exists (select from ${receipts} as r where r.tenant = ${tenant} and r.seq > head.seq) then 'beyond_head'
        when exists (
          select from ${database.table('actions')} as a where a.tenant = ${tenant} and a.receipt_seq > head.seq) then 'outcome_beyond'
        when exists (
          select from ${database.table('trail')} as t where t.tenant = ${tenant} and t.receipt_seq > head.seq) then 'entry_beyond'
      end as fault
      from (
        select coalesce(max(c.seq), 0) as seq, max(c.hash) as hash from ${database.table('chains')} as c where c.tenant = ${tenant}
      ) as head
    ) as chain_end
    where fault is not null`;
}

export function chainBroken(tenant: string, { fault, seq }: BrokenChain): CountersignError {
  return ledgerBroken(`The ledger cannot take a receipt of ${tenant}: ${FAULTS[fault](seq)}.`);
}

/** In words, for the sentence before. */
export const FAULTS: Readonly<Record<ChainFault, (seq: number) => string>> = {
  set_back: (seq) =>
    `its chain ends with receipt ${seq}, and this worker saw later ones, so it was restored to an earlier state`,
  head_missing: (seq) => `receipt ${seq}, the last of its chain, is not there`,
  beyond_head: (seq) => `its chain goes on after receipt ${seq}, which its head names as the last`,
  outcome_beyond: (seq) => `its chain ends with receipt ${seq}, and outcomes name later ones`,
  entry_beyond: (seq) => `its chain ends with receipt ${seq}, and the audit trail has later ones`,
};
