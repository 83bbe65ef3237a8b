/** What the radar finds: writes to a tool's system that no action of ours explains, and times when it could not look. */

import type { Digest } from './json.js';

/** Why a write is unexplained. */
export const UNEXPLAINED_REASONS = ['no_effect', 'unknown_effect', 'effect_used_twice', 'effect_ended'] as const;
export type UnexplainedReason = (typeof UNEXPLAINED_REASONS)[number];

/**
 * `write`: an unexplained one. `definition`: what is watched was defined otherwise, or something that the radar has made was touched. `gap`: from
 * then on until it looked again, nobody knows what was written.
 */
export const RADAR_ALERT_KINDS = ['write', 'definition', 'gap'] as const;
/** Why there is an alert. */
export const RADAR_REASONS = [...UNEXPLAINED_REASONS, 'definition_changed', 'guard_changed', 'gap'] as const;

/** What one transaction did to one table, or one event to one object. */
export interface RadarChange {
  /** `public.orders`; the kind of a provider's event. */
  readonly table: string;
  /** `insert`, `update`, `delete`, `truncate`; `event`; of a definition, the command: `ALTER TABLE`. */
  readonly operation: string;
  /** Absent where they are not counted: a truncate. */
  readonly rows?: number;
}

/** Who wrote, as the system itself says: the role that logged in. The application is the client's own word. */
export interface RadarWriter {
  readonly user: string;
  readonly application: string;
}

export interface RadarAlertRequest {
  readonly kind: (typeof RADAR_ALERT_KINDS)[number];
  /** Names it within its system: a second record of the same is none. */
  readonly position: string;
  /** When it was committed, by the system's clock. RFC 3339 UTC. */
  readonly at: string;
  readonly reason: (typeof RADAR_REASONS)[number];
  /** In one sentence. */
  readonly detail: string;
  readonly transaction?: string;
  readonly changes: readonly RadarChange[];
  /** Nobody where the system does not say. */
  readonly writers: readonly RadarWriter[];
  /** The key that it claims, where it claims one. */
  readonly effectKey?: string;
}

export interface RadarAlert extends RadarAlertRequest {
  readonly id: number;
  /** The name of the tool. */
  readonly source: string;
  /** Names the system and the database in it. */
  readonly system: string;
  /** When it was recorded, by the ledger's clock. RFC 3339 UTC. */
  readonly foundAt: string;
  readonly acknowledged?: Acknowledgement;
}

/** That a person has looked into an alert, by their signed command. The first stays. */
export interface Acknowledgement {
  /** When it was recorded, by the ledger's clock. RFC 3339 UTC. */
  readonly at: string;
  readonly by: string;
  /** The person's: alerts are of none. */
  readonly tenant: string;
  readonly note: string;
  /** Digest of the signed command; the receipt of it is in the chain of the person's tenant. */
  readonly command: Digest;
}

/** How the radar of one tool stands, as the worker that reads it last said. */
export interface RadarStanding {
  readonly source: string;
  readonly kind: string;
  /** `off`: it does not look, for `problem`. `stale`: no worker has said anything for a while. */
  readonly state: 'watching' | 'off' | 'stale';
  readonly problem?: string;
  readonly system: string;
  /** How far everything is judged: an LSN, or a time. */
  readonly position: string;
  /** The log that the system keeps for the radar. Bytes. */
  readonly lagBytes?: number;
  readonly watched: readonly string[];
  /** What it cannot see, each with why and what to do. */
  readonly unseen: readonly string[];
  /** RFC 3339 UTC. */
  readonly seenAt: string;
  /** Unexplained writes and gaps that nobody acknowledged. */
  readonly open: number;
}
