/** Figures, for Prometheus on `/metrics` and for OpenTelemetry alike. No label names a tenant, a person or an action: whoever reads the figures learns nobody's business. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { Meter, type GaugeReading } from '../../telemetry/meter.js';
import { DURATIONS, METRICS, prometheusName, type MetricName, type MetricOf } from '../../telemetry/metric-names.js';

export interface Answered {
  readonly method: string;
  /** The route's pattern. */
  readonly route: string;
  readonly status: number;
  readonly ms: number;
}

/** The labels of each of a gauge's series. */
export type GaugeSeries = readonly Readonly<Record<string, string>>[];

/** Methods that HTTP itself knows; others are anybody's words. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** `mcp`: what MCP clients listen for. */
const STREAMS = ['inbox', 'action', 'mcp'] as const;
export type StreamName = (typeof STREAMS)[number];

/** One for each gateway, with a registry of its own. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #meter = new Meter();
  readonly #requests: Counter<'method' | 'route' | 'status'>;
  readonly #durations: Histogram<'method' | 'route'>;
  readonly #streams: Record<StreamName, number> = { inbox: 0, action: 0, mcp: 0 };
  readonly #observing: (() => void)[] = [];

  constructor() {
    collectDefaultMetrics({ register: this.#registry, prefix: 'countersign_' });
    this.#requests = new Counter(this.#described('countersign.http.requests', ['method', 'route', 'status']));
    this.#durations = new Histogram({
      ...this.#described('countersign.http.request.duration.seconds', ['method', 'route']),
      buckets: DURATIONS,
    });
    this.gauges({ 'countersign.event.streams': STREAMS.map((stream) => ({ stream })) }, async () =>
      Object.entries(this.#streams).map(([stream, value]) => ({
        name: 'countersign.event.streams',
        labels: { stream },
        value,
      })),
    );
  }

  answered({ method, route, status, ms }: Answered): void {
    const labels = { method: METHODS.has(method) ? method : 'other', route };
    this.#requests.inc({ ...labels, status });
    this.#durations.observe(labels, ms / 1000);
    this.#meter.count('countersign.http.requests', { ...labels, status: String(status) });
    this.#meter.record('countersign.http.request.duration.seconds', labels, ms / 1000);
  }

  /** @returns to be called when the stream ends */
  streaming(stream: StreamName): () => void {
    this.#streams[stream]++;
    return () => this.#streams[stream]--;
  }

  /** Has gauges read whenever somebody wants them. Where they cannot be read they are NaN on the page, and absent for OpenTelemetry. */
  gauges(
    series: Readonly<Partial<Record<MetricOf<'gauge'>, GaugeSeries>>>,
    read: () => Promise<readonly GaugeReading[]>,
  ): void {
    const names = Object.keys(series) as MetricOf<'gauge'>[];
    for (const name of names) {
      const all = series[name] ?? [];
      const gauge: Gauge = new Gauge({
        ...this.#described(name, [...METRICS[name].attributes]),
        collect: async () => {
          const readings = await read().catch(() => all.map((labels) => ({ name, labels, value: NaN })));
          for (const { name: of, labels, value } of readings) if (of === name) gauge.set({ ...labels }, value);
        },
      });
    }
    this.#observing.push(this.#meter.observe(names, read));
  }

  /** OpenTelemetry asks no more. */
  close(): void {
    for (const stop of this.#observing.splice(0)) stop();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #described<Label extends string>(name: MetricName, labelNames: Label[]) {
    return { name: prometheusName(name), help: METRICS[name].help, labelNames, registers: [this.#registry] };
  }
}
