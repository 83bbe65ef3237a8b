/** Merkle trees as of RFC 6962, section 2.1: hashes, roots that grow, proofs, and their verification (RFC 9162, 2.1.3.2 and 2.1.4.2). */
import { createHash } from 'node:crypto';

/** The hash of a leaf: SHA-256 over a zero byte and its content. */
export function leafHash(content: Uint8Array | string): Buffer {
  return createHash('sha256').update('\0').update(content).digest();
}

/** The hash of a node: SHA-256 over a one byte and both of its children. */
function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  return createHash('sha256').update('\x01').update(left).update(right).digest();
}

/** The right edge of a tree: what is needed to add leaves and to tell the root, and no more. */
export class Frontier {
  #size: number;
  /** Roots of the complete subtrees, largest first: one for each bit of the size. */
  readonly #peaks: Buffer[];

  constructor(size = 0, peaks: readonly Uint8Array[] = []) {
    if (peaks.length !== bitsOf(size)) throw new RangeError(`A tree of ${size} leaves has ${bitsOf(size)} peaks.`);
    this.#size = size;
    this.#peaks = peaks.map((peak) => Buffer.from(peak));
  }

  get size(): number {
    return this.#size;
  }

  get peaks(): readonly Buffer[] {
    return this.#peaks;
  }

  append(leaf: Buffer): void {
    let node = leaf;
    for (let n = this.#size; n % 2 === 1; n = (n - 1) / 2) node = nodeHash(this.#peaks.pop() as Buffer, node);
    this.#peaks.push(node);
    this.#size++;
  }

  /** Of no leaves: the hash of nothing. */
  root(): Buffer {
    const [last, ...others] = this.#peaks.toReversed();
    if (last === undefined) return createHash('sha256').digest();
    return others.reduce((right, left) => nodeHash(left, right), last);
  }
}

function bitsOf(size: number): number {
  let bits = 0;
  for (let n = size; n > 0; n = Math.floor(n / 2)) bits += n % 2;
  return bits;
}

export function rootOf(leaves: readonly Buffer[]): Buffer {
  const frontier = new Frontier();
  for (const leaf of leaves) frontier.append(leaf);
  return frontier.root();
}

/** The path from a leaf to the root (RFC 6962, 2.1.1), nearest first. @param index from 0 */
export function inclusionProof(leaves: readonly Buffer[], index: number): readonly Buffer[] {
  if (leaves.length <= 1) return [];
  const split = splitOf(leaves.length);
  const [left, right] = [leaves.slice(0, split), leaves.slice(split)];
  return index < split
    ? [...inclusionProof(left, index), rootOf(right)]
    : [...inclusionProof(right, index - split), rootOf(left)];
}

/** That the tree over the first `size` leaves is the beginning of this one (RFC 6962, 2.1.2). @param size from 1 to the number of leaves */
export function consistencyProof(leaves: readonly Buffer[], size: number): readonly Buffer[] {
  return subproof(leaves, size, true);
}

function subproof(leaves: readonly Buffer[], size: number, whole: boolean): readonly Buffer[] {
  if (size === leaves.length) return whole ? [] : [rootOf(leaves)];
  const split = splitOf(leaves.length);
  const [left, right] = [leaves.slice(0, split), leaves.slice(split)];
  return size <= split
    ? [...subproof(left, size, whole), rootOf(right)]
    : [...subproof(right, size - split, false), rootOf(left)];
}

/** The largest power of two below `n`. */
function splitOf(n: number): number {
  let split = 1;
  while (split * 2 < n) split *= 2;
  return split;
}

/** Whether the leaf is the one at `index` of the tree with this root. */
export function verifyInclusion(
  {
    leaf,
    index,
    size,
    root,
  }: { readonly leaf: Buffer; readonly index: number; readonly size: number; readonly root: Buffer },
  proof: readonly Buffer[],
): boolean {
  if (!(index >= 0 && index < size)) return false;
  let [fn, sn, node] = [index, size - 1, leaf];
  for (const sibling of proof) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      node = nodeHash(sibling, node);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [fn / 2, Math.floor(sn / 2)];
    } else {
      node = nodeHash(node, sibling);
    }
    [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)];
  }
  return sn === 0 && node.equals(root);
}

/** A tree, by its size and root. */
export interface TreeHead {
  readonly size: number;
  readonly root: Buffer;
}

/** Whether the first tree is the beginning of the second. */
export function verifyConsistency(first: TreeHead, second: TreeHead, proof: readonly Buffer[]): boolean {
  if (first.size < 1 || first.size > second.size) return false;
  if (first.size === second.size) return proof.length === 0 && first.root.equals(second.root);
  const path = Number.isInteger(Math.log2(first.size)) ? [first.root, ...proof] : [...proof];
  const [start, ...rest] = path;
  if (start === undefined) return false;
  let [fn, sn] = [first.size - 1, second.size - 1];
  while (fn % 2 === 1) [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)];
  let [fr, sr] = [start, start];
  for (const node of rest) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      [fr, sr] = [nodeHash(node, fr), nodeHash(node, sr)];
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [fn / 2, Math.floor(sn / 2)];
    } else {
      sr = nodeHash(sr, node);
    }
    [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)];
  }
  return sn === 0 && fr.equals(first.root) && sr.equals(second.root);
}
