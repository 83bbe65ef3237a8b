/**
 * The port that every kind of action stands behind. A tool runs in the worker, with credentials from the operator's config;
 * the agent only names it and gives it input.
 */
import type { z } from 'zod';
import type { ActionType, Constraint, Preview } from '../action/decision.js';
import type { Check } from '../action/outcome.js';
import type { Digest, Json, JsonObject } from '../action/json.js';
import type { Delta, State } from '../action/snapshot.js';

/**
 * Whether the same idempotency key may be executed again:
 * - `native`: yes, any number of times; the system itself makes it one effect (the key commits with the effect);
 * - `lookup`: only after `lookUp` said that nothing happened;
 * - `none`: never, once the request may have left.
 */
export type Idempotency = 'native' | 'lookup' | 'none';

export interface ReadContext {
  /** Aborts when the step's time is over. */
  readonly signal: AbortSignal;
}

export interface ExecuteContext extends ReadContext {
  /** Unique to the action and the same on every attempt. */
  readonly idempotencyKey: string;
  /** Digest of the captured pre-state. A tool that can must refuse (STATE_CHANGED) when it no longer holds at the instant of the effect. */
  readonly preDigest: Digest;
  readonly constraints: readonly Constraint[];
  /** Rows or objects that the preview announced; a tool must not change more. */
  readonly rows: number;
  /**
   * True when an earlier attempt may have reached the system and nobody could tell what became of it: then a failure of this attempt
   * does not show that nothing happened. Only where the idempotency is `native`; else there is no such second attempt.
   */
  readonly retried?: boolean;
  /** Says that the work is alive; also carries cancellation back, through `signal`. Cheap: call often. */
  heartbeat(): void;
}

/** What `execute` says was done. It is the tool's word: verification reads the system itself. */
export interface Execution {
  readonly result: Json;
  /** What the system itself counted as changed, by target, where it can tell (Postgres: its per-transaction statistics). */
  readonly affectedRows?: Readonly<Record<string, number>>;
  /** Keys of objects that came into being, for the post-capture: `{orders: ["41"]}`. */
  readonly created?: Readonly<Record<string, readonly string[]>>;
  /**
   * What became of each part, where one action is several calls or rows that do not happen all or nothing. A tool that did some of it
   * returns this instead of throwing, so that what was done is verified and known; a part that was not done is a failed check.
   */
  readonly parts?: readonly ExecutionPart[];
}

export interface ExecutionPart {
  /** What it is, such as `orders/7`. */
  readonly name: string;
  readonly done: boolean;
  /** Why it was not done. */
  readonly detail?: string;
}

/** What a sample is taken beside. */
export interface SampleOptions {
  /** What was captured before the effect: it is not sampled. */
  readonly pre: State;
  /** Absent before the effect. */
  readonly execution?: Execution;
}

export interface CaptureOptions {
  /** Absent before the effect; after it, what was captured before and what was executed, so that the same objects are read again. */
  readonly after?: { readonly pre: State; readonly execution?: Execution };
}

/** The answer to "did the effect of this key happen?". `no` is final: the tool has made sure that a late attempt can no longer take effect. */
export type LookUp =
  | { readonly happened: 'yes'; readonly execution: Execution }
  | { readonly happened: 'no' }
  | { readonly happened: 'unknown'; readonly reason: string };

/** The whole of what happened, for the tool to judge. */
export interface ObservedEffect<I> {
  readonly input: I;
  readonly preview: Preview;
  readonly pre: State;
  readonly post: State;
  readonly delta: Delta;
  readonly execution: Execution | undefined;
}

export interface Tool<I = unknown> {
  readonly name: string;
  /** `postgres`, `http`, `mcp` … */
  readonly kind: string;
  readonly environment: string;
  /** Of the least safe of its operations. */
  readonly idempotency: Idempotency;
  /** Of what this input asks for, where operations differ. Default `idempotency`. */
  idempotencyOf?(input: I): Idempotency;
  /** The constraints it can honour; policy that demands another is a deny. */
  readonly constraints: readonly string[];
  /** Set when its steps must run on another worker, as regular activities. */
  readonly taskQueue?: string;
  /** Longest one execution may take, milliseconds. */
  readonly timeoutMs: number;
  readonly input: z.ZodType<I>;
  /** @throws CountersignError INVALID_INPUT or STATEMENT_REFUSED when the input cannot be classified. */
  actionType(input: I): ActionType;
  /** The name of what is done, for policies and people. */
  operation(input: I): string;
  /** @throws CountersignError, for instance INVALID_INPUT (no such table) or TOOL_UNAVAILABLE (retryable). Has no effect. */
  preview(input: I, context: ReadContext): Promise<Preview>;
  /** Reads the state that the action can change. Has no effect. @throws CountersignError TOO_MANY_ROWS, TOOL_UNAVAILABLE */
  capture(input: I, options: CaptureOptions, context: ReadContext): Promise<State>;
  /**
   * Reads some of what the action should leave as it is: before and after the effect it must be equal. Keyed by target, as `affectedRows`
   * is, and small, because history carries it. It must be bounded in rows and time. Has no effect.
   */
  sample?(input: I, options: SampleOptions, context: ReadContext): Promise<State>;
  /**
   * Makes the effect.
   *
   * @throws CountersignError whose code says what is known: STATE_CHANGED, CONSTRAINT_VIOLATED, TOOL_FAILED: nothing happened and
   *   trying again is no use; TOOL_UNAVAILABLE: nothing happened, try again; EFFECT_UNKNOWN: it may have happened.
   */
  execute(input: I, context: ExecuteContext): Promise<Execution>;
  /** `input` is what was to be done, where the caller has it; a tool that cannot tell without it answers `unknown`. */
  lookUp?(idempotencyKey: string, context: ReadContext, input?: I): Promise<LookUp>;
  /** The derived expectation and the frame condition: these objects now hold these values, and nothing else changed. Pure. */
  verify(effect: ObservedEffect<I>): readonly Check[];
  /** A proposal's input that would restore `pre`, or undefined when it cannot be restored. Pure; has no effect. */
  compensate?(input: I, pre: State, post: State): JsonObject | undefined;
  /** Closes connections. */
  close(): Promise<void>;
}
