/**
 * The latest change of the active policy that was really made. A ledger can be cut back, by a restore or by somebody who can write to it, and
 * then says that an earlier policy is active, with a good signature. Running workers remember. One that starts now asks what else there is that
 * nobody can make up: the workers' signature over a later change, in the history or as other workers show it, and receipts of changes.
 */
import type { ProvenChange, ShownChange } from '../action/policy-rollout.js';
import { changeOfReceiptId, type Ledger } from '../ledger/index.js';
import { openPolicyChange, verifyReceipt, type Keyring } from '../trust/index.js';

/** By the kinds of their commands, which receipts name as the tool. */
const ACTIVATIONS: ReadonlySet<string> = new Set(['countersign.promote_policy', 'countersign.roll_back_policy']);
/** Signatures that were looked at, so that each is verified once. */
const MOST_KEPT = 200;

export class ProvenChanges {
  readonly #rollout: Pick<Ledger['rollout'], 'policyReceipts'>;
  readonly #keyring: Keyring;
  /** The number that each signature proves; 0 where it proves none. */
  readonly #looked = new Map<string, number>();
  #latest: ProvenChange | undefined;
  #receiptsRead = false;

  constructor(rollout: Pick<Ledger['rollout'], 'policyReceipts'>, keyring: Keyring) {
    this.#rollout = rollout;
    this.#keyring = keyring;
  }

  /** What was proven stays so. @throws CountersignError LEDGER_UNAVAILABLE */
  async latest(shown: readonly ShownChange[]): Promise<ProvenChange | undefined> {
    if (!this.#receiptsRead) await this.#readReceipts();
    for (const one of shown) {
      if (one.seq > (this.#latest?.seq ?? 0) && (await this.#proves(one)) === one.seq) this.#latest = one;
    }
    return this.#latest;
  }

  /** Once, at the start: of what is changed later, this worker sees the signatures. */
  async #readReceipts(): Promise<void> {
    for (const jws of await this.#rollout.policyReceipts()) {
      const receipt = await verifyReceipt(this.#keyring, jws).catch(() => undefined);
      const seq = receipt !== undefined && ACTIVATIONS.has(receipt.tool) ? changeOfReceiptId(receipt.actionId) : 0;
      if (receipt === undefined || seq === undefined || seq <= (this.#latest?.seq ?? 0)) continue;
      this.#latest = { seq, shownBy: `receipt ${receipt.seq} of ${receipt.tenant}` };
    }
    this.#receiptsRead = true;
  }

  /** A signature that a change got which came too late is nowhere in the ledger: so one that is there was made, at the place it was signed for. */
  async #proves({ signed }: ShownChange): Promise<number> {
    const known = this.#looked.get(signed);
    if (known !== undefined) return known;
    const proven = await openPolicyChange(this.#keyring, signed).then(
      ({ seq, kind }) => (kind === 'promote' || kind === 'rollback' ? seq : 0),
      () => 0,
    );
    if (this.#looked.size >= MOST_KEPT) this.#looked.clear();
    this.#looked.set(signed, proven);
    return proven;
  }
}
