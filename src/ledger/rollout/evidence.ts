/** What backtests found: the evidence that promotions rest on. */
import { sql } from 'kysely';
import { CountersignError } from '../../action/errors.js';
import { canonical, type Digest, type JsonObject } from '../../action/json.js';
import type { PolicyEvidence } from '../../action/policy-rollout.js';
import type { Database } from '../database/database.js';

export type NewEvidence = Omit<PolicyEvidence, 'at'>;

const MAX_SUMMARY_BYTES = 16_384;
const MOST_LISTED = 20;

export async function addEvidence(database: Database, adding: NewEvidence): Promise<void> {
  const { candidate, baseline, report, decisions, by, signed } = adding;
  const summary = canonical(adding.summary);
  if (Buffer.byteLength(summary) > MAX_SUMMARY_BYTES) {
    throw new CountersignError('INVALID_INPUT', "The backtest's summary is too large to be kept.", {
      field: 'evidence.summary',
      expected: `at most ${MAX_SUMMARY_BYTES} bytes of JSON`,
      fix: 'Keep the figures in the summary, and the examples in the report.',
    });
  }
  await database.rows({
    name: 'add_policy_evidence',
    query: sql`
      insert into ${database.table('policy_evidence')} (candidate, baseline, report, decisions, summary, found_by, signed)
      values (${candidate}, ${baseline}, ${report}, ${decisions}, ${summary}::json, ${by}, ${signed})
      on conflict do nothing`,
  });
}

interface EvidenceRow {
  readonly candidate: Digest;
  readonly baseline: Digest;
  readonly report: Digest;
  readonly decisions: string;
  readonly summary: JsonObject;
  readonly found_by: string;
  readonly signed: string;
  readonly at: Date;
}

export async function evidence(
  database: Database,
  candidate: Digest,
  baseline: Digest,
): Promise<readonly PolicyEvidence[]> {
  const rows = await database.rows({
    name: 'policy_evidence',
    query: sql<EvidenceRow>`
      select * from ${database.table('policy_evidence')} where candidate = ${candidate} and baseline = ${baseline}
      order by at desc, report
      limit ${sql.lit(MOST_LISTED)}`,
  });
  return rows.map(({ found_by: by, report, decisions, summary, signed, at }) => ({
    candidate,
    baseline,
    report,
    decisions: Number(decisions),
    summary,
    by,
    signed,
    at: at.toISOString(),
  }));
}
