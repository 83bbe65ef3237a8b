/** The options of the `http` tool: where a service is, which operations it has, and how their effects are read back. */
import type { LookupFunction } from 'node:net';
import type { z } from 'zod';
import type { ActionType } from '../../action/decision.js';
import type { Json, JsonObject } from '../../action/json.js';
import type { Allow, ClientCredentials, Method, SecretRef, TlsOptions } from '../../http/options.js';
import type { DeclaredWriters } from '../../radar/source.js';
import type { SendBound } from '../sends.js';
import type { Idempotency } from '../tool.js';
import type { FieldStyle, HeaderStyle } from './fields.js';
import type { BodyFieldStyle } from './request-body.js';

/** The value of a header: a text that is not secret, or a reference to a secret. */
export type HeaderValue =
  | string
  | {
      /** Where the secret is kept. */
      readonly secret: SecretRef;
      /** Stands before it: `Bearer `. Default nothing. */
      readonly prefix?: string;
    };

/** A JSON Schema (2020-12) or a zod schema. It only validates: zod's transforms and defaults are not applied to what is sent. */
export type Schema = boolean | JsonObject | z.ZodType;

/** A read request whose response is part of the state that an operation can change. */
export interface Probe {
  /**
   * The URL below `baseUrl`, with references: `/orders/{id}`, `/refunds?order={path.id}`, `/refunds/{result.body.id}`. A reference leads to
   * `path` (whose name may be left out), `query`, `headers`, `body` or, after the effect, `result`. If it leads nowhere, the state is null.
   */
  readonly get: string;
  /** JSON pointer to the part of the response that is the state. Default: the whole body. */
  readonly at?: string;
  /** JSON pointers, below `at`, to what changes by itself (`/updatedAt`) and is left out of the state. */
  readonly without?: readonly string[];
  /** Whether it must find something before the effect: where it is null or an empty list, the action is refused with NOTHING_MATCHED. Default false. */
  readonly mustFind?: boolean;
  /** Sent as a POST with this body, with references, where a read of the service is a POST (GraphQL): `{ query: '…', variables: '{body}' }`. */
  readonly body?: Json;
  /** JSON pointer to the errors in a 2xx. Where there are any, the probe fails. Default: that of the operation. */
  readonly errors?: string;
  /** How a list goes on. Without it, a list with a next page is marked as truncated. */
  readonly pages?: Pages;
}

/** How a list that comes in pages goes on. `at` points to the list in each page; the state is all of them together. */
export interface Pages {
  /** `link`: the Link header with `rel="next"` (RFC 8288). Else a JSON pointer to the next page's URL, or to the cursor for `parameter`. */
  readonly next: string;
  /** The query parameter that takes the cursor. */
  readonly parameter?: string;
  /** The most pages that are read. 1 to 100, default 20. What is left out is said: `truncated` in the state, and in the preview's warnings. */
  readonly max?: number;
}

/** A job that the service accepts with 202 and does later. */
export interface Accepted {
  /** The URL of the job, with the references of a probe: `/jobs/{result.body.id}`. `location`: the header of that name. */
  readonly poll: string;
  /** CEL over `input` and `result` (the body of the job) that is true once the job is done: `result.status == 'done'`. */
  readonly done: string;
  /** CEL that is true once the job has failed: `result.status == 'failed'`. */
  readonly failed?: string;
  /** JSON pointer to the job's words on why it failed. Default: its members named as in RFC 9457. */
  readonly message?: string;
  /** How long the job may take: `30s`, `2m`, at most `10m`. After it the outcome is unknown. */
  readonly within: string;
}

