/** The checkpoints that were kept elsewhere, by how many entries they cover. A file of them may be about many tenants. */
import type { CheckpointClaims } from '../action/checkpoint.js';
import { asCountersignError } from '../action/errors.js';
import { verifyCheckpoint } from '../trust/index.js';
import type { TrailKeys } from './keys.js';
import type { TrailProblem } from './problems.js';

/** A line of what an anchor kept. */
export interface AnchorLine {
  readonly jws: string;
  /** A time-stamp token over the JWS, in base64. */
  readonly timestamp?: string;
}

export interface Anchored extends AnchorLine {
  /** From 1, in the order in which they were given. */
  readonly number: number;
  readonly claims: CheckpointClaims;
}

export class AnchoredCheckpoints {
  readonly #bySize = new Map<number, Anchored[]>();

  /** @param report is told of those that do not verify */
  async read(
    given: readonly AnchorLine[],
    { keyring }: TrailKeys,
    report: (problem: TrailProblem) => void,
  ): Promise<void> {
    for (const [index, line] of given.entries()) {
      const number = index + 1;
      try {
        const claims = await verifyCheckpoint(keyring, line.jws);
        this.#bySize.set(claims.size, [...(this.#bySize.get(claims.size) ?? []), { number, claims, ...line }]);
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
