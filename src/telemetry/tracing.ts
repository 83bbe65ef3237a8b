/** Spans and their W3C context, over OpenTelemetry's API alone: where no SDK is loaded in the process, they go nowhere and cost next to nothing. */
import {
  context,
  isSpanContextValid,
  propagation,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type Link,
  type Span,
} from '@opentelemetry/api';
import { ApplicationFailure } from '@temporalio/common';
import { CountersignError } from '../action/errors.js';

/** The headers of W3C Trace Context (https://www.w3.org/TR/trace-context/), by name in lower case. */
export type TraceHeaders = Readonly<Partial<Record<'traceparent' | 'tracestate', string>>>;

/** Longer ones are not W3C's: `traceparent` has 55 characters, and of `tracestate` 512 have to be carried. */
const LONGEST = { traceparent: 128, tracestate: 512 } as const;

export interface SpanOptions {
  /** Default internal. */
  readonly kind?: SpanKind;
  readonly attributes?: Attributes;
  /** Default the span that is active. */
  readonly parent?: Context;
  readonly links?: Link[];
}

/** Runs the body in a span of its own. What it throws is told as its code: messages may quote what an agent or a system said. */
export function inSpan<T>(
  name: string,
  { kind = SpanKind.INTERNAL, parent = context.active(), ...options }: SpanOptions,
  body: (span: Span) => Promise<T>,
): Promise<T> {
  return trace.getTracer('countersign').startActiveSpan(name, { kind, ...options }, parent, async (span) => {
    try {
      return await body(span);
    } catch (thrown) {
      markFailed(span, errorType(thrown));
      throw thrown;
    } finally {
      span.end();
    }
  });
}

export function markFailed(span: Span, type: string): void {
  span.setAttribute('error.type', type);
  span.setStatus({ code: SpanStatusCode.ERROR });
}

/** One of few words: a code of ours, of Node's or of the HTTP client's, else the name of the error's class. */
export function errorType(thrown: unknown): string {
  if (thrown instanceof CountersignError) return thrown.code;
  if (thrown instanceof ApplicationFailure) return thrown.type ?? thrown.name;
  if (!(thrown instanceof Error)) return typeof thrown;
  const { code } = thrown as NodeJS.ErrnoException;
  return typeof code === 'string' && /^[A-Z][A-Z0-9_]{0,63}$/.test(code) ? code : thrown.name;
}

/** What hands the active span on. Nothing else is: baggage of whoever called is not for others to read. */
export function traceHeaders(): TraceHeaders {
  const carrier: Record<string, string> = {};
  propagation.inject(context.active(), carrier);
  return traceHeadersIn(carrier);
}

/** The trace headers among others, as far as they can be any. */
function traceHeadersIn(carrier: Readonly<Record<string, unknown>>): TraceHeaders {
  const found: Record<string, string> = {};
  for (const [name, longest] of Object.entries(LONGEST)) {
    const value = carrier[name];
    if (typeof value === 'string' && value !== '' && value.length <= longest) found[name] = value;
  }
  return found;
}

/** The context that somebody else's headers hand on. Where they hold none, what is active now. */
export function contextIn(headers: Readonly<Record<string, unknown>>): Context {
  return propagation.extract(context.active(), traceHeadersIn(headers));
}

/** For log lines: the active span by the names of OpenTelemetry's log format (https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/). */
export function traceIds(): { trace_id?: string; span_id?: string } {
  const span = trace.getActiveSpan()?.spanContext();
  if (span === undefined || !isSpanContextValid(span)) return {};
  return { trace_id: span.traceId, span_id: span.spanId };
}
