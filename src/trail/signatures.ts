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
  readonly iat: number;
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
    const { notBefore, notAfter, revokedAt }: KeyPeriod = this.#periods.get(kid) ?? {};
    const early = notBefore !== undefined && iat * 1000 < Date.parse(notBefore);
    const late = notAfter !== undefined && iat * 1000 > Date.parse(notAfter);
    if (early || late) {
      this.#report({ code: 'key_period', at, problem: `The key ${kid} was not good when this was signed.` });
    } else if (revokedAt !== undefined) {
      this.#revoked.push({ kid, position, at, since: Date.parse(revokedAt) });
    }
  }

  /** A checkpoint that fits the trail. `anchored`: it was kept elsewhere. */
  vouch(token: string, { size, iat }: CheckpointClaims, anchored: boolean): void {
    const revoked = this.#periods.get(keyIdOf(token) ?? '')?.revokedAt !== undefined;
    if (anchored || !revoked) this.#vouchers.push({ size, iat });
  }

  finish(): void {
    for (const { kid, position, at, since } of this.#revoked) {
      const vouched = this.#vouchers.some(({ size, iat }) => size >= position && iat * 1000 < since);
      if (vouched) continue;
      this.#report({
        code: 'key_revoked',
        at,
        problem: `This is signed with the key ${kid}, which was revoked, and no checkpoint from before that covers it.`,
      });
    }
  }
}
