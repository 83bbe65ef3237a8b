/** What entries are about, against their digests: receipts also by their signatures, and by the chain that they stand in themselves. */
import { asCountersignError } from '../action/errors.js';
import { digestText, type Digest } from '../action/json.js';
import { UNAUTHENTICATED, type ReceiptClaims } from '../action/receipt.js';
import { verifyReceipt } from '../trust/index.js';
import type { EntryBody } from './entry.js';
import type { TrailKeys } from './keys.js';
import type { TrailProblem, TrailProblemCode } from './problems.js';
import type { Problems } from './report.js';
import type { SignatureTimes } from './signatures.js';

/** What an entry is about, as far as it can be told from the entry alone. */
type OpenedEvidence = { readonly problem: TrailProblem } | { readonly receipt?: ReceiptClaims };

/** Compares evidence with the entry's digest, and a receipt with what the entry says of it. */
export async function openEvidence(
  body: EntryBody,
  evidence: string,
  { keyring }: Pick<TrailKeys, 'keyring'>,
): Promise<OpenedEvidence> {
  const { seq, kind, tenant, subject } = body;
  const wrong = (code: TrailProblemCode, problem: string): OpenedEvidence => ({ problem: { code, at: seq, problem } });
  if (digestText(evidence) !== body.digest) {
    return wrong('evidence', `The evidence of entry ${seq} is not what its digest is of.`);
  }
  if (kind !== 'receipt') return {};
  try {
    const receipt = await verifyReceipt(keyring, evidence);
    if (receipt.tenant === tenant && receipt.seq === body.receipt && isOf(receipt, subject)) return { receipt };
    return wrong('receipt_place', `The receipt of entry ${seq} is of another tenant, action or number.`);
  } catch (error) {
    return wrong(
      'receipt_signature',
      `The receipt of entry ${seq} does not verify: ${asCountersignError(error).message}.`,
    );
  }
}

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
    const { seq, digest, receipt } = body;
    if (evidence === undefined) this.withheld++;
    else await this.#open(body, evidence);
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

  async #open(body: EntryBody, evidence: string): Promise<void> {
    const opened = await openEvidence(body, evidence, this.#keys);
    if ('problem' in opened) {
      this.#problems.add(opened.problem);
      return;
    }
    const { receipt } = opened;
    if (receipt === undefined) return;
    const { seq } = body;
    if (receipt.seq === this.#receipt.seq + 1 && receipt.prev !== this.#receipt.hash) {
      this.#report('receipt_link', seq, `The receipt of entry ${seq} does not name the receipt before it.`);
    }
    this.#times.judge(evidence, receipt.iat, seq, seq);
  }

  #report(code: TrailProblemCode, at: number, problem: string): void {
    this.#problems.add({ code, at, problem });
  }
}

/** A refusal before anybody was known is in a chain of its own, whose entries name the tenant that was claimed too. */
function isOf({ tenant, actionId }: ReceiptClaims, subject: string): boolean {
  return subject === actionId || (tenant === UNAUTHENTICATED && subject.endsWith(`/${actionId}`));
}
