/** What a verification of a trail comes to. */
import type { OpenGrant } from './grant-entries.js';
import type { TrailProblem } from './problems.js';

/** A checkpoint that a time-stamping authority was shown. */
export interface StampedCheckpoint {
  /** How many entries it covers. */
  readonly size: number;
  /** When it existed at the latest. RFC 3339. */
  readonly existedAt: string;
  /** The subject of the certificate that signed the time stamp. */
  readonly authority: string;
}

export interface TrailReport {
  readonly ok: boolean;
  readonly tenant: string;
  readonly entries: number;
  readonly checkpoints: number;
  /** How many entries a checkpoint covers that fits. Those after it rest on their own signatures, where they have any. */
  readonly covered: number;
  /** Entries whose evidence is not in the file: it was never kept, or erased. */
  readonly withheld: number;
  /** Anchored checkpoints that fit. */
  readonly anchors: number;
  /** Those of them whose time stamps verify, in the order of the trail. */
  readonly timestamps: readonly StampedCheckpoint[];
  /** How many of their time stamps were not looked at, because no certificates to trust were given. */
  readonly timestampsUnchecked: number;
  /** Grants that were used and whose action has no receipt: no problem of the trail, and for somebody to look into. The first 100. */
  readonly openGrants: readonly OpenGrant[];
  readonly openGrantCount: number;
  /** How many of them were used longer ago than was asked for. */
  readonly overdueGrants: number;
  /** The first 100. */
  readonly problems: readonly TrailProblem[];
  readonly problemCount: number;
}

/** How many of anything a report lists. */
export const MOST_LISTED = 100;

/** Problems as they are found: all are counted, the first are kept. */
export class Problems {
  readonly first: TrailProblem[] = [];
  count = 0;

  add(problem: TrailProblem): void {
    this.count++;
    if (this.first.length < MOST_LISTED) this.first.push(problem);
  }
}
