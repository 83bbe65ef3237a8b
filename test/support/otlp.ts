/** A receiver of OTLP over HTTP on loopback, as a collector is one (https://opentelemetry.io/docs/specs/otlp/#otlphttp): it decodes what is sent as JSON, and shows it. */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

type Value = { readonly stringValue?: string; readonly intValue?: string | number; readonly doubleValue?: number };
type KeyValue = {
  readonly key: string;
  readonly value: Value & { readonly arrayValue?: { readonly values: Value[] } };
};

export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  /** 1 internal, 2 server, 3 client. */
  readonly kind: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  /** 2: an error. */
  readonly status: number;
}

export interface ReceivedPoint {
  readonly metric: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** A counter's sum, a gauge's value, how many values a histogram has. */
  readonly value: number;
}

export interface OtlpReceiver {
  readonly url: string;
  readonly spans: readonly ReceivedSpan[];
  /** The latest of each series. */
  points(metric: string): readonly ReceivedPoint[];
  /** Of every request, as they came. */
  readonly requests: readonly {
    readonly url: string;
    readonly headers: IncomingHttpHeaders;
    readonly body: string;
  }[];
  /** Whether it answers at all. */
  answers: boolean;
  stop(): Promise<void>;
}

export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = [];
  const series = new Map<string, ReceivedPoint>();
  const requests: { url: string; headers: IncomingHttpHeaders; body: string }[] = [];
  const server = createServer((request, response) => {
    void (async () => {
      const body = await text(request.setEncoding('latin1'));
      const { url = '', headers } = request;
      requests.push({ url, headers, body });
      if (!receiver.answers) return;
      if (headers['content-type'] === 'application/json') {
        const sent = JSON.parse(Buffer.from(body, 'latin1').toString()) as Sent;
        spans.push(...spansIn(sent));
        for (const point of pointsIn(sent)) series.set(JSON.stringify([point.metric, point.attributes]), point);
      }
      response.setHeader('content-type', 'application/json').end('{}');
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const receiver: OtlpReceiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    points: (metric) => [...series.values()].filter((point) => point.metric === metric),
    requests,
    answers: true,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return receiver;
}

interface Sent {
  readonly resourceSpans?: readonly { readonly scopeSpans: readonly { readonly spans: readonly SentSpan[] }[] }[];
  readonly resourceMetrics?: readonly {
    readonly scopeMetrics: readonly { readonly metrics: readonly SentMetric[] }[];
  }[];
}

interface SentSpan extends Omit<ReceivedSpan, 'attributes' | 'links' | 'status'> {
  readonly attributes?: readonly KeyValue[];
  readonly links?: ReceivedSpan['links'];
  readonly status?: { readonly code?: number };
}

type SentPoints = { readonly dataPoints: readonly SentPoint[] };
interface SentPoint {
  readonly attributes?: readonly KeyValue[];
  readonly asInt?: string | number;
  readonly asDouble?: number;
  readonly count?: string | number;
}
interface SentMetric {
  readonly name: string;
  readonly sum?: SentPoints;
  readonly gauge?: SentPoints;
  readonly histogram?: SentPoints;
}

function spansIn({ resourceSpans = [] }: Sent): readonly ReceivedSpan[] {
  return resourceSpans.flatMap(({ scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map(({ attributes = [], links = [], status, ...span }) => ({
        ...span,
        attributes: plain(attributes),
        links,
        status: status?.code ?? 0,
      })),
    ),
  );
}

function pointsIn({ resourceMetrics = [] }: Sent): readonly ReceivedPoint[] {
  return resourceMetrics.flatMap(({ scopeMetrics }) =>
    scopeMetrics.flatMap(({ metrics }) =>
      metrics.flatMap(({ name, sum, gauge, histogram }) =>
        ((sum ?? gauge ?? histogram)?.dataPoints ?? []).map(({ attributes = [], asInt, asDouble, count }) => ({
          metric: name,
          attributes: plain(attributes),
          value: Number(count ?? asInt ?? asDouble),
        })),
      ),
    ),
  );
}

function plain(attributes: readonly KeyValue[]): Readonly<Record<string, unknown>> {
  const scalar = ({ stringValue, intValue, doubleValue }: Value): unknown =>
    stringValue ?? doubleValue ?? (intValue === undefined ? undefined : Number(intValue));
  return Object.fromEntries(
    attributes.map(({ key, value }) => [key, value.arrayValue?.values.map(scalar) ?? scalar(value)]),
  );
}
