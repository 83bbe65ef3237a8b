/** One configured service: its operations, the client that reaches it, and its read requests. */
import { CountersignError } from '../../action/errors.js';
import type { Json } from '../../action/json.js';
import type { SendBound } from '../sends.js';
import { timeoutSignal } from '../../timeout-signal.js';
import {
  isAbsent,
  readFailure,
  resultOfRead,
  type ResponseContext,
  type HttpResult,
} from './response-classification.js';
import type { Client } from './client.js';
import { fill } from './fill.js';
import { headersOf } from './headers.js';
import { fieldsOf } from './fields.js';
import { scopeOf, type HttpInput } from './input.js';
import type { KeyPlace } from './idempotency-key.js';
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
  readonly limits: { readonly totalMs: number; readonly bodyBytes: number };
  readonly sends: SendBound;
  readonly key: KeyPlace;
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
  const { secrets, limits, sends, tool } = service;
  const what = `${method} ${template.path} on ${tool}`;
  return { what, secrets, bodyBytes: limits.bodyBytes, longestWaitMs: sends.withinMs };
}

/** The body that is sent: the agent's, or the operator's with the agent's in its place. @throws CountersignError INVALID_INPUT */
function bodyOf({ bodyTemplate }: Operation, input: HttpInput): Json | undefined {
  if (bodyTemplate === undefined) return input.body;
  const body = fill(bodyTemplate, scopeOf(input));
  if (body !== undefined) return body;
  throw new CountersignError('INVALID_INPUT', 'The input has not all that the body of the request needs.', {
    field: 'proposal.input',
  });
}

/** Builds the request of an operation. `completed` adds to the body what is not the agent's. @throws CountersignError INVALID_INPUT */
export function requestOf(
  operation: Operation,
  input: HttpInput,
  base: URL,
  completed = (body: Json | undefined): Json | undefined => body,
): OperationRequest {
  const url = expand(operation.url, base, scopeOf(input), fieldsOf(input.query ?? {}, operation.queryStyles));
  if (url === undefined) throw new TypeError(`${operation.name} was not checked against its schema`);
  const headers = headersOf(input.headers ?? {}, operation.headerStyles);
  const content = completed(bodyOf(operation, input));
  const body = content === undefined ? undefined : encodeBody(content, operation.bodyFormat);
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

/** A read request: a GET, or a POST where it has a body. */
export interface ReadRequest {
  readonly url: URL;
  readonly body?: Json | undefined;
  /** The tokens of the pointer to errors in a 2xx. */
  readonly errors?: readonly string[] | undefined;
}

/** @throws CountersignError TOOL_UNAVAILABLE (retryable), TOOL_FAILED */
export async function readAt(
  service: Service,
  { url, body, errors }: ReadRequest,
  context: ResponseContext,
  signal: AbortSignal,
): Promise<ReadResult> {
  try {
    const response =
      body === undefined
        ? await service.client.read({ method: 'GET', url }, signal)
        : await service.client.send(
            { method: 'POST', url, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) },
            signal,
          );
    return {
      response,
      result: isAbsent(response) ? undefined : await resultOfRead(response, undefined, context, errors),
    };
  } catch (error) {
    throw readFailure(error, context);
  }
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
  return await readAt(service, { url }, contextOf(service, 'GET', template), signal);
}

export async function readOperation(
  service: Service,
  operation: Operation,
  input: HttpInput,
  signal: AbortSignal,
): Promise<{ readonly result: HttpResult; readonly response: Answer; readonly url: URL }> {
  const request = requestOf(operation, input, service.client.base);
  const context = contextOf(service, operation.method, operation.url);
  try {
    const follow = operation.method === 'GET' || operation.method === 'HEAD';
    const response = await (follow ? service.client.read(request, signal) : service.client.send(request, signal));
    return {
      response,
      url: request.url,
      result: await resultOfRead(response, operation.response, context, operation.errors),
    };
  } catch (error) {
    throw readFailure(error, context);
  }
}

/** A signal that aborts with the step, or when the tool's own time for a step is over. */
export function within(service: Service, signal: AbortSignal, ms = service.limits.totalMs): AbortSignal {
  return timeoutSignal(signal, ms);
}