/** A read request by which the tool finds out whether the effect of an idempotency key happened. */
export interface LookUpRequest {
  /** The URL below `baseUrl`, with `{key}` and the references of a probe: `/refunds?idempotency_key={key}`. */
  readonly get: string;
  /** JSON pointer to the effect. Nothing, null or an empty list means that it is absent, as does 404 or 410. Default: the whole body. */
  readonly at?: string;
  /**
   * How long the effect must be absent until that is final. Milliseconds. 0: at once, when the service refuses a key after it was looked up
   * in vain. Default: never, because a request that is still on its way can arrive after any look-up.
   */
  readonly finalAfterMs?: number;
}

/** The input of the operation that undoes this one. A text that is one reference (`{post.refund.id}`) becomes what it refers to. */
export interface Inverse {
  /** The name of an operation of the tool. */
  readonly op: string;
  /** The values for the names in its URL, with references. Default none. */
  readonly path?: JsonObject;
  /** Its query parameters, with references. Default none. */
  readonly query?: JsonObject;
  /** Its headers, with references. Default none. */
  readonly headers?: JsonObject;
  /** Its body, with references. Default none. */
  readonly body?: Json;
}

/** One request that agents may ask for, and how its effect is found in the service afterwards. */
export interface HttpOperation {
  /** What it does, for models that choose among tools: one or two sentences. Default: its method and URL. */
  readonly description?: string;
  /** The method of the request. What GET and HEAD do is taken to be a READ. */
  readonly method: Method;
  /** The path below `baseUrl`: `/orders/{id}/refunds`. `{id}` is one segment, from `input.path.id`. A fixed query may follow. */
  readonly url: string;
  /** Headers of this operation, in addition to those of the tool. */
  readonly headers?: Readonly<Record<string, HeaderValue>>;
  /** The schemas of the input. Without a schema, `path` takes plain texts and integers for the URL's names; other parts must be absent. */
  readonly input?: {
    /** The schema of the values for the names in `url`. Default: plain texts and integers. */
    readonly path?: Schema;
    /** The schema of the query parameters. Default: there may be none. */
    readonly query?: Schema;
    /** The schema of the headers, with names in lower case. */
    readonly headers?: Schema;
    /** The schema of the body. Default: there may be none. */
    readonly body?: Schema;
    /** Whether the body may be left out. Default false. */
    readonly bodyOptional?: boolean;
    /**
     * The media type of the body: JSON (also `application/merge-patch+json` and the like), `application/x-www-form-urlencoded`,
     * `multipart/form-data`, or another, whose body is a text, or bytes as `{ base64: '…' }`. Default `application/json`.
     */
    readonly bodyType?: string;
    /**
     * How lists and objects are written, by the name of the query parameter or of the form's field. Default for the query: texts, numbers,
     * booleans and lists of them as `repeat`, and no objects; for forms: `repeat`; for headers: texts only. In a path, the URL says it.
     */
    readonly styles?: {
      /** By the name of the header, in lower case. Default: its value is a text. */
      readonly headers?: Readonly<Record<string, HeaderStyle>>;
      /** By the name of the parameter. Default `repeat`. */
      readonly query?: Readonly<Record<string, FieldStyle>>;
      /** By the name of the form's field. Default `repeat`. */
      readonly body?: Readonly<Record<string, BodyFieldStyle>>;
    };
    /**
     * Names in `path` whose values may hold slashes, which are sent as `%2F`: the path of a file. Only for a service that takes `%2F` for
     * a part of the value: one that decodes it first would take the value for another URL. Default none.
     */
    readonly slashes?: readonly string[];
  };
  /** The schema of the body of a 2xx response. Default: anything. */
  readonly response?: Schema;
  /** Default READ for GET and HEAD, DELETE for DELETE, else CALL_API. A READ is assumed to change nothing, and may be repeated. */
  readonly actionType?: ActionType;
  /** The target that it writes, for policies, limits and freezes: `refunds`. Default: the fixed segments of the URL. */
  readonly target?: string;
  /** JSON pointer into the body to the list of changed objects, whose length is the preview's number of rows. Default: one object. */
  readonly rows?: string;
  /** The state that it can change, by names of your choice. Required unless it is a READ: what cannot be read back cannot be verified. */
  readonly probes?: Readonly<Record<string, Probe>>;
  /**
   * CEL expressions over `input`, `pre`, `post` and `result` (`{status, body}`), all of which must be true afterwards. Default for PUT and
   * PATCH: the probe of the same URL contains the body. Default for DELETE: it shows null. POST has no default.
   */
  readonly ensures?: readonly string[];
  /**
   * JSON pointers into the state to what may change, with references: `/order/items/{path.item}`. Everything else in the probes must stay
   * unchanged. Default: what the default of `ensures` covers.
   */
  readonly changes?: readonly string[];
  /** How the service treats a repeated `Idempotency-Key`. Default `none`. A READ needs none. */
  readonly idempotency?: Idempotency;
  /**
   * How long the service remembers a key, for `native`: a request is not sent again later than this after the first one. Milliseconds.
   * Default: for as long as an action is sent at all.
   */
  readonly keyLifetimeMs?: number;
  /** The look-up, required when `idempotency` is `lookup`. Default: that of the tool. */
  readonly lookUp?: LookUpRequest;
  /** How a job is followed that the service accepts with 202. */
  readonly accepted?: Accepted;
  /**
   * How long it may take until `ensures` hold: `10s`, at most `10m`. The probes are read again until then. Default: they must hold at once;
   * after a 202 whose job is not followed, `30s`.
   */
  readonly settlesWithin?: string;
  /**
   * JSON pointer to the errors in a 2xx, as GraphQL has them: `/errors`. Where there are any, the action has failed; where the response
   * has other `data` with them, it is a mismatch.
   */
  readonly errors?: string;
  /**
   * The body that is sent, with references, where it is not the agent's body itself: `{ query: 'mutation …', variables: '{body}' }`. A text
   * that is all one reference becomes what it refers to.
   */
  readonly bodyTemplate?: Json;
  /** Status codes, besides 4xx, that mean nothing was done: `[500, 503]`. 409 in this list means a refusal, not "in progress". */
  readonly meansNotDone?: readonly number[];
  /** Whether If-Match carries the entity tag of the probe of the same URL, so that only the captured state is changed. Default false. */
  readonly ifMatch?: boolean;
  /** The operation that undoes this one, as an action of its own. Default: nothing does, and a mismatch is left to people. */
  readonly compensate?: Inverse;
}

