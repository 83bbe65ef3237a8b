/** The checkpoints that were kept elsewhere, by how many entries they cover. A file of them may be about many tenants. */
import type { CheckpointClaims } from '../action/checkpoint.js';
import { asCountersignError } from '../action/errors.js';
import { verifyCheckpoint } from '../trust/index.js';
import type { TrailKeys } from './keys.js';
import type { TrailProblem } from './problems.js';

interface Anchored {
  /** From 1, in the order in which they were given. */
  readonly number: number;
  readonly jws: string;
  readonly claims: CheckpointClaims;
}

export class AnchoredCheckpoints {
  readonly #bySize = new Map<number, Anchored[]>();

  /** @param report is told of those that do not verify */
  async read(given: readonly string[], { keyring }: TrailKeys, report: (problem: TrailProblem) => void): Promise<void> {
    for (const [index, jws] of given.entries()) {
      const number = index + 1;
      try {
        const claims = await verifyCheckpoint(keyring, jws);
        this.#bySize.set(claims.size, [...(this.#bySize.get(claims.size) ?? []), { number, jws, claims }]);
      } catch (error) {
        const problem = `Anchor ${number} does not verify: ${asCountersignError(error).message}.`;
        report({ code: 'anchor_signature', at: number, problem });
      }
    }
  }

  /** Those of a tenant over so many entries. */
  over(size: number, tenant: string | undefined): readonly Anchored[] {
    return (this.#bySize.get(size) ?? []).filter(({ claims }) => claims.tenant === tenant);
  }

  /** The sizes of those of a tenant that cover more entries than these. */
  beyond(size: number, tenant: string | undefined): readonly number[] {
    return [...this.#bySize.keys()].filter((one) => one > size && this.over(one, tenant).length > 0);
  }
}
