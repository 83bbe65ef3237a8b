/** The summary of a backtest, as the ledger keeps it: whoever can write there can write anything, so it is read strictly. */
import { z } from 'zod';
import type { PolicyEvidence } from '../../../action/policy-rollout.js';
import { CHANGE_KINDS } from '../../../policy/backtest/change.js';

const amount = z.number().int().min(0);
const money = z.record(z.string(), z.number());

const summarySchema = z.object({
  v: z.literal(1),
  from: z.iso.datetime().optional(),
  to: z.iso.datetime().optional(),
  decisions: amount,
  beforePolicy: amount,
  redecided: amount,
  same: amount,
  undecided: amount,
  changes: z.record(z.enum(CHANGE_KINDS), amount),
  amounts: z.record(z.enum(CHANGE_KINDS), money),
  exhausted: amount,
});

export type EvidenceSummary = z.infer<typeof summarySchema>;

/** Undefined for a summary that this version cannot read. */
export function summaryOf({ summary }: Pick<PolicyEvidence, 'summary'>): EvidenceSummary | undefined {
  return summarySchema.safeParse(summary).data;
}
