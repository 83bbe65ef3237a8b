/** Every metric: its names, its kind, what it counts, its attributes. */
import { METRICS, prometheusName, type Metric, type MetricName } from '../../src/telemetry/metric-names.js';
import { cell, code, table } from './table.js';

export function metrics(): string {
  const rows = Object.entries<Metric>(METRICS).map(([name, { kind, unit, help, attributes }]) => [
    code(name),
    code(prometheusName(name as MetricName)),
    unit === undefined ? kind : `${kind}, ${unit === 's' ? 'seconds' : unit}`,
    cell(help),
    attributes.map(code).join(', '),
  ]);
  return [
    '# Metrics',
    'Every metric of workers and gateways, by its name in OpenTelemetry and in Prometheus. Histograms have `_bucket`, `_sum` and `_count` there. [Observability](observability.md) says where they go, and which dashboards and alerts use them.',
    table(['metric', 'in Prometheus', 'kind', 'what', 'attributes'], rows),
  ].join('\n\n');
}
