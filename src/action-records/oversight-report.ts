/** How people used their authority in a period: the same report for the command line, the API and the page. */
import { canaryOversightOf, type CanaryOversight } from '../action/canary-figures.js';
import { oversightOf, type Oversight } from '../action/oversight.js';
import type { Ledger } from '../ledger/index.js';

export interface OversightReport extends Oversight {
  readonly tenant: string;
  /** The figures of everybody of the tenant, or of one person's own decisions alone. */
  readonly whose: 'everybody' | 'own';
  /** The baseline is from here to `from`; the figures are from there to `to`. RFC 3339 UTC. */
  readonly baselineFrom: string;
  readonly from: string;
  readonly to: string;
  /** There are earlier decisions or canaries in this time, which were not counted. */
  readonly more: boolean;
  /** Those that are over: no figure tells that one waits. */
  readonly canaries: CanaryOversight;
}

interface OversightQuestion {
  readonly tenant: string;
  /** Milliseconds up to now; the same length of time before it is the baseline. */
  readonly period: number;
  /** Whose own decisions alone are counted. Default everybody's. */
  readonly person?: string | undefined;
}

/** @throws CountersignError LEDGER_UNAVAILABLE */
export async function oversightReport(
  { archive, canaries }: Pick<Ledger, 'archive' | 'canaries'>,
  { tenant, period, person }: OversightQuestion,
): Promise<OversightReport> {
  const to = new Date();
  const [from, baselineFrom] = [new Date(to.getTime() - period), new Date(to.getTime() - 2 * period)];
  const [decided, sent] = await Promise.all([
    archive.overseenDecisions(tenant, baselineFrom, { person }),
    canaries.since(tenant, from, { decidedBy: person }),
  ]);
  return {
    tenant,
    whose: person === undefined ? 'everybody' : 'own',
    baselineFrom: baselineFrom.toISOString(),
    from: from.toISOString(),
    to: to.toISOString(),
    more: decided.more || sent.more,
    ...oversightOf(decided.decisions, from),
    canaries: canaryOversightOf(sent.canaries, to),
  };
}
