/** The time stamps of anchored checkpoints that fit a trail: which of them verify, and since when their checkpoints existed at the latest. */
import { asCountersignError } from '../action/errors.js';
import type { Anchored } from './anchored.js';
import type { TrailProblem } from './problems.js';
import type { StampedCheckpoint } from './report.js';

/** @returns what a time stamp over these bytes says. @throws CountersignError TIMESTAMP_INVALID */
export type CheckTimestamp = (token: Uint8Array, data: string) => { readonly latest: Date; readonly authority: string };

/** How far the clock of a worker may have been ahead of the authority's, milliseconds. */
const CLOCKS_APART_MS = 300_000;

export class StampedCheckpoints {
  readonly verified: StampedCheckpoint[] = [];
  /** Those that nobody looked at, because no certificates to trust were given. */
  unchecked = 0;
  readonly #check: CheckTimestamp | undefined;
  readonly #report: (problem: TrailProblem) => void;

  constructor(check: CheckTimestamp | undefined, report: (problem: TrailProblem) => void) {
    this.#check = check;
    this.#report = report;
  }

  /** @returns when it existed at the latest, where its time stamp verifies */
  take({ number, jws, claims, timestamp }: Anchored): Date | undefined {
    if (timestamp === undefined) return undefined;
    if (this.#check === undefined) {
      this.unchecked++;
      return undefined;
    }
    try {
      const token = Buffer.from(timestamp, 'base64');
      if (token.toString('base64') !== timestamp) {
        return this.#tell(number, 'is not written in base64.');
      }
      const { latest, authority } = this.#check(token, jws);
      if (latest.getTime() + CLOCKS_APART_MS < claims.iat * 1000) {
        const signed = new Date(claims.iat * 1000).toISOString();
        return this.#tell(
          number,
          `is of ${latest.toISOString()}, and the checkpoint says that it was signed at ${signed}.`,
        );
      }
      this.verified.push({ size: claims.size, existedAt: latest.toISOString(), authority });
      return latest;
    } catch (error) {
      return this.#tell(number, `does not count. ${asCountersignError(error).message}`);
    }
  }

  #tell(number: number, what: string): undefined {
    this.#report({ code: 'timestamp', at: number, problem: `The time stamp of anchor ${number} ${what}` });
    return undefined;
  }
}
