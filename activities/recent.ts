/** What this worker prepared lately: it spares `execute` to be told the plan again. An optimization only: what is not here is not missed. */
import type { GrantClaims, Plan } from '../src/action/grant.js';
import type { StepTimings } from '../src/action/outcome.js';
import type { Proposed } from './propose.js';

export interface Remembered {
  readonly proposed: Proposed;
  readonly plan: Plan;
  readonly grant: GrantClaims;
  readonly steps: StepTimings;
}

/** More than a worker has under way at once. */
const KEPT = 256;

/** By the grant's id, which is unguessable and signed: what is found under it is what was granted. */
export class Recent {
  readonly #kept = new Map<string, Remembered>();

  keep(prepared: Remembered): void {
    this.#kept.set(prepared.grant.jti, prepared);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > KEPT && oldest !== undefined) this.#kept.delete(oldest);
  }

  take(jti: string): Remembered | undefined {
    const found = this.#kept.get(jti);
    this.#kept.delete(jti);
    return found;
  }
}
