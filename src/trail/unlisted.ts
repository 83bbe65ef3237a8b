/** What only the ledger can tell of its trail: receipts that were written past it. */
import type { Ledger } from '../ledger/index.js';
import type { TrailReport } from './report.js';

/** The report of a trail in the ledger, with the receipts that have no entry. @throws CountersignError LEDGER_UNAVAILABLE */
export async function withUnlisted({ trail }: Pick<Ledger, 'trail'>, report: TrailReport): Promise<TrailReport> {
  const missing = await trail.receiptsWithoutEntry(report.tenant);
  if (missing.length === 0) return report;
  const problems = missing.map((seq) => ({
    code: 'receipt_missing' as const,
    at: report.entries,
    problem: `Receipt ${seq} is in the ledger and has no entry in the trail.`,
  }));
  return {
    ...report,
    ok: false,
    problems: [...report.problems, ...problems],
    problemCount: report.problemCount + problems.length,
  };
}
