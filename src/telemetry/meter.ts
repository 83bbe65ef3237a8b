/** The metrics of this process, on OpenTelemetry's API: exported where an SDK is loaded, and else dropped at once. */
import { metrics, ValueType, type Counter, type Histogram, type Meter as OtelMeter } from '@opentelemetry/api';
import {
  DURATIONS,
  METRICS,
  WAITS,
  type Metric,
  type MetricLabels,
  type MetricName,
  type MetricOf,
} from './metric-names.js';

/** One value of a gauge. */
export interface GaugeReading<Name extends MetricOf<'gauge'> = MetricOf<'gauge'>> {
  readonly name: Name;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Make it after the SDK was loaded: instruments that were made before belong to nobody. */
export class Meter {
  readonly #meter: OtelMeter = metrics.getMeter('countersign');
  readonly #counters = new Map<MetricName, Counter>();
  readonly #histograms = new Map<MetricName, Histogram>();

  count<Name extends MetricOf<'counter'>>(name: Name, labels: MetricLabels<Name>): void {
    let counter = this.#counters.get(name);
    if (counter === undefined) {
      counter = this.#meter.createCounter(name, described(name));
      this.#counters.set(name, counter);
    }
    counter.add(1, labels);
  }

  record<Name extends MetricOf<'histogram'>>(name: Name, labels: MetricLabels<Name>, seconds: number): void {
    let histogram = this.#histograms.get(name);
    if (histogram === undefined) {
      const explicitBucketBoundaries = name === 'countersign.approval.wait.seconds' ? WAITS : DURATIONS;
      histogram = this.#meter.createHistogram(name, { ...described(name), advice: { explicitBucketBoundaries } });
      this.#histograms.set(name, histogram);
    }
    histogram.record(seconds, labels);
  }

  /** Has gauges read whenever they are exported. What cannot be read is not exported. @returns to be called when that is to end */
  observe(names: readonly MetricOf<'gauge'>[], read: () => Promise<readonly GaugeReading[]>): () => void {
    const gauges = new Map(names.map((name) => [name, this.#meter.createObservableGauge(name, described(name))]));
    const observables = [...gauges.values()];
    const observed: Parameters<OtelMeter['addBatchObservableCallback']>[0] = async (result) => {
      for (const { name, labels, value } of await read().catch(() => [])) {
        const gauge = gauges.get(name);
        if (gauge !== undefined) result.observe(gauge, value, labels);
      }
    };
    this.#meter.addBatchObservableCallback(observed, observables);
    return () => this.#meter.removeBatchObservableCallback(observed, observables);
  }
}

function described(name: MetricName) {
  const { help, unit, kind }: Metric = METRICS[name];
  const valueType = kind === 'counter' ? ValueType.INT : ValueType.DOUBLE;
  return { description: help, valueType, ...(unit === undefined ? {} : { unit }) };
}
