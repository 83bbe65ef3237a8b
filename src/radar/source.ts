/** The interface of what the radar reads: a tool's system, as a list of what was written there since it was last asked. */
import type { CountersignError } from '../action/errors.js';
import type { JsonObject } from '../action/json.js';
import type { RadarChange, RadarWriter } from '../action/radar.js';

/** Writers beside Countersign that the operator knows of. What they write is not unexplained. */
export interface DeclaredWriters {
  /** The roles that they log in as. */
  readonly roles?: readonly string[];
  /** What they call themselves. Any client can say so: use roles where you can. */
  readonly applications?: readonly string[];
}

/** Something that was written, whoever did it. */
export interface ObservedWrite {
  /** Names it within its system, for good. */
  readonly position: string;
  /** When it was committed, by the system's clock. */
  readonly at: Date;
  readonly transaction?: string;
  /** What was written of what is watched. Empty: only the key is. */
  readonly changes: readonly RadarChange[];
  /** The idempotency keys that came with it. */
  readonly keys: readonly string[];
  readonly writers: readonly RadarWriter[];
}

/** A change of how things are defined. `guard`: of what the radar has made to see by, which no declared writer explains. */
export interface ObservedDefinition {
  readonly kind: 'definition' | 'guard';
  /** Names it within its system, for good. */
  readonly position: string;
  /** When it was committed; where only its result was seen, when that was. */
  readonly at: Date;
  readonly transaction?: string;
  readonly changes: readonly RadarChange[];
  /** Nobody where the system does not say. */
  readonly writers: readonly RadarWriter[];
  /** What was seen of it, where that is more than the command. */
  readonly detail?: string;
}

/** What the ledger keeps of a source for whoever opens it next. */
export interface Remembered {
  /** Of the last look. */
  readonly memory: JsonObject | undefined;
  /** What was last said of `Observed.catalog`. */
  readonly catalog: JsonObject | undefined;
}

/** A time of which nobody can tell what was written. */
export interface Gap {
  /** Names it within its system. */
  readonly position: string;
  readonly at: Date;
  readonly detail: string;
}

export interface Observed {
  readonly system: string;
  readonly writes: readonly ObservedWrite[];
  readonly definitions: readonly ObservedDefinition[];
  readonly gaps: readonly Gap[];
  /** How far it was read, for people. */
  readonly position: string;
  /** To be given to whoever opens the source next. */
  readonly memory: JsonObject;
  /** The same for what seldom changes, where it has: else it is kept. */
  readonly catalog?: JsonObject;
  /** Why it was not read to its end, though nothing failed: recorded, and as good as not looking. */
  readonly incomplete?: CountersignError;
  /** Whether there is more to be read at once. */
  readonly more: boolean;
  readonly lagBytes?: number;
  readonly watched: readonly string[];
  readonly unseen: readonly string[];
}

/** Reads one source. What is read comes again, here or to another reader, until it is confirmed. */
export interface RadarReader {
  /** @throws CountersignError when it cannot look: `retryable` where it may go away by itself */
  read(signal: AbortSignal): Promise<Observed>;
  /** What was read is recorded. */
  confirm(observed: Observed, signal: AbortSignal): Promise<void>;
  /** Called instead of `read` while nothing can be recorded: keeps what the system holds back for the radar within its bound. */
  guard(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** How it stands in the system itself, for `countersign doctor`. */
export interface SourceStanding {
  readonly ok: boolean;
  readonly detail: string;
  readonly fix?: string;
}

export interface RadarSource {
  readonly kind: string;
  /** How often it is read. Milliseconds. */
  readonly everyMs: number;
  /** Whether nothing may be changed there while it cannot look. */
  readonly required: boolean;
  readonly writers: DeclaredWriters;
  /** A URL of the system, where it tells which other tools are on it. Left out: every tool of the kind may be. */
  readonly url?: string;
  /** Whether a key that came with one write may come with no other. */
  readonly oneWritePerKey: boolean;
  /** Whether a read brings again what an earlier one brought: then each write is recorded by itself. */
  readonly repeats: boolean;
  /** The form in which the system has an idempotency key, where it is another than ours. */
  readonly formatKey?: (key: string) => string;
  open(remembered: Remembered): RadarReader;
  /** Has no effect. @throws CountersignError when the system does not answer or cannot be watched at all */
  stands(signal: AbortSignal): Promise<SourceStanding>;
}
