/**
 * The interface of all tools. A tool runs in the worker, with credentials from the operator's config; an agent only names it and gives it
 * an input.
 */
import type { z } from 'zod';
import type { OperationDescription } from '../action/catalogue.js';
import type { ActionType, Constraint, Preview } from '../action/decision.js';
import type { Check } from '../action/outcome.js';
import type { Digest, Json, JsonObject } from '../action/json.js';
import type { Delta, State } from '../action/snapshot.js';
import type { Elsewhere } from './elsewhere.js';
import type { RadarSource } from '../radar/source.js';
import type { Pinnable } from './pinnable.js';
import type { SendBound, Sends } from './sends.js';

/**
 * Whether the same idempotency key may be executed again:
 * - `native`: yes, any number of times; the system itself makes it one effect (the key commits with the effect);
 * - `lookup`: only after `lookUp` said that nothing happened;
 * - `none`: never, once the request may have left.
 */
export type Idempotency = 'native' | 'lookup' | 'none';

/** What every call of a tool gets. */
export interface ReadContext {
  /** Aborts when the time of the step is over. */
  readonly signal: AbortSignal;
}

/** What a tool gets to make one effect: what it may do at most, and how it tells that it is at work. */
export interface ExecuteContext extends ReadContext {
  /** The idempotency key: unique to the action and the same for every attempt. */
  readonly idempotencyKey: string;
  /** Digest of the captured pre-state. If the tool can, it must refuse (STATE_CHANGED) when the state differs just before the effect. */
  readonly preDigest: Digest;
  readonly constraints: readonly Constraint[];
  /** The number of rows or objects that the preview announced. A tool must not change more. */
  readonly rows: number;
  /** The digest of what was rehearsed. The tool must not change anything else. Absent when nothing was rehearsed. */
  readonly rehearsal?: Digest;
  /**
   * True when an earlier attempt may have reached the system and its effect is unknown: a failure of this attempt does not prove that
   * nothing happened. It is set only when the idempotency is `native`; otherwise there is no such second attempt.
   */
  readonly retried?: boolean;
  /**
   * Counts the sends of the action. One send is counted before `execute` is called; a tool that may send more than once in one call begins
   * each send here. Absent where nobody counts: then the tool bounds the sends of the call by itself.
   */
  readonly sends?: Sends;
  /** Reports that the work continues, and makes cancellation arrive through `signal`. It is cheap, so call it often. */
  heartbeat(): void;
}

/** What `execute` reports was done. It is only the tool's claim; verification reads the system itself. */
export interface Execution {
  readonly result: Json;
  /** The number of changed rows by target, as the system itself counted them, if it can (Postgres: its per-transaction statistics). */
  readonly affectedRows?: Readonly<Record<string, number>>;
  /** The keys of created objects, for the capture afterwards: `{orders: ["41"]}`. */
  readonly created?: Readonly<Record<string, readonly string[]>>;
  /**
   * The result of each part, when an action consists of several calls or rows that are not all or nothing. A tool that did only some of
   * them returns this instead of throwing, so that these are verified and recorded. A part that was not done is a failed check.
   */
  readonly parts?: readonly ExecutionPart[];
}

/** One of several calls or rows of an action, and whether it was done. */
export interface ExecutionPart {
  /** The name of the part, such as `orders/7`. */
  readonly name: string;
  readonly done: boolean;
  /** Why it was not done. */
  readonly detail?: string;
}

/** The objects that a sample must not contain. */
export interface SampleOptions {
  /** The state captured before the effect. */
  readonly pre: State;
  /** The execution; absent before the effect. */
  readonly execution?: Execution;
}

/** What is known when the state is captured. */
export interface CaptureOptions {
  /** The preview of the action. Before the effect it was made a moment ago: a tool that saw the state then need not read it again. */
  readonly preview?: Preview | undefined;
  /** After the effect: the pre-state and the execution, so that the same objects are read again. Absent before the effect. */
  readonly after?: {
    readonly pre: State;
    /** What the tool said that it did, such as the keys of what it created. Absent where that is not known. */
    readonly execution?: Execution;
  };
}

/** Whether the effect of a key happened. `no` is final: the tool has made sure that a late attempt can no longer take effect. */
export type LookUp =
  | { readonly happened: 'yes'; readonly execution: Execution }
  | { readonly happened: 'no' }
  | {
      readonly happened: 'unknown';
      readonly reason: string;
      /** Asking again is of no use. Absent: it is. */
      readonly final?: true;
    };

/** An effect as the tool's system recorded it. */
export interface RecordedEffectKey {
  /** The idempotency key that it was made under. */
  readonly key: string;
  readonly at: Date;
}

/** What a tool keeps in its own system of the effects that it made, by idempotency key. */
export interface EffectRecords {
  /** Those that were made since then, oldest first. */
  since(since: Date, context: ReadContext): AsyncIterable<RecordedEffectKey>;
  /** Keys that were recorded longer ago than this, in their order, after `after`. */
  older(
    request: { readonly olderThanMs: number; readonly after?: string; readonly limit: number },
    context: ReadContext,
  ): Promise<readonly string[]>;
  /** Forgets them. @returns how many; undefined where the tool may not */
  forget(keys: readonly string[], context: ReadContext): Promise<number | undefined>;
}

