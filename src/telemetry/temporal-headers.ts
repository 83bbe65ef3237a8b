/** The trace context as a header of Temporal: whoever starts an action puts it in, and the workers of its steps take it out. */
import { SpanKind, type Context } from '@opentelemetry/api';
import type { WorkflowClientInterceptor } from '@temporalio/client';
import { defaultPayloadConverter, type Headers } from '@temporalio/common';
import { TRACE_HEADER } from '../temporal.js';
import { contextIn, inSpan, traceHeaders } from './tracing.js';

/** The workflow's start as a span, which the spans of its steps are below. */
export const tracedStarts: WorkflowClientInterceptor = {
  startWithDetails: (input, next) =>
    inSpan(`StartWorkflow:${input.workflowType}`, starting(input.options.workflowId), () =>
      next({ ...input, headers: withTrace(input.headers) }),
    ),
  startUpdateWithStart: (input, next) =>
    inSpan(`StartWorkflow:${input.workflowType}`, starting(input.workflowStartOptions.workflowId), () =>
      next({ ...input, workflowStartHeaders: withTrace(input.workflowStartHeaders) }),
    ),
};

/** The context that a header of Temporal hands on. One that is none is as good as absent: anybody with access to Temporal can write it. */
export function contextInHeaders(headers: Headers): Context {
  const payload = headers[TRACE_HEADER];
  if (payload === undefined) return contextIn({});
  try {
    const carried = defaultPayloadConverter.fromPayload(payload);
    return contextIn(typeof carried === 'object' && carried !== null ? { ...carried } : {});
  } catch {
    return contextIn({});
  }
}

function starting(workflowId: string) {
  return { kind: SpanKind.CLIENT, attributes: { temporalWorkflowID: workflowId } };
}

function withTrace(headers: Headers): Headers {
  const carried = traceHeaders();
  if (carried.traceparent === undefined) return headers;
  return { ...headers, [TRACE_HEADER]: defaultPayloadConverter.toPayload(carried) };
}
