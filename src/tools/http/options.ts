/** What an operator declares: where a service is, what may be done there, and how each thing is read back. */
import type { LookupFunction } from 'node:net';
import type { z } from 'zod';
import type { ActionType } from '../../action/decision.js';
import type { Json, JsonObject } from '../../action/json.js';
import type { Allow, ClientCredentials, Method, SecretRef, TlsOptions } from '../../http/options.js';
import type { Idempotency } from '../tool.js';

/** A header's value: a text that anybody may see, or a secret by reference. */
export type HeaderValue = string | { readonly secret: SecretRef; readonly prefix?: string };

/** A JSON Schema (2020-12) or a zod schema. Only checked against: zod's transforms and defaults are not applied to what is sent. */
export type Schema = boolean | JsonObject | z.ZodType;

/** A read request whose answer is part of the state that an operation can change. */
export interface Probe {
  /**
   * URL below `baseUrl`, with references: `/orders/{id}`, `/refunds?order={path.id}`, `/refunds/{result.body.id}`. A reference is to
   * `path` (its name alone will do), `query`, `headers`, `body` or, after the effect, `result`. One that leads nowhere: the state is null.
   */
  readonly get: string;
  /** JSON pointer to what of the answer is the state. Default the whole. */
  readonly at?: string;
  /** JSON pointers, below `at`, to what changes by itself (`/updatedAt`): left out of the state. */
  readonly without?: readonly string[];
  /** Whether it must find something before the effect: where it is null or an empty list, the action is refused with NOTHING_MATCHED. Default false. */
  readonly mustFind?: boolean;
}

/** How the service is asked whether the effect of an idempotency key happened. */
export interface LookUpRequest {
  /** URL below `baseUrl` with `{key}` and the references of a probe: `/refunds?idempotency_key={key}`. */
  readonly get: string;
  /** JSON pointer to what was found: nothing there, null or an empty list means absent, as does 404 or 410. Default the whole. */
  readonly at?: string;
  /**
   * How long an absence must last to be final, milliseconds. 0: at once, because the service refuses a key that was looked up in vain.
   * Default: never, because a request that is still on its way can arrive after any look.
   */
  readonly finalAfterMs?: number;
}

/** The input of the operation that undoes this one. A text that is all one reference (`{post.refund.id}`) becomes what it refers to. */
export interface Inverse {
  readonly op: string;
  readonly path?: JsonObject;
  readonly query?: JsonObject;
  readonly headers?: JsonObject;
  readonly body?: Json;
}

export interface HttpOperation {
  readonly method: Method;
  /** Path below `baseUrl`: `/orders/{id}/refunds`. `{id}` is one segment, from `input.path.id`. A fixed query may follow. */
  readonly url: string;
  /** Headers of this operation, beside the tool's. */
  readonly headers?: Readonly<Record<string, HeaderValue>>;
  /** What the input may hold. Without a schema: `path` takes plain texts and integers for the URL's names; the others must be absent. */
  readonly input?: {
    readonly path?: Schema;
    readonly query?: Schema;
    /** Names in lower case. */
    readonly headers?: Schema;
    readonly body?: Schema;
    /** Whether the body may be left out. Default false. */
    readonly bodyOptional?: boolean;
  };
  /** What the body of a 2xx answer must fit. Default anything. */
  readonly response?: Schema;
  /** Default READ for GET and HEAD, DELETE for DELETE, else CALL_API. What is READ is taken to change nothing, and may be repeated. */
  readonly actionType?: ActionType;
  /** What it writes, for policies, limits and freezes: `refunds`. Default the fixed segments of the URL. */
  readonly target?: string;
  /** JSON pointer into the body to the list of what is changed; its length is the preview's rows. Default one object. */
  readonly rows?: string;
  /** The state it can change, by names of your choice. Needed by everything but a READ: what cannot be read back cannot be verified. */
  readonly probes?: Readonly<Record<string, Probe>>;
  /**
   * CEL over `input`, `pre`, `post` and `result` (`{status, body}`), each of which must be true afterwards. Default for PUT and PATCH: the
   * probe of the same URL holds the body; for DELETE: it is gone. POST has no default.
   */
  readonly ensures?: readonly string[];
  /**
   * JSON pointers into the state to what may change; everything else in the probes must stay as it was. With references:
   * `/order/items/{path.item}`. Default: what the default of `ensures` is about.
   */
  readonly changes?: readonly string[];
  /** Whether the service makes one effect of one `Idempotency-Key`. Default `none`. READ needs none. */
  readonly idempotency?: Idempotency;
  /** Needed for `lookup`. Default the tool's. */
  readonly lookUp?: LookUpRequest;
  /** Status codes that the service answers only when nothing was done, beside 4xx: `[500, 503]`. For 409: a refusal, not "in progress". */
  readonly meansNotDone?: readonly number[];
  /** Sends the entity tag of the probe of the same URL as If-Match, so that nothing is changed that was not captured. Default false. */
  readonly ifMatch?: boolean;
  readonly compensate?: Inverse;
}

export interface HttpLimits {
  /** Until connected, TLS included. Milliseconds, default 5,000. */
  readonly connectMs?: number;
  /** From the request's end to the answer's headers. Milliseconds, default 15,000. */
  readonly headersMs?: number;
  /** Between two pieces of the answer's body. Milliseconds, default 15,000. */
  readonly bodyMs?: number;
  /** For one step (a preview, a capture, an execution) with all its requests. Milliseconds, default 30,000. */
  readonly totalMs?: number;
  /** Of an answer's body, as sent and as unpacked. Bytes, default 1 MiB. */
  readonly bodyBytes?: number;
  /** That one GET may follow. Default 3. */
  readonly redirects?: number;
  /** The longest that a Retry-After is obeyed. Milliseconds, default 60,000. */
  readonly retryAfterMs?: number;
}

export interface HttpOptions {
  /** What proposals call the tool. */
  readonly name: string;
  /** What policies know the service as: `production`, `staging` … */
  readonly environment: string;
  /** `https://api.example.com/v1`. Every operation is below it. */
  readonly baseUrl: string;
  readonly operations: Readonly<Record<string, HttpOperation>>;
  /** Sent with every request to the service, and to no other origin. */
  readonly headers?: Readonly<Record<string, HeaderValue>>;
  readonly oauth?: ClientCredentials;
  readonly tls?: TlsOptions;
  /** For every operation whose idempotency is not `none`. */
  readonly lookUp?: LookUpRequest;
  readonly allow?: Allow;
  readonly limits?: HttpLimits;
  /** How names are resolved. Default as the system does. What it answers is checked like any other address. */
  readonly lookup?: LookupFunction;
  /** Set when its steps must run on another worker. */
  readonly taskQueue?: string;
}
