/** What a verification of a trail comes to. */
import type { TrailProblem } from './problems.js';

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
  /** The first 100. */
  readonly problems: readonly TrailProblem[];
  readonly problemCount: number;
}

const MAX_PROBLEMS = 100;

/** Problems as they are found: all are counted, the first are kept. */
export class Problems {
  readonly first: TrailProblem[] = [];
  count = 0;

  add(problem: TrailProblem): void {
    this.count++;
    if (this.first.length < MAX_PROBLEMS) this.first.push(problem);
  }
}
