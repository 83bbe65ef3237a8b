/** Compares each receipt with the outcome that the ledger records for its action. */
import { decodeJwt } from 'jose';
import { digest } from '../action/json.js';
import type { ReceiptClaims } from '../action/receipt.js';
import type { EndedAction } from '../ledger/index.js';

interface ComparedReceipt {
  readonly seq: number;
  readonly hash: string;
  readonly jws: string;
  readonly actionId: string;
}

/**
 * Both come in the order of the chain, so one pass over each suffices. Signatures are not looked at here: the chain's own
 * verification does that.
 */
export class OutcomeCheck {
  /** Outcomes compared so far. */
  compared = 0;
  readonly #tenant: string;
  readonly #actions: AsyncIterator<EndedAction>;
  readonly #report: (seq: number, problem: string) => void;
  #next: EndedAction | undefined;
  #begun = false;

  constructor(tenant: string, actions: AsyncIterable<EndedAction>, report: (seq: number, problem: string) => void) {
    this.#tenant = tenant;
    this.#actions = actions[Symbol.asyncIterator]();
    this.#report = report;
  }

  async compare(receipt: ComparedReceipt): Promise<void> {
    await this.#upTo(receipt.seq);
    const claims = claimsOf(receipt.jws);
    const action = this.#next;
    if (action?.receiptSeq === receipt.seq) {
      this.compared++;
      const differs = claims === undefined ? undefined : this.#difference(receipt, claims, action);
      if (differs !== undefined) this.#report(receipt.seq, differs);
      await this.#advance();
      return;
    }
    if (claims !== undefined && !settlesNothing(claims)) {
      this.#report(
        receipt.seq,
        `Receipt ${receipt.seq} settles action ${claims.actionId}, whose outcome is not recorded.`,
      );
    }
  }

  /** What is left must have been appended after `head`, up to where the head is by then. */
  async finish(head: number, headNow: () => Promise<number>): Promise<void> {
    await this.#upTo(head + 1);
    let now = head;
    while (this.#next !== undefined) {
      if (this.#next.receiptSeq > now) now = await headNow();
      if (this.#next.receiptSeq > now) await this.#upTo(this.#next.receiptSeq + 1);
      else await this.#advance();
    }
  }

  #difference(receipt: ComparedReceipt, claims: ReceiptClaims, action: EndedAction): string | undefined {
    const { seq } = receipt;
    if (claims.actionId !== action.actionId || receipt.actionId !== action.actionId) {
      return `Receipt ${seq} is of action ${claims.actionId}, and the ledger has it for ${action.actionId}.`;
    }
    if (action.receiptHash !== receipt.hash)
      return `The outcome of action ${action.actionId} names another receipt ${seq}.`;
    if (action.outcome.tenant !== this.#tenant || digestOf(action.outcome) !== claims.outcomeDigest) {
      return `The recorded outcome of action ${action.actionId} is not the one that receipt ${seq} was signed for.`;
    }
    return undefined;
  }

  /** Passes over actions whose receipts come before `seq`: had they been there, they would have been compared. */
  async #upTo(seq: number): Promise<void> {
    if (!this.#begun) {
      this.#begun = true;
      await this.#advance();
    }
    while (this.#next !== undefined && this.#next.receiptSeq < seq) {
      const { receiptSeq, actionId } = this.#next;
      this.#report(receiptSeq, `The outcome of action ${actionId} names receipt ${receiptSeq}, which is not there.`);
      await this.#advance();
    }
  }

  async #advance(): Promise<void> {
    const { value, done } = await this.#actions.next();
    this.#next = done === true ? undefined : value;
  }
}

/**
 * The refusal of a conflicting proposal leaves the action its own outcome; a person's signed command is about no action of its own, and no
 * action's id has a slash. Both are signed: what settles an action cannot be passed off as either.
 */
function settlesNothing({ code, actionId }: ReceiptClaims): boolean {
  return code === 'ACTION_CONFLICT' || actionId.startsWith('command/');
}

function claimsOf(jws: string): ReceiptClaims | undefined {
  try {
    return decodeJwt(jws) as unknown as ReceiptClaims;
  } catch {
    return undefined;
  }
}

/** Somebody may have written anything there, such as what has no canonical form. */
function digestOf(outcome: unknown): string | undefined {
  try {
    return digest(outcome);
  } catch {
    return undefined;
  }
}
