/** Every metric there is: its name, its unit, what it counts and its attributes. Nothing that an agent can make up is the value of an attribute. */

export interface Metric {
  readonly kind: 'counter' | 'histogram' | 'gauge';
  /** Seconds; absent for a number of things. */
  readonly unit?: 's';
  readonly help: string;
  readonly attributes: readonly string[];
}

/** By their names in OpenTelemetry. docs/observability.md lists the same, with the names that Prometheus gives them. */
export const METRICS = {
  'countersign.decisions': {
    kind: 'counter',
    help: 'Decisions on actions, each time one is made; an action that people approve is decided again.',
    attributes: ['effect', 'tool', 'code'],
  },
  'countersign.rule.decisions': {
    kind: 'counter',
    help: 'How often each policy determined a decision.',
    attributes: ['rule', 'effect'],
  },
  'countersign.actions': {
    kind: 'counter',
    help: 'Actions that ended, by their outcome.',
    attributes: ['status', 'tool', 'code'],
  },
  'countersign.action.duration.seconds': {
    kind: 'histogram',
    unit: 's',
    help: 'How long the steps of an action took together: without the time that people or limits let it wait.',
    attributes: ['status', 'tool'],
  },
  'countersign.step.duration.seconds': {
    kind: 'histogram',
    unit: 's',
    help: 'How long each attempt at a step took.',
    attributes: ['step', 'tool', 'result'],
  },
  'countersign.step.errors': {
    kind: 'counter',
    help: 'Attempts at a step that failed or refused the action, by their code.',
    attributes: ['step', 'code'],
  },
  'countersign.person.decisions': {
    kind: 'counter',
    help: 'Decisions of people that were verified.',
    attributes: ['verdict'],
  },
  'countersign.approval.wait.seconds': {
    kind: 'histogram',
    unit: 's',
    help: 'How long an action had been shown to people when one decided.',
    attributes: ['verdict'],
  },
  'countersign.unexplained.writes': {
    kind: 'counter',
    help: 'Writes to covered data that no receipt explains.',
    attributes: ['source'],
  },
  'countersign.http.requests': {
    kind: 'counter',
    help: 'Requests that the gateway answered.',
    attributes: ['method', 'route', 'status'],
  },
  'countersign.http.request.duration.seconds': {
    kind: 'histogram',
    unit: 's',
    help: 'How long answers took; requests that wait on purpose among them.',
    attributes: ['method', 'route'],
  },
  'countersign.event.streams': {
    kind: 'gauge',
    help: 'Streams of events that are open.',
    attributes: ['stream'],
  },
  'countersign.pending.approvals': {
    kind: 'gauge',
    help: 'Actions that wait for people, over all tenants.',
    attributes: [],
  },
  'countersign.pending.approval.oldest.seconds': {
    kind: 'gauge',
    unit: 's',
    help: 'How long the action that waits longest for people has been waiting. 0 where none waits.',
    attributes: [],
  },
  'countersign.open.actions': {
    kind: 'gauge',
    help: 'Actions that asked to be admitted and have no outcome yet.',
    attributes: [],
  },
  'countersign.open.action.oldest.seconds': {
    kind: 'gauge',
    unit: 's',
    help: 'How long ago the oldest of them asked. 0 where there is none.',
    attributes: [],
  },
  'countersign.unknown.actions': {
    kind: 'gauge',
    help: 'Actions of which nobody can tell yet whether their effect happened.',
    attributes: [],
  },
  'countersign.holds': {
    kind: 'gauge',
    help: 'Holds on limits that are not settled.',
    attributes: ['kind'],
  },
  'countersign.breakers': {
    kind: 'gauge',
    help: 'Circuit breakers that are not closed.',
    attributes: ['state'],
  },
  'countersign.freezes': {
    kind: 'gauge',
    help: 'Freezes in force.',
    attributes: [],
  },
  'countersign.radar.sources': {
    kind: 'gauge',
    help: 'Systems that the radar watches; those it cannot look at (off); those of which no worker has said anything for a minute (stale).',
    attributes: ['state'],
  },
  'countersign.policy.shadow.decisions': {
    kind: 'gauge',
    help: 'Decisions of the policy that is in shadow, against the active one. 0 where none is.',
    attributes: ['result'],
  },
} as const satisfies Readonly<Record<string, Metric>>;

export type MetricName = keyof typeof METRICS;
export type MetricOf<Kind extends Metric['kind']> = {
  [Name in MetricName]: (typeof METRICS)[Name]['kind'] extends Kind ? Name : never;
}[MetricName];

/** The values of a metric's attributes. */
export type MetricLabels<Name extends MetricName> = Readonly<
  Record<(typeof METRICS)[Name]['attributes'][number], string>
>;

/** Seconds: from what is answered from memory to what waits for a slow system. */
export const DURATIONS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** Seconds: people decide within a minute, or come back from a weekend. */
export const WAITS = [10, 30, 60, 300, 900, 3600, 4 * 3600, 86_400, 3 * 86_400];

/**
 * The name of a metric in Prometheus (https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/). A unit is in our
 * own names: some exporters add it where it is absent, and others do not.
 */
export function prometheusName(name: MetricName): string {
  const { kind }: Metric = METRICS[name];
  return `${name.replaceAll('.', '_')}${kind === 'counter' ? '_total' : ''}`;
}