/** Where the service takes the idempotency key, and in which form. */
export interface IdempotencyKeyOptions {
  /** The name of the header. Default `Idempotency-Key`. */
  readonly header?: string;
  /** JSON pointer into the body, instead of a header: `/idempotency_key`. Operations without a body then cannot be `native`. */
  readonly body?: string;
  /**
   * - `quoted`: a structured field string, `"countersign:<tenant>/<actionId>"`. The default in a header.
   * - `plain`: the same without quotes. The default in the body.
   * - `uuid`: the UUID of version 5 of that text in the namespace of URLs, which fits `[A-Za-z0-9-]{1,64}`.
   * - `sha256`: its SHA-256 in hexadecimal digits.
   */
  readonly format?: 'quoted' | 'plain' | 'uuid' | 'sha256';
}

/** For how long the service is waited for, and how much of it is read. What is over a bound fails. */
export interface HttpLimits {
  /** The longest time to connect, including TLS. Milliseconds, default 5,000. */
  readonly connectMs?: number;
  /** The longest time from the end of the request to the headers of the response. Milliseconds, default 15,000. */
  readonly headersMs?: number;
  /** The longest time between two chunks of the response's body. Milliseconds, default 15,000. */
  readonly bodyMs?: number;
  /** The longest time of a preview, of a capture and of one try to make the effect, with all its requests. Milliseconds, default 30,000. */
  readonly totalMs?: number;
  /** The largest body of a response, both as sent and as unpacked. Bytes, default 1 MiB. */
  readonly bodyBytes?: number;
  /** The most redirections that one GET follows. Default 3. */
  readonly redirects?: number;
}

