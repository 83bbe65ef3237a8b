/** Gauges over the ledger: read once for each export or page, whoever asks. */
import type { ShadowCounts } from '../../action/policy-rollout.js';
import type { LedgerFigures } from '../../ledger/figures.js';
import type { Ledger } from '../../ledger/index.js';
import type { MetricOf } from '../../telemetry/metric-names.js';
import type { GaugeReading } from '../../telemetry/meter.js';
import type { GaugeSeries, Metrics } from './metrics.js';

/** Every gauge with its series: those that cannot be read are told as such. */
const SERIES = {
  'countersign.pending.approvals': [{}],
  'countersign.pending.approval.oldest.seconds': [{}],
  'countersign.open.actions': [{}],
  'countersign.open.action.oldest.seconds': [{}],
  'countersign.unknown.actions': [{}],
  'countersign.holds': ['budget', 'count', 'rate', 'concurrency', 'breaker'].map((kind) => ({ kind })),
  'countersign.breakers': ['open', 'half_open'].map((state) => ({ state })),
  'countersign.freezes': [{}],
  'countersign.radar.sources': ['watching', 'off', 'stale'].map((state) => ({ state })),
  'countersign.policy.shadow.decisions': ['same', 'different', 'error', 'dropped'].map((result) => ({ result })),
} as const satisfies Partial<Record<MetricOf<'gauge'>, GaugeSeries>>;

/** All gauges of one page are of one look. Milliseconds. */
const FRESH_MS = 500;

type Read = Pick<Ledger, 'figures' | 'rollout' | 'radar'>;

export function gaugeLedger(metrics: Metrics, ledger: Read): void {
  let last: { readonly at: number; readonly read: Promise<readonly GaugeReading[]> } | undefined;
  metrics.gauges(SERIES, () => {
    const now = performance.now();
    if (last === undefined || now - last.at > FRESH_MS) last = { at: now, read: readingsOf(ledger) };
    return last.read;
  });
}

async function readingsOf({ figures, rollout, radar }: Read): Promise<readonly GaugeReading[]> {
  const [now, [shadow], sources] = await Promise.all([figures.now(), rollout.shadowCounts(), radar.sources()]);
  const watched = SERIES['countersign.radar.sources'].map(({ state }): GaugeReading => {
    const value = sources.filter((source) => source.state === state).length;
    return { name: 'countersign.radar.sources', labels: { state }, value };
  });
  return [...standing(now), ...watched, ...inShadow(shadow)];
}

function standing(now: LedgerFigures): readonly GaugeReading[] {
  return [
    { name: 'countersign.pending.approvals', labels: {}, value: now.pendingApprovals },
    { name: 'countersign.pending.approval.oldest.seconds', labels: {}, value: now.oldestApprovalSeconds },
    { name: 'countersign.open.actions', labels: {}, value: now.openActions },
    { name: 'countersign.open.action.oldest.seconds', labels: {}, value: now.oldestOpenSeconds },
    { name: 'countersign.unknown.actions', labels: {}, value: now.unknownActions },
    ...SERIES['countersign.holds'].map(({ kind }): GaugeReading => {
      const value = now.holds[kind as keyof LedgerFigures['holds']] ?? 0;
      return { name: 'countersign.holds', labels: { kind }, value };
    }),
    { name: 'countersign.breakers', labels: { state: 'open' }, value: now.breakers.open },
    { name: 'countersign.breakers', labels: { state: 'half_open' }, value: now.breakers.halfOpen },
    { name: 'countersign.freezes', labels: {}, value: now.freezes },
  ];
}

/** Of the policy in shadow beside the active one; 0 where none is. */
function inShadow(counts: ShadowCounts | undefined): readonly GaugeReading[] {
  const { evaluated = 0, diverged = 0, errors = 0, dropped = 0 } = counts ?? {};
  const values = { same: evaluated - diverged, different: diverged - errors, error: errors, dropped };
  return Object.entries(values).map(([result, value]) => ({
    name: 'countersign.policy.shadow.decisions',
    labels: { result },
    value,
  }));
}
