/** Verifies a tenant's whole chain of receipts: nothing edited, removed, inserted or re-ordered. */
import { asCountersignError } from '../action/errors.js';
import type { Digest } from '../action/json.js';
import type { Keyring } from './keys.js';
import { hashReceipt, verifyReceipt } from './receipts.js';

/** A receipt as it is stored. */
export interface ChainedReceipt {
  readonly seq: number;
  readonly hash: string;
  readonly jws: string;
}

/** A place in the chain: its head as stored, or any receipt that somebody kept a reference to (`Outcome.receipt`). */
export interface ChainPosition {
  readonly seq: number;
  readonly hash: string;
}

export interface ChainProblem {
  readonly seq: number;
  /** One sentence for people. */
  readonly problem: string;
}

export interface ChainReport {
  readonly ok: boolean;
  /** Receipts read. */
  readonly count: number;
  /** The first 20. */
  readonly problems: readonly ChainProblem[];
  /** How many there are in all. */
  readonly problemCount: number;
  /** The last receipt read. Kept elsewhere, it shows later whether the chain was cut and its stored head set back. */
  readonly head: { readonly seq: number; readonly hash: Digest } | undefined;
}

export interface ChainOptions {
  /** Whose chain it is. Default: what the first readable receipt says. */
  readonly tenant?: string;
  /** Places that must be in the chain: whoever can rewrite the store can cut chain and head together, but not these. */
  readonly anchors?: readonly ChainPosition[];
}

const MAX_PROBLEMS = 20;

/** Reads the chain once, from its first receipt, in stored order. Errors of `receipts` itself are thrown on. */
export async function verifyChain(
  keyring: Keyring,
  receipts: AsyncIterable<ChainedReceipt>,
  head: ChainPosition | undefined,
  options: ChainOptions = {},
): Promise<ChainReport> {
  const problems: ChainProblem[] = [];
  let problemCount = 0;
  const report = (seq: number, problem: string): void => {
    problemCount++;
    if (problems.length < MAX_PROBLEMS) problems.push({ seq, problem });
  };

  const anchors = new Map(options.anchors?.map(({ seq, hash }) => [seq, hash]));
  let { tenant } = options;
  let count = 0;
  let last: { seq: number; hash: Digest } | undefined;

  for await (const { seq, hash: stored, jws } of receipts) {
    count++;
    const expected = (last?.seq ?? 0) + 1;
    if (seq > expected) report(seq, missing(expected, seq - 1));
    else if (seq < expected)
      report(seq, `Receipt ${seq} comes after receipt ${expected - 1}: repeated or out of order.`);

    const hash = hashReceipt(jws);
    if (stored !== hash) report(seq, `The stored hash of receipt ${seq} is not that of its text.`);
    const anchor = anchors.get(seq);
    if (anchor !== undefined && anchor !== hash) report(seq, `Receipt ${seq} is not the one that was issued.`);
    anchors.delete(seq);

    try {
      const claims = await verifyReceipt(keyring, jws);
      tenant ??= claims.tenant;
      if (claims.tenant !== tenant) report(seq, `Receipt ${seq} belongs to another tenant.`);
      if (claims.seq !== seq) report(seq, `The receipt stored as ${seq} was signed as ${claims.seq}.`);
      // After a gap the receipt it names is not here to compare with.
      if (seq === expected && claims.prev !== (last?.hash ?? null)) {
        report(seq, `Receipt ${seq} does not name the receipt before it.`);
      }
    } catch (error) {
      report(seq, `Receipt ${seq} does not verify: ${asCountersignError(error).message}.`);
    }
    last = { seq, hash };
  }

  if (head === undefined) {
    if (last !== undefined) report(last.seq, 'The head of the chain is missing.');
  } else if (head.seq > (last?.seq ?? 0)) {
    report(head.seq, missing((last?.seq ?? 0) + 1, head.seq));
  } else if (last !== undefined && head.seq < last.seq) {
    report(last.seq, `The chain goes on to receipt ${last.seq} after its head, ${head.seq}.`);
  } else if (head.hash !== last?.hash) {
    report(head.seq, `The head of the chain is not the hash of receipt ${head.seq}.`);
  }
  for (const seq of anchors.keys()) report(seq, `Receipt ${seq} was issued and is missing.`);

  return { ok: problemCount === 0, count, problems, problemCount, head: last };
}

function missing(from: number, to: number): string {
  return from === to ? `Receipt ${from} is missing.` : `Receipts ${from} to ${to} are missing.`;
}