/** The list of what happened at a service, as the service itself keeps it. */
export interface HttpRadarOptions {
  /** The URL of the list below `baseUrl`: `/events?created_after={since}`. `{since}` is the time from which on events are wanted. */
  readonly get: string;
  /** JSON pointer to the list in the response. Default: the whole body. */
  readonly at?: string;
  /** How the list goes on. Without it, a list with a next page is a gap. */
  readonly pages?: Pages;
  /** How `{since}` is written: `2026-05-01T12:00:00.000Z`, or seconds since 1970. Default `rfc3339`. */
  readonly since?: 'rfc3339' | 'unix';
  /** JSON pointer, in each event, to what names it for good: `/id`. */
  readonly id: string;
  /** JSON pointer to the idempotency key that the event's request had: `/request/idempotency_key`. */
  readonly key: string;
  /** JSON pointer to the event's time, as RFC 3339 or in seconds or milliseconds since 1970: `/created`. */
  readonly time: string;
  /** JSON pointer to the kind of the event, for people and for `kinds`: `/type`. Default none. */
  readonly kind?: string;
  /** The kinds that are writes of what is to be watched. Default: every event. */
  readonly kinds?: readonly string[];
  /** JSON pointer to who caused it: `/actor/id`. Default none; then nobody can be declared. */
  readonly user?: string;
  /** Users beside Countersign that are expected: `roles` lists them. Default none. */
  readonly writers?: Pick<DeclaredWriters, 'roles'>;
  /** How often the list is read. Milliseconds from 1,000 to 3,600,000, default 60,000. */
  readonly everyMs?: number;
  /** How much later than its time an event may come into the list. Milliseconds, default 300,000. */
  readonly overlapMs?: number;
  /** Whether nothing may be changed there while the list cannot be read, or not to its end. Default false: then the radar is off, and says why. */
  readonly required?: boolean;
}

/** Which service it is, what may be asked of it, and how it is reached. */
export interface HttpOptions {
  /** The name of the tool in proposals. */
  readonly name: string;
  /** The environment of the service in policies: `production`, `staging` … */
  readonly environment: string;
  /** The base URL of all operations: `https://api.example.com/v1`. */
  readonly baseUrl: string;
  /** What agents may ask for, by the names that proposals use. */
  readonly operations: Readonly<Record<string, HttpOperation>>;
  /** Headers of every request to the service. They are sent to no other origin. */
  readonly headers?: Readonly<Record<string, HeaderValue>>;
  /** Gets the access tokens that every request carries. Default: none does. */
  readonly oauth?: ClientCredentials;
  /** Certificates, where the system's authorities are not enough or the service asks for one. Default: neither. */
  readonly tls?: TlsOptions;
  /** Where a request carries its key. Default: in the header `Idempotency-Key`, quoted. */
  readonly idempotencyKey?: IdempotencyKeyOptions;
  /** The look-up of every operation whose idempotency is not `none`. */
  readonly lookUp?: LookUpRequest;
  /** What else than public addresses over https may be reached. Default nothing. */
  readonly allow?: Allow;
  /** For how long it waits, and how much it reads. Each has a default. */
  readonly limits?: HttpLimits;
  /**
   * How often one action may be sent in all: by every attempt and under every grant. Default 5 sends within 60,000 ms. A Retry-After is
   * obeyed within that time; a longer one ends the action.
   */
  readonly sends?: Partial<SendBound>;
  /** Watches a list of the service's own for writes that no action made (docs/radar.md). Default: nothing is watched. */
  readonly radar?: HttpRadarOptions;
  /** Resolves host names. Default: the resolver of the system. The addresses that it returns are checked like any other. */
  readonly lookup?: LookupFunction;
  /** The task queue, when the steps of this tool must run on another worker. */
  readonly taskQueue?: string;
}
