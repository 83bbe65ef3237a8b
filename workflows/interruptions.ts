/** Why a run of the pipeline stops before its end. */
import type { Refused, Sealed, Stopped } from '../activities/contract.js';
import type { Outcome } from '../src/action/outcome.js';

/** The action ends here, without an effect of this run: as `ending` says, or with the outcome that the ledger has already. */
export class Ends extends Error {
  readonly ending: Sealed<Refused> | Stopped;
  readonly outcome: Outcome | undefined;

  constructor(ending: Sealed<Refused> | Stopped, outcome?: Outcome) {
    super(ending.kind);
    this.ending = ending;
    this.outcome = outcome;
  }
}

/** Everything is looked at again: people have decided, there may be room, the grant is no longer valid, or others were quicker. */
export class LooksAgain extends Error {}
