/** Figures for Prometheus. No label names a tenant, a person or an action: whoever reads the figures learns nobody's business. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

import type { ShadowCounts } from '../../action/policy-rollout.js';

export interface Answered {
  readonly method: string;
  /** The route's pattern. */
  readonly route: string;
  readonly status: number;
  readonly ms: number;
}

interface MetricsOptions {
  /** How many actions wait for people, over all tenants. */
  readonly pendingApprovals: () => Promise<number>;
  /** What the policy in shadow was found to decide, beside each active policy; none where no policy is in shadow. */
  readonly shadowCounts: () => Promise<readonly ShadowCounts[]>;
}

const UNKNOWN = { evaluated: NaN, diverged: NaN, errors: NaN, dropped: NaN };

/** Methods that HTTP itself knows; others are anybody's words. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** `mcp`: what MCP clients listen for. */
const STREAMS = ['inbox', 'action', 'mcp'] as const;
export type StreamName = (typeof STREAMS)[number];

/** One for each gateway, with a registry of its own. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #requests: Counter<'method' | 'route' | 'status'>;
  readonly #durations: Histogram<'method' | 'route'>;
  readonly #streams: Gauge<'stream'>;

  constructor({ pendingApprovals, shadowCounts }: MetricsOptions) {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry, prefix: 'countersign_' });
    this.#requests = new Counter({
      name: 'countersign_http_requests_total',
      help: 'Requests that were answered.',
      labelNames: ['method', 'route', 'status'],
      registers,
    });
    this.#durations = new Histogram({
      name: 'countersign_http_request_duration_seconds',
      help: 'How long answers took; requests that wait on purpose among them.',
      labelNames: ['method', 'route'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
      registers,
    });
    this.#streams = new Gauge({
      name: 'countersign_event_streams',
      help: 'Streams of events that are open.',
      labelNames: ['stream'],
      registers,
    });
    for (const stream of STREAMS) this.#streams.set({ stream }, 0);
    const pending: Gauge = new Gauge({
      name: 'countersign_pending_approvals',
      help: 'Actions that wait for people, over all tenants. NaN when the ledger does not answer.',
      registers,
      collect: async () => pending.set(await pendingApprovals().catch(() => NaN)),
    });
    const shadow: Gauge<'result'> = new Gauge({
      name: 'countersign_policy_shadow_decisions',
      help: 'Decisions of the policy that is in shadow, against the active one. 0 where none is; NaN when the ledger does not answer.',
      labelNames: ['result'],
      registers,
      collect: async () => {
        const [counts] = await shadowCounts().catch(() => [UNKNOWN]);
        const { evaluated = 0, diverged = 0, errors = 0, dropped = 0 } = counts ?? {};
        shadow.set({ result: 'same' }, evaluated - diverged);
        shadow.set({ result: 'different' }, diverged - errors);
        shadow.set({ result: 'error' }, errors);
        shadow.set({ result: 'dropped' }, dropped);
      },
    });
  }

  answered({ method, route, status, ms }: Answered): void {
    const labels = { method: METHODS.has(method) ? method : 'other', route };
    this.#requests.inc({ ...labels, status });
    this.#durations.observe(labels, ms / 1000);
  }

  /** @returns to be called when the stream ends */
  streaming(stream: StreamName): () => void {
    this.#streams.inc({ stream });
    return () => this.#streams.dec({ stream });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}