/** Everything that was observed of an effect, for the tool to verify. */
export interface ObservedEffect<I> {
  readonly input: I;
  readonly preview: Preview;
  readonly pre: State;
  readonly post: State;
  readonly delta: Delta;
  readonly execution: Execution | undefined;
}

/** One kind of action as the operator defines it: how it is looked at, done, looked up and undone. `postgres()`, `http()` and `mcp()` make one. */
export interface Tool<I = unknown> {
  readonly name: string;
  /** The kind of the tool: `postgres`, `http`, `mcp` … */
  readonly kind: string;
  readonly environment: string;
  /** The idempotency of its least safe operation. */
  readonly idempotency: Idempotency;
  /** The idempotency of the operation of this input, where operations differ. Default `idempotency`. */
  idempotencyOf?(input: I): Idempotency;
  /** The constraints that it can honour. An action is denied when policy demands another. */
  readonly constraints: readonly string[];
  /** The task queue, when its steps must run on another worker, as regular activities. */
  readonly taskQueue?: string;
  /** The longest time of one execution. Milliseconds. */
  readonly timeoutMs: number;
  /** How often one action may be sent in all. Default DEFAULT_SENDS: 5 times within a minute. */
  readonly sends?: SendBound;
  readonly input: z.ZodType<I>;
  /** The action type of an input. @throws CountersignError INVALID_INPUT or STATEMENT_REFUSED when it cannot be classified */
  actionType(input: I): ActionType;
  /** The name of the operation, for policies and people. */
  operation(input: I): string;
  /** Previews the action, without any effect. @throws CountersignError, for instance INVALID_INPUT or TOOL_UNAVAILABLE (retryable) */
  preview(input: I, context: ReadContext): Promise<Preview>;
  /** Reads the state that the action can change. Has no effect. @throws CountersignError TOO_MANY_ROWS, TOOL_UNAVAILABLE */
  capture(input: I, options: CaptureOptions, context: ReadContext): Promise<State>;
  /**
   * Reads a part of what the action should not change: it must be equal before and after the effect. The sample is keyed by target, like
   * `affectedRows`, and small, because history carries it. It must be limited in rows and time. Has no effect.
   */
  sample?(input: I, options: SampleOptions, context: ReadContext): Promise<State>;
  /**
   * Makes the effect.
   *
   * @throws CountersignError whose code says what is known: STATE_CHANGED, CONSTRAINT_VIOLATED, TOOL_FAILED: nothing happened and
   *   another attempt is of no use; TOOL_UNAVAILABLE: nothing happened, try again; EFFECT_UNKNOWN: it may have happened.
   */
  execute(input: I, context: ExecuteContext): Promise<Execution>;
  /** Looks up whether the effect happened. The caller may not have the `input`; a tool that needs it then returns `unknown`. */
  lookUp?(idempotencyKey: string, context: ReadContext, input?: I): Promise<LookUp>;
  /** Checks the derived expectation and the frame condition: these objects now have these values, and nothing else changed. Pure. */
  verify(effect: ObservedEffect<I>): readonly Check[];
  /** How long it may take until the system shows the effect, where `verify` need not hold at once. Milliseconds. Pure. */
  settlesWithinMs?(input: I, execution: Execution): number;
  /** The input of a proposal that would restore `pre`; undefined when it cannot be restored. Pure. */
  compensate?(input: I, pre: State, post: State): JsonObject | undefined;
  /**
   * Checks that it can reach its system, and that its role may do what every effect needs. Has no effect but to prepare its own records.
   *
   * @throws CountersignError TOOL_UNAVAILABLE (retryable) when the system does not answer; another code when an operator must act
   */
  check?(context: ReadContext): Promise<void>;
  /** What its system keeps of its effects, for `receipts unrecorded` and for retention. Absent where it keeps nothing. */
  readonly effects?: EffectRecords;
  /** Whether MCP clients know its operations without the name of the tool, wherever nothing else is called so. Default false. */
  readonly ownNames?: boolean;
  /** Its operations, for models. Without it, MCP clients are not offered the tool. */
  describe?(): readonly OperationDescription[];
  /** Everything that its actions can touch, as policies see it in `targets` and `reads`. Undefined, or without it: not known beforehand. */
  targets?(): readonly string[] | undefined;
  /** The definitions of a server's tools that an operator has to accept, where it fronts such a server. */
  readonly pinning?: Pinnable;
  /** Watches its system for writes that no action made, where the operator asked for that. */
  readonly radar?: RadarSource;
  /** How it is made anew on a system that is nobody's. Without it, `countersign prove` does not try the tool. */
  readonly elsewhere?: Elsewhere<Tool>;
  /** Closes connections. */
  close(): Promise<void>;
}
