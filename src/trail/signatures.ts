/** Signatures in a trail, against the times of their keys. */
import type { CheckpointClaims } from '../action/checkpoint.js';
import { keyIdOf } from '../trust/index.js';
import type { KeyPeriod, TrailKeys } from './keys.js';
import type { TrailProblem } from './problems.js';

interface Signature {
  readonly kid: string;
  /** Where it counts, in entries: a checkpoint of this size or more covers it. */
  readonly position: number;
  /** Where a problem with it is reported. */
  readonly at: number;
}

/** What a checkpoint says for what was signed before it. */
interface Voucher {
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/**
 * Judges the times of signatures. Whoever stole a key can write any time into what they sign, so that something signed with a revoked key
 * counts only where a checkpoint from before covers it that was kept elsewhere, or signed with a key that was never revoked.
 */
export class SignatureTimes {
  readonly #periods: TrailKeys['periods'];
  readonly #report: (problem: TrailProblem) => void;
  readonly #revoked: (Signature & { readonly since: number })[] = [];
  readonly #vouchers: Voucher[] = [];

  constructor({ periods }: TrailKeys, report: (problem: TrailProblem) => void) {
    this.#periods = periods;
    this.#report = report;
  }

  /** A signature that verified. @param iat as what was signed says it, seconds since the epoch */
  judge(token: string, iat: number, position: number, at: number): void {
    const kid = keyIdOf(token) ?? '';
    const period = this.#periods.get(kid) ?? {};
    const { revokedAt } = period;
    if (isOutside(period, iat)) {
      this.#report({ code: 'key_period', at, problem: `The key ${kid} was not good when this was signed.` });
    } else if (revokedAt !== undefined) {
      this.#revoked.push({ kid, position, at, since: Date.parse(revokedAt) });
    }
  }

  /**
   * A checkpoint that fits the trail. `anchored`: it was kept elsewhere, `stampedAt` since when at the latest, where an authority says so: whoever
   * stole the key can write any time into a checkpoint, and have it kept.
   */
  vouch(token: string, { size, iat }: CheckpointClaims, anchored: boolean, stampedAt?: Date): void {
    const period = this.#periods.get(keyIdOf(token) ?? '') ?? {};
    const revoked = period.revokedAt !== undefined;
    if ((revoked && !anchored) || isOutside(period, iat)) return;
    const at = iat * 1000;
    this.#vouchers.push({ size, at: revoked && stampedAt !== undefined ? Math.max(at, stampedAt.getTime()) : at });
  }

  finish(): void {
    /** By the time since when a key is revoked: how many entries checkpoints from before cover. */
    const covered = new Map<number, number>();
    const coveredBefore = (since: number): number => {
      const known = covered.get(since);
      if (known !== undefined) return known;
      const found = this.#vouchers.reduce((most, { size, at }) => (at < since ? Math.max(most, size) : most), 0);
      covered.set(since, found);
      return found;
    };
    for (const { kid, position, at, since } of this.#revoked) {
      if (coveredBefore(since) >= position) continue;
      this.#report({
        code: 'key_revoked',
        at,
        problem: `This is signed with the key ${kid}, which was revoked, and no checkpoint from before that covers it.`,
      });
    }
  }
}

function isOutside({ notBefore, notAfter }: KeyPeriod, iat: number): boolean {
  const early = notBefore !== undefined && iat * 1000 < Date.parse(notBefore);
  return early || (notAfter !== undefined && iat * 1000 > Date.parse(notAfter));
}
