/** The state an action can change, as read from the real system. */
import type { Digest, Json, JsonObject } from './json.js';

/** Captured state is keyed so that differences name what they touch: `{sessions: {"17": {…row…}}}`. */
export type State = JsonObject;

/** What an action can change, as it was at one moment. */
export interface Snapshot {
  /** Absent when it is over 64 KiB: then the ledger keeps it under `digest`. */
  readonly state?: State;
  /** Over the canonical whole state. */
  readonly digest: Digest;
  /** Rows or objects in it. */
  readonly count: number;
  /** How long reading it took, milliseconds. */
  readonly tookMs: number;
  /** What was sampled of what the action should leave as it is: of a tool that samples. Not part of `digest`. */
  readonly sample?: State;
}

/** The state of an action that changes nothing, and the digest of `{}`. */
export const EMPTY_SNAPSHOT: Snapshot = {
  state: {},
  digest: 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a',
  count: 0,
  tookMs: 0,
};

/** RFC 6902. */
export interface PatchOperation {
  readonly op: 'add' | 'remove' | 'replace' | 'move' | 'copy' | 'test';
  readonly path: string;
  /** The new value, or of a `test` the expected one. Only `add`, `replace` and `test` have it. */
  readonly value?: Json;
  /** A JSON pointer to what is moved or copied. Only `move` and `copy` have it. */
  readonly from?: string;
}

/** What changed between two snapshots. */
export interface Delta {
  /** From pre to post; at most 200 operations here, all of them counted in `operations`. */
  readonly patch: readonly PatchOperation[];
  /** How many operations the whole patch has. */
  readonly operations: number;
  /** From the effect's start until the expected state was read back, milliseconds. */
  readonly latencyMs: number;
}

/** Of an action that changes nothing. */
export const EMPTY_DELTA: Delta = { patch: [], operations: 0, latencyMs: 0 };
