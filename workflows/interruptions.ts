/** Why a run of the pipeline stops before its end. */
import type { Refused, Sealed, Stopped } from '../activities/contract.js';
import type { Outcome } from '../src/action/outcome.js';

/** The action ends here, without an effect of this run. */
export class Ends extends Error {
  readonly ending: Sealed<Refused> | Stopped;

  constructor(ending: Sealed<Refused> | Stopped) {
    super(ending.kind);
    this.ending = ending;
  }
}

/** The ledger has the outcome of this action already. */
export class AlreadyRecorded extends Error {
  readonly outcome: Outcome;

  constructor(outcome: Outcome) {
    super(outcome.status);
    this.outcome = outcome;
  }
}

/** Everything is looked at again: people have decided, there may be room, the grant is no longer valid, or others were quicker. */
export class LooksAgain extends Error {}
