/** What entries are about, against their digests: receipts also by their signatures, and by the chain that they stand in themselves. */
import { asCountersignError } from '../action/errors.js';
import { digestText, type Digest } from '../action/json.js';
import { verifyReceipt } from '../trust/index.js';
import type { EntryBody } from './entry.js';
import type { TrailKeys } from './keys.js';
import type { TrailProblemCode } from './problems.js';
import type { Problems } from './report.js';
import type { SignatureTimes } from './signatures.js';

export class Evidence {
  /** Entries that came without any. */
  withheld = 0;
  readonly #keys: TrailKeys;
  readonly #times: SignatureTimes;
  readonly #problems: Problems;
  #receipt: { readonly seq: number; readonly hash: Digest | null } = { seq: 0, hash: null };

  constructor(keys: TrailKeys, times: SignatureTimes, problems: Problems) {
    this.#keys = keys;
    this.#times = times;
    this.#problems = problems;
  }

  async take(body: EntryBody, evidence: string | undefined): Promise<void> {
    const { seq, kind, digest, receipt } = body;
    if (evidence === undefined) this.withheld++;
    else if (digestText(evidence) !== digest) {
      this.#report('evidence', seq, `The evidence of entry ${seq} is not what its digest is of.`);
    } else if (kind === 'receipt') await this.#takeReceipt(body, evidence);
    if (receipt === undefined) return;
    const next = this.#receipt.seq + 1;
    if (receipt !== next) {
      this.#report(
        'receipt_missing',
        seq,
        `Entry ${seq} is about receipt ${receipt}, and receipt ${next} has no entry before it.`,
      );
    }
    this.#receipt = { seq: receipt, hash: digest };
  }

  async #takeReceipt({ seq, tenant, subject, receipt }: EntryBody, jws: string): Promise<void> {
    try {
      const claims = await verifyReceipt(this.#keys.keyring, jws);
      if (claims.tenant !== tenant || claims.seq !== receipt || !isOf(claims.actionId, subject)) {
        this.#report('receipt_place', seq, `The receipt of entry ${seq} is of another tenant, action or number.`);
      } else if (claims.seq === this.#receipt.seq + 1 && claims.prev !== this.#receipt.hash) {
        this.#report('receipt_link', seq, `The receipt of entry ${seq} does not name the receipt before it.`);
      }
      this.#times.judge(jws, claims.iat, seq, seq);
    } catch (error) {
      this.#report(
        'receipt_signature',
        seq,
        `The receipt of entry ${seq} does not verify: ${asCountersignError(error).message}.`,
      );
    }
  }

  #report(code: TrailProblemCode, at: number, problem: string): void {
    this.#problems.add({ code, at, problem });
  }
}

/** A refusal before anybody was known is in a chain of its own, whose entries name the tenant that was claimed too. */
function isOf(actionId: string, subject: string): boolean {
  return subject === actionId || subject.endsWith(`/${actionId}`);
}
