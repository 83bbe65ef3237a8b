/** Several proposals that are decided together: none is begun unless all would be, and each has its own outcome afterwards. */
import type { DryRun } from './dry-run.js';
import { MAX_SAGA_BYTES } from './saga.js';

/** More proposals belong in several batches. */
export const MAX_BATCH = 20;

/** Of all proposals of a batch together, canonical bytes: they are carried in one message. */
export const MAX_BATCH_BYTES = MAX_SAGA_BYTES;

/** What was decided of a batch. */
export interface BatchDecision {
  /** Whether all of its actions are begun now. False: none was begun that was not begun before. */
  readonly begun: boolean;
  /** In the order of the proposals. */
  readonly actions: readonly BatchedDecision[];
}

export type BatchedDecision =
  /** It was begun before, by this batch or otherwise, and is not decided again. */
  { readonly kind: 'begun' } | { readonly kind: 'decided'; readonly decided: DryRun };

/** A proposal of a batch that was not begun, because it or another one of the batch would be denied. */
export interface NotBegun {
  readonly status: 'not_begun';
  readonly actionId: string;
  /** What would have become of it. Its effect is `deny` for those because of which none was begun. */
  readonly decided: DryRun;
}
