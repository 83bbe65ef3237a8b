/** One configured service: its operations, the client that reaches it, and its read requests. */
import { timeoutSignal } from '../../timeout-signal.js';
import {
  isAbsent,
  readFailure,
  resultOfRead,
  type ResponseContext,
  type HttpResult,
} from './response-classification.js';
import type { Client } from './client.js';
import { fieldsOf } from './fields.js';
import { scopeOf, type HttpInput } from './input.js';
import type { Operation } from './operation.js';
import type { Method } from '../../http/options.js';
import type { HeaderValue } from './options.js';
import { encodeBody } from './request-body.js';
import type { Secrets } from '../../http/secrets.js';
import { expand, type TemplateScope, type Template } from './template.js';
import type { Answer } from '../../http/wire.js';

export interface Service {
  readonly tool: string;
  readonly client: Client;
  readonly operations: ReadonlyMap<string, Operation>;
  readonly secrets: Secrets;
  readonly limits: { readonly totalMs: number; readonly bodyBytes: number; readonly retryAfterMs: number };
}

/** The request of an operation, without headers such as the idempotency key. */
export interface OperationRequest {
  readonly method: Method;
  readonly url: URL;
  readonly headers: Readonly<Record<string, HeaderValue>>;
  readonly body?: string | Uint8Array;
}

export interface ReadResult {
  /** Undefined when the service has no such object. */
  readonly result: HttpResult | undefined;
  readonly response: Answer;
}

export function contextOf(service: Service, method: Method, template: Template): ResponseContext {
  const { secrets, limits, tool } = service;
  return { what: `${method} ${template.path} on ${tool}`, secrets, ...limits };
}

/** Builds the request of an operation. @throws CountersignError INVALID_INPUT */
export function requestOf(operation: Operation, input: HttpInput, base: URL): OperationRequest {
  const url = expand(operation.url, base, scopeOf(input), fieldsOf(input.query ?? {}, operation.queryStyles));
  if (url === undefined) throw new TypeError(`${operation.name} was not checked against its schema`);
  const { headers = {} } = input;
  const body = input.body === undefined ? undefined : encodeBody(input.body, operation.bodyFormat);
  return {
    method: operation.method,
    url,
    headers: {
      ...headers,
      ...operation.headers,
      ...(body === undefined ? {} : { 'content-type': body.contentType }),
    },
    ...(body === undefined ? {} : { body: body.bytes }),
  };
}

/**
 * Sends a GET to the URL of a template. Undefined when a reference in it leads nowhere.
 *
 * @throws CountersignError TOOL_UNAVAILABLE (retryable), TOOL_FAILED
 */
export async function readTemplate(
  service: Service,
  template: Template,
  scope: TemplateScope,
  signal: AbortSignal,
): Promise<ReadResult | undefined> {
  const url = expand(template, service.client.base, scope);
  if (url === undefined) return undefined;
  const context = contextOf(service, 'GET', template);
  try {
    const response = await service.client.read({ method: 'GET', url }, signal);
    return { response, result: isAbsent(response) ? undefined : await resultOfRead(response, undefined, context) };
  } catch (error) {
    throw readFailure(error, context);
  }
}

export async function readOperation(
  service: Service,
  operation: Operation,
  input: HttpInput,
  signal: AbortSignal,
): Promise<HttpResult> {
  const request = requestOf(operation, input, service.client.base);
  const context = contextOf(service, operation.method, operation.url);
  try {
    const follow = operation.method === 'GET' || operation.method === 'HEAD';
    const response = await (follow ? service.client.read(request, signal) : service.client.send(request, signal));
    return await resultOfRead(response, operation.response, context);
  } catch (error) {
    throw readFailure(error, context);
  }
}

/** A signal that aborts with the step, or when the tool's own time for a step is over. */
export function within(service: Service, signal: AbortSignal, ms = service.limits.totalMs): AbortSignal {
  return timeoutSignal(signal, ms);
}
